/* What a user's messages come to in PostgreSQL, in groups by role, day or conversation: one statement, answered by
 * indexes. */
#include <string.h>

#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  NAME,
  MESSAGES,
  TOKENS,
  CONVERSATIONS,
  COLUMNS
};

static int send_usage(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, request->user_id);
  convstore__postgres_add_time(&params, request->since_ms);
  convstore__postgres_add_time(&params, request->before_ms);
  convstore__postgres_queue(connection, (enum postgres_stmt)(POSTGRES_STMT_USAGE + (int)request->by),
                            &params);
  return CONVSTORE_OK;
}

/* Reads the group's name, as `by` says, and its sums. */
static int read_group(convstore_usage *out, const PGresult *rows, int row, struct convstore_call *call) {
  memset(out, 0, sizeof *out);
  out->messages = convstore__postgres_read_integer(rows, row, MESSAGES);
  out->tokens = convstore__postgres_read_integer(rows, row, TOKENS);
  call->result->n_conversations = convstore__postgres_read_integer(rows, row, CONVERSATIONS);
  if (call->request->by == CONVSTORE_BY_DAY)
    out->day = convstore__postgres_read_integer(rows, row, NAME);
  else if (call->request->by == CONVSTORE_BY_CONVERSATION)
    convstore__postgres_read_id(out->conversation_id, rows, row, NAME);
  else if (convstore_role_parse(&out->role, convstore__postgres_peek_text(rows, row, NAME), NULL) !=
           CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a message has an unknown role; restore a backup");
  return CONVSTORE_OK;
}

static int receive_usage(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type names[] = {[CONVSTORE_BY_ROLE] = POSTGRES_TEXT,
                                             [CONVSTORE_BY_DAY] = POSTGRES_INT8,
                                             [CONVSTORE_BY_CONVERSATION] = POSTGRES_UUID};
  const enum postgres_type types[COLUMNS] = {names[call->request->by], POSTGRES_INT8, POSTGRES_INT8,
                                             POSTGRES_INT8};
  const PGresult *rows = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = convstore__postgres_check_columns(rows, types, COLUMNS, call->err);
  if (status != CONVSTORE_OK) return status;
  struct convstore_arena *arena = convstore__arena(result);
  if (arena != NULL)
    result->usage = convstore__arena_alloc(arena, (size_t)PQntuples(rows) * sizeof *result->usage);
  if (result->usage == NULL) return convstore__postgres_no_memory(call->err);
  for (int row = 0; row < PQntuples(rows); row++) {
    status = read_group(&result->usage[row], rows, row, call);
    if (status != CONVSTORE_OK) return status;
  }
  result->n_usage = (size_t)PQntuples(rows);
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_usage = {
    .frame = POSTGRES_FRAME_USER, .send = send_usage, .receive = receive_usage};
