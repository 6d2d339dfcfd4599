/*
 * Looks into the blobs of the search index, segment by segment, in the check's read transaction. The statements are
 * prepared here and not kept: a check is rare.
 */
#include "../core/segment_check.h"
#include "sqlite_operations.h"

/* Everything of one look. */
struct index_check {
  sqlite3_stmt *segments;
  sqlite3_stmt *runs;
  sqlite3_stmt *postings;
  struct convstore_segment_check segment;
  convstore_result memory; /* of the largest segment */
  size_t n_found;
};

static int prepare(struct index_check *check, struct sqlite_connection *connection, convstore_error *err) {
  const struct {
    sqlite3_stmt **out;
    const char *sql;
  } statements[] = {
      {&check->segments, "SELECT user_id, id, conversation_id, n_messages, messages"
                         " FROM convstore_search_segments ORDER BY user_id, id"},
      {&check->runs, "SELECT conversation_id, first_seq, last_seq FROM convstore_search_runs"
                     " WHERE user_id = ?1 AND segment_id = ?2 ORDER BY rowid"},
      {&check->postings, "SELECT bucket, postings FROM convstore_search_postings"
                         " WHERE user_id = ?1 AND segment_id = ?2 ORDER BY bucket"},
  };
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
    if (sqlite3_prepare_v3(connection->db, statements[i].sql, -1, 0, statements[i].out, NULL) != SQLITE_OK)
      return convstore__sqlite_fail(connection, err);
  return CONVSTORE_OK;
}

/* A column's bytes, borrowed until the next step. False: there was no memory for them. */
static bool peek(convstore_text *out, sqlite3 *db, sqlite3_stmt *row, int column) {
  out->data = sqlite3_column_blob(row, column);
  out->size = (size_t)sqlite3_column_bytes(row, column);
  return out->data != NULL || sqlite3_errcode(db) != SQLITE_NOMEM;
}

/* Begins to read the rows of the segment at hand. */
static int bind_segment(sqlite3_stmt *statement, const struct index_check *check,
                        struct sqlite_connection *connection, convstore_error *err) {
  if (sqlite3_bind_value(statement, 1, sqlite3_column_value(check->segments, 0)) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 2, sqlite3_column_int64(check->segments, 1)) != SQLITE_OK)
    return convstore__sqlite_fail(connection, err);
  return CONVSTORE_OK;
}

static int check_runs(struct index_check *check, struct sqlite_connection *connection,
                      struct convstore_call *call) {
  int code = SQLITE_DONE;
  int status = bind_segment(check->runs, check, connection, call->err);
  while (status == CONVSTORE_OK && (code = sqlite3_step(check->runs)) == SQLITE_ROW) {
    char id[CONVSTORE_ID_SIZE];
    status = convstore__sqlite_read_id(id, check->runs, 0, call);
    if (status == CONVSTORE_OK)
      convstore__segment_check_run(&check->segment, id, sqlite3_column_int64(check->runs, 1),
                                   sqlite3_column_int64(check->runs, 2));
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE)
    status = convstore__sqlite_fail_check(connection, call, code);
  sqlite3_reset(check->runs);
  return status;
}

static int check_postings(struct index_check *check, struct sqlite_connection *connection,
                          struct convstore_call *call) {
  int code = SQLITE_DONE;
  int status = bind_segment(check->postings, check, connection, call->err);
  while (status == CONVSTORE_OK && (code = sqlite3_step(check->postings)) == SQLITE_ROW) {
    convstore_text postings;
    if (!peek(&postings, connection->db, check->postings, 1)) status = convstore__sqlite_no_memory(call->err);
    if (status == CONVSTORE_OK)
      convstore__segment_check_postings(&check->segment, sqlite3_column_int64(check->postings, 0), postings);
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE)
    status = convstore__sqlite_fail_check(connection, call, code);
  sqlite3_reset(check->postings);
  return status;
}

static int tell(struct index_check *check, size_t *capacity, struct convstore_call *call) {
  char id[CONVSTORE_ID_SIZE];
  convstore_text user_id;
  int status = convstore__sqlite_read_id(id, check->segments, 2, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&user_id, check->segments, 0, call);
  if (status != CONVSTORE_OK) return status;
  check->n_found++;
  return convstore__segment_check_tell(&check->segment, user_id, id, sqlite3_column_int64(check->segments, 1),
                                       capacity, call);
}

static int check_segment(struct index_check *check, size_t *capacity, struct sqlite_connection *connection,
                         struct convstore_call *call) {
  convstore_text messages;
  if (!peek(&messages, connection->db, check->segments, 4)) return convstore__sqlite_no_memory(call->err);
  int status = convstore__segment_check_start(&check->segment, sqlite3_column_int64(check->segments, 3),
                                              messages, check->memory.memory, call->err);
  if (status == CONVSTORE_OK) status = check_runs(check, connection, call);
  if (status == CONVSTORE_OK) status = check_postings(check, connection, call);
  if (status != CONVSTORE_OK || convstore__segment_check_end(&check->segment)) return status;
  return tell(check, capacity, call);
}

static int check_all(struct index_check *check, size_t *capacity, struct sqlite_connection *connection,
                     struct convstore_call *call) {
  int code = SQLITE_DONE;
  if (convstore__arena(&check->memory) == NULL) return convstore__sqlite_no_memory(call->err);
  int status = prepare(check, connection, call->err);
  while (status == CONVSTORE_OK && check->n_found < CONVSTORE_PROBLEM_ROWS &&
         (code = sqlite3_step(check->segments)) == SQLITE_ROW)
    status = check_segment(check, capacity, connection, call);
  if (status == CONVSTORE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    status = convstore__sqlite_fail_check(connection, call, code);
  return status;
}

int convstore__sqlite_check_index(size_t *capacity, struct sqlite_connection *connection,
                                  struct convstore_call *call) {
  struct index_check check = {.segments = NULL};
  int status = check_all(&check, capacity, connection, call);
  (void)sqlite3_finalize(check.segments);
  (void)sqlite3_finalize(check.runs);
  (void)sqlite3_finalize(check.postings);
  convstore_result_free(&check.memory);
  return status;
}
