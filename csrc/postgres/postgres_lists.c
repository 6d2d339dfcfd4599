/*
 * Lists over all of a user's conversations in PostgreSQL: the conversations, and their messages, a page at a time.
 * Each page is one statement, so it shows one moment; it reads one row more than the limit, for core/pages.c.
 */
#include <string.h>

#include "../core/pages.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

/* An array for the rows of a result, in the call's arena. NULL: out of memory. */
static void *alloc_rows(struct convstore_call *call, const PGresult *rows, size_t size) {
  struct convstore_arena *arena = convstore__arena(call->result);
  return arena == NULL ? NULL : convstore__arena_alloc(arena, (size_t)PQntuples(rows) * size);
}

/* ---- conversations ---------------------------------------------------------------------------------------------- */

enum { /* the columns behind those of a conversation */
  LAST_ROLE = POSTGRES_CONVERSATION_COLUMNS,
  LAST_PREVIEW,
  LAST_CREATED_AT,
  LIST_COLUMNS
};

static int send_list(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, request->user_id);
  convstore__postgres_add_time(&params, request->position.time_ms);
  convstore__postgres_add_id(&params, request->position.id);
  convstore__postgres_add_string(&params, request->mark_only ? convstore_mark_name(request->mark) : NULL);
  convstore__postgres_add_integer(&params, request->limit + 1);
  int id = POSTGRES_STMT_LIST + (request->by_created ? POSTGRES_STMT_BY_CREATED : 0) +
           (int)request->deleted_filter;
  convstore__postgres_queue(connection, (enum postgres_stmt)id, &params);
  return CONVSTORE_OK;
}

static int read_listed(convstore_listed *out, const PGresult *rows, int row, struct convstore_call *call) {
  memset(out, 0, sizeof *out);
  int status = convstore__postgres_read_conversation(&out->conversation, rows, row, 0, call);
  if (status != CONVSTORE_OK || out->conversation.last_seq == 0) return status;
  if (convstore_role_parse(&out->role, convstore__postgres_peek_text(rows, row, LAST_ROLE), NULL) !=
      CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "the last message of conversation %s is missing or damaged; restore a backup",
                          out->conversation.id);
  out->message_created_at_ms = convstore__postgres_read_time(rows, row, LAST_CREATED_AT);
  status = convstore__postgres_read_text(&out->preview, rows, row, LAST_PREVIEW, call);
  convstore__cut_preview(&out->preview);
  return status;
}

static int receive_list(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_CONVERSATION_TYPES, POSTGRES_TEXT, POSTGRES_TEXT,
                                             POSTGRES_TIMESTAMPTZ};
  const PGresult *rows = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = convstore__postgres_check_columns(rows, types, LIST_COLUMNS, call->err);
  if (status != CONVSTORE_OK) return status;
  result->listed = alloc_rows(call, rows, sizeof *result->listed);
  if (result->listed == NULL) return convstore__postgres_no_memory(call->err);
  for (int row = 0; row < PQntuples(rows); row++) {
    status = read_listed(&result->listed[row], rows, row, call);
    if (status != CONVSTORE_OK) return status;
  }
  result->n_listed = (size_t)PQntuples(rows);
  return convstore__page_listed(call);
}

const struct postgres_operation convstore__postgres_list = {
    .frame = POSTGRES_FRAME_USER, .send = send_list, .receive = receive_list};

/* ---- messages --------------------------------------------------------------------------------------------------- */

enum { /* the column behind those of a message */
  CONVERSATION_ID = 14
};

static int send_messages(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, request->user_id);
  convstore__postgres_add_time(&params, request->position.time_ms);
  convstore__postgres_add_id(&params, request->position.id);
  convstore__postgres_add_id(&params, request->position.conversation_id);
  convstore__postgres_add_time(&params, request->since_ms);
  convstore__postgres_add_integer(&params, request->limit + 1);
  int status = convstore__postgres_add_roles(&params, call);
  if (status == CONVSTORE_OK) convstore__postgres_queue(connection, POSTGRES_STMT_MESSAGES, &params);
  return status;
}

static int receive_messages(struct postgres_connection *connection, struct convstore_call *call) {
  const PGresult *rows = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = convstore__postgres_check_message_columns(rows, call);
  if (status != CONVSTORE_OK) return status;
  result->messages = alloc_rows(call, rows, sizeof *result->messages);
  if (result->messages != NULL)
    result->conversation_ids = alloc_rows(call, rows, sizeof *result->conversation_ids);
  if (result->conversation_ids == NULL) return convstore__postgres_no_memory(call->err);
  for (int row = 0; row < PQntuples(rows); row++) {
    status = convstore__postgres_read_message(&result->messages[row], rows, row, call);
    if (status != CONVSTORE_OK) return status;
    convstore__postgres_read_id(result->conversation_ids[row], rows, row, CONVERSATION_ID);
  }
  result->n_messages = (size_t)PQntuples(rows);
  return convstore__page_messages(call);
}

const struct postgres_operation convstore__postgres_messages = {
    .frame = POSTGRES_FRAME_USER, .send = send_messages, .receive = receive_messages};
