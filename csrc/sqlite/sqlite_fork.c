/*
 * Copying a conversation's beginning into a new one, and summing a beginning up, in SQLite. Both are one transaction
 * under the write lock, so no append, and no move to the archive, comes between what is read and what is written.
 */
#include "sqlite_operations.h"

/* The conversation of the call, for which the write lock is held. */
static int find_source(struct sqlite_live *live, struct sqlite_connection *connection,
                       struct convstore_call *call) {
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(live, &found, connection, call);
  sqlite3_reset(found);
  return status;
}

/* ---- forks ------------------------------------------------------------------------------------------------------ */

/* A statement whose parameters are user, source, fork and `at`. NULL: err says why. */
static sqlite3_stmt *bind_fork(struct sqlite_connection *connection, const struct convstore_call *call,
                               int id, int64_t at) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return NULL;
  if (convstore__sqlite_bind_conversation(statement, call) == SQLITE_OK &&
      convstore__sqlite_bind_id(statement, 3, call->request->conversation.id) == SQLITE_OK &&
      sqlite3_bind_int64(statement, 4, at) == SQLITE_OK)
    return statement;
  (void)convstore__sqlite_fail(connection, call->err);
  return NULL;
}

/* Inserts the fork, its counters already as they will be. *taken: its key or id was, and nothing is written. */
static int insert_fork(bool *taken, struct sqlite_connection *connection, struct convstore_call *call,
                       int64_t at) {
  const convstore_conversation *new = &call->request->conversation;
  sqlite3_stmt *statement = bind_fork(connection, call, SQLITE_STMT_CREATE_FORK, at);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 5, new->key) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 6, new->title) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 7, new->metadata) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 8, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *taken = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
  if (code != SQLITE_DONE && !*taken) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int copy_rows(struct sqlite_connection *connection, struct convstore_call *call, int id, int64_t at) {
  sqlite3_stmt *statement = bind_fork(connection, call, id, at);
  if (statement == NULL) return call->err->status;
  return convstore__sqlite_exec(connection, statement, call->err);
}

static int fork_body(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct sqlite_live live = {0};
  bool taken = false;
  bool found = false;
  int status = find_source(&live, connection, call);
  if (status != CONVSTORE_OK) return status;
  int64_t at = request->at == CONVSTORE_ABSENT ? live.last_seq : request->at;
  if (at > live.last_seq) return convstore__bad_at(call, live.last_seq);

  status = insert_fork(&taken, connection, call, at);
  if (status == CONVSTORE_OK && !taken && live.archived_seq > 0)
    status = copy_rows(connection, call, SQLITE_STMT_FORK_MESSAGES + SQLITE_STMT_ARCHIVED, at);
  if (status == CONVSTORE_OK && !taken && live.archived_seq < at)
    status = copy_rows(connection, call, SQLITE_STMT_FORK_MESSAGES, at);
  if (status == CONVSTORE_OK && !taken) status = copy_rows(connection, call, SQLITE_STMT_FORK_SUMMARIES, at);
  if (status == CONVSTORE_OK)
    status = convstore__sqlite_find_conversation(&found, connection, call, request->conversation.id);
  if (status != CONVSTORE_OK || !taken) return status;
  return found ? convstore__check_fork(call, &call->result->conversation) : convstore__key_taken(call);
}

int convstore__sqlite_fork(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, fork_body);
}

/* ---- summaries -------------------------------------------------------------------------------------------------- */

static int insert_summary(struct sqlite_connection *connection, struct convstore_call *call,
                          int64_t through) {
  const convstore_request *request = call->request;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SUMMARIZE, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, through) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 4, request->text) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 5, request->metadata) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 6, request->token_count) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 7, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  return convstore__sqlite_exec(connection, statement, call->err);
}

/* Writes the conversation's time. */
static int touch(struct sqlite_connection *connection, struct convstore_call *call) {
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_TOUCH_CONVERSATION, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) code = sqlite3_step(statement); /* RETURNING is done only when stepped to the end */
  if (code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int summarize_body(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct sqlite_live live = {0};
  int status = find_source(&live, connection, call);
  if (status != CONVSTORE_OK) return status;
  int64_t through = request->through == CONVSTORE_ABSENT ? live.last_seq : request->through;
  if (through < 1 || through > live.last_seq) return convstore__bad_through(call, live.last_seq);
  status = insert_summary(connection, call, through);
  if (status == CONVSTORE_OK) status = touch(connection, call);
  if (status != CONVSTORE_OK) return status;
  call->result->summary = (convstore_summary){
      .through = through,
      .content = request->text,
      .metadata = request->metadata,
      .token_count = request->token_count,
      .created_at_ms = call->now_ms,
  };
  return CONVSTORE_OK;
}

int convstore__sqlite_summarize(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, summarize_body);
}
