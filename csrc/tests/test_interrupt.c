/*
 * convstore_interrupt: how the core ends calls over a fake backend, and what SQLite's waits and statements make of it.
 * Ctrl-C as a person presses it, and PostgreSQL, are the matter of spec/interrupt_spec.lua.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../core/clock.h"
#include "check.h"
#include "fake_backend.h"
#include "support.h"

static convstore_interrupt interrupt;

static const convstore_options options = {.timeout_ms = 60000, .interrupt = &interrupt};

static void on_signal(int signal) {
  (void)signal;
  convstore_interrupt_raise(&interrupt);
}

static void *raise_soon(void *argument) {
  struct timespec pause = {.tv_nsec = 50000000};
  (void)nanosleep(&pause, NULL);
  if (argument != NULL) /* a signal to the thread that waits */
    (void)pthread_kill(*(pthread_t *)argument, SIGUSR1);
  else
    convstore_interrupt_raise(&interrupt);
  return NULL;
}

/* ---- the core ---- */

static void test_core__fails_every_call_until_it_is_cleared(void) {
  convstore_error err = {0};
  convstore_interrupt_clear(&interrupt);
  convstore *store = fake_open(&options);
  convstore_interrupt_raise(&interrupt);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_TIMEOUT);
    CHECK_HAS(err.message, "timeout: the call was interrupted");
  }
  CHECK_INT(fake.n_records, 0);
  convstore_interrupt_clear(&interrupt);
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_OK);
  CHECK(!convstore_interrupt_is_raised(NULL));
  convstore_close(store);
}

static void test_core__lets_a_transaction_end(void) {
  static const convstore_operation ends[] = {CONVSTORE_COMMIT, CONVSTORE_ROLLBACK};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    convstore_interrupt_clear(&interrupt);
    convstore *store = fake_open(&options);
    CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
    convstore_interrupt_raise(&interrupt);
    CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_E_TIMEOUT);
    CHECK_INT(fake_run(store, ends[i], NULL), CONVSTORE_OK);
    CHECK_INT(fake_last()->operation, ends[i]);
    CHECK_INT(convstore_depth(store), 0);
    convstore_close(store);
  }
}

/* Once the backend is told, and has a short time for its answer, whatever that is. */
static void check_told(pthread_t *waiting, int status) {
  convstore_error err = {0};
  pthread_t thread;
  convstore_interrupt_clear(&interrupt);
  convstore *store = fake_open(&options);
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 50000});
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 20});
  fake_answer((struct fake_answer){.status = status});
  int64_t began_ms = convstore__monotonic_ms();
  REQUIRE(pthread_create(&thread, NULL, raise_soon, waiting) == 0);
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), status);
  pthread_join(thread, NULL);
  CHECK(convstore__monotonic_ms() - began_ms < 10000);
  CHECK_INT(fake.counts[FAKE_INTERRUPT], 1);
  CHECK_INT(fake.counts[FAKE_CANCEL], 0);
  const struct fake_record *told = &fake.records[1];
  CHECK(told->event == FAKE_INTERRUPT);
  CHECK(told->interrupted && told->deadline_ms <= told->at_ms + 1000);
  CHECK(!fake.records[0].interrupted);
  convstore_close(store);
}

static void test_core__tells_the_backend_once(void) {
  pthread_t self = pthread_self();
  struct sigaction action = {.sa_handler = on_signal};
  struct sigaction before;
  REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
  check_told(NULL, CONVSTORE_E_TIMEOUT);
  check_told(NULL, CONVSTORE_OK); /* it was committed already */
  check_told(&self, CONVSTORE_E_TIMEOUT);
  (void)sigaction(SIGUSR1, &before, NULL);
}

static void test_core__gives_up_a_backend_that_stays_silent(void) {
  convstore_error err = {0};
  pthread_t thread;
  convstore_interrupt_clear(&interrupt);
  convstore *store = fake_open(&options);
  for (int i = 0; i < 4; i++)
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 100000});
  int64_t began_ms = convstore__monotonic_ms();
  REQUIRE(pthread_create(&thread, NULL, raise_soon, NULL) == 0);
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_TIMEOUT);
  pthread_join(thread, NULL);
  CHECK(convstore__monotonic_ms() - began_ms < 10000);
  CHECK_INT(fake.counts[FAKE_CANCEL], 1);
  convstore_close(store);
}

static void test_core__opens_nothing_while_it_is_raised(void) {
  convstore *store = NULL;
  convstore_error err = {0};
  convstore_interrupt_raise(&interrupt);
  CHECK_INT(convstore_open(&store, ":memory:", &options, &err), CONVSTORE_E_TIMEOUT);
  CHECK(store == NULL);
  convstore_interrupt_clear(&interrupt);
}

/* ---- SQLite ---- */

static int create(convstore *store, const char *key, convstore_error *err) {
  convstore_request request = fake_request(CONVSTORE_CONVERSATION);
  convstore_result result = {0};
  request.conversation.key = (convstore_text){key, strlen(key)};
  int status = convstore_run(&result, store, &request, err);
  convstore_result_free(&result);
  return status;
}

static void test_sqlite__gives_up_its_wait_for_a_lock(void) {
  const char *path = support_path("interrupt_lock.db");
  convstore_error err = {0};
  pthread_t thread;
  (void)remove(path);
  convstore_interrupt_clear(&interrupt);
  convstore *holder = support_open(path, NULL);
  convstore *store = support_open(path, &options);
  CHECK_INT(fake_run(holder, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
  int64_t began_ms = convstore__monotonic_ms();
  REQUIRE(pthread_create(&thread, NULL, raise_soon, NULL) == 0);
  CHECK_INT(create(store, "k", &err), CONVSTORE_E_TIMEOUT);
  pthread_join(thread, NULL);
  CHECK(convstore__monotonic_ms() - began_ms < 10000);
  CHECK_HAS(err.message, "interrupted");
  CHECK_INT(fake_run(holder, CONVSTORE_ROLLBACK, NULL), CONVSTORE_OK);
  CHECK_INT(support_number(path, "SELECT count(*) FROM convstore_conversations"), 0);
  convstore_interrupt_clear(&interrupt);
  CHECK_INT(create(store, "k", &err), CONVSTORE_OK);
  convstore_close(store);
  convstore_close(holder);
}

/* A trigger makes a write that never ends by itself. */
static void test_sqlite__ends_a_long_statement_and_undoes_it(void) {
  static const char endless[] =
      "CREATE TRIGGER endless AFTER INSERT ON convstore_conversations WHEN new.key = 'endless' BEGIN "
      "UPDATE convstore_conversations SET title = (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
      "FROM n WHERE i < 1000000000) SELECT count(*) FROM n); END";
  const char *path = support_path("interrupt_statement.db");
  (void)remove(path);
  for (int nested = 0; nested <= 1; nested++) {
    convstore_error err = {0};
    pthread_t thread;
    check_doing("nested: %d", nested);
    convstore_interrupt_clear(&interrupt);
    convstore *store = support_open(path, &options);
    if (nested == 0) support_sql(path, endless);
    if (nested > 0) {
      CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
      CHECK_INT(create(store, "before", NULL), CONVSTORE_OK);
    }
    int64_t began_ms = convstore__monotonic_ms();
    REQUIRE(pthread_create(&thread, NULL, raise_soon, NULL) == 0);
    CHECK_INT(create(store, "endless", &err), CONVSTORE_E_TIMEOUT);
    pthread_join(thread, NULL);
    CHECK(convstore__monotonic_ms() - began_ms < 10000);
    CHECK_HAS(err.message, "timeout: the call was interrupted");
    /* SQLite ends a whole transaction whose statement it interrupts. */
    if (nested > 0) CHECK_INT(fake_run(store, CONVSTORE_COMMIT, NULL), CONVSTORE_E_UNAVAILABLE);
    CHECK_INT(support_number(path, "SELECT count(*) FROM convstore_conversations"), 0);
    convstore_interrupt_clear(&interrupt);
    CHECK_INT(create(store, "after", &err), CONVSTORE_OK);
    support_sql(path, "DELETE FROM convstore_conversations");
    convstore_close(store);
  }
}

static const struct check_test tests[] = {
    TEST(test_core__fails_every_call_until_it_is_cleared),
    TEST(test_core__lets_a_transaction_end),
    TEST(test_core__tells_the_backend_once),
    TEST(test_core__gives_up_a_backend_that_stays_silent),
    TEST(test_core__opens_nothing_while_it_is_raised),
    TEST(test_sqlite__gives_up_its_wait_for_a_lock),
    TEST(test_sqlite__ends_a_long_statement_and_undoes_it),
};
CHECK_MAIN(tests)
