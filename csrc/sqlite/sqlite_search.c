/*
 * Searching in SQLite: the user's segments and what is not indexed yet go into core/search.c, which finds and ranks;
 * then the page's messages are read. Everything is read in one transaction, so no message is seen twice or not at all
 * while others append and index. How messages get into the index is sqlite_search_index.c's.
 */
#include <string.h>

#include "../core/search_page.h"
#include "sqlite_operations.h"

/* ---- what is searched ------------------------------------------------------------------------------------------ */

/* Adds what no segment holds. *worth: it was so much that it should be indexed instead; nothing is added then. */
static int add_tail(bool *worth, struct convstore_search *search, bool may_index,
                    struct sqlite_connection *connection, struct convstore_call *call) {
  struct sqlite_tail tail = {.done = false};
  int status = CONVSTORE_OK;
  *worth = false;
  while (status == CONVSTORE_OK && !tail.done) {
    struct sqlite_tail_part part;
    status = convstore__sqlite_read_tail(&part, &tail, &connection->scratch, connection, call);
    if (status == CONVSTORE_OK && may_index && convstore__sqlite_is_worth_a_segment(&part, &tail)) {
      *worth = true;
      break;
    }
    if (status == CONVSTORE_OK && part.segment.n_messages > 0)
      status = convstore__search_add(search, part.segment.messages, part.segment.messages_size,
                                     part.segment.postings, part.segment.n_postings, call->err);
    convstore_result_free(&connection->scratch);
  }
  convstore_result_free(&connection->scratch);
  return status;
}

static int copy_blob(const void **data, size_t *size, sqlite3_stmt *row, int column,
                     struct sqlite_connection *connection, struct convstore_call *call) {
  const void *blob = sqlite3_column_blob(row, column);
  *size = (size_t)sqlite3_column_bytes(row, column);
  struct convstore_arena *arena = convstore__arena(&connection->scratch);
  *data = arena == NULL ? NULL : convstore__arena_copy(arena, *size > 0 ? blob : "", *size);
  return *data != NULL ? CONVSTORE_OK : convstore__sqlite_no_memory(call->err);
}

/* The postings of a segment in one bucket; absent where none of its messages has a term of it. */
static int read_postings(struct convstore_postings *out, int64_t segment_id, int64_t bucket,
                         struct sqlite_connection *connection, struct convstore_call *call) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_POSTINGS, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 2, segment_id) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, bucket) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *out = (struct convstore_postings){.bucket = (int)bucket};
  if (code == SQLITE_ROW)
    status = copy_blob(&out->data, &out->size, statement, 0, connection, call);
  else if (code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int add_segment(struct convstore_search *search, sqlite3_stmt *row,
                       struct sqlite_connection *connection, struct convstore_call *call) {
  const int64_t *buckets = NULL;
  const void *messages = NULL;
  size_t size = 0;
  size_t n_buckets = convstore__search_buckets(search, &buckets);
  struct convstore_postings postings[CONVSTORE_BUCKETS];
  size_t n = 0;
  int status = copy_blob(&messages, &size, row, 1, connection, call);
  for (size_t i = 0; status == CONVSTORE_OK && i < n_buckets; i++) {
    status = read_postings(&postings[n], sqlite3_column_int64(row, 0), buckets[i], connection, call);
    if (postings[n].data != NULL) n++;
  }
  if (status == CONVSTORE_OK) {
    status = convstore__search_add(search, messages, size, postings, n, call->err);
    connection->index_is_damaged = status == CONVSTORE_E_CORRUPT;
  }
  convstore_result_free(&connection->scratch);
  return status;
}

static int add_segments(struct convstore_search *search, struct sqlite_connection *connection,
                        struct convstore_call *call) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_SEGMENTS, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = SQLITE_ROW;
  while (status == CONVSTORE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
    status = add_segment(search, statement, connection, call);
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* ---- what was found -------------------------------------------------------------------------------------------- */

/* *found is false where the candidate's conversation is deleted. */
static int read_conversation(bool *found, int64_t *archived_seq, convstore_text *title,
                             const struct convstore_candidate *candidate,
                             struct sqlite_connection *connection, struct convstore_call *call) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_FOUND, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
      convstore__sqlite_bind_id(statement, 2, candidate->conversation_id) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *found = code == SQLITE_ROW;
  if (*found) {
    status = convstore__sqlite_read_text(title, statement, 0, call);
    *archived_seq = sqlite3_column_int64(statement, 1);
  } else if (code != SQLITE_DONE) {
    status = convstore__sqlite_fail(connection, call->err);
  }
  sqlite3_reset(statement);
  return status;
}

static int read_message(bool *found, convstore_message *out, int64_t archived_seq,
                        const struct convstore_candidate *candidate, struct sqlite_connection *connection,
                        struct convstore_call *call) {
  sqlite3_stmt *statement = convstore__sqlite_statement(
      connection, SQLITE_STMT_MESSAGE_BY_SEQ + (candidate->seq <= archived_seq), call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
      convstore__sqlite_bind_id(statement, 2, candidate->conversation_id) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, candidate->seq) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *found = code == SQLITE_ROW;
  if (*found)
    status = convstore__sqlite_read_message(out, statement, call);
  else if (code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* Reads the page's messages, best first, passing over those of deleted conversations. */
static int read_page(const struct convstore_search *search, struct sqlite_connection *connection,
                     struct convstore_call *call) {
  const struct convstore_candidate *candidates = NULL;
  size_t n = convstore__search_candidates(search, &candidates);
  convstore_result *result = call->result;
  size_t limit = (size_t)call->request->limit;
  const struct convstore_candidate *last = NULL;
  int status = convstore__search_page(result, limit < n ? limit : n, call->err);
  for (size_t i = 0; status == CONVSTORE_OK && i < n; i++) {
    convstore_text title = {NULL, 0};
    convstore_message message;
    int64_t archived_seq = 0;
    bool found = false;
    status = read_conversation(&found, &archived_seq, &title, &candidates[i], connection, call);
    if (status == CONVSTORE_OK && found && result->n_messages == limit) /* there is another page */
      return convstore__search_cursor(search, last, call);
    if (status == CONVSTORE_OK && found)
      status = read_message(&found, &message, archived_seq, &candidates[i], connection, call);
    if (status != CONVSTORE_OK || !found) continue;
    last = &candidates[i];
    status = convstore__search_add_hit(search, last, title, &message, call);
  }
  return status;
}

/* ---- the operation --------------------------------------------------------------------------------------------- */

/* A search in one conversation says whether there is such a one. */
static int check_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  if (call->request->conversation_id[0] == '\0') return CONVSTORE_OK;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  sqlite3_reset(found);
  return status;
}

static int look(bool *worth, bool may_index, struct sqlite_connection *connection,
                struct convstore_call *call) {
  struct convstore_search *search = NULL;
  *worth = false;
  int status = check_conversation(connection, call);
  if (status == CONVSTORE_OK) status = convstore__search_start(&search, call);
  if (status != CONVSTORE_OK || convstore__search_is_empty(search)) return status;
  status = add_tail(worth, search, may_index, connection, call);
  if (status != CONVSTORE_OK || *worth) return status;
  status = add_segments(search, connection, call);
  if (status == CONVSTORE_OK) status = convstore__search_rank(search, call->err);
  return status != CONVSTORE_OK ? status : read_page(search, connection, call);
}

/* The same in a transaction, unless the caller has one. */
static int look_once(bool *worth, bool may_index, struct sqlite_connection *connection,
                     struct convstore_call *call) {
  if (call->depth > 0) return look(worth, may_index, connection, call);
  int status = convstore__sqlite_begin(connection, call, SQLITE_STMT_BEGIN_READ, false);
  if (status != CONVSTORE_OK) return status;
  status = look(worth, may_index, connection, call);
  convstore__sqlite_undo(connection, false); /* nothing was written */
  return status;
}

/* An index that is damaged is dropped: it is made of the messages, so it can be made again. Once in a call, so that
 * messages that are damaged themselves do not make it go round. */
static bool may_rebuild(int status, bool *rebuilt, const struct sqlite_connection *connection) {
  if (status != CONVSTORE_E_CORRUPT || !connection->index_is_damaged || *rebuilt) return false;
  *rebuilt = true;
  return true;
}

int convstore__sqlite_search(struct sqlite_connection *connection, struct convstore_call *call) {
  /* In a caller's transaction a search writes nothing: it would be undone with it, or hold it up. */
  bool may_write = !connection->options.readonly && call->depth == 0;
  bool may_index = may_write;
  bool rebuilt = !may_write;
  bool worth = false;
  connection->index_is_damaged = false;
  int status = look_once(&worth, may_index, connection, call);
  for (;;) {
    if (may_rebuild(status, &rebuilt, connection)) {
      status = convstore__sqlite_drop_index(connection, call);
      worth = true;
    }
    if (status != CONVSTORE_OK || !worth) return status;
    status = convstore__sqlite_index_tail(connection, call);
    if (status == CONVSTORE_E_BUSY || status == CONVSTORE_E_FULL || status == CONVSTORE_E_READONLY) {
      may_index = false; /* then as it is */
      status = CONVSTORE_OK;
    }
    if (status == CONVSTORE_OK) status = look_once(&worth, may_index, connection, call);
  }
}
