/*
 * Databases that somebody else has written to: rows of odd types, values that no call of ours stores, tables
 * that are gone, pages with flipped bits. Whatever lies there, a call says what is wrong, or does its work;
 * it never crashes, and never calls it a defect of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../convstore.h"
#include "check.h"
#include "scenario.h"
#include "support.h"

/* The conversation that most scenarios are about: its messages, and its own row. */
#define LIVE "conversation_id = '0190f5a8-0000-7000-8000-000000000001'"
#define LIVE_ROW "id = '0190f5a8-0000-7000-8000-000000000001'"

/* A table that takes any type and NULL, as it would be after somebody rebuilt it by hand. */
#define UNSTRICT(table)                                                                                      \
  "PRAGMA writable_schema = ON;"                                                                             \
  "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ') STRICT', ')'), ' NOT NULL,', ','),"        \
  " ' NOT NULL DEFAULT', ' DEFAULT') WHERE name = '" table "';"                                              \
  "PRAGMA writable_schema = RESET;"

static const struct damage {
  const char *sql;
  const char *scenario; /* one that meets it */
  int status;           /* what that must say */
} damages[] = {
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 2 AND " LIVE, "history", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET role = '' WHERE seq = 2 AND " LIVE, "message_by_seq",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET id = 'short' WHERE seq = 2 AND " LIVE, "history", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET metadata = 'no JSON' WHERE seq = 3 AND " LIVE, "annotate",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET metadata = '{' WHERE " LIVE_ROW, "update", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET status = 'odd' WHERE " LIVE_ROW, "get", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET status = 'odd' WHERE " LIVE_ROW, "append_one", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET status = 'odd' WHERE " LIVE_ROW, "history", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = 3 WHERE " LIVE_ROW, "append_one", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = -3 WHERE " LIVE_ROW, "history", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = -3 WHERE " LIVE_ROW, "append_one", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = 1 WHERE " LIVE_ROW, "history", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET last_seq = 9007199254740992 WHERE " LIVE_ROW, "history",
     CONVSTORE_OK},
    {"UPDATE convstore_conversations SET last_seq = 9223372036854775807 WHERE " LIVE_ROW, "history",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = 9223372036854775807 WHERE " LIVE_ROW, "append_one",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET token_count = 9223372036854775807 WHERE " LIVE_ROW, "append_one",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET archived_at = 1 WHERE " LIVE_ROW, "history", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET archived_at = 1, last_seq = 0 WHERE " LIVE_ROW, "append_one",
     CONVSTORE_E_CORRUPT},
    {"DELETE FROM convstore_messages WHERE seq = 3 AND " LIVE, "history", CONVSTORE_OK},
    {"DELETE FROM convstore_messages WHERE seq = 3 AND " LIVE, "annotate", CONVSTORE_E_NOT_FOUND},
    {UNSTRICT(
         "convstore_messages") "UPDATE convstore_messages SET content = x'FF00FE', name = 7, metadata = x''"
                               " WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_OK},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET token_count = 'many', created_at = x'00',"
                                    " updated_at = 1.5, redacted_at = 'x' WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_OK},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET role = NULL WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET role = x'' WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET id = NULL WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET seq = 'two' WHERE seq = 2 AND " LIVE,
     "history", CONVSTORE_OK},
    {UNSTRICT("convstore_conversations") "UPDATE convstore_conversations SET status = NULL WHERE " LIVE_ROW,
     "get", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_conversations") "UPDATE convstore_conversations SET status = NULL WHERE " LIVE_ROW,
     "append_one", CONVSTORE_E_CORRUPT},
    {UNSTRICT(
         "convstore_conversations") "UPDATE convstore_conversations SET last_seq = 'x', token_count = NULL,"
                                    " key = 7, title = x'80', forked_from_id = 'x' WHERE " LIVE_ROW,
     "get", CONVSTORE_E_CORRUPT},
    {"DROP TABLE convstore_messages", "history", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages", "append_one", CONVSTORE_E_SCHEMA},
    {"PRAGMA foreign_keys = OFF; DROP TABLE convstore_conversations", "get", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages; CREATE TABLE convstore_messages (x)", "append_one", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages; CREATE TABLE convstore_messages (x)", "history", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages; CREATE VIEW convstore_messages AS SELECT 1 AS x", "append_one",
     CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages_archive", "append_to_archived", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_summaries", "migrate_down", CONVSTORE_E_SCHEMA},
};

/* What an operation may say of data that is not as it should be. That memory is short it says only where
 * SQLite's json_valid() refuses what comes back from the archive: to SQLite 3.40 that and broken JSON are the
 * same. */
static bool is_sensible(int status, const convstore_error *err) {
  static const int sensible[] = {CONVSTORE_OK, CONVSTORE_E_CORRUPT, CONVSTORE_E_SCHEMA, CONVSTORE_E_NOT_FOUND,
                                 CONVSTORE_E_CONFLICT};
  for (size_t i = 0; i < sizeof sensible / sizeof *sensible; i++) {
    if (status == sensible[i]) return true;
  }
  return status == CONVSTORE_E_MEMORY && err->native == 275; /* SQLITE_CONSTRAINT_CHECK */
}

/* Runs every operation on copies of damaged.db, or of one whose writes the earlier ones have done. */
static void run_all(const char *path, const struct damage *damage) {
  for (size_t i = 0; i < n_scenarios; i++) {
    convstore_error err = {0};
    convstore *store = NULL;
    uint64_t hash = 0;
    if (damage) support_copy(path, support_path("damaged.db"));
    int status = convstore_open(&store, path, NULL, &err);
    if (status == CONVSTORE_OK) status = scenarios[i].run(&hash, store, &err);
    check_doing("%s, %.100s: %.100s", scenarios[i].name, damage ? damage->sql : path, err.message);
    CHECK(is_sensible(status, &err));
    if (damage && strcmp(scenarios[i].name, damage->scenario) == 0) CHECK_INT(status, damage->status);
    convstore_close(store);
  }
}

static void test_rows__that_no_call_of_ours_writes(void) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    support_copy(support_path("damaged.db"), support_path("original.db"));
    check_doing("%s", damages[i].sql);
    support_sql(support_path("damaged.db"), damages[i].sql);
    run_all(support_path("copy.db"), &damages[i]);
  }
}

/* What only opening meets. */
static void test_open__refuses_a_damaged_schema(void) {
  static const struct {
    const char *sql;
    int status;
  } cases[] = {
      {"DELETE FROM convstore_settings", CONVSTORE_E_CORRUPT},
      {"UPDATE convstore_settings SET user_id_type = 'odd'", CONVSTORE_E_CORRUPT},
      {"DROP TABLE convstore_settings", CONVSTORE_E_SCHEMA},
      {"UPDATE convstore_migrations SET checksum = 'edited'", CONVSTORE_E_SCHEMA},
      {"UPDATE convstore_migrations SET name = hex(zeroblob(2000))", CONVSTORE_E_SCHEMA},
      {"UPDATE convstore_migrations SET version = version + 100", CONVSTORE_E_SCHEMA},
      {"UPDATE convstore_migrations SET version = version + 4294967296", CONVSTORE_E_SCHEMA},
      {"UPDATE convstore_migrations SET version = -version", CONVSTORE_E_SCHEMA},
      {"INSERT INTO convstore_migrations SELECT max(version) + 1, 'later', 'x', 1 FROM convstore_migrations",
       CONVSTORE_E_SCHEMA},
      {"DELETE FROM convstore_migrations", CONVSTORE_E_SCHEMA},
      {"DROP TABLE convstore_migrations", CONVSTORE_E_SCHEMA},
      {"DROP TABLE convstore_migrations; CREATE TABLE convstore_migrations (x)", CONVSTORE_E_SCHEMA},
      {"DROP TABLE convstore_migrations; CREATE VIEW convstore_migrations AS SELECT 1 AS version",
       CONVSTORE_E_SCHEMA},
      {UNSTRICT("convstore_migrations") "UPDATE convstore_migrations SET name = NULL", CONVSTORE_E_SCHEMA},
      {UNSTRICT("convstore_settings") "UPDATE convstore_settings SET user_id_type = NULL",
       CONVSTORE_E_CORRUPT},
  };
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore *store = NULL;
    convstore_error err = {0};
    support_copy(path, support_path("original.db"));
    check_doing("%s", cases[i].sql);
    support_sql(path, cases[i].sql);
    uint64_t before = support_fingerprint(path);
    CHECK_INT(convstore_open(&store, path, NULL, &err), cases[i].status);
    check_doing("%s: %s", cases[i].sql, err.message);
    CHECK_HAS(err.message, convstore_status_name(cases[i].status));
    CHECK(store == NULL);
    convstore_close(store);
    CHECK(support_fingerprint(path) == before);
  }
}

/* A small generator (xorshift) with a fixed seed. */
static unsigned next_random(void) {
  static uint64_t state = UINT64_C(88172645463325252);
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)(state >> 16);
}

/* Copies a file with `n` bytes changed, anywhere, or cut short. */
static void copy_damaged(const char *to, const char *from, int n) {
  static unsigned char bytes[1 << 20];
  FILE *in = fopen(from, "rb");
  size_t size = in ? fread(bytes, 1, sizeof bytes, in) : 0;
  if (in) fclose(in);
  REQUIRE(size > 0 && size < sizeof bytes);
  for (int i = 0; i < n; i++) bytes[next_random() % size] = (unsigned char)next_random();
  if (n == 0) size = next_random() % size;
  support_copy(to, "/dev/null");
  FILE *out = fopen(to, "wb");
  if (!CHECK(out != NULL)) return;
  CHECK(fwrite(bytes, 1, size, out) == size);
  CHECK(fclose(out) == 0);
}

static void test_pages__that_are_damaged(void) {
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  for (int round = 0; round < 60; round += check_stride()) {
    copy_damaged(path, support_path("original.db"), round % 12);
    run_all(path, NULL);
  }
}

static const struct check_test tests[] = {
    TEST(test_rows__that_no_call_of_ours_writes),
    TEST(test_open__refuses_a_damaged_schema),
    TEST(test_pages__that_are_damaged),
};
CHECK_MAIN(tests)
