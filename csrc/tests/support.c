/* See support.h. */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "check.h"

/* In memory where there is such a place: these tests make many files and sync them often. */
static const char *const parents[] = {"/dev/shm", "/tmp"};
static char folder[64];
static pid_t owner;

static void remove_folder(void) {
  DIR *listing = getpid() == owner ? opendir(folder) : NULL;
  struct dirent *entry;
  if (!listing) return;
  while ((entry = readdir(listing)) != NULL) {
    char path[sizeof folder + sizeof entry->d_name + 1];
    (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] != '.') (void)remove(path);
  }
  closedir(listing);
  (void)remove(folder);
}

const char *support_path(const char *name) {
  static char paths[32][sizeof folder + 64];
  bool made = folder[0] != '\0';
  for (size_t i = 0; !made && i < sizeof parents / sizeof *parents; i++) {
    (void)snprintf(folder, sizeof folder, "%s/convstore-test-XXXXXX", parents[i]);
    made = mkdtemp(folder) != NULL;
    owner = getpid();
    if (made) CHECK(atexit(remove_folder) == 0);
  }
  CHECK(made);
  size_t i = 0;
  while (i < sizeof paths / sizeof *paths - 1 && paths[i][0] != '\0' &&
         strcmp(paths[i] + strlen(folder) + 1, name) != 0)
    i++;
  (void)snprintf(paths[i], sizeof paths[i], "%s/%s", folder, name);
  return paths[i];
}

static void remove_beside(const char *path, const char *suffix) {
  char name[sizeof folder + 80];
  (void)snprintf(name, sizeof name, "%s%s", path, suffix);
  (void)remove(name);
}

void support_copy(const char *to, const char *from) {
  char buffer[65536];
  FILE *in = fopen(from, "rb");
  FILE *out = fopen(to, "wb");
  size_t n = 0;
  remove_beside(to, "-wal");
  remove_beside(to, "-shm");
  remove_beside(to, "-journal");
  CHECK(in != NULL && out != NULL);
  while (in && out && (n = fread(buffer, 1, sizeof buffer, in)) > 0) CHECK(fwrite(buffer, 1, n, out) == n);
  if (in) fclose(in);
  if (out) CHECK(fclose(out) == 0);
}

convstore *support_open(const char *path, const convstore_options *options) {
  convstore *store = NULL;
  convstore_error err = {0};
  CHECK_INT(convstore_open(&store, path, options, &err), CONVSTORE_OK);
  CHECK_STRING(err.message, "");
  return store;
}

/* A plain connection; NULL after a failed check. */
static sqlite3 *plain(const char *path) {
  sqlite3 *db = NULL;
  if (!CHECK_INT(sqlite3_open(path, &db), SQLITE_OK)) {
    sqlite3_close(db);
    return NULL;
  }
  sqlite3_busy_timeout(db, 5000);
  sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL);
  return db;
}

void support_sql(const char *path, const char *sql) {
  sqlite3 *db = plain(path);
  char *why = NULL;
  if (!db) return;
  CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK);
  CHECK_STRING(why, NULL);
  sqlite3_free(why);
  sqlite3_close(db);
}

int64_t support_number(const char *path, const char *sql) {
  sqlite3 *db = plain(path);
  sqlite3_stmt *statement = NULL;
  int64_t number = INT64_MIN;
  if (!db) return number;
  CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
  if (CHECK_INT(sqlite3_step(statement), SQLITE_ROW)) number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return number;
}

uint64_t support_hash(uint64_t hash, const void *data, size_t size) {
  const unsigned char *bytes = data;
  if (hash == 0) hash = UINT64_C(0xCBF29CE484222325);
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
  return hash;
}

static uint64_t hash_rows(uint64_t hash, sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
    return hash; /* no such table: no rows */
  while (sqlite3_step(statement) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      int type = sqlite3_column_type(statement, i);
      const void *data = sqlite3_column_blob(statement, i);
      hash = support_hash(hash, &type, sizeof type);
      hash = support_hash(hash, data, (size_t)sqlite3_column_bytes(statement, i));
    }
  }
  sqlite3_finalize(statement);
  return support_hash(hash, sql, strlen(sql));
}

uint64_t support_fingerprint(const char *path) {
  static const char *const queries[] = {
      "SELECT * FROM convstore_conversations ORDER BY user_id, id",
      "SELECT * FROM convstore_messages ORDER BY user_id, conversation_id, seq",
      "SELECT * FROM convstore_messages_archive ORDER BY user_id, conversation_id, seq",
      "SELECT * FROM convstore_summaries ORDER BY user_id, conversation_id, ordinal",
      "SELECT * FROM convstore_search_segments ORDER BY user_id, id",
      "SELECT * FROM convstore_search_runs ORDER BY user_id, conversation_id, first_seq",
      "SELECT * FROM convstore_search_postings ORDER BY user_id, segment_id, bucket",
      "SELECT * FROM convstore_settings",
      "SELECT * FROM convstore_migrations ORDER BY version",
  };
  sqlite3 *db = plain(path);
  uint64_t hash = 0;
  for (size_t i = 0; db && i < sizeof queries / sizeof *queries; i++) hash = hash_rows(hash, db, queries[i]);
  sqlite3_close(db);
  return hash;
}

void support_check_database(const char *path) {
  static const struct {
    const char *what;
    const char *sql; /* answers the number of faults */
  } questions[] = {
      {"pages", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"},
      {"foreign keys", "SELECT count(*) FROM pragma_foreign_key_check"},
      {"last_seq is the number of messages",
       "SELECT count(*) FROM convstore_conversations AS c WHERE last_seq <>"
       " (SELECT count(*) FROM convstore_messages AS m WHERE m.user_id = c.user_id"
       "    AND m.conversation_id = c.id)"
       " + (SELECT count(*) FROM convstore_messages_archive AS m WHERE m.user_id = c.user_id"
       "    AND m.conversation_id = c.id)"},
      {"seq has no gaps",
       "SELECT count(*) FROM"
       " (SELECT seq, row_number() OVER (PARTITION BY user_id, conversation_id ORDER BY seq) AS n"
       " FROM (SELECT user_id, conversation_id, seq FROM convstore_messages UNION ALL"
       " SELECT user_id, conversation_id, seq FROM convstore_messages_archive)) WHERE seq <> n"},
      {"messages lie where archived_seq says",
       "SELECT count(*) FROM convstore_conversations AS c WHERE EXISTS (SELECT 1 FROM convstore_messages AS m"
       " WHERE m.user_id = c.user_id AND m.conversation_id = c.id AND m.seq <= c.archived_seq)"
       " OR EXISTS (SELECT 1 FROM convstore_messages_archive AS m"
       " WHERE m.user_id = c.user_id AND m.conversation_id = c.id AND m.seq > c.archived_seq)"},
      {"token counts",
       "SELECT count(*) FROM convstore_conversations AS c,"
       " (SELECT user_id, conversation_id, sum(token_count) AS tokens,"
       "  sum(iif(role IN ('system', 'developer'), token_count, 0)) AS pinned FROM"
       "  (SELECT * FROM convstore_messages UNION ALL SELECT * FROM convstore_messages_archive)"
       "  GROUP BY user_id, conversation_id) AS s"
       " WHERE s.user_id = c.user_id AND s.conversation_id = c.id"
       " AND (c.token_count <> s.tokens OR c.pinned_token_count <> s.pinned)"},
      {"running token totals",
       "SELECT count(*) FROM (SELECT token_total, sum(iif(role IN ('system', 'developer'), 0, token_count))"
       " OVER (PARTITION BY user_id, conversation_id ORDER BY seq) AS total FROM"
       " (SELECT * FROM convstore_messages UNION ALL SELECT * FROM convstore_messages_archive))"
       " WHERE token_total <> total"},
      {"summaries stand for messages that are there",
       "SELECT count(*) FROM convstore_summaries AS s JOIN convstore_conversations AS c"
       " ON c.user_id = s.user_id AND c.id = s.conversation_id WHERE s.through NOT BETWEEN 1 AND c.last_seq"},
      {"runs lie in their conversation",
       "SELECT count(*) FROM convstore_search_runs AS r LEFT JOIN convstore_conversations AS c"
       " ON c.user_id = r.user_id AND c.id = r.conversation_id"
       " WHERE (r.first_seq >= 1 AND r.last_seq BETWEEN r.first_seq AND c.last_seq) IS NOT TRUE"},
      {"runs do not overlap", "SELECT count(*) FROM (SELECT first_seq, lag(last_seq)"
                              " OVER (PARTITION BY user_id, conversation_id ORDER BY first_seq) AS before"
                              " FROM convstore_search_runs) WHERE first_seq <= before"},
      {"a segment holds the messages of its runs",
       "SELECT count(*) FROM convstore_search_segments AS s WHERE n_messages IS NOT"
       " (SELECT sum(last_seq - first_seq + 1) FROM convstore_search_runs AS r"
       " WHERE r.user_id = s.user_id AND r.segment_id = s.id)"},
      {"a segment is filed under a conversation of its own",
       "SELECT count(*) FROM convstore_search_segments AS s WHERE NOT EXISTS"
       " (SELECT 1 FROM convstore_search_runs AS r WHERE r.user_id = s.user_id AND r.segment_id = s.id"
       " AND r.conversation_id = s.conversation_id)"},
      {"what is not pending is indexed",
       "SELECT count(*) FROM convstore_conversations AS c WHERE search_pending = 0 AND last_seq <>"
       " (SELECT coalesce(sum(r.last_seq - r.first_seq + 1), 0) FROM convstore_search_runs AS r"
       " WHERE r.user_id = c.user_id AND r.conversation_id = c.id)"},
  };
  for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
    if (!CHECK_INT(support_number(path, questions[i].sql), 0)) printf("  (%s)\n", questions[i].what);
  }
}

int64_t support_clock(void) {
  return INT64_C(1769903999123);
}

static uint64_t hash_text(uint64_t hash, convstore_text text) {
  hash = support_hash(hash, &text.size, sizeof text.size);
  return text.data ? support_hash(hash, text.data, text.size) : support_hash(hash, "absent", 6);
}

static uint64_t hash_number(uint64_t hash, int64_t number) {
  return support_hash(hash, &number, sizeof number);
}

static uint64_t hash_string(uint64_t hash, const char *string) {
  return string ? support_hash(hash, string, strlen(string) + 1) : support_hash(hash, "absent", 6);
}

static uint64_t hash_message(uint64_t hash, const convstore_message *message) {
  const convstore_text texts[] = {message->content,    message->parts,        message->name,
                                  message->tool_calls, message->tool_call_id, message->attachments,
                                  message->metadata};
  hash = hash_string(hash, message->id);
  hash = hash_number(hash, message->seq);
  hash = hash_number(hash, (int64_t)message->role);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) hash = hash_text(hash, texts[i]);
  hash = hash_number(hash, message->token_count);
  hash = hash_number(hash, message->created_at_ms);
  hash = hash_number(hash, message->updated_at_ms);
  return hash_number(hash, message->redacted_at_ms);
}

static uint64_t hash_conversation(uint64_t hash, const convstore_conversation *conversation) {
  hash = hash_string(hash, conversation->id);
  hash = hash_text(hash, conversation->key);
  hash = hash_text(hash, conversation->title);
  hash = hash_text(hash, conversation->metadata);
  hash = hash_number(hash, (int64_t)conversation->mark);
  hash = hash_number(hash, conversation->created_at_ms);
  hash = hash_number(hash, conversation->updated_at_ms);
  hash = hash_number(hash, conversation->deleted_at_ms);
  hash = hash_number(hash, conversation->last_seq);
  hash = hash_number(hash, conversation->token_count);
  hash = hash_string(hash, conversation->forked_from_id);
  return hash_number(hash, conversation->forked_from_seq);
}

/* Lists, hits and usage. */
static uint64_t hash_rows_of(uint64_t hash, const convstore_result *result) {
  hash = hash_number(hash, (int64_t)result->n_listed);
  for (size_t i = 0; i < result->n_listed; i++) {
    const convstore_listed *listed = &result->listed[i];
    hash = hash_conversation(hash, &listed->conversation);
    if (listed->conversation.last_seq == 0) continue;
    hash = hash_number(hash, (int64_t)listed->role);
    hash = hash_text(hash, listed->preview);
    hash = hash_number(hash, listed->message_created_at_ms);
  }
  for (size_t i = 0; result->conversation_ids && i < result->n_messages; i++)
    hash = hash_string(hash, result->conversation_ids[i]);
  for (size_t i = 0; result->hits && i < result->n_messages; i++) {
    hash = hash_text(hash, result->hits[i].title);
    hash = hash_text(hash, result->hits[i].snippet);
    hash = hash_number(hash, (int64_t)(result->hits[i].score * 1e6));
  }
  hash = hash_text(hash, result->cursor);
  hash = hash_number(hash, (int64_t)result->n_usage);
  for (size_t i = 0; i < result->n_usage; i++) {
    const convstore_usage *usage = &result->usage[i];
    hash = hash_number(hash, (int64_t)usage->role);
    hash = hash_number(hash, usage->day);
    hash = hash_string(hash, usage->conversation_id);
    hash = hash_number(hash, usage->messages);
    hash = hash_number(hash, usage->tokens);
  }
  return hash_number(hash, result->n_conversations);
}

static uint64_t hash_context(uint64_t hash, const convstore_result *result) {
  const convstore_summary *summary = &result->summary;
  const convstore_context *context = &result->context;
  hash = hash_number(hash, summary->through);
  hash = hash_text(hash, summary->content);
  hash = hash_text(hash, summary->metadata);
  hash = hash_number(hash, summary->token_count);
  hash = hash_number(hash, summary->created_at_ms);
  hash = hash_number(hash, context->tokens);
  hash = hash_number(hash, context->messages);
  hash = hash_number(hash, context->dropped);
  hash = hash_number(hash, context->first_seq);
  hash = hash_text(hash, context->system);
  return hash_text(hash, result->json);
}

uint64_t support_hash_result(const convstore_result *result) {
  uint64_t hash = hash_conversation(0, &result->conversation);
  hash = hash_number(hash, (int64_t)result->n_messages);
  for (size_t i = 0; i < result->n_messages; i++) hash = hash_message(hash, &result->messages[i]);
  hash = hash_rows_of(hash, result);
  hash = hash_context(hash, result);
  hash = hash_number(hash, result->more);
  hash = hash_number(hash, result->first_seq);
  hash = hash_number(hash, result->last_seq);
  for (size_t i = 0; i < result->n_users; i++) {
    hash = hash_text(hash, result->users[i].user_id);
    hash = hash_number(hash, result->users[i].conversations);
    hash = hash_number(hash, result->users[i].messages);
    hash = hash_number(hash, result->users[i].updated_at_ms);
  }
  for (size_t i = 0; i < result->n_problems; i++) {
    hash = hash_text(hash, result->problems[i].problem);
    hash = hash_string(hash, result->problems[i].conversation_id);
    hash = hash_text(hash, result->problems[i].detail);
  }
  hash = hash_text(hash, result->stats.backend_version);
  hash = hash_number(hash, result->stats.conversations);
  hash = hash_number(hash, result->stats.messages);
  hash = hash_number(hash, result->stats.archived_messages);
  for (size_t i = 0; i < result->n_migrations; i++) {
    hash = hash_number(hash, result->migrations[i].version);
    hash = hash_string(hash, result->migrations[i].name);
    hash = hash_string(hash, result->migrations[i].up);
    hash = hash_string(hash, result->migrations[i].down);
  }
  hash = hash_number(hash, result->schema_version);
  return hash_number(hash, result->newest_version);
}
