/*
 * core/store.c over a fake backend: how a call is driven, when it is given up, what reaches the database at
 * all, and what transactions allow. Nothing here depends on a database.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../core/clock.h"
#include "../core/store.h"
#include "check.h"
#include "fake_backend.h"

/* How often the backend was called at all. */
static int n_calls(void) {
  return fake.counts[FAKE_START] + fake.counts[FAKE_RESUME] + fake.counts[FAKE_CANCEL];
}

/* ---- opening and closing ---- */

static void test_open__asks_the_backend_once_and_close_ends_it(void) {
  convstore *store = NULL;
  fake_reset();
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "somewhere", NULL, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_CREATE], 1);
  CHECK_INT(fake.counts[FAKE_START], 1);
  CHECK_INT(fake_last()->operation, CONVSTORE_OPEN);
  CHECK_STRING(fake.location, "somewhere");
  convstore_close(store);
  CHECK_INT(fake.counts[FAKE_CLOSE], 1);
  CHECK_INT(n_calls(), 1);
}

static void test_open__fills_in_defaults(void) {
  convstore *store = fake_open(NULL);
  CHECK_INT(fake.options.timeout_ms, 10000);
  CHECK_INT(fake.options.max_content_bytes, CONVSTORE_DEFAULT_CONTENT);
  convstore_close(store);
}

static void test_open__leaves_nothing_behind_where_the_backend_fails(void) {
  convstore *untouched = (convstore *)&fake, *store = untouched;
  convstore_error err = {0};
  fake_reset();
  fake.create_status = CONVSTORE_E_UNSUPPORTED;
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "", NULL, &err), CONVSTORE_E_UNSUPPORTED);
  CHECK_STRING(err.message, "unsupported: create was told so");
  CHECK(store == untouched);
  CHECK_INT(n_calls() + fake.counts[FAKE_CLOSE], 0);

  fake_reset();
  fake_answer((struct fake_answer){.status = CONVSTORE_E_CORRUPT});
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "", NULL, &err), CONVSTORE_E_CORRUPT);
  CHECK_STRING(err.message, "corrupt: the fake was told so");
  CHECK(store == untouched);
  CHECK_INT(fake.counts[FAKE_CLOSE], 1);
}

static void test_open__waits_for_a_backend_that_is_not_done(void) {
  convstore *store = NULL;
  fake_reset();
  fake_make_ready();
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 5000});
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "", NULL, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_RESUME], 1);
  convstore_close(store);
}

static void test_open__refuses_options_out_of_range(void) {
  static const convstore_options bad[] = {
      {.timeout_ms = -1},
      {.timeout_ms = INT64_C(2147483648)},
      {.max_content_bytes = -1},
      {.max_content_bytes = CONVSTORE_MAX_CONTENT + 1},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    convstore *store = NULL;
    fake_reset();
    CHECK_INT(convstore__open_backend(&store, &fake_backend, "", &bad[i], NULL), CONVSTORE_E_INVALID);
    CHECK_INT(fake.counts[FAKE_CREATE], 0);
    CHECK(store == NULL);
  }
}

static void test_close__takes_null_and_open_transactions(void) {
  convstore_close(NULL);
  convstore *store = fake_open(NULL);
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
  convstore_close(store);
  CHECK_INT(fake.counts[FAKE_CLOSE], 1);
}

/* ---- driving a call ---- */

static void test_run__resumes_until_the_call_is_done(void) {
  convstore *store = fake_open(NULL);
  fake_make_ready();
  for (int i = 0; i < 3; i++)
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 5000});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_START], 1);
  CHECK_INT(fake.counts[FAKE_RESUME], 3);
  CHECK_INT(fake.counts[FAKE_CANCEL], 0);
  convstore_close(store);
}

static void *make_ready_soon(void *argument) {
  struct timespec pause = {.tv_nsec = 30000000};
  (void)argument;
  nanosleep(&pause, NULL);
  fake_make_ready();
  return NULL;
}

static void test_run__sleeps_until_the_descriptor_is_ready(void) {
  convstore *store = fake_open(NULL);
  pthread_t thread;
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 9000});
  REQUIRE(pthread_create(&thread, NULL, make_ready_soon, NULL) == 0);
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  pthread_join(thread, NULL);
  CHECK_INT(fake.counts[FAKE_RESUME], 1);
  CHECK(fake.records[1].at_ms - fake.records[0].at_ms < 5000);
  convstore_close(store);
}

static void test_run__waits_for_room_to_write(void) {
  convstore *store = fake_open(NULL);
  int read_fd = fake.fd;
  fake.fd = fake.write_fd; /* an empty pipe has room */
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLOUT, .wait_ms = 9000});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_RESUME], 1);
  CHECK(fake.records[1].at_ms - fake.records[0].at_ms < 5000);
  fake.fd = read_fd;
  convstore_close(store);
}

/* A backend that backs off before it tries again has nothing to read, only a time. */
static void test_run__resumes_when_the_time_has_come(void) {
  convstore *store = fake_open(NULL);
  fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 40});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_RESUME], 1);
  CHECK(fake.records[1].at_ms - fake.records[0].at_ms >= 39);
  CHECK(fake.records[1].at_ms - fake.records[0].at_ms < 5000);
  convstore_close(store);
}

static void test_run__gives_up_at_the_deadline(void) {
  const convstore_options options = {.timeout_ms = 60};
  convstore *store = fake_open(&options);
  convstore_error err = {0};
  for (int i = 0; i < 4; i++)
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 100000});
  int64_t start_ms = convstore__monotonic_ms();
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_TIMEOUT);
  CHECK_HAS(err.message, "timeout: ");
  CHECK(convstore__monotonic_ms() - start_ms >= 60);
  CHECK(convstore__monotonic_ms() - start_ms < 5000);
  CHECK_INT(fake.counts[FAKE_CANCEL], 1);
  CHECK(fake_last()->event == FAKE_CANCEL);
  CHECK(fake.records[fake.n_records - 2].event == FAKE_RESUME);
  CHECK(fake.records[fake.n_records - 2].at_ms >= fake.records[0].deadline_ms);
  fake.n_answers = fake.n_answered; /* and the store goes on */
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_OK);
  convstore_close(store);
}

/* The answer may have come while the process did not run: it is looked for once more before the call is given
 * up. */
static void test_run__takes_an_answer_that_came_with_the_deadline(void) {
  const convstore_options options = {.timeout_ms = 30};
  convstore *store = fake_open(&options);
  for (int i = 0; i < 2; i++)
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 100000});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  CHECK_INT(fake.counts[FAKE_RESUME], 2);
  CHECK_INT(fake.counts[FAKE_CANCEL], 0);
  convstore_close(store);
}

static void test_run__hands_up_the_backends_error_as_it_is(void) {
  for (int status = CONVSTORE_E_NOT_FOUND; status >= CONVSTORE_E_MEMORY; status--) {
    convstore *store = fake_open(NULL);
    convstore_error err = {0};
    fake_make_ready();
    fake_answer((struct fake_answer){.status = status});
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = POLLIN, .wait_ms = 1000});
    fake_answer((struct fake_answer){.status = status});
    for (int resumed = 0; resumed <= 1; resumed++) {
      CHECK_INT(fake_run(store, CONVSTORE_GET, &err), status);
      CHECK_INT(err.status, status);
      CHECK_INT(err.native, 4711);
      CHECK_HAS(err.message, convstore_status_name(status));
      CHECK_HAS(err.message, ": the fake was told so");
    }
    convstore_close(store);
  }
}

static void test_run__takes_no_error_at_all(void) {
  convstore *store = fake_open(NULL);
  fake_answer((struct fake_answer){.status = CONVSTORE_E_FULL});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_E_FULL);
  CHECK_INT(fake_run(store, CONVSTORE_COMMIT, NULL), CONVSTORE_E_INVALID);
  CHECK_INT(fake_run(store, (convstore_operation)99, NULL), CONVSTORE_E_INVALID);
  convstore_close(store);
}

static int64_t stopped_clock(void) {
  return INT64_C(1769903999123);
}

static void test_run__tells_the_time_and_the_deadline(void) {
  const convstore_options options = {.timeout_ms = 7000};
  int64_t (*real)(void) = convstore__wall_ms;
  convstore *store = fake_open(&options);
  convstore__wall_ms = stopped_clock;
  int64_t before_ms = convstore__monotonic_ms();
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  int64_t after_ms = convstore__monotonic_ms();
  CHECK_INT(fake_last()->now_ms, stopped_clock());
  CHECK(fake_last()->deadline_ms >= before_ms + 7000 && fake_last()->deadline_ms <= after_ms + 7001);
  convstore__wall_ms = real;
  convstore_close(store);
}

/* ---- the schema ---- */

static void test_schema__is_looked_at_again_before_a_call_is_refused(void) {
  static const int versions[] = {0, 1, FAKE_NEWEST + 1, -1};
  for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
    convstore *store = NULL;
    convstore_error err = {0};
    fake_reset();
    fake.version = versions[i];
    check_doing("version %d", versions[i]);
    CHECK_INT(convstore__open_backend(&store, &fake_backend, "", NULL, NULL), CONVSTORE_OK);
    fake.n_records = 0;
    CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_SCHEMA);
    CHECK_HAS(err.message, "schema: ");
    CHECK_INT(fake.n_records, 1);
    CHECK_INT(fake_last()->operation, CONVSTORE_SCHEMA_VERSION);
    CHECK_INT(fake_run(store, CONVSTORE_MIGRATIONS, NULL), CONVSTORE_OK); /* which needs no schema */

    fake.version = FAKE_NEWEST; /* another process has migrated meanwhile */
    fake.n_records = 0;
    CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_OK);
    CHECK_INT(fake.n_records, 2);
    CHECK_INT(fake_last()->operation, CONVSTORE_GET);
    fake.n_records = 0;
    CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_OK); /* and then it is known */
    CHECK_INT(fake.n_records, 1);
    convstore_close(store);
  }
}

static void test_schema__a_look_that_fails_is_the_calls_failure(void) {
  convstore *store = NULL;
  convstore_error err = {0};
  fake_reset();
  fake.version = 0;
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "", NULL, NULL), CONVSTORE_OK);
  fake_answer((struct fake_answer){.status = CONVSTORE_E_BUSY});
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_BUSY);
  CHECK_STRING(err.message, "busy: the fake was told so");
  convstore_close(store);
}

/* ---- transactions ---- */

static void test_transaction__depth_is_counted_and_told(void) {
  convstore *store = fake_open(NULL);
  static const struct {
    convstore_operation operation;
    int told, after;
  } steps[] = {
      {CONVSTORE_GET, 0, 0},   {CONVSTORE_BEGIN, 0, 1},  {CONVSTORE_GET, 1, 1},
      {CONVSTORE_BEGIN, 1, 2}, {CONVSTORE_REDACT, 2, 2}, {CONVSTORE_ROLLBACK, 2, 1},
      {CONVSTORE_GET, 1, 1},   {CONVSTORE_COMMIT, 1, 0}, {CONVSTORE_GET, 0, 0},
  };
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    check_doing("step %zu", i);
    CHECK_INT(fake_run(store, steps[i].operation, NULL), CONVSTORE_OK);
    CHECK_INT(fake_last()->depth, steps[i].told);
    CHECK_INT(convstore_depth(store), steps[i].after);
  }
  convstore_close(store);
}

static void test_transaction__a_begin_that_fails_opens_none(void) {
  convstore *store = fake_open(NULL);
  fake_answer((struct fake_answer){.status = CONVSTORE_E_BUSY});
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_E_BUSY);
  CHECK_INT(convstore_depth(store), 0);
  convstore_close(store);
}

static void test_transaction__ends_even_if_commit_or_rollback_fails(void) {
  static const convstore_operation ends[] = {CONVSTORE_COMMIT, CONVSTORE_ROLLBACK};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    convstore *store = fake_open(NULL);
    CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
    fake_answer((struct fake_answer){.status = CONVSTORE_E_FULL});
    CHECK_INT(fake_run(store, ends[i], NULL), CONVSTORE_E_FULL);
    CHECK_INT(convstore_depth(store), 0);
    CHECK_INT(fake_run(store, ends[i], NULL), CONVSTORE_E_INVALID);
    convstore_close(store);
  }
}

static void test_transaction__needs_one_to_end_and_none_to_migrate(void) {
  convstore *store = fake_open(NULL);
  convstore_error err = {0};
  CHECK_INT(fake_run(store, CONVSTORE_COMMIT, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "transaction");
  CHECK_INT(fake_run(store, CONVSTORE_ROLLBACK, &err), CONVSTORE_E_INVALID);
  CHECK_INT(n_calls(), 0);
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, &err), CONVSTORE_OK);
  CHECK_INT(fake_run(store, CONVSTORE_MIGRATE, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "transaction");
  CHECK_INT(fake_run(store, CONVSTORE_PURGE_OLD, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "purge runs in short transactions");
  CHECK_INT(fake_run(store, CONVSTORE_ARCHIVE, &err), CONVSTORE_E_INVALID);
  CHECK_HAS(err.message, "archive runs in short transactions");
  CHECK_INT(n_calls(), 1);
  convstore_close(store);
}

static void test_transaction__a_failed_call_leaves_it_usable(void) {
  convstore *store = fake_open(NULL);
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
  fake_answer((struct fake_answer){.status = CONVSTORE_E_NOT_FOUND});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_E_NOT_FOUND);
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
  CHECK_INT(fake_run(store, CONVSTORE_COMMIT, NULL), CONVSTORE_OK);
  convstore_close(store);
}

static void test_transaction__that_was_lost_can_only_end(void) {
  convstore *store = fake_open(NULL);
  convstore_error err = {0};
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
  fake_answer((struct fake_answer){.status = CONVSTORE_E_UNAVAILABLE, .lost = true});
  CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_E_UNAVAILABLE);
  int calls = n_calls();
  static const convstore_operation refused[] = {CONVSTORE_GET, CONVSTORE_BEGIN, CONVSTORE_SCHEMA_VERSION};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    CHECK_INT(fake_run(store, refused[i], &err), CONVSTORE_E_UNAVAILABLE);
    CHECK_HAS(err.message, "unavailable: ");
  }
  CHECK_INT(fake_run(store, CONVSTORE_ROLLBACK, &err),
            CONVSTORE_OK); /* the inner one: nothing is left to undo */
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_E_UNAVAILABLE);
  CHECK_INT(fake_run(store, CONVSTORE_COMMIT, &err), CONVSTORE_E_UNAVAILABLE);
  CHECK_HAS(err.message, "nothing was committed");
  CHECK_INT(n_calls(), calls);
  CHECK_INT(convstore_depth(store), 0);
  CHECK_INT(fake_run(store, CONVSTORE_GET, &err), CONVSTORE_OK); /* over, and all is well again */
  CHECK_INT(fake_run(store, CONVSTORE_BEGIN, &err), CONVSTORE_OK);
  CHECK_INT(fake_run(store, CONVSTORE_COMMIT, &err), CONVSTORE_OK);
  convstore_close(store);
}

static void test_transaction__that_was_lost_tells_why(void) {
  static const struct {
    int lost_by, told;
  } cases[] = {
      {CONVSTORE_E_FULL, CONVSTORE_E_FULL},          {CONVSTORE_E_BUSY, CONVSTORE_E_BUSY},
      {CONVSTORE_E_CORRUPT, CONVSTORE_E_CORRUPT},    {CONVSTORE_E_TIMEOUT, CONVSTORE_E_UNAVAILABLE},
      {CONVSTORE_E_MEMORY, CONVSTORE_E_UNAVAILABLE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore *store = fake_open(NULL);
    convstore_error err = {0};
    CHECK_INT(fake_run(store, CONVSTORE_BEGIN, NULL), CONVSTORE_OK);
    fake_answer((struct fake_answer){.status = cases[i].lost_by, .lost = true});
    CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), cases[i].lost_by);
    CHECK_INT(fake_run(store, CONVSTORE_GET, &err), cases[i].told);
    CHECK_HAS(err.message, convstore_status_name(cases[i].lost_by));
    CHECK_INT(fake_run(store, CONVSTORE_COMMIT, &err), cases[i].told);
    CHECK_HAS(err.message, "nothing was committed");
    CHECK_INT(fake_run(store, CONVSTORE_GET, NULL), CONVSTORE_OK);
    convstore_close(store);
  }
}

static const struct check_test tests[] = {
    TEST(test_open__asks_the_backend_once_and_close_ends_it),
    TEST(test_open__fills_in_defaults),
    TEST(test_open__leaves_nothing_behind_where_the_backend_fails),
    TEST(test_open__waits_for_a_backend_that_is_not_done),
    TEST(test_open__refuses_options_out_of_range),
    TEST(test_close__takes_null_and_open_transactions),
    TEST(test_run__resumes_until_the_call_is_done),
    TEST(test_run__sleeps_until_the_descriptor_is_ready),
    TEST(test_run__waits_for_room_to_write),
    TEST(test_run__resumes_when_the_time_has_come),
    TEST(test_run__gives_up_at_the_deadline),
    TEST(test_run__takes_an_answer_that_came_with_the_deadline),
    TEST(test_run__hands_up_the_backends_error_as_it_is),
    TEST(test_run__takes_no_error_at_all),
    TEST(test_run__tells_the_time_and_the_deadline),
    TEST(test_schema__is_looked_at_again_before_a_call_is_refused),
    TEST(test_schema__a_look_that_fails_is_the_calls_failure),
    TEST(test_transaction__depth_is_counted_and_told),
    TEST(test_transaction__a_begin_that_fails_opens_none),
    TEST(test_transaction__ends_even_if_commit_or_rollback_fails),
    TEST(test_transaction__needs_one_to_end_and_none_to_migrate),
    TEST(test_transaction__a_failed_call_leaves_it_usable),
    TEST(test_transaction__that_was_lost_can_only_end),
    TEST(test_transaction__that_was_lost_tells_why),
};
CHECK_MAIN(tests)
