/* core/events.c and what the store and the SQLite backend note: order, bounds, what is dropped, what costs nothing. */
#include "../core/events.h"

#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "../core/migrate.h"
#include "check.h"
#include "fake_backend.h"
#include "support.h"

static convstore_events events;

static void begin_anew(void) {
  memset(&events, 0, sizeof events);
}

/* ---- the queue ------------------------------------------------------------------------------------------------- */

static void test_events__nobody_listens(void) {
  CHECK(convstore__event(NULL, CONVSTORE_EVENT_SLOW, "x") == NULL);
  convstore__event_indexed(NULL, 1, 1);
}

static void test_events__come_out_as_they_went_in(void) {
  convstore_event event;
  begin_anew();
  CHECK(!convstore_next_event(&event, &events));
  convstore__events_begin(&events, CONVSTORE_APPEND);
  convstore_event *noted = convstore__event(&events, CONVSTORE_EVENT_RETRY, "try %d", 1);
  REQUIRE(noted != NULL);
  noted->attempt = 1;
  REQUIRE(convstore__event(&events, CONVSTORE_EVENT_SLOW, "two\nlines\tand") != NULL);
  convstore__events_end(&events);
  REQUIRE(convstore__event(&events, CONVSTORE_EVENT_NOTICE, "between calls") != NULL);

  REQUIRE(convstore_next_event(&event, &events));
  CHECK_INT(event.kind, CONVSTORE_EVENT_RETRY);
  CHECK_INT(event.operation, CONVSTORE_APPEND);
  CHECK_INT(event.attempt, 1);
  CHECK_INT(event.elapsed_ms, CONVSTORE_ABSENT);
  CHECK_INT(event.version, CONVSTORE_ABSENT);
  CHECK_INT(event.count, CONVSTORE_ABSENT);
  CHECK_INT(event.status, CONVSTORE_OK);
  CHECK(event.at_ms > 0);
  CHECK(event.statement == NULL);
  CHECK_STRING(event.sqlstate, "");
  CHECK_STRING(event.message, "try 1");
  REQUIRE(convstore_next_event(&event, &events));
  CHECK_STRING(event.message, "two lines and");
  CHECK_INT(event.attempt, CONVSTORE_ABSENT);
  REQUIRE(convstore_next_event(&event, &events));
  CHECK_INT(event.operation, -1);
  CHECK(convstore_operation_name(event.operation) == NULL);
  CHECK(!convstore_next_event(&event, &events));
}

static void test_events__are_bounded_and_count_what_is_dropped(void) {
  convstore_event event;
  begin_anew();
  for (int round = 0; round < 3; round++) { /* the ring goes round */
    check_doing("round %d", round);
    for (int i = 0; i < CONVSTORE_MAX_EVENTS + 5; i++) {
      bool fits = convstore__event(&events, CONVSTORE_EVENT_RETRY, "%d", i) != NULL;
      CHECK(fits == (i < CONVSTORE_MAX_EVENTS));
    }
    CHECK_INT((int64_t)convstore__events_count(&events), CONVSTORE_MAX_EVENTS + 1);
    for (int i = 0; i < CONVSTORE_MAX_EVENTS; i++) {
      char expected[16];
      (void)snprintf(expected, sizeof expected, "%d", i);
      REQUIRE(convstore_next_event(&event, &events));
      CHECK_STRING(event.message, expected);
    }
    REQUIRE(convstore_next_event(&event, &events));
    CHECK_INT(event.kind, CONVSTORE_EVENT_DROPPED);
    CHECK_INT(event.count, 5);
    CHECK_HAS(event.message, "5 ");
    CHECK(!convstore_next_event(&event, &events));
    (void)convstore__event(&events, CONVSTORE_EVENT_RETRY, "one more moves the ring's beginning");
    CHECK(convstore_next_event(&event, &events));
  }
}

static void test_events__notices_leave_room(void) {
  convstore_event event;
  int n_notices = 0;
  begin_anew();
  for (int i = 0; i < 1000; i++) (void)convstore__event(&events, CONVSTORE_EVENT_NOTICE, "NOTICE: %d", i);
  CHECK(convstore__event(&events, CONVSTORE_EVENT_LOST, "gone") != NULL);
  while (convstore_next_event(&event, &events) && event.kind == CONVSTORE_EVENT_NOTICE) n_notices++;
  CHECK(n_notices > 8 && n_notices < CONVSTORE_MAX_EVENTS);
  CHECK_INT(event.kind, CONVSTORE_EVENT_LOST);
  REQUIRE(convstore_next_event(&event, &events));
  CHECK_INT(event.count, 1000 - n_notices);
}

static void test_events__cut_at_a_whole_character(void) {
  convstore_event event;
  for (int shift = 0; shift < 2; shift++) {
    char text[1001];
    begin_anew();
    for (size_t i = 0; i < 1000; i += 2) memcpy(text + i, "\xc3\xa4", 2);
    text[1000] = '\0';
    (void)convstore__event(&events, CONVSTORE_EVENT_NOTICE, "%.*s%s", shift, "x", text);
    REQUIRE(convstore_next_event(&event, &events));
    CHECK_INT((int64_t)strlen(event.message), shift == 0 ? 318 : 319);
    CHECK_INT((unsigned char)event.message[strlen(event.message) - 1], 0xa4);
  }
}

static void test_events__all_have_names(void) {
  for (int i = 0; i < CONVSTORE_EVENT_KINDS; i++)
    CHECK(convstore_event_name((convstore_event_kind)i) != NULL);
  CHECK(convstore_event_name(CONVSTORE_EVENT_KINDS) == NULL);
  for (int i = 0; i < CONVSTORE_OPERATIONS; i++) {
    const char *name = convstore_operation_name(i);
    CHECK(name != NULL && name[0] >= 'a' && name[0] <= 'z');
  }
  CHECK(convstore_operation_name(CONVSTORE_OPERATIONS) == NULL);
  CHECK(convstore_operation_name(-1) == NULL);
  CHECK_STRING(convstore_operation_name(0), "open");
  CHECK_STRING(convstore_operation_name(CONVSTORE_APPEND), "append");
  CHECK_STRING(convstore_event_name(CONVSTORE_EVENT_LOG_FAILED), "log_failed");
}

/* ---- the store ------------------------------------------------------------------------------------------------- */

static int run_get(convstore *store) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  request.operation = CONVSTORE_SCHEMA_VERSION;
  int status = convstore_run(&result, store, &request, NULL);
  convstore_result_free(&result);
  return status;
}

static void test_store__notes_slow_calls_by_slow_ms(void) {
  static const struct {
    int64_t slow_ms;
    bool noted;
  } cases[] = {{0, false}, {-1, true}, {20, true}, {60000, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore_options options = {.events = &events, .slow_ms = cases[i].slow_ms};
    convstore_event event;
    check_doing("case %zu", i);
    fake_reset();
    begin_anew();
    convstore *store = fake_open(&options);
    REQUIRE(store != NULL);
    while (convstore_next_event(&event, &events)) CHECK_INT(event.operation, 0);
    fake_answer((struct fake_answer){.status = CONVSTORE_PENDING, .events = 0, .wait_ms = 30});
    fake_answer((struct fake_answer){.status = CONVSTORE_E_BUSY});
    CHECK_INT(run_get(store), CONVSTORE_E_BUSY);
    bool noted = convstore_next_event(&event, &events);
    CHECK(noted == cases[i].noted);
    if (noted) {
      CHECK_INT(event.kind, CONVSTORE_EVENT_SLOW);
      CHECK_INT(event.operation, CONVSTORE_SCHEMA_VERSION);
      CHECK_INT(event.status, CONVSTORE_E_BUSY);
      CHECK(event.elapsed_ms >= 20);
      CHECK(!convstore_next_event(&event, &events));
    }
    convstore_close(store);
  }
}

static void test_store__a_failed_open_leaves_its_events(void) {
  convstore_options options = {.events = &events, .slow_ms = -1};
  convstore_error err = {0};
  convstore_event event;
  convstore *store = NULL;
  begin_anew();
  CHECK_INT(convstore_open(&store, "/nowhere/at/all/x.db", &options, &err), CONVSTORE_E_UNAVAILABLE);
  CHECK(store == NULL);
  REQUIRE(convstore_next_event(&event, &events));
  CHECK_INT(event.kind, CONVSTORE_EVENT_SLOW);
  CHECK_INT(event.operation, 0);
  CHECK_INT(event.status, CONVSTORE_E_UNAVAILABLE);
}

/* ---- SQLite ---------------------------------------------------------------------------------------------------- */

/* A VFS without shared memory, as on network disks: the system's, whose files are said to be of version 1. */
static sqlite3_vfs poor_vfs;
static sqlite3_io_methods poor_methods;

static int poor_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  sqlite3_vfs *real = vfs->pAppData;
  int code = real->xOpen(real, name, file, flags, out_flags);
  if (code == SQLITE_OK && file->pMethods != NULL) {
    poor_methods = *file->pMethods;
    poor_methods.iVersion = 1;
    file->pMethods = &poor_methods;
  }
  return code;
}

static void test_sqlite__tells_that_it_has_no_wal(void) {
  convstore_options options = {.events = &events};
  convstore_event event;
  int n_fallbacks = 0;
  sqlite3_vfs *real = sqlite3_vfs_find(NULL);
  REQUIRE(real != NULL);
  poor_vfs = *real;
  poor_vfs.zName = "poor";
  poor_vfs.pAppData = real;
  poor_vfs.xOpen = poor_open;
  (void)remove(support_path("poor.db"));
  begin_anew();
  REQUIRE(sqlite3_vfs_register(&poor_vfs, 1) == SQLITE_OK);
  convstore *store = support_open(support_path("poor.db"), &options);
  (void)sqlite3_vfs_unregister(&poor_vfs);
  REQUIRE(store != NULL);
  while (convstore_next_event(&event, &events)) {
    if (event.kind != CONVSTORE_EVENT_FALLBACK) continue;
    n_fallbacks++;
    CHECK_HAS(event.message, "poor.db");
    CHECK_HAS(event.message, "delete");
    CHECK_INT(event.operation, 0);
  }
  CHECK_INT(n_fallbacks, 1);
  convstore_close(store);
}

static void test_sqlite__tells_of_no_fallback_where_there_is_none(void) {
  convstore_options options = {.events = &events};
  convstore_event event;
  int version = 0;
  const char *places[] = {":memory:", support_path("rich.db")};
  (void)remove(places[1]);
  for (size_t i = 0; i < 2; i++) {
    version = 0;
    begin_anew();
    convstore *store = support_open(places[i], &options);
    REQUIRE(store != NULL);
    while (convstore_next_event(&event, &events)) {
      CHECK_INT(event.kind, CONVSTORE_EVENT_MIGRATE);
      CHECK_INT(event.version, ++version);
      CHECK(event.elapsed_ms >= 0);
    }
    CHECK(version >= 3);
    convstore_close(store);
  }
}

static const struct check_test tests[] = {
    TEST(test_events__nobody_listens),
    TEST(test_events__come_out_as_they_went_in),
    TEST(test_events__are_bounded_and_count_what_is_dropped),
    TEST(test_events__notices_leave_room),
    TEST(test_events__cut_at_a_whole_character),
    TEST(test_events__all_have_names),
    TEST(test_store__notes_slow_calls_by_slow_ms),
    TEST(test_store__a_failed_open_leaves_its_events),
    TEST(test_sqlite__tells_that_it_has_no_wal),
    TEST(test_sqlite__tells_of_no_fallback_where_there_is_none),
};

CHECK_MAIN(tests)
