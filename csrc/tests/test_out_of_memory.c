/*
 * What a failed allocation does, at each place where one is made: in the library, in jansson, in SQLite. Each
 * operation is run again and again, and in the k-th run the k-th allocation fails, or it and all after it.
 * Then the call must say so and have written nothing; the same call must succeed afterwards on the same
 * handle; nothing may leak.
 */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "../convstore.h"
#include "check.h"
#include "failing_memory.h"
#include "scenario.h"
#include "support.h"

/* ---- operations ---- */

static const convstore_options fast = {.durability_normal = true};

/* The file under test, and a connection that stays open to see cheaply whether anybody has written to it. */
static sqlite3 *watch;

static void copy_original(void) {
  sqlite3_close(watch);
  support_copy(support_path("copy.db"), support_path("original.db"));
  CHECK_INT(sqlite3_open(support_path("copy.db"), &watch), SQLITE_OK);
}

/* Changes with each commit of another connection. */
static int64_t data_version(void) {
  sqlite3_stmt *statement = NULL;
  CHECK_INT(sqlite3_prepare_v2(watch, "PRAGMA data_version", -1, &statement, NULL), SQLITE_OK);
  CHECK_INT(sqlite3_step(statement), SQLITE_ROW);
  int64_t version = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return version;
}

static void check_nothing_leaked(struct memory_live before) {
  struct memory_live now = memory_live();
  CHECK_INT(now.blocks, before.blocks);
  CHECK_INT(now.sqlite_bytes, before.sqlite_bytes);
}

struct expected {
  uint64_t before, after; /* fingerprints of the database */
  uint64_t result;
};

static int run(convstore *store, convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  request.operation = operation;
  int status = convstore_run(&result, store, &request, NULL);
  convstore_result_free(&result);
  return status;
}

/* After a failure the same call does its work on the same handle; for real, or in a transaction that is
 * rolled back. */
static void run_again(const struct scenario *scenario, const struct expected *expected, convstore *store,
                      bool real) {
  uint64_t hash = 0;
  convstore_error err = {0};
  if (!real) CHECK_INT(run(store, CONVSTORE_BEGIN), CONVSTORE_OK);
  CHECK_INT(scenario->run(&hash, store, &err), CONVSTORE_OK);
  CHECK(hash == expected->result);
  if (real)
    CHECK(support_fingerprint(support_path("copy.db")) == expected->after);
  else
    CHECK_INT(run(store, CONVSTORE_ROLLBACK), CONVSTORE_OK);
}

/* What refuses to be part of a transaction. */
static bool runs_alone(const struct scenario *scenario) {
  return scenario_is_migration(scenario) || strncmp(scenario->name, "scenario_purge", 14) == 0 ||
         strcmp(scenario->name, "scenario_archive") == 0 || strcmp(scenario->name, "backup") == 0;
}

/* The k-th run. False: the operation made fewer allocations, and succeeded. */
static bool run_with_failure(const struct scenario *scenario, const struct expected *expected,
                             convstore *store, int64_t failing, bool all_after) {
  convstore_error err = {0};
  uint64_t hash = 0;
  int64_t version = data_version();
  memory_arm(failing, all_after ? MEMORY_ALL_AFTER : 1);
  int status = scenario->run(&hash, store, &err);
  memory_disarm();
  bool hit = memory_has_failed();
  check_doing("%s, allocation %lld%s: %s", scenario->name, (long long)failing, all_after ? " and on" : "",
              err.message);
  CHECK_INT(convstore_depth(store), 0);
  if (status == CONVSTORE_OK) { /* SQLite can do without some */
    CHECK(hash == expected->result);
    CHECK(support_fingerprint(support_path("copy.db")) == expected->after);
    return hit;
  }
  /* A transaction that could not be undone in part was undone as a whole, which its commit then says. */
  bool is_lost = status == CONVSTORE_E_UNAVAILABLE && strcmp(scenario->name, "nested_transaction") == 0;
  if (!is_lost) CHECK_INT(status, CONVSTORE_E_MEMORY);
  CHECK_INT(err.status, status);
  CHECK_HAS(err.message, convstore_status_name(status));
  /* A migration's last look at what it made may fail once all is done. */
  if (data_version() != version && !scenario_is_migration(scenario)) {
    uint64_t now = support_fingerprint(support_path("copy.db"));
    CHECK(now == expected->before || (now == expected->after && scenario_is_search(scenario)));
  }
  return hit;
}

/* One handle for all failures, with its statements prepared: what is not written can be tried again and
 * again. */
static void sweep_warm(const struct scenario *scenario, const struct expected *expected, bool all_after) {
  convstore *store = NULL;
  bool hit = true;
  if (runs_alone(scenario)) return;
  for (int64_t failing = 0; hit && failing < 100000; failing += check_fault_stride()) {
    if (!store) {
      store = support_open(support_path("copy.db"), &fast);
      if (!store) return;
      run_again(scenario, expected, store, false);
    }
    int64_t version = data_version();
    hit = run_with_failure(scenario, expected, store, failing, all_after);
    if (data_version() == version) {
      run_again(scenario, expected, store, false);
    } else {
      convstore_close(store);
      store = NULL;
      copy_original();
    }
  }
  CHECK(!hit);
  convstore_close(store);
}

/* A new handle for each failure, at each `stride`-th allocation: most of them are the preparing of
 * statements. */
static void sweep_cold(const struct scenario *scenario, const struct expected *expected, bool all_after,
                       int64_t stride) {
  bool hit = true;
  if (scenario_is_migration(scenario)) stride *= 5;
  for (int64_t failing = 0; hit && failing < 100000; failing += stride * check_fault_stride()) {
    convstore *store = support_open(support_path("copy.db"), &fast);
    if (!store) return;
    int64_t version = data_version();
    hit = run_with_failure(scenario, expected, store, failing, all_after);
    bool real = runs_alone(scenario) || failing % (10 * stride) == 0;
    if (data_version() == version || scenario_is_migration(scenario))
      run_again(scenario, expected, store, real);
    convstore_close(store);
    if (data_version() != version) copy_original();
  }
  CHECK(!hit);
}

static void sweep(bool all_after) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < n_scenarios; i++) {
    struct expected expected = {.before = support_fingerprint(support_path("original.db"))};
    struct memory_live before = memory_live();
    copy_original();
    convstore *store = support_open(support_path("copy.db"), &fast);
    REQUIRE(store != NULL);
    CHECK_INT(scenarios[i].run(&expected.result, store, NULL), CONVSTORE_OK);
    convstore_close(store);
    expected.after = support_fingerprint(support_path("copy.db"));
    copy_original();

    sweep_warm(&scenarios[i], &expected, all_after);
    sweep_cold(&scenarios[i], &expected, all_after, 7);
    sqlite3_close(watch);
    watch = NULL;
    check_nothing_leaked(before);
  }
}

static void test_operations__survive_one_failed_allocation(void) {
  sweep(false);
}

static void test_operations__survive_memory_that_stays_full(void) {
  sweep(true);
}

/* ---- opening ---- */

/* Opens `path` with the k-th allocation failing. False: it opened without having met it. */
static bool open_with_failure(const char *path, const convstore_options *options, int64_t failing,
                              bool all_after) {
  convstore_error err = {0};
  convstore *store = NULL;
  struct memory_live before = memory_live();
  memory_arm(failing, all_after ? MEMORY_ALL_AFTER : 1);
  int status = convstore_open(&store, path, options, &err);
  memory_disarm();
  bool hit = memory_has_failed();
  check_doing("%s, allocation %lld%s: %s", path, (long long)failing, all_after ? " and on" : "", err.message);
  if (status == CONVSTORE_OK) {
    CHECK(store != NULL);
  } else {
    CHECK_INT(status, CONVSTORE_E_MEMORY);
    CHECK_HAS(err.message, "memory: ");
    CHECK(store == NULL);
  }
  convstore_close(store);
  check_nothing_leaked(before);
  return hit;
}

/* An existing file at each allocation; files that are set up, which takes thousands, at some. */
static void open_sweep(bool all_after) {
  const convstore_options with_users = {.users = "people(id)"};
  scenario_make(support_path("original.db"));
  uint64_t before = support_fingerprint(support_path("original.db"));
  int64_t failing = 0;
  while (!check_failed() && open_with_failure(support_path("original.db"), NULL, failing, all_after))
    failing += check_fault_stride();
  CHECK(failing > 10);
  CHECK(support_fingerprint(support_path("original.db")) == before);

  for (failing = 0; !check_failed();
       failing += 11 * check_fault_stride()) { /* a file that is not there yet */
    const char *path = support_path("new.db");
    remove(path);
    if (!open_with_failure(path, NULL, failing, all_after)) break;
    convstore *store = support_open(path, NULL);
    convstore_close(store);
  }
  support_check_database(support_path("new.db"));

  const char *host = support_path("host.db"); /* a bot's own file */
  remove(host);
  support_sql(host, "CREATE TABLE people (id INTEGER PRIMARY KEY); INSERT INTO people VALUES (7)");
  for (failing = 0; !check_failed(); failing += 23 * check_fault_stride()) {
    support_copy(support_path("new.db"), host);
    if (!open_with_failure(support_path("new.db"), &with_users, failing, all_after)) break;
    CHECK_INT(support_number(support_path("new.db"), "SELECT id FROM people"), 7);
  }
}

static void test_open__survives_one_failed_allocation(void) {
  open_sweep(false);
}

static void test_open__survives_memory_that_stays_full(void) {
  open_sweep(true);
}

/* ---- nothing is left out ---- */

static void test_scenarios__run_every_operation(void) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < n_scenarios; i++) {
    uint64_t hash;
    support_copy(support_path("copy.db"), support_path("original.db"));
    convstore *store = support_open(support_path("copy.db"), &fast);
    REQUIRE(store != NULL);
    CHECK_INT(scenarios[i].run(&hash, store, NULL), CONVSTORE_OK);
    convstore_close(store);
  }
  for (int operation = 1; operation < CONVSTORE_OPERATIONS; operation++) {
    check_doing("%s", convstore_operation_name(operation));
    CHECK(scenario_has_run((convstore_operation)operation));
  }
}

/* Functions of convstore.h that must do without memory: all but those that the sweeps are about. */
static void call_functions(const convstore *store) {
  static convstore_events events;
  static convstore_interrupt interrupt;
  convstore_event event;
  convstore_error err = {0};
  convstore_result result = {0};
  convstore_role role;
  convstore_mark mark;
  char id[CONVSTORE_ID_SIZE], time[CONVSTORE_TIME_SIZE];
  CHECK_INT(convstore_uuid(id, &err), CONVSTORE_OK);
  CHECK_INT(convstore_id_set(id, (convstore_text){id, 36}, "id", &err), CONVSTORE_OK);
  CHECK_INT(convstore_role_parse(&role, (convstore_text){"user", 4}, &err), CONVSTORE_OK);
  CHECK_INT(convstore_mark_parse(&mark, (convstore_text){"closed", 6}, &err), CONVSTORE_OK);
  CHECK_INT(convstore_mark_parse(&mark, (convstore_text){"none", 4}, &err), CONVSTORE_E_INVALID);
  CHECK_INT(convstore_iso8601(time, 0, &err), CONVSTORE_OK);
  CHECK_INT(convstore_fail(&err, CONVSTORE_E_BUSY, "%.*f %s", 300, 1e300, "long"), CONVSTORE_E_BUSY);
  CHECK_STRING(convstore_role_name(role), "user");
  CHECK_STRING(convstore_mark_name(mark), "closed");
  CHECK_STRING(convstore_operation_name(CONVSTORE_APPEND), "append");
  CHECK_STRING(convstore_event_name(CONVSTORE_EVENT_SLOW), "slow");
  CHECK_STRING(convstore_status_name(CONVSTORE_E_FULL), "full");
  CHECK(!convstore_next_event(&event, &events));
  CHECK_INT(convstore_depth(store), 0);
  convstore_interrupt_raise(&interrupt);
  CHECK(convstore_interrupt_is_raised(&interrupt));
  convstore_interrupt_clear(&interrupt);
  CHECK(!convstore_interrupt_is_raised(&interrupt));
  convstore_result_free(&result);
  convstore_close(NULL);
}

static void test_functions__need_no_memory(void) {
  convstore *store = support_open(":memory:", NULL);
  REQUIRE(store != NULL);
  memory_arm(0, MEMORY_ALL_AFTER);
  call_functions(store);
  memory_disarm();
  CHECK_INT(memory_allocations(), 0);
  convstore_close(store);
}

/* A function that convstore.h gets must be tried here as well. */
static void test_header__has_no_other_function(void) {
  static const char *const known[] = {"convstore_open",
                                      "convstore_run", /* the sweeps */
                                      "convstore_close",
                                      "convstore_next_event",
                                      "convstore_result_free",
                                      "convstore_depth",
                                      "convstore_uuid",
                                      "convstore_id_set",
                                      "convstore_role_name",
                                      "convstore_role_parse",
                                      "convstore_mark_name",
                                      "convstore_mark_parse",
                                      "convstore_operation_name",
                                      "convstore_event_name",
                                      "convstore_status_name",
                                      "convstore_fail",
                                      "convstore_iso8601",
                                      "convstore_interrupt_raise",
                                      "convstore_interrupt_clear",
                                      "convstore_interrupt_is_raised"};
  char line[512];
  size_t n = 0;
  FILE *header = fopen("csrc/convstore.h", "r");
  REQUIRE(header != NULL);
  while (fgets(line, sizeof line, header)) {
    const char *name = strncmp(line, "CONVSTORE_API ", 14) == 0 ? strstr(line, "convstore_") : NULL;
    size_t i = 0;
    if (!name) continue;
    n++;
    size_t size = strcspn(name, "(");
    while (i < sizeof known / sizeof *known &&
           (strlen(known[i]) != size || memcmp(known[i], name, size) != 0))
      i++;
    check_doing("%s", line);
    CHECK(i < sizeof known / sizeof *known);
  }
  (void)fclose(header);
  CHECK_INT((int64_t)n, (int64_t)(sizeof known / sizeof *known));
}

static const struct check_test tests[] = {
    TEST(test_scenarios__run_every_operation),
    TEST(test_functions__need_no_memory),
    TEST(test_header__has_no_other_function),
    TEST(test_operations__survive_one_failed_allocation),
    TEST(test_operations__survive_memory_that_stays_full),
    TEST(test_open__survives_one_failed_allocation),
    TEST(test_open__survives_memory_that_stays_full),
};

int main(int argc, char **argv) {
  if (!memory_take()) {
    printf("SQLite refuses another allocator\n0 passed, 1 failed\n");
    return 1;
  }
  return check_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
