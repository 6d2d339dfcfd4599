/*
 * What a failed allocation does, at each place where one is made: in the library, in jansson, in SQLite. Each
 * operation is run again and again, and in the k-th run the k-th allocation fails, or it and all after it.
 * Then the call must say so and have written nothing; the same call must succeed afterwards on the same
 * handle; nothing may leak.
 *
 * The library's calls of malloc come here by the linker's --wrap (see the Makefile), the others' by their own
 * hooks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sqlite3.h>

#include "../convstore.h"
#include "check.h"
#include "scenario.h"
#include "support.h"

/* ---- allocations that fail ---- */

static struct {
  bool armed;
  bool all_after; /* the failing one and all after it, or it alone */
  int64_t failing;
  int64_t n; /* allocations since arming */
  bool hit;  /* one has failed */
  int64_t n_live;
} memory;

static bool must_fail(void) {
  if (!memory.armed) return false;
  int64_t i = memory.n++;
  if (i != memory.failing && !(memory.all_after && i > memory.failing)) return false;
  memory.hit = true;
  errno = ENOMEM;
  return true;
}

static void *counted(void *block) {
  memory.n_live += block != NULL;
  return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size) {
  return must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size) {
  return must_fail() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (must_fail()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

void __wrap_free(void *block) {
  memory.n_live -= block != NULL;
  __real_free(block);
}

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc_hook(int size) {
  return must_fail() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc_hook(void *block, int size) {
  return must_fail() ? NULL : sqlite_memory.xRealloc(block, size);
}

/* Before SQLite is first used. Without its lookaside, each of its allocations is one that can fail. */
static bool take_memory(void) {
  json_set_alloc_funcs(__wrap_malloc, __wrap_free);
  if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK) return false;
  sqlite3_mem_methods hooks = sqlite_memory;
  hooks.xMalloc = sqlite_malloc_hook;
  hooks.xRealloc = sqlite_realloc_hook;
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &hooks) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK && sqlite3_initialize() == SQLITE_OK;
}

static void arm(int64_t failing, bool all_after) {
  memory.armed = true;
  memory.all_after = all_after;
  memory.failing = failing;
  memory.n = 0;
  memory.hit = false;
}

static void disarm(void) {
  memory.armed = false;
}

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
  CHECK_STRING(err.message, "");
  CHECK(hash == expected->result);
  if (real)
    CHECK(support_fingerprint(support_path("copy.db")) == expected->after);
  else
    CHECK_INT(run(store, CONVSTORE_ROLLBACK), CONVSTORE_OK);
}

/* A migration is no part of a transaction, and its last look at what it made may fail once all is done. */
static bool is_migration(const struct scenario *scenario) {
  return strncmp(scenario->name, "migrate", 7) == 0;
}

/* What no transaction may be around. */
static bool is_alone(const struct scenario *scenario) {
  return is_migration(scenario) || strcmp(scenario->name, "backup") == 0;
}

/* The k-th run. False: the operation made fewer allocations, and succeeded. */
static bool run_with_failure(const struct scenario *scenario, const struct expected *expected,
                             convstore *store, int64_t failing, bool all_after) {
  convstore_error err = {0};
  uint64_t hash = 0;
  int64_t version = data_version();
  arm(failing, all_after);
  int status = scenario->run(&hash, store, &err);
  disarm();
  bool hit = memory.hit;
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
  if (data_version() != version && !is_migration(scenario))
    CHECK(support_fingerprint(support_path("copy.db")) == expected->before);
  return hit;
}

/* One handle for all failures, with its statements prepared: what is not written can be tried again and
 * again. */
static void sweep_warm(const struct scenario *scenario, const struct expected *expected, bool all_after) {
  convstore *store = NULL;
  bool hit = true;
  if (is_alone(scenario)) return;
  for (int64_t failing = 0; hit && failing < 100000; failing += check_stride()) {
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
  for (int64_t failing = 0; hit && failing < 100000; failing += stride * check_stride()) {
    convstore *store = support_open(support_path("copy.db"), &fast);
    if (!store) return;
    int64_t version = data_version();
    hit = run_with_failure(scenario, expected, store, failing, all_after);
    bool real = is_alone(scenario) || failing % (10 * stride) == 0;
    if (data_version() == version || is_migration(scenario)) run_again(scenario, expected, store, real);
    convstore_close(store);
    if (data_version() != version) copy_original();
  }
  CHECK(!hit);
}

static void sweep(bool all_after) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < n_scenarios; i++) {
    struct expected expected = {.before = support_fingerprint(support_path("original.db"))};
    int64_t n_live = memory.n_live;
    int64_t n_sqlite = sqlite3_memory_used();
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
    CHECK_INT(memory.n_live, n_live);
    CHECK_INT(sqlite3_memory_used(), n_sqlite);
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
  int64_t n_live = memory.n_live;
  int64_t n_sqlite = sqlite3_memory_used();
  arm(failing, all_after);
  int status = convstore_open(&store, path, options, &err);
  disarm();
  bool hit = memory.hit;
  check_doing("%s, allocation %lld%s: %s", path, (long long)failing, all_after ? " and on" : "", err.message);
  if (status == CONVSTORE_OK) {
    CHECK(store != NULL);
  } else {
    CHECK_INT(status, CONVSTORE_E_MEMORY);
    CHECK_HAS(err.message, "memory: ");
    CHECK(store == NULL);
  }
  convstore_close(store);
  CHECK_INT(memory.n_live, n_live);
  CHECK_INT(sqlite3_memory_used(), n_sqlite);
  return hit;
}

/* An existing file at each allocation; files that are set up, which takes thousands, at some. */
static void open_sweep(bool all_after) {
  const convstore_options with_users = {.users = "people(id)"};
  scenario_make(support_path("original.db"));
  uint64_t before = support_fingerprint(support_path("original.db"));
  int64_t failing = 0;
  while (!check_failed() && open_with_failure(support_path("original.db"), NULL, failing, all_after))
    failing += check_stride();
  CHECK(failing > 10);
  CHECK(support_fingerprint(support_path("original.db")) == before);

  for (failing = 0; !check_failed(); failing += 11 * check_stride()) { /* a file that is not there yet */
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
  for (failing = 0; !check_failed(); failing += 23 * check_stride()) {
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

static const struct check_test tests[] = {
    TEST(test_operations__survive_one_failed_allocation),
    TEST(test_operations__survive_memory_that_stays_full),
    TEST(test_open__survives_one_failed_allocation),
    TEST(test_open__survives_memory_that_stays_full),
};

int main(int argc, char **argv) {
  if (!take_memory()) {
    printf("SQLite refuses another allocator\n0 passed, 1 failed\n");
    return 1;
  }
  return check_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
