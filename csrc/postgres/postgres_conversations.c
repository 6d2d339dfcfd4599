/* Conversations in PostgreSQL: creating, finding, changing, deleting. Knows nothing of messages but their counters. */
#include <string.h>

#include "postgres_error.h"
#include "postgres_pipeline.h"

/* ---- reading --------------------------------------------------------------------------------------------------- */

int convstore__postgres_read_conversation(convstore_conversation *out, const PGresult *result, int row,
                                          int column, struct convstore_call *call) {
  convstore_conversation conversation = {0};
  convstore__postgres_read_id(conversation.id, result, row, column);
  int status = convstore__postgres_read_text(&conversation.key, result, row, column + 1, call);
  if (status == CONVSTORE_OK)
    status = convstore__postgres_read_text(&conversation.title, result, row, column + 2, call);
  if (status == CONVSTORE_OK)
    status = convstore__postgres_read_text(&conversation.metadata, result, row, column + 4, call);
  if (status != CONVSTORE_OK) return status;
  if (convstore_mark_parse(&conversation.mark, convstore__postgres_peek_text(result, row, column + 3),
                           NULL) != CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "conversation %s has an unknown status; restore a backup", conversation.id);
  conversation.last_seq = convstore__postgres_read_integer(result, row, column + 5);
  conversation.token_count = convstore__postgres_read_integer(result, row, column + 6);
  convstore__postgres_read_id(conversation.forked_from_id, result, row, column + 7);
  if (!convstore__postgres_is_null(result, row, column + 8))
    conversation.forked_from_seq = convstore__postgres_read_integer(result, row, column + 8);
  conversation.created_at_ms = convstore__postgres_read_time(result, row, column + 9);
  conversation.updated_at_ms = convstore__postgres_read_time(result, row, column + 10);
  conversation.deleted_at_ms = convstore__postgres_read_time(result, row, column + 11);
  *out = conversation;
  return CONVSTORE_OK;
}

/* Reads the row of CONVERSATION_COLUMNS, if there is one. *extra is a boolean column behind them, where it is given. */
static int read_conversation(bool *found, bool *extra, const struct postgres_connection *connection,
                             struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_CONVERSATION_TYPES, POSTGRES_BOOL};
  const PGresult *result = convstore__postgres_result(connection, 0);
  int n = POSTGRES_CONVERSATION_COLUMNS + (extra != NULL);
  int status = convstore__postgres_check_columns(result, types, n, call->err);
  *found = PQntuples(result) > 0;
  if (status != CONVSTORE_OK || !*found) return status;
  if (convstore__arena(call->result) == NULL) return convstore__postgres_no_memory(call->err);
  if (extra != NULL) *extra = convstore__postgres_read_bool(result, 0, POSTGRES_CONVERSATION_COLUMNS);
  return convstore__postgres_read_conversation(&call->result->conversation, result, 0, 0, call);
}

static bool is_deleted(const struct convstore_call *call) {
  return call->result->conversation.deleted_at_ms != CONVSTORE_ABSENT;
}

/* The statement gave the conversation, or there is none. */
static int receive_conversation(struct postgres_connection *connection, struct convstore_call *call) {
  bool found = false;
  int status = read_conversation(&found, NULL, connection, call);
  if (status != CONVSTORE_OK) return status;
  return found ? CONVSTORE_OK : convstore__no_conversation(call);
}

/* ---- creating -------------------------------------------------------------------------------------------------- */

static int send_new(struct postgres_connection *connection, const struct convstore_call *call,
                    enum postgres_stmt id) {
  const convstore_conversation *new = &call->request->conversation;
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, call->request->user_id);
  convstore__postgres_add_id(&params, new->id);
  convstore__postgres_add_text(&params, new->key);
  convstore__postgres_add_text(&params, new->title);
  convstore__postgres_add_string(&params, convstore_mark_name(new->mark));
  convstore__postgres_add_text(&params, new->metadata);
  convstore__postgres_add_time(&params, new->created_at_ms);
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_queue(connection, id, &params);
  return CONVSTORE_OK;
}

static int send_create(struct postgres_connection *connection, struct convstore_call *call) {
  return send_new(connection, call, POSTGRES_STMT_CREATE_CONVERSATION);
}

static int receive_create(struct postgres_connection *connection, struct convstore_call *call) {
  bool found = false;
  int status = read_conversation(&found, NULL, connection, call);
  if (status != CONVSTORE_OK) return status;
  /* Somebody may have been faster with the id, in a transaction that this statement could not see: it can now. */
  if (!found && connection->step++ == 0) return POSTGRES_AGAIN;
  if (!found) return convstore__key_taken(call);
  if (is_deleted(call)) return convstore__id_deleted(call);
  return CONVSTORE_OK;
}

/* The only foreign key of the table is the one of the option `users`. */
static int refuse_new(struct postgres_connection *connection, struct convstore_call *call,
                      const char *sqlstate) {
  (void)connection;
  return strcmp(sqlstate, "23503") == 0 ? convstore__no_user(call) : CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_create = {
    .frame = POSTGRES_FRAME_USER, .send = send_create, .receive = receive_create, .refuse = refuse_new};

/* ---- by key ---------------------------------------------------------------------------------------------------- */

enum {
  LAST_STEP = 3,      /* of the rounds in which somebody may be faster */
  STEP_ONLY_FIND,     /* the server takes no writes: is it there already? */
  STEP_FIND_OR_CREATE /* no; the server may be another one soon */
};

static bool only_finds(const struct postgres_connection *connection) {
  return connection->options.readonly || connection->step == STEP_ONLY_FIND;
}

static int send_by_key(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  if (!only_finds(connection)) return send_new(connection, call, POSTGRES_STMT_FIND_OR_CREATE);
  convstore__postgres_add_text(&params, call->request->user_id);
  convstore__postgres_add_id(&params, call->request->conversation.id);
  convstore__postgres_add_text(&params, call->request->conversation.key);
  convstore__postgres_queue(connection, POSTGRES_STMT_GET_CONVERSATION_BY_KEY, &params);
  return CONVSTORE_OK;
}

static int receive_by_key(struct postgres_connection *connection, struct convstore_call *call) {
  bool found = false;
  bool id_exists = false;
  int status = read_conversation(&found, &id_exists, connection, call);
  if (status != CONVSTORE_OK) return status;
  if (!found && connection->options.readonly)
    return convstore_fail(call->err, CONVSTORE_E_READONLY,
                          "there is no conversation with this key, and the store was opened with `readonly`");
  if (!found && connection->step == STEP_ONLY_FIND) {
    connection->step = STEP_FIND_OR_CREATE;
    return POSTGRES_AGAIN;
  }
  /* The key's conversation was made, or is gone, since this statement began; or the id is taken, which stays so. */
  if (!found && connection->step++ < LAST_STEP) return POSTGRES_AGAIN;
  if (!found) return convstore__id_taken(call);
  if (id_exists && !call->id_is_new &&
      strcmp(call->result->conversation.id, call->request->conversation.id) != 0)
    return convstore__id_taken(call);
  return CONVSTORE_OK;
}

static int refuse_by_key(struct postgres_connection *connection, struct convstore_call *call,
                         const char *sqlstate) {
  if (strcmp(sqlstate, "25006") != 0) return refuse_new(connection, call, sqlstate);
  if (connection->step == STEP_FIND_OR_CREATE) return CONVSTORE_OK;
  connection->step = STEP_ONLY_FIND;
  return POSTGRES_AGAIN;
}

const struct postgres_operation convstore__postgres_conversation = {
    .frame = POSTGRES_FRAME_USER, .send = send_by_key, .receive = receive_by_key, .refuse = refuse_by_key};

/* ---- by id ----------------------------------------------------------------------------------------------------- */

static int send_get(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_queue(connection, POSTGRES_STMT_GET_CONVERSATION, &params);
  return CONVSTORE_OK;
}

static int receive_get(struct postgres_connection *connection, struct convstore_call *call) {
  int status = receive_conversation(connection, call);
  if (status == CONVSTORE_OK && is_deleted(call) && !call->request->deleted)
    return convstore__no_conversation(call);
  return status;
}

const struct postgres_operation convstore__postgres_get = {
    .frame = POSTGRES_FRAME_USER, .send = send_get, .receive = receive_get};

static int send_update(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  const convstore_conversation *new = &request->conversation;
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_integer(&params, request->changes);
  convstore__postgres_add_text(&params, new->title);
  convstore__postgres_add_string(&params, convstore_mark_name(new->mark));
  convstore__postgres_add_text(&params, new->metadata);
  convstore__postgres_add_text(&params, new->key);
  convstore__postgres_add_integer(&params, request->merge);
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_add_integer(&params, connection->options.max_content_bytes);
  convstore__postgres_queue(connection, POSTGRES_STMT_UPDATE_CONVERSATION, &params);
  return CONVSTORE_OK;
}

/* The only unique thing that an update or a restoration can break is the key. */
static int refuse_key(struct postgres_connection *connection, struct convstore_call *call,
                      const char *sqlstate) {
  (void)connection;
  return strcmp(sqlstate, "23505") == 0 ? convstore__key_taken(call) : CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_update = {
    .frame = POSTGRES_FRAME_USER, .send = send_update, .receive = receive_conversation, .refuse = refuse_key};

/* Queues a statement of user, conversation and now. */
static int send_at(struct postgres_connection *connection, const struct convstore_call *call,
                   enum postgres_stmt id) {
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_queue(connection, id, &params);
  return CONVSTORE_OK;
}

static int send_delete(struct postgres_connection *connection, struct convstore_call *call) {
  return send_at(connection, call, POSTGRES_STMT_DELETE_CONVERSATION);
}

const struct postgres_operation convstore__postgres_delete = {
    .frame = POSTGRES_FRAME_USER, .send = send_delete, .receive = receive_conversation};

static int send_restore(struct postgres_connection *connection, struct convstore_call *call) {
  return send_at(connection, call, POSTGRES_STMT_RESTORE_CONVERSATION);
}

const struct postgres_operation convstore__postgres_restore = {.frame = POSTGRES_FRAME_USER,
                                                               .send = send_restore,
                                                               .receive = receive_conversation,
                                                               .refuse = refuse_key};

static int send_purge(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_queue(connection, POSTGRES_STMT_LOCK_FOR_PURGE, &params);
  convstore__postgres_queue_drop_segments(connection, call, 1, INT64_MAX);
  convstore__postgres_queue(connection, POSTGRES_STMT_PURGE_CONVERSATION, &params);
  return CONVSTORE_OK;
}

static int receive_purge(struct postgres_connection *connection, struct convstore_call *call) {
  enum {
    PURGED = 3 /* behind the lock and the two statements that take it out of the search index */
  };
  /* Not there any more: a try whose answer was lost may have done it. */
  if (connection->may_be_done) return CONVSTORE_OK;
  return PQntuples(convstore__postgres_result(connection, PURGED)) > 0 ? CONVSTORE_OK
                                                                       : convstore__no_conversation(call);
}

const struct postgres_operation convstore__postgres_purge = {
    .frame = POSTGRES_FRAME_USER, .send = send_purge, .receive = receive_purge};
