/*
 * Appending in PostgreSQL: one statement takes the next seqs of the conversation and inserts the messages.
 * A retry is found by the UNIQUE constraint on the message's id, after the fact: the usual append asks nothing first,
 * and the failed statement takes its seqs back. What a statement without rows means is asked in a second round.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/message.h"
#include "../core/part_size.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  STEP_APPEND,
  STEP_LOOK,            /* nothing matched: why? */
  STEP_LOOK_DUPLICATES, /* an id is stored already, or stands in the request twice */
  STEP_UNARCHIVE,       /* brings a part of the messages back */
  STEP_UNARCHIVE_LAST   /* the same, then appends */
};

static bool is_pinned(const convstore_message *message) {
  return message->role == CONVSTORE_ROLE_SYSTEM || message->role == CONVSTORE_ROLE_DEVELOPER;
}

/* ---- appending ------------------------------------------------------------------------------------------------- */

/* $1 to $7: how many seqs and tokens to take. */
static void add_reservation(struct postgres_params *params, const struct convstore_call *call) {
  const convstore_request *request = call->request;
  int64_t tokens = 0;
  int64_t pinned_tokens = 0;
  for (size_t i = 0; i < request->n_messages; i++) {
    tokens += request->messages[i].token_count;
    if (is_pinned(&request->messages[i])) pinned_tokens += request->messages[i].token_count;
  }
  convstore__postgres_add_conversation(params, call);
  convstore__postgres_add_integer(params, (int64_t)request->n_messages);
  convstore__postgres_add_integer(params, tokens);
  convstore__postgres_add_integer(params, pinned_tokens);
  convstore__postgres_add_time(params, call->now_ms);
  convstore__postgres_add_integer(params, request->expect);
}

static enum postgres_stmt statement(const struct postgres_connection *connection, enum postgres_stmt id) {
  return (enum postgres_stmt)((int)id + (connection->step == STEP_UNARCHIVE_LAST ? POSTGRES_STMT_PARTED : 0));
}

static void queue_one(struct postgres_connection *connection, const struct convstore_call *call) {
  const convstore_message *message = call->request->messages;
  struct postgres_params params = {0};
  add_reservation(&params, call);
  convstore__postgres_add_id(&params, message->id);
  convstore__postgres_add_string(&params, convstore_role_name(message->role));
  convstore__postgres_add_text(&params, message->content);
  convstore__postgres_add_text(&params, message->parts);
  convstore__postgres_add_text(&params, message->name);
  convstore__postgres_add_text(&params, message->tool_calls);
  convstore__postgres_add_text(&params, message->tool_call_id);
  convstore__postgres_add_text(&params, message->attachments);
  convstore__postgres_add_text(&params, message->metadata);
  convstore__postgres_add_integer(&params, message->token_count);
  convstore__postgres_add_time(&params, message->created_at_ms);
  convstore__postgres_queue(connection, statement(connection, POSTGRES_STMT_APPEND_MESSAGE), &params);
}

/* A text of each message, by its place in the struct. */
static int add_texts(struct postgres_params *params, struct convstore_call *call, size_t offset) {
  const convstore_request *request = call->request;
  struct postgres_array array;
  size_t n_bytes = 0;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) {
      int status = convstore__postgres_array_start(&array, call, POSTGRES_TEXT, request->n_messages, n_bytes);
      if (status != CONVSTORE_OK) return status;
    }
    for (size_t i = 0; i < request->n_messages; i++) {
      const convstore_text *text = (const void *)((const char *)&request->messages[i] + offset);
      if (pass == 0)
        n_bytes += text->size;
      else
        convstore__postgres_array_text(&array, *text);
    }
  }
  convstore__postgres_add_array(params, POSTGRES_TEXT_ARRAY, &array);
  return CONVSTORE_OK;
}

static int add_ids(struct postgres_params *params, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_array ids;
  int status = convstore__postgres_array_start(&ids, call, POSTGRES_UUID, request->n_messages,
                                               request->n_messages * 16);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < request->n_messages; i++)
    convstore__postgres_array_id(&ids, request->messages[i].id);
  convstore__postgres_add_array(params, POSTGRES_UUID_ARRAY, &ids);
  return CONVSTORE_OK;
}

static int add_roles(struct postgres_params *params, struct convstore_call *call) {
  enum {
    ROLE_BYTES = 16
  };
  const convstore_request *request = call->request;
  struct postgres_array roles;
  int status = convstore__postgres_array_start(&roles, call, POSTGRES_TEXT, request->n_messages,
                                               request->n_messages * ROLE_BYTES);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < request->n_messages; i++) {
    const char *name = convstore_role_name(request->messages[i].role);
    convstore__postgres_array_text(&roles, (convstore_text){name, strlen(name)});
  }
  convstore__postgres_add_array(params, POSTGRES_TEXT_ARRAY, &roles);
  return CONVSTORE_OK;
}

/* token_count, created_at, and how far each running total is below the last one's. */
static int add_numbers(struct postgres_params *params, struct convstore_call *call) {
  const convstore_request *request = call->request;
  size_t n = request->n_messages;
  struct postgres_array tokens;
  struct postgres_array times;
  struct postgres_array below;
  int64_t rest = 0;
  int status = convstore__postgres_array_start(&tokens, call, POSTGRES_INT8, n, n * 8);
  if (status == CONVSTORE_OK)
    status = convstore__postgres_array_start(&times, call, POSTGRES_TIMESTAMPTZ, n, n * 8);
  if (status == CONVSTORE_OK) status = convstore__postgres_array_start(&below, call, POSTGRES_INT8, n, n * 8);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < n; i++)
    if (!is_pinned(&request->messages[i])) rest += request->messages[i].token_count;
  for (size_t i = 0; i < n; i++) {
    const convstore_message *message = &request->messages[i];
    if (!is_pinned(message)) rest -= message->token_count;
    convstore__postgres_array_integer(&tokens, message->token_count);
    convstore__postgres_array_time(&times, message->created_at_ms);
    convstore__postgres_array_integer(&below, rest);
  }
  convstore__postgres_add_array(params, POSTGRES_INT8_ARRAY, &tokens);
  convstore__postgres_add_array(params, POSTGRES_TIMESTAMPTZ_ARRAY, &times);
  convstore__postgres_add_array(params, POSTGRES_INT8_ARRAY, &below);
  return CONVSTORE_OK;
}

static int queue_many(struct postgres_connection *connection, struct convstore_call *call) {
  static const size_t texts[] = {
      offsetof(convstore_message, content),      offsetof(convstore_message, parts),
      offsetof(convstore_message, name),         offsetof(convstore_message, tool_calls),
      offsetof(convstore_message, tool_call_id), offsetof(convstore_message, attachments),
      offsetof(convstore_message, metadata),
  };
  struct postgres_params params = {0};
  add_reservation(&params, call);
  int status = add_ids(&params, call);
  if (status == CONVSTORE_OK) status = add_roles(&params, call);
  for (size_t i = 0; status == CONVSTORE_OK && i < sizeof texts / sizeof *texts; i++)
    status = add_texts(&params, call, texts[i]);
  if (status == CONVSTORE_OK) status = add_numbers(&params, call);
  if (status == CONVSTORE_OK)
    convstore__postgres_queue(connection, statement(connection, POSTGRES_STMT_APPEND_MESSAGES), &params);
  return status;
}

/* *found is false where no row matched: not there, deleted, archived, or not at `expect`. */
static int read_appended(bool *found, const PGresult *rows, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT8, POSTGRES_INT8, POSTGRES_TEXT};
  convstore_request *request = call->request;
  convstore_result *result = call->result;
  int status = convstore__postgres_check_columns(rows, types, 3, call->err);
  if (status != CONVSTORE_OK) return status;
  *found = PQntuples(rows) > 0;
  if (!*found) return CONVSTORE_OK;
  status =
      convstore_mark_parse(&result->conversation.mark, convstore__postgres_peek_text(rows, 0, 2), call->err);
  if (status != CONVSTORE_OK) return status;
  result->conversation.last_seq = convstore__postgres_read_integer(rows, 0, 0);
  result->conversation.token_count = convstore__postgres_read_integer(rows, 0, 1);
  result->conversation.updated_at_ms = call->now_ms;
  for (size_t i = 0; i < request->n_messages; i++)
    request->messages[i].seq = result->conversation.last_seq - (int64_t)(request->n_messages - 1 - i);
  result->messages = request->messages;
  result->n_messages = request->n_messages;
  return CONVSTORE_OK;
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

static int queue_look(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params live = {0};
  struct postgres_params stored = {0};
  convstore__postgres_add_conversation(&live, call);
  convstore__postgres_add_conversation(&stored, call);
  int status = add_ids(&stored, call);
  if (status != CONVSTORE_OK) return status;
  convstore__postgres_queue(connection, POSTGRES_STMT_LIVE_CONVERSATION, &live);
  convstore__postgres_queue(connection, POSTGRES_STMT_STORED_MESSAGES, &stored);
  return CONVSTORE_OK;
}

/* What stands of the conversation, for a replay's answer. */
static int read_live(bool *archived, int64_t *archived_seq, const PGresult *row,
                     struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT8, POSTGRES_INT8, POSTGRES_TIMESTAMPTZ,
                                             POSTGRES_TEXT, POSTGRES_BOOL, POSTGRES_INT8};
  convstore_conversation *conversation = &call->result->conversation;
  int status = convstore__postgres_check_columns(row, types, 6, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(row) == 0) return convstore__no_conversation(call);
  conversation->last_seq = convstore__postgres_read_integer(row, 0, 0);
  conversation->token_count = convstore__postgres_read_integer(row, 0, 1);
  conversation->updated_at_ms = convstore__postgres_read_time(row, 0, 2);
  *archived = convstore__postgres_read_bool(row, 0, 4);
  *archived_seq = convstore__postgres_read_integer(row, 0, 5);
  return convstore_mark_parse(&conversation->mark, convstore__postgres_peek_text(row, 0, 3), call->err);
}

/* Compares what was to be appended with what is stored: all of it, in this order, is a replay. */
static int replay(const PGresult *rows, struct convstore_call *call) {
  enum {
    PLACE = 14 /* the column behind those of a message */
  };
  const convstore_request *request = call->request;
  size_t n_stored = (size_t)PQntuples(rows);
  int64_t seq = 0;
  convstore_message *stored = convstore__arena_alloc(call->result->memory, n_stored * sizeof *stored);
  if (stored == NULL) return convstore__postgres_no_memory(call->err);
  for (size_t i = 0; i < n_stored; i++) {
    int status = convstore__postgres_read_message(&stored[i], rows, (int)i, call);
    if (status != CONVSTORE_OK) return status;
    int64_t place = convstore__postgres_read_integer(rows, (int)i, PLACE);
    bool same = false;
    status = convstore__message_same(&same, &stored[i], &request->messages[place - 1], call->err);
    if (status != CONVSTORE_OK) return status;
    if (!same) return convstore__stored_otherwise(call, stored[i].id);
    if (stored[i].seq <= seq) return convstore__stored_in_other_order(call);
    seq = stored[i].seq;
  }
  if (n_stored < request->n_messages) return convstore__stored_in_part(call, n_stored);
  call->result->messages = stored;
  call->result->n_messages = n_stored;
  return CONVSTORE_OK;
}

/* Brings back part after part what was archived, but an append shall not fail for that: with half of its time gone the
 * rest stays where it is, and each later append brings one part. */
static int unarchive(struct postgres_connection *connection, const struct convstore_call *call, bool archived,
                     int64_t archived_seq) {
  int64_t half_ms = call->deadline_ms - connection->options.timeout_ms / 2;
  bool last = !archived || archived_seq <= CONVSTORE_PART_MESSAGES || convstore__monotonic_ms() >= half_ms;
  connection->step = last ? STEP_UNARCHIVE_LAST : STEP_UNARCHIVE;
  return POSTGRES_AGAIN;
}

static int receive_look(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  const PGresult *stored = convstore__postgres_result(connection, 1);
  int64_t last_seq;
  int64_t archived_seq = 0;
  bool archived = false;
  if (convstore__arena(call->result) == NULL) return convstore__postgres_no_memory(call->err);
  int status = read_live(&archived, &archived_seq, convstore__postgres_result(connection, 0), call);
  if (status == CONVSTORE_OK) status = convstore__postgres_check_message_columns(stored, call);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(stored) > 0) return replay(stored, call);

  last_seq = call->result->conversation.last_seq;
  if (connection->step == STEP_LOOK_DUPLICATES) return convstore__id_given_twice(call);
  if (request->expect != CONVSTORE_ABSENT && last_seq != request->expect)
    return convstore__not_expected(call, last_seq);
  if (request->n_messages == 0) return CONVSTORE_OK;
  if (archived_seq > 0) return unarchive(connection, call, archived, archived_seq);
  connection->step = STEP_APPEND; /* it was archived, or deleted, a moment ago */
  return POSTGRES_AGAIN;
}

/* What lies in the archive now. No row: another call has brought it back, or it was deleted. */
static int receive_unarchive(struct postgres_connection *connection, struct convstore_call *call,
                             const PGresult *row) {
  static const enum postgres_type types[] = {POSTGRES_INT8};
  int status = convstore__postgres_check_columns(row, types, 1, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(row) > 0)
    return unarchive(connection, call, true, convstore__postgres_read_integer(row, 0, 0));
  connection->step = STEP_APPEND;
  return POSTGRES_AGAIN;
}

/* ---- the operation --------------------------------------------------------------------------------------------- */

static void queue_unarchive(struct postgres_connection *connection, const struct convstore_call *call) {
  /* The lock is a statement of its own: one that waits for it would not see what was archived meanwhile. */
  struct postgres_params lock = {0};
  struct postgres_params part = {0};
  convstore__postgres_add_conversation(&lock, call);
  convstore__postgres_queue(connection, POSTGRES_STMT_LOCK_CONVERSATION, &lock);
  convstore__postgres_add_conversation(&part, call);
  convstore__postgres_add_integer(&part, CONVSTORE_PART_MESSAGES);
  convstore__postgres_queue(connection, POSTGRES_STMT_UNARCHIVE, &part);
}

static int send_append(struct postgres_connection *connection, struct convstore_call *call) {
  /* Nothing to append: only whether there is such a conversation. */
  if (call->request->n_messages == 0) connection->step = STEP_LOOK;
  if (connection->step == STEP_LOOK || connection->step == STEP_LOOK_DUPLICATES)
    return queue_look(connection, call);
  if (connection->step == STEP_UNARCHIVE || connection->step == STEP_UNARCHIVE_LAST)
    queue_unarchive(connection, call);
  if (connection->step == STEP_UNARCHIVE) return CONVSTORE_OK;
  if (call->request->n_messages > 1) return queue_many(connection, call);
  queue_one(connection, call);
  return CONVSTORE_OK;
}

static int receive_append(struct postgres_connection *connection, struct convstore_call *call) {
  bool found = false;
  if (connection->step == STEP_LOOK || connection->step == STEP_LOOK_DUPLICATES)
    return receive_look(connection, call);
  if (connection->step == STEP_UNARCHIVE)
    return receive_unarchive(connection, call, convstore__postgres_result(connection, 1));
  int status = read_appended(
      &found, convstore__postgres_result(connection, connection->step == STEP_UNARCHIVE_LAST ? 2 : 0), call);
  if (status != CONVSTORE_OK || found) return status;
  connection->step = STEP_LOOK;
  return POSTGRES_AGAIN;
}

static int refuse_append(struct postgres_connection *connection, struct convstore_call *call,
                         const char *sqlstate) {
  const char *constraint = PQresultErrorField(connection->pipeline.error, PG_DIAG_CONSTRAINT_NAME);
  if (strcmp(sqlstate, "23505") != 0 || constraint == NULL) return CONVSTORE_OK;
  if (strcmp(constraint, "messages_pkey") == 0)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "conversation %s counts its messages wrongly; restore a backup",
                          call->request->conversation_id);
  connection->step = STEP_LOOK_DUPLICATES;
  return POSTGRES_AGAIN;
}

const struct postgres_operation convstore__postgres_append = {
    .frame = POSTGRES_FRAME_USER, .send = send_append, .receive = receive_append, .refuse = refuse_append};
