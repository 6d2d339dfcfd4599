/*
 * Copying a conversation's beginning into a new one, and summing a beginning up, in PostgreSQL. A fork is one
 * statement, which sees one moment of its source and takes no lock on it; a summary takes the conversation's lock
 * first. Both know themselves again when they are sent a second time: a fork by its id, a summary by its time and text.
 */
#include "postgres_error.h"
#include "postgres_pipeline.h"

/* ---- forks ------------------------------------------------------------------------------------------------------ */

static int send_fork(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_conversation *new = &call->request->conversation;
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_id(&params, new->id);
  convstore__postgres_add_text(&params, new->key);
  convstore__postgres_add_text(&params, new->title);
  convstore__postgres_add_text(&params, new->metadata);
  convstore__postgres_add_integer(&params, call->request->at);
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_queue(connection, POSTGRES_STMT_FORK, &params);
  return CONVSTORE_OK;
}

static int receive_fork(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT8, POSTGRES_CONVERSATION_TYPES};
  const PGresult *row = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = convstore__postgres_check_columns(row, types, 1 + POSTGRES_CONVERSATION_COLUMNS, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(row) == 0) return convstore__no_conversation(call);
  int64_t last_seq = convstore__postgres_read_integer(row, 0, 0);
  if (call->request->at > last_seq) return convstore__bad_at(call, last_seq);
  if (convstore__postgres_is_null(row, 0, 1)) {
    /* Somebody may have been faster with the id, in a transaction that this statement could not see: it can now. */
    return connection->step++ == 0 ? POSTGRES_AGAIN : convstore__key_taken(call);
  }
  if (convstore__arena(result) == NULL) return convstore__postgres_no_memory(call->err);
  status = convstore__postgres_read_conversation(&result->conversation, row, 0, 1, call);
  return status != CONVSTORE_OK ? status : convstore__check_fork(call, &result->conversation);
}

const struct postgres_operation convstore__postgres_fork = {
    .frame = POSTGRES_FRAME_USER, .send = send_fork, .receive = receive_fork};

/* ---- summaries -------------------------------------------------------------------------------------------------- */

/* The lock is a statement of its own, in the same round trip: one that waits for a lock sees what was there before. */
static int send_summary(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_params lock = {0};
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&lock, call);
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_integer(&params, request->through);
  convstore__postgres_add_text(&params, request->text);
  convstore__postgres_add_text(&params, request->metadata);
  convstore__postgres_add_integer(&params, request->token_count);
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_queue(connection, POSTGRES_STMT_LOCK_CONVERSATION, &lock);
  convstore__postgres_queue(connection, POSTGRES_STMT_SUMMARIZE, &params);
  return CONVSTORE_OK;
}

static int receive_summary(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT8};
  const convstore_request *request = call->request;
  const PGresult *locked = convstore__postgres_result(connection, 0);
  const PGresult *stored = convstore__postgres_result(connection, 1);
  int status = convstore__postgres_check_columns(locked, types, 1, call->err);
  if (status == CONVSTORE_OK) status = convstore__postgres_check_columns(stored, types, 1, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(locked) == 0) return convstore__no_conversation(call);
  if (PQntuples(stored) == 0)
    return convstore__bad_through(call, convstore__postgres_read_integer(locked, 0, 0));
  call->result->summary = (convstore_summary){
      .through = convstore__postgres_read_integer(stored, 0, 0),
      .content = request->text,
      .metadata = request->metadata,
      .token_count = request->token_count,
      .created_at_ms = call->now_ms,
  };
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_summarize = {
    .frame = POSTGRES_FRAME_USER, .send = send_summary, .receive = receive_summary};
