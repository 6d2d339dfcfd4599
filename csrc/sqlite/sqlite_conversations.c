/* Conversations in SQLite: creating, finding, changing, deleting. Knows nothing of messages but their counters. */
#include <string.h>

#include "sqlite_operations.h"

static convstore_text id_text(const char id[CONVSTORE_ID_SIZE]) {
  return (convstore_text){id, CONVSTORE_ID_SIZE - 1};
}

int convstore__sqlite_read_conversation(convstore_conversation *out, sqlite3_stmt *row,
                                        struct convstore_call *call) {
  convstore_text mark;
  if (convstore__arena(call->result) == NULL) return convstore__sqlite_no_memory(call->err);
  int status = convstore__sqlite_read_id(out->id, row, 0, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&out->key, row, 1, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&out->title, row, 2, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&mark, row, 3, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&out->metadata, row, 4, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_id(out->forked_from_id, row, 7, call);
  if (status == CONVSTORE_OK && convstore_id_set(out->id, id_text(out->id), "id", NULL) != CONVSTORE_OK)
    status =
        convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a conversation's id is no UUID; restore a backup");
  if (status != CONVSTORE_OK) return status;
  if (convstore_mark_parse(&out->mark, mark, NULL) != CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "conversation %s has an unknown status; restore a backup", out->id);
  out->last_seq = sqlite3_column_int64(row, 5);
  out->token_count = sqlite3_column_int64(row, 6);
  out->forked_from_seq = sqlite3_column_int64(row, 8);
  out->created_at_ms = sqlite3_column_int64(row, 9);
  out->updated_at_ms = sqlite3_column_int64(row, 10);
  out->deleted_at_ms = convstore__sqlite_read_optional(row, 11);
  return CONVSTORE_OK;
}

/* Steps a bound statement that gives at most one conversation, reads that, and resets it.
 * *found says whether there was one. A broken UNIQUE is reported as SQLITE_CONSTRAINT in *constraint, not as an
 * error. */
static int step_conversation(bool *found, int *constraint, struct sqlite_connection *connection,
                             struct convstore_call *call, sqlite3_stmt *statement) {
  convstore_conversation conversation = {0};
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *found = code == SQLITE_ROW;
  if (*found) {
    status = convstore__sqlite_read_conversation(&conversation, statement, call);
    if (status == CONVSTORE_OK)
      code = sqlite3_step(statement); /* RETURNING is done only when stepped to the end */
  }
  if (constraint != NULL) *constraint = (code & 0xff) == SQLITE_CONSTRAINT ? code : 0;
  if (status == CONVSTORE_OK && code != SQLITE_DONE && (constraint == NULL || *constraint == 0))
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  if (status == CONVSTORE_OK && *found) call->result->conversation = conversation;
  return status;
}

/* Looks for a conversation, by id (deleted or not) or by key (not deleted). */
static int look_up(bool *found, struct sqlite_connection *connection, struct convstore_call *call,
                   enum sqlite_stmt by, convstore_text value) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)by, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 2, value) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  return step_conversation(found, NULL, connection, call, statement);
}

int convstore__sqlite_find_conversation(bool *found, struct sqlite_connection *connection,
                                        struct convstore_call *call, const char *id) {
  return look_up(found, connection, call, SQLITE_STMT_GET_CONVERSATION, id_text(id));
}

static bool is_deleted(const struct convstore_call *call) {
  return call->result->conversation.deleted_at_ms != CONVSTORE_ABSENT;
}

/* Inserts the request's conversation. *taken: a key or the id was, and nothing is written. */
static int insert_conversation(bool *taken, struct sqlite_connection *connection,
                               struct convstore_call *call) {
  const convstore_conversation *new = &call->request->conversation;
  const char *mark = convstore_mark_name(new->mark);
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_CREATE_CONVERSATION, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
      convstore__sqlite_bind_id(statement, 2, new->id) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 3, new->key) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 4, new->title) != SQLITE_OK ||
      sqlite3_bind_text(statement, 5, mark, -1, SQLITE_STATIC) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 6, new->metadata) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 7, new->created_at_ms) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 8, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);

  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  *taken = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
  /* The only foreign key of this table is the one of the `users` option. */
  if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
    status = convstore__no_user(call);
  else if (code != SQLITE_DONE && !*taken)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  if (status != CONVSTORE_OK || *taken) return status;

  call->result->conversation = *new;
  call->result->conversation.updated_at_ms = call->now_ms;
  call->result->conversation.deleted_at_ms = CONVSTORE_ABSENT;
  call->result->conversation.last_seq = 0;
  call->result->conversation.token_count = 0;
  call->result->conversation.forked_from_id[0] = '\0';
  return CONVSTORE_OK;
}

static int create_body(struct sqlite_connection *connection, struct convstore_call *call) {
  bool taken = false;
  bool found = false;
  int status = insert_conversation(&taken, connection, call);
  if (status != CONVSTORE_OK || !taken) return status;
  status = look_up(&found, connection, call, SQLITE_STMT_GET_CONVERSATION,
                   id_text(call->request->conversation.id));
  if (status != CONVSTORE_OK) return status;
  if (!found) return convstore__key_taken(call);
  if (is_deleted(call)) return convstore__id_deleted(call);
  return CONVSTORE_OK;
}

int convstore__sqlite_create_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, create_body);
}

/* *found: there is one with the key. E_CONFLICT: the id that the caller gave is another's. */
static int find_by_key(bool *found, struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_conversation *asked = &call->request->conversation;
  convstore_conversation by_key;
  bool by_id = false;
  int status = look_up(found, connection, call, SQLITE_STMT_GET_CONVERSATION_BY_KEY, asked->key);
  if (status != CONVSTORE_OK || !*found) return status;
  if (call->id_is_new) return CONVSTORE_OK;
  by_key = call->result->conversation;
  status = look_up(&by_id, connection, call, SQLITE_STMT_GET_CONVERSATION, id_text(asked->id));
  if (status != CONVSTORE_OK) return status;
  if (by_id && strcmp(by_key.id, asked->id) != 0) return convstore__id_taken(call);
  call->result->conversation = by_key;
  return CONVSTORE_OK;
}

static int conversation_body(struct sqlite_connection *connection, struct convstore_call *call) {
  bool taken = false;
  bool found = false;
  int status = insert_conversation(&taken, connection, call);
  if (status != CONVSTORE_OK || !taken) return status;
  /* Somebody was faster with the key, or the id is taken. */
  status = find_by_key(&found, connection, call);
  if (status != CONVSTORE_OK || found) return status;
  return convstore__id_taken(call);
}

int convstore__sqlite_conversation_by_key(struct sqlite_connection *connection, struct convstore_call *call) {
  bool found = false;
  /* A bot asks this at every message: look before taking the write lock. */
  int status = find_by_key(&found, connection, call);
  if (status != CONVSTORE_OK || found) return status;
  return convstore__sqlite_write(connection, call, conversation_body);
}

int convstore__sqlite_get_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  bool found = false;
  int status = look_up(&found, connection, call, SQLITE_STMT_GET_CONVERSATION,
                       id_text(call->request->conversation_id));
  if (status != CONVSTORE_OK) return status;
  if (!found || (is_deleted(call) && !call->request->deleted)) return convstore__no_conversation(call);
  return CONVSTORE_OK;
}

static int update_body(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  const convstore_conversation *new = &request->conversation;
  bool found = false;
  int constraint = 0;
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_UPDATE_CONVERSATION, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int(statement, 3, (int)request->changes) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 4, new->title) != SQLITE_OK ||
      sqlite3_bind_text(statement, 5, convstore_mark_name(new->mark), -1, SQLITE_STATIC) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 6, new->metadata) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 7, new->key) != SQLITE_OK ||
      sqlite3_bind_int(statement, 8, request->merge) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 9, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);

  int status = step_conversation(&found, &constraint, connection, call, statement);
  if (status != CONVSTORE_OK) return status;
  if (constraint == SQLITE_CONSTRAINT_UNIQUE) return convstore__key_taken(call);
  if (constraint != 0)
    return convstore__sqlite_fail_merge(connection, call, new->metadata,
                                        convstore__sqlite_fail(connection, call->err));
  if (!found) return convstore__no_conversation(call);
  if (!request->merge || !(request->changes & CONVSTORE_CHANGE_METADATA)) return CONVSTORE_OK;
  return convstore__sqlite_check_merged(connection, call, call->result->conversation.metadata);
}

int convstore__sqlite_update_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, update_body);
}

/* Runs a statement of user, conversation and time that returns the conversation as it then is. */
static int change(struct sqlite_connection *connection, struct convstore_call *call, enum sqlite_stmt id) {
  bool found = false;
  int constraint = 0;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = step_conversation(&found, &constraint, connection, call, statement);
  if (status != CONVSTORE_OK) return status;
  if (constraint == SQLITE_CONSTRAINT_UNIQUE) return convstore__key_taken(call);
  if (constraint != 0) return convstore__sqlite_fail(connection, call->err);
  return found ? CONVSTORE_OK : convstore__no_conversation(call);
}

static int delete_body(struct sqlite_connection *connection, struct convstore_call *call) {
  return change(connection, call, SQLITE_STMT_DELETE_CONVERSATION);
}

int convstore__sqlite_delete_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, delete_body);
}

static int restore_body(struct sqlite_connection *connection, struct convstore_call *call) {
  return change(connection, call, SQLITE_STMT_RESTORE_CONVERSATION);
}

int convstore__sqlite_restore_conversation(struct sqlite_connection *connection,
                                           struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, restore_body);
}

static int purge_body(struct sqlite_connection *connection, struct convstore_call *call) {
  int status = convstore__sqlite_drop_segments(connection, call, 1, INT64_MAX);
  if (status == CONVSTORE_OK)
    status = convstore__sqlite_run_for_conversation(connection, call, SQLITE_STMT_PURGE_CONVERSATION);
  if (status == CONVSTORE_OK && sqlite3_changes(connection->db) == 0) return convstore__no_conversation(call);
  return status;
}

int convstore__sqlite_purge_conversation(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, purge_body);
}
