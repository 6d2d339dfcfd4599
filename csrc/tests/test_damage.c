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
/* That of tool exchanges, with a summary; see scenario_reads.c. */
#define CHAT "conversation_id = '0190f5a8-0000-7000-8000-000000000005'"
/* Carol's, which are in her index; see scenario_search.c. */
#define INDEXED_ID "'0190f5a8-0000-7000-8000-000000000007'"
#define OF_CAROL " WHERE user_id = 'carol'"
#define LARGEST "9223372036854775807"
#define SMALLEST "-9223372036854775807 - 1"

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
    {"UPDATE convstore_conversations SET archived_at = 1, archived_seq = last_seq WHERE " LIVE_ROW, "history",
     CONVSTORE_OK},
    {"UPDATE convstore_conversations SET archived_at = 1, archived_seq = 0, last_seq = 0 WHERE " LIVE_ROW,
     "append_one", CONVSTORE_E_CORRUPT},
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

/* Of contexts, lists and usage. */
static const struct damage read_damages[] = {
    {"UPDATE convstore_messages SET tool_calls = '[{' WHERE seq = 5 AND " CHAT, "context",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET tool_calls = '[{' WHERE seq = 5 AND " CHAT, "context_anthropic",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET tool_calls = '' WHERE seq = 5 AND " CHAT, "context", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET tool_calls = '{\"id\":1}' WHERE seq = 5 AND " CHAT, "context_anthropic",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET tool_calls ="
     " '[1,null,[],{\"id\":{}},{\"id\":\"call_of_oslo\",\"function\":7}]'"
     " WHERE seq = 5 AND " CHAT,
     "context_anthropic", CONVSTORE_OK},
    {"UPDATE convstore_messages SET tool_calls = 'null', content = 'said' WHERE seq = 5 AND " CHAT,
     "context_anthropic", CONVSTORE_OK},
    {"UPDATE convstore_messages SET parts = '[{\"type\"' WHERE parts IS NOT NULL", "context_anthropic",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET parts = '[{\"type\"' WHERE parts IS NOT NULL", "list",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET parts = '[{\"type\"' WHERE parts IS NOT NULL", "search_unindexed",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET parts = '{\"type\":\"text\"}' WHERE parts IS NOT NULL", "list",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET parts = '{\"type\":\"text\"}' WHERE parts IS NOT NULL",
     "context_anthropic", CONVSTORE_OK},
    {"UPDATE convstore_messages SET parts = 'null' WHERE parts IS NOT NULL", "context_anthropic",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET parts = '[1,\"x\",null,{\"type\":7,\"text\":[]},{\"type\":\"text\"},"
     "{\"type\":\"image_url\"},{\"type\":\"image_url\",\"image_url\":{\"url\":5}},[[]]]' WHERE"
     " parts IS NOT NULL",
     "context_anthropic", CONVSTORE_OK},
    {"UPDATE convstore_messages SET parts = replace(hex(zeroblob(1000)), '00', '[') ||"
     " replace(hex(zeroblob(1000)),"
     " '00', ']') WHERE parts IS NOT NULL",
     "context_anthropic", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET parts = x'FF', tool_calls = 7,"
                                    " tool_call_id = NULL WHERE " CHAT,
     "context_anthropic", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET tool_call_id = NULL WHERE " CHAT,
     "context", CONVSTORE_OK},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 7 AND " LIVE, "list", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 7 AND " LIVE, "messages", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 7 AND " LIVE, "usage_by_role",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 7 AND " LIVE, "search_unindexed",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 7 AND " LIVE, "context_of_tokens",
     CONVSTORE_E_CORRUPT},
    {"DELETE FROM convstore_messages WHERE seq = 7 AND " LIVE, "list", CONVSTORE_E_CORRUPT},
    {"DELETE FROM convstore_messages WHERE " LIVE, "context_of_tokens", CONVSTORE_OK},
    {"UPDATE convstore_messages SET conversation_id = 'short' WHERE " LIVE, "messages", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET id = 'short' WHERE " LIVE_ROW, "list", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET id = 'short' WHERE " LIVE_ROW, "search_unindexed",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET id = 'short' WHERE " LIVE_ROW
     "; UPDATE convstore_messages SET conversation_id = 'short' WHERE " LIVE,
     "messages", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET id = 'short' WHERE " LIVE_ROW
     "; UPDATE convstore_messages SET conversation_id = 'short' WHERE " LIVE,
     "usage_by_conversation", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET last_seq = -3 WHERE " LIVE_ROW, "list", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_conversations SET id = replace(hex(zeroblob(18)), '0', '-') WHERE " LIVE_ROW
     "; UPDATE convstore_messages SET conversation_id = replace(hex(zeroblob(18)), '0', '-') WHERE " LIVE,
     "search_unindexed", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET created_at = " LARGEST ", updated_at = " SMALLEST, "list_behind",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET created_at = iif(seq % 2, " LARGEST ", " SMALLEST ")", "messages_behind",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET created_at = iif(seq % 2, " LARGEST ", " SMALLEST ")", "usage_by_day",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET created_at = iif(seq % 2, " LARGEST ", " SMALLEST ")",
     "search_that_indexes", CONVSTORE_OK},
    {"UPDATE convstore_messages SET token_count = " LARGEST, "usage_by_role", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET token_count = " LARGEST, "usage_by_conversation", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET token_count = " LARGEST, "context", CONVSTORE_OK},
    {"UPDATE convstore_messages_archive SET token_count = " LARGEST, "fork_archived", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET token_count = " LARGEST ", token_total = " LARGEST, "fork",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET token_total = " SMALLEST, "fork", CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_messages SET token_count = -5", "context_of_tokens", CONVSTORE_OK},
    {"UPDATE convstore_messages_archive SET metadata = '{', parts = '{', tool_calls = '{'", "fork_archived",
     CONVSTORE_E_CORRUPT},
    {"UPDATE convstore_summaries SET through = 99", "context", CONVSTORE_OK},
    {"UPDATE convstore_summaries SET through = " LARGEST ", token_count = " LARGEST, "context", CONVSTORE_OK},
    {"UPDATE convstore_summaries SET through = " SMALLEST ", token_count = " SMALLEST, "context_anthropic",
     CONVSTORE_OK},
    {"UPDATE convstore_summaries SET through = " SMALLEST, "fork", CONVSTORE_E_CORRUPT},
    {"INSERT INTO convstore_summaries SELECT user_id, id, " LARGEST ", 1, 'x', NULL, 1, 1"
     " FROM convstore_conversations WHERE " LIVE_ROW,
     "summarize", CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_summaries") "UPDATE convstore_summaries SET content = NULL, through = 'x'",
     "context", CONVSTORE_OK},
    {UNSTRICT("convstore_summaries") "UPDATE convstore_summaries SET content = x'80', token_count = 'many',"
                                     " through = NULL",
     "context_anthropic", CONVSTORE_OK},
    {"DROP TABLE convstore_summaries", "context", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_summaries", "summarize", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_summaries; CREATE VIEW convstore_summaries AS SELECT 1 AS x", "fork",
     CONVSTORE_E_SCHEMA},
    {"DROP INDEX convstore_messages_pinned_idx", "context", CONVSTORE_OK},
    {"DROP INDEX convstore_conversations_user_id_deleted_idx", "list_created_deleted", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages_archive", "usage_by_day", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_messages_archive", "list", CONVSTORE_E_SCHEMA},
};

/* Of the search index. It is made of the messages: where it makes no sense a search makes it again. */
static const struct damage index_damages[] = {
    {"UPDATE convstore_search_segments SET messages = x''", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET messages = x'01'", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET messages = x'01FFFFFFFFFFFFFFFFFF01'", "search_indexed",
     CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET messages = zeroblob(100000)", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET messages = CAST(substr(messages, 1, length(messages) -"
     " 1) AS BLOB)" OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET n_messages = 5", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_segments SET id = " LARGEST OF_CAROL
     "; UPDATE convstore_search_runs SET segment_id = " LARGEST OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"INSERT INTO convstore_search_segments SELECT 'bob', " LARGEST
     ", '0190f5a8-0000-7000-8000-000000000006', 1, messages FROM convstore_search_segments" OF_CAROL,
     "search_that_indexes", CONVSTORE_OK},
    {UNSTRICT("convstore_search_segments") "UPDATE convstore_search_segments SET messages = 'a text'",
     "search_indexed", CONVSTORE_OK},
    {UNSTRICT("convstore_search_segments") "UPDATE convstore_search_segments SET messages = NULL,"
                                           " id = 'x'" OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_postings SET postings = x''", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_postings SET postings = x'01FF'", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_postings SET postings = zeroblob(100000)", "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_postings SET postings = CAST(substr(postings, 1, length(postings) -"
     " 1) AS BLOB)",
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_postings SET bucket = bucket + 1000", "search_indexed", CONVSTORE_OK},
    {UNSTRICT("convstore_search_postings") "UPDATE convstore_search_postings SET postings = 'a text'",
     "search_indexed", CONVSTORE_OK},
    {UNSTRICT("convstore_search_postings") "UPDATE convstore_search_postings SET postings = NULL,"
                                           " bucket = -bucket",
     "search_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_search_postings", "search_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_search_segments", "search_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_search_runs", "redact_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_search_runs; UPDATE convstore_conversations SET search_pending = 1",
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_runs SET first_seq = first_seq + 300, last_seq = " LARGEST, "search_indexed",
     CONVSTORE_OK},
    {"INSERT INTO convstore_search_runs SELECT user_id, conversation_id, 600, " LARGEST ", segment_id"
     " FROM convstore_search_runs" OF_CAROL "; INSERT INTO convstore_search_runs SELECT user_id,"
     " conversation_id, 700, 701,"
     " segment_id FROM convstore_search_runs WHERE first_seq = 1 AND user_id = 'carol'",
     "search_indexed", CONVSTORE_OK},
    {"INSERT INTO convstore_search_runs SELECT user_id, conversation_id, 5, 8, segment_id FROM"
     " convstore_search_runs" OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_search_runs SET first_seq = " SMALLEST ", last_seq = " SMALLEST OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"INSERT INTO convstore_search_segments SELECT 'bob', 5,"
     " '0190f5a8-0000-7000-8000-000000000006', 1, messages"
     " FROM convstore_search_segments" OF_CAROL "; INSERT INTO convstore_search_runs"
     " VALUES ('bob', '0190f5a8-0000-7000-8000-000000000006', 1, 0, 5)",
     "search_that_indexes", CONVSTORE_OK},
    {UNSTRICT("convstore_search_runs") "UPDATE convstore_search_runs SET first_seq = 'x', last_seq = NULL,"
                                       " segment_id = x''" OF_CAROL,
     "search_indexed", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET search_pending = 7", "search_indexed", CONVSTORE_OK},
    {UNSTRICT("convstore_conversations") "UPDATE convstore_conversations SET search_pending = NULL",
     "search_that_indexes", CONVSTORE_OK},
    {UNSTRICT("convstore_conversations") "UPDATE convstore_conversations SET search_pending = 'x'",
     "append_to_indexed", CONVSTORE_OK},
    {"UPDATE convstore_conversations SET last_seq = " LARGEST " WHERE id = " INDEXED_ID, "search_indexed",
     CONVSTORE_OK},
    {"UPDATE convstore_conversations SET last_seq = 2 WHERE id = " INDEXED_ID, "search_indexed",
     CONVSTORE_OK},
    {"UPDATE convstore_conversations SET archived_at = 1, archived_seq = last_seq WHERE id = " INDEXED_ID,
     "search_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_conversations WHERE id = " INDEXED_ID, "search_indexed", CONVSTORE_OK},
    {"DELETE FROM convstore_messages WHERE seq > 9 AND conversation_id = " INDEXED_ID, "search_indexed",
     CONVSTORE_OK},
    {"UPDATE convstore_messages SET role = 'robot' WHERE seq = 9 AND user_id = 'bob'", "search_that_indexes",
     CONVSTORE_E_CORRUPT},
    {UNSTRICT("convstore_messages") "UPDATE convstore_messages SET content = x'FF00FE', parts = 7,"
                                    " created_at = 'x'",
     "search_that_indexes", CONVSTORE_OK},
    {"DROP TABLE convstore_search_segments", "search_indexed", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_segments", "redact_indexed", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_runs", "search_that_indexes", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_runs", "redact_indexed", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_postings", "search_indexed", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_postings", "search_that_indexes", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_postings; CREATE TABLE convstore_search_postings (x)",
     "search_that_indexes", CONVSTORE_E_SCHEMA},
    {"DROP TABLE convstore_search_segments; CREATE VIEW convstore_search_segments AS SELECT 1 AS x",
     "search_that_indexes", CONVSTORE_E_SCHEMA},
    {"ALTER TABLE convstore_conversations RENAME COLUMN search_pending TO x", "append_one",
     CONVSTORE_E_SCHEMA},
    {"ALTER TABLE convstore_conversations RENAME COLUMN search_pending TO x", "search_indexed",
     CONVSTORE_E_SCHEMA},
};

/* What an operation may say of data that is not as it should be. That memory is short it says only where
 * SQLite's json_valid() refuses what comes back from the archive: to SQLite 3.40 that and broken JSON are the
 * same. That the caller is wrong it says only of a message beyond a last_seq that is too small, or of a
 * message with more tokens than there is room for; or where a broken index makes SQLite see a row that still
 * refers to one that goes, which a host's table may do, too. */
static bool is_sensible(int status, const convstore_error *err) {
  static const int sensible[] = {CONVSTORE_OK, CONVSTORE_E_CORRUPT, CONVSTORE_E_SCHEMA, CONVSTORE_E_NOT_FOUND,
                                 CONVSTORE_E_CONFLICT};
  for (size_t i = 0; i < sizeof sensible / sizeof *sensible; i++) {
    if (status == sensible[i]) return true;
  }
  if (status == CONVSTORE_E_INVALID && err->native == 787) return true; /* SQLITE_CONSTRAINT_FOREIGNKEY */
  if (status == CONVSTORE_E_INVALID)
    return strstr(err->message, "the conversation's last message is") || strstr(err->message, "has none");
  if (status == CONVSTORE_E_TOO_LARGE) return strstr(err->message, "tokens") != NULL;
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

static void run_damages(const struct damage *all, size_t n) {
  scenario_make(support_path("original.db"));
  for (size_t i = 0; i < n; i++) {
    support_copy(support_path("damaged.db"), support_path("original.db"));
    check_doing("%s", all[i].sql);
    support_sql(support_path("damaged.db"), all[i].sql);
    run_all(support_path("copy.db"), &all[i]);
  }
}

static void test_rows__that_no_call_of_ours_writes(void) {
  run_damages(damages, sizeof damages / sizeof *damages);
}

static void test_reads__of_rows_that_no_call_of_ours_writes(void) {
  run_damages(read_damages, sizeof read_damages / sizeof *read_damages);
}

static void test_index__that_no_search_wrote(void) {
  run_damages(index_damages, sizeof index_damages / sizeof *index_damages);
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

/* Changes up to `n` bytes of the blobs in one column of the index. */
static void damage_blobs(const char *path, const char *table, const char *column, unsigned n) {
  char sql[512];
  for (unsigned i = 0; i <= n; i++) {
    (void)snprintf(sql, sizeof sql,
                   "UPDATE %s SET %s = CAST(substr(%s, 1, %u %% length(%s)) || x'%02X' ||"
                   " substr(%s, %u %% length(%s) + 2) AS BLOB) WHERE rowid %% 3 = %u AND length(%s) > 0",
                   table, column, column, next_random(), column, next_random() & 0xFF, column, next_random(),
                   column, i % 3, column);
    support_sql(path, sql);
  }
}

/* Whatever stands in the blobs, searches read none of it for more than it is, and an index that was made anew is in
 * order. */
static void test_blobs__that_are_damaged(void) {
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  for (unsigned round = 0; round < 120; round += (unsigned)check_stride()) {
    support_copy(path, support_path("original.db"));
    if (round % 2 == 0) damage_blobs(path, "convstore_search_segments", "messages", round % 5);
    if (round % 3 != 1) damage_blobs(path, "convstore_search_postings", "postings", round % 7);
    for (size_t i = 0; i < n_scenarios; i++) {
      convstore_error err = {0};
      uint64_t hash = 0;
      if (!strstr(scenarios[i].name, "search")) continue;
      convstore *store = support_open(path, NULL);
      if (!store) return;
      int status = scenarios[i].run(&hash, store, &err);
      check_doing("round %u, %s: %.100s", round, scenarios[i].name, err.message);
      CHECK_INT(status, CONVSTORE_OK);
      convstore_close(store);
    }
    support_check_database(path);
  }
}

static void test_pages__that_are_damaged(void) {
  const char *path = support_path("copy.db");
  scenario_make(support_path("original.db"));
  for (int round = 0; round < 90; round += check_stride()) {
    copy_damaged(path, support_path("original.db"), round % 12);
    run_all(path, NULL);
  }
}

static const struct check_test tests[] = {
    TEST(test_rows__that_no_call_of_ours_writes), TEST(test_reads__of_rows_that_no_call_of_ours_writes),
    TEST(test_index__that_no_search_wrote),       TEST(test_open__refuses_a_damaged_schema),
    TEST(test_blobs__that_are_damaged),           TEST(test_pages__that_are_damaged),
};
CHECK_MAIN(tests)
