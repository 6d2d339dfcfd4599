/*
 * SQLite below a disk that fails: each kind of call to the file system fails once, or from then on, at each
 * place of each operation. The call must name what happened, the file must hold either nothing or all of it,
 * and the same call must succeed once the disk is well again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "../convstore.h"
#include "check.h"
#include "faulty_vfs.h"
#include "scenario.h"
#include "support.h"

struct fault {
  const char *name;
  enum faulty_call call;
  int code;
  int system_errno;
  int status; /* what the library makes of it */
};

static const struct fault faults[] = {
    {"read error", FAULTY_READ, SQLITE_IOERR_READ, EIO, CONVSTORE_E_UNAVAILABLE},
    {"write error", FAULTY_WRITE, SQLITE_IOERR_WRITE, EIO, CONVSTORE_E_UNAVAILABLE},
    {"disk full", FAULTY_WRITE, SQLITE_FULL, ENOSPC, CONVSTORE_E_FULL},
    {"quota", FAULTY_WRITE, SQLITE_IOERR_WRITE, EDQUOT, CONVSTORE_E_FULL},
    {"read-only disk", FAULTY_WRITE, SQLITE_IOERR_WRITE, EROFS, CONVSTORE_E_READONLY},
    {"truncate error", FAULTY_TRUNCATE, SQLITE_IOERR_TRUNCATE, EIO, CONVSTORE_E_UNAVAILABLE},
    {"sync error", FAULTY_SYNC, SQLITE_IOERR_FSYNC, EIO, CONVSTORE_E_UNAVAILABLE},
    {"damaged file system", FAULTY_READ, SQLITE_IOERR_CORRUPTFS, EIO, CONVSTORE_E_CORRUPT},
    {"shared memory", FAULTY_SHM_MAP, SQLITE_IOERR_SHMMAP, EIO, CONVSTORE_E_UNAVAILABLE},
    {"lock error", FAULTY_LOCK, SQLITE_IOERR_LOCK, EIO, CONVSTORE_E_UNAVAILABLE},
    {"lock held", FAULTY_WRITE_LOCK, SQLITE_BUSY, EAGAIN, CONVSTORE_E_BUSY},
};

static const convstore_options impatient = {.timeout_ms = 15};

/* Those that last; the others are tried once, at each place. */
static const size_t lasting[] = {0, 1, 2, 6};

/* A transaction that SQLite ended by itself says `unavailable` where it is committed, whatever the fault was.
 * */
static bool is_transaction(const struct scenario *scenario) {
  return strstr(scenario->name, "transaction") != NULL;
}

struct expected {
  uint64_t before, after, result;
};

/* The k-th run. False: the operation makes fewer such calls. */
static bool run_with_fault(const struct scenario *scenario, const struct fault *fault,
                           const struct expected *expected, int64_t failing, bool all_after) {
  const char *path = support_path("copy.db");
  convstore_error err = {0};
  uint64_t hash = 0;
  support_copy(path, support_path("original.db"));
  /* Only who waits for a lock need be impatient: others take what a busy machine makes of them. */
  bool waits = fault->status == CONVSTORE_E_BUSY && strcmp(scenario->name, "check") != 0;
  convstore *store = support_open(path, waits ? &impatient : NULL);
  if (!store) return false;

  faulty_arm(fault->call, failing, all_after, fault->code, fault->system_errno);
  int status = scenario->run(&hash, store, &err);
  bool hit = faulty_disarm();
  check_doing("%s, %s at call %lld%s: %.120s", scenario->name, fault->name, (long long)failing,
              all_after ? " and on" : "", err.message);
  CHECK_INT(convstore_depth(store), 0);
  uint64_t now = support_fingerprint(path);
  if (status == CONVSTORE_OK) {
    CHECK(hash == expected->result);
    CHECK(now == expected->after || (now == expected->before && scenario_is_search(scenario)));
  } else {
    if (!(is_transaction(scenario) && status == CONVSTORE_E_UNAVAILABLE)) CHECK_INT(status, fault->status);
    CHECK_INT(err.status, status);
    CHECK_HAS(err.message, convstore_status_name(status));
    CHECK(now == expected->before || now == expected->after);
  }
  if (now == expected->before && now != expected->after) {
    CHECK_INT(scenario->run(&hash, store, &err), CONVSTORE_OK);
    CHECK(hash == expected->result);
    CHECK(support_fingerprint(path) == expected->after);
  }
  convstore_close(store);
  if (failing % 5 == 0) {
    CHECK(support_fingerprint(path) == expected->after);
    CHECK_INT(
        support_number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
  }
  return hit;
}

static void sweep_fault(const struct scenario *scenario, const struct fault *fault,
                        const struct expected *expected, bool all_after) {
  int64_t failing = 0;
  int stride = check_fault_stride() * (scenario_is_migration(scenario) ? 7 : 1);
  while (failing < 10000 && run_with_fault(scenario, fault, expected, failing, all_after)) failing += stride;
  CHECK(failing < 10000);
}

static void sweep(bool all_after) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < n_scenarios; i++) {
    const char *path = support_path("copy.db");
    struct expected expected = {.before = support_fingerprint(support_path("original.db"))};
    support_copy(path, support_path("original.db"));
    convstore *store = support_open(path, NULL);
    REQUIRE(store != NULL);
    CHECK_INT(scenarios[i].run(&expected.result, store, NULL), CONVSTORE_OK);
    convstore_close(store);
    expected.after = support_fingerprint(path);
    for (size_t k = 0; all_after && k < sizeof lasting / sizeof *lasting; k++)
      sweep_fault(&scenarios[i], &faults[lasting[k]], &expected, true);
    for (size_t k = 0; !all_after && k < sizeof faults / sizeof *faults; k++)
      sweep_fault(&scenarios[i], &faults[k], &expected, false);
  }
}

static void test_operations__survive_one_fault(void) {
  sweep(false);
}

static void test_operations__survive_a_disk_that_stays_bad(void) {
  sweep(true);
}

/* ---- opening ---- */

static void open_sweep(const char *name, bool all_after) {
  static const struct fault cantopen = {"open error", FAULTY_OPEN, SQLITE_CANTOPEN, EIO,
                                        CONVSTORE_E_UNAVAILABLE};
  scenario_make(support_path("original.db"));
  for (size_t k = 0; k <= sizeof faults / sizeof *faults; k++) {
    const struct fault *fault = k < sizeof faults / sizeof *faults ? &faults[k] : &cantopen;
    bool hit = true;
    for (int64_t failing = 0; hit && failing < 10000; failing += check_fault_stride()) {
      convstore *store = NULL;
      convstore_error err = {0};
      const char *path = support_path(name);
      if (strcmp(name, "new.db") == 0)
        support_copy(path, "/dev/null");
      else
        support_copy(path, support_path("original.db"));
      faulty_arm(fault->call, failing, all_after, fault->code, fault->system_errno);
      int status = convstore_open(&store, path, &impatient, &err);
      hit = faulty_disarm();
      check_doing("opening %s, %s at call %lld%s: %.120s", name, fault->name, (long long)failing,
                  all_after ? " and on" : "", err.message);
      if (status != CONVSTORE_OK) {
        CHECK(store == NULL);
        CHECK(status != CONVSTORE_E_INTERNAL && status != CONVSTORE_E_INVALID &&
              status != CONVSTORE_E_SCHEMA);
        CHECK_HAS(err.message, convstore_status_name(status));
        store = support_open(path, NULL);
      }
      convstore_close(store);
      support_check_database(path);
    }
    CHECK(!hit);
  }
}

static void test_open__survives_one_fault(void) {
  open_sweep("copy.db", false);
  open_sweep("new.db", false);
}

static void test_open__survives_a_disk_that_stays_bad(void) {
  open_sweep("copy.db", true);
  open_sweep("new.db", true);
}

/* ---- by name ---- */

#define CONVERSATION_ID "0190f5a8-0000-7000-8000-000000000001"
#define INDEXED_ID "0190f5a8-0000-7000-8000-000000000007" /* of carol; see scenario_search.c */

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static int append(convstore *store, convstore_message *message, int64_t *seq) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  request.operation = CONVSTORE_APPEND;
  request.user_id = text_of("alice");
  memcpy(request.conversation_id, CONVERSATION_ID, sizeof CONVERSATION_ID);
  request.messages = message;
  request.n_messages = 1;
  int status = convstore_run(&result, store, &request, NULL);
  if (status == CONVSTORE_OK) *seq = result.messages[0].seq;
  convstore_result_free(&result);
  return status;
}

static int run(convstore *store, convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  request.operation = operation;
  int status = convstore_run(&result, store, &request, NULL);
  convstore_result_free(&result);
  return status;
}

static void test_append__rolls_back_when_commit_fails(void) {
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  support_copy(path, support_path("original.db"));
  convstore *store = support_open(path, NULL);
  REQUIRE(store != NULL);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  int64_t seq = 0;
  message.content = text_of("hello");
  faulty_arm(FAULTY_SYNC, 0, false, SQLITE_IOERR_FSYNC, EIO);
  CHECK_INT(append(store, &message, &seq), CONVSTORE_E_UNAVAILABLE);
  CHECK(faulty_disarm());
  CHECK_INT(support_number(path, "SELECT count(*) FROM convstore_messages WHERE content = 'hello'"), 0);
  CHECK_INT(append(store, &message, &seq), CONVSTORE_OK); /* the same id again */
  CHECK_INT(seq, 8);
  CHECK_INT(append(store, &message, &seq), CONVSTORE_OK);
  CHECK_INT(seq, 8);
  CHECK_INT(support_number(path, "SELECT count(*) FROM convstore_messages WHERE content = 'hello'"), 1);
  convstore_close(store);
  support_check_database(path);
}

static void test_transaction__is_undone_when_its_commit_fails(void) {
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  support_copy(path, support_path("original.db"));
  convstore *store = support_open(path, NULL);
  REQUIRE(store != NULL);
  convstore_message message = CONVSTORE_MESSAGE_INIT;
  int64_t seq = 0;
  message.content = text_of("hello");
  uint64_t before = support_fingerprint(path);
  CHECK_INT(run(store, CONVSTORE_BEGIN), CONVSTORE_OK);
  CHECK_INT(append(store, &message, &seq), CONVSTORE_OK);
  faulty_arm(FAULTY_WRITE, 0, true, SQLITE_FULL, ENOSPC);
  CHECK_INT(run(store, CONVSTORE_COMMIT), CONVSTORE_E_FULL);
  CHECK(faulty_disarm());
  CHECK_INT(convstore_depth(store), 0);
  CHECK(support_fingerprint(path) == before);
  CHECK_INT(append(store, &message, &seq), CONVSTORE_OK);
  CHECK_INT(seq, 8);
  convstore_close(store);
  support_check_database(path);
}

/* The words of a message that was redacted are nowhere in the index, whether it is made anew or not. */
static void test_redact__takes_words_out_of_the_index(void) {
  static const char postings[] =
      "SELECT count(*) FROM convstore_search_postings WHERE user_id = 'carol' AND instr(postings, 'tick')";
  static const char runs[] =
      "SELECT count(*) FROM convstore_search_runs WHERE user_id = 'carol' AND 5 BETWEEN first_seq AND last_seq";
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  support_copy(path, support_path("original.db"));
  convstore *store = support_open(path, NULL);
  REQUIRE(store != NULL);
  CHECK(support_number(path, postings) > 0);
  CHECK(support_number(path, runs) > 0);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  request.operation = CONVSTORE_REDACT;
  request.user_id = text_of("carol");
  memcpy(request.conversation_id, INDEXED_ID, sizeof INDEXED_ID);
  request.seq = 5;
  faulty_arm(FAULTY_WRITE, 3, false, SQLITE_FULL, ENOSPC);
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_E_FULL);
  CHECK(faulty_disarm());
  convstore_result_free(&result);
  CHECK(support_number(path, runs) > 0); /* nothing has happened */
  CHECK_INT(convstore_run(&result, store, &request, NULL), CONVSTORE_OK);
  convstore_result_free(&result);
  CHECK_INT(support_number(path, postings), 0);
  CHECK_INT(support_number(path, runs), 0);
  convstore_close(store);
  support_check_database(path);
}

static const struct check_test tests[] = {
    TEST(test_operations__survive_one_fault),
    TEST(test_operations__survive_a_disk_that_stays_bad),
    TEST(test_open__survives_one_fault),
    TEST(test_open__survives_a_disk_that_stays_bad),
    TEST(test_append__rolls_back_when_commit_fails),
    TEST(test_transaction__is_undone_when_its_commit_fails),
    TEST(test_redact__takes_words_out_of_the_index),
};

int main(int argc, char **argv) {
  if (!faulty_install()) {
    printf("SQLite refuses another VFS\n0 passed, 1 failed\n");
    return 1;
  }
  return check_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
