/* Messages in PostgreSQL: reading, annotating and redacting them. They lie in one of two tables of the same shape. */
#include <stdlib.h>
#include <string.h>

#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  MESSAGE_COLUMNS = 14
};

int convstore__postgres_check_message_columns(const PGresult *result, struct convstore_call *call) {
  static const enum postgres_type types[MESSAGE_COLUMNS] = {
      POSTGRES_INT8, POSTGRES_UUID,        POSTGRES_TEXT,        POSTGRES_TEXT,        POSTGRES_JSONB,
      POSTGRES_TEXT, POSTGRES_JSONB,       POSTGRES_TEXT,        POSTGRES_JSONB,       POSTGRES_JSONB,
      POSTGRES_INT4, POSTGRES_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ,
  };
  return convstore__postgres_check_columns(result, types, MESSAGE_COLUMNS, call->err);
}

int convstore__postgres_read_stored(convstore_message *out, const PGresult *result, int row,
                                    struct convstore_call *call) {
  convstore_text *const texts[] = {&out->content,      &out->parts,       &out->name,    &out->tool_calls,
                                   &out->tool_call_id, &out->attachments, &out->metadata};
  out->seq = convstore__postgres_read_integer(result, row, 0);
  convstore__postgres_read_id(out->id, result, row, 1);
  if (convstore_role_parse(&out->role, convstore__postgres_peek_text(result, row, 2), NULL) != CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "message %lld has an unknown role; restore a backup", (long long)out->seq);
  for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) {
    int status = convstore__postgres_read_text(texts[i], result, row, 3 + i, call);
    if (status != CONVSTORE_OK) return status;
  }
  out->token_count = convstore__postgres_read_integer(result, row, 10);
  out->created_at_ms = convstore__postgres_read_time(result, row, 11);
  out->updated_at_ms = convstore__postgres_read_time(result, row, 12);
  out->redacted_at_ms = convstore__postgres_read_time(result, row, 13);
  return CONVSTORE_OK;
}

int convstore__postgres_read_message(convstore_message *out, const PGresult *result, int row,
                                     struct convstore_call *call) {
  int status = convstore__postgres_read_stored(out, result, row, call);
  if (status == CONVSTORE_OK && out->redacted_at_ms != CONVSTORE_ABSENT)
    out->tool_calls = (convstore_text){NULL, 0};
  return status;
}

/*
 * Reads all messages of a result in which the conversation stands even where it has none: then as one row of NULLs.
 * No row at all: E_NOT_FOUND.
 */
static int read_messages(const PGresult *result, struct convstore_call *call) {
  int n = PQntuples(result);
  int status = convstore__postgres_check_message_columns(result, call);
  if (status != CONVSTORE_OK) return status;
  if (n == 0) return convstore__no_conversation(call);
  if (convstore__postgres_is_null(result, 0, 0)) n = 0;
  struct convstore_arena *arena = convstore__arena(call->result);
  convstore_message *messages = NULL;
  if (arena != NULL) messages = convstore__arena_alloc(arena, (size_t)n * sizeof *messages);
  if (messages == NULL) return convstore__postgres_no_memory(call->err);
  for (int row = 0; row < n; row++) {
    status = convstore__postgres_read_message(&messages[row], result, row, call);
    if (status != CONVSTORE_OK) return status;
  }
  call->result->messages = messages;
  call->result->n_messages = (size_t)n;
  return CONVSTORE_OK;
}

/* ---- one ------------------------------------------------------------------------------------------------------- */

static int send_message(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  bool by_id = request->message_id[0] != '\0';
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  if (by_id)
    convstore__postgres_add_id(&params, request->message_id);
  else
    convstore__postgres_add_integer(&params, request->seq);
  convstore__postgres_queue(connection, by_id ? POSTGRES_STMT_MESSAGE_BY_ID : POSTGRES_STMT_MESSAGE_BY_SEQ,
                            &params);
  return CONVSTORE_OK;
}

static int receive_message(struct postgres_connection *connection, struct convstore_call *call) {
  int status = read_messages(convstore__postgres_result(connection, 0), call);
  if (status != CONVSTORE_OK) return status;
  return call->result->n_messages > 0 ? CONVSTORE_OK : convstore__no_message(call);
}

const struct postgres_operation convstore__postgres_message = {
    .frame = POSTGRES_FRAME_USER, .send = send_message, .receive = receive_message};

/* ---- ranges ---------------------------------------------------------------------------------------------------- */

/* Without a limit of rows, a page of bytes is looked for among so many. */
#define PAGE_ROWS 1000

/* The rows that the statement may give; CONVSTORE_ABSENT: all. */
static int64_t row_limit(const convstore_request *request) {
  if (request->max_bytes == 0 || (request->limit != CONVSTORE_ABSENT && request->limit <= PAGE_ROWS))
    return request->limit;
  return PAGE_ROWS;
}

int convstore__postgres_add_roles(struct postgres_params *params, struct convstore_call *call) {
  enum {
    ROLE_BYTES = 16
  };
  struct postgres_array array;
  size_t n = 0;
  for (unsigned bits = call->request->roles; bits != 0; bits >>= 1) n += bits & 1;
  if (n == 0) {
    convstore__postgres_add_string(params, NULL);
    params->types[params->n - 1] = POSTGRES_TEXT_ARRAY;
    return CONVSTORE_OK;
  }
  int status = convstore__postgres_array_start(&array, call, POSTGRES_TEXT, n, n * ROLE_BYTES);
  if (status != CONVSTORE_OK) return status;
  for (int role = 0; role < CONVSTORE_ROLES; role++) {
    const char *name = convstore_role_name((convstore_role)role);
    if (call->request->roles & 1U << role)
      convstore__postgres_array_text(&array, (convstore_text){name, strlen(name)});
  }
  convstore__postgres_add_array(params, POSTGRES_TEXT_ARRAY, &array);
  return CONVSTORE_OK;
}

static int send_range(struct postgres_connection *connection, struct convstore_call *call, int id,
                      int64_t max_bytes) {
  const convstore_request *request = call->request;
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_integer(&params, request->after);
  convstore__postgres_add_integer(&params, request->before);
  convstore__postgres_add_integer(&params, row_limit(request));
  int status = convstore__postgres_add_roles(&params, call);
  if (status != CONVSTORE_OK) return status;
  if (max_bytes > 0) convstore__postgres_add_integer(&params, max_bytes);
  convstore__postgres_queue(
      connection, (enum postgres_stmt)(id + (request->from_end ? POSTGRES_STMT_DESCENDING : 0)), &params);
  return CONVSTORE_OK;
}

static int send_history(struct postgres_connection *connection, struct convstore_call *call) {
  size_t max_bytes = call->request->max_bytes;
  return send_range(connection, call, max_bytes > 0 ? POSTGRES_STMT_HISTORY_PAGE : POSTGRES_STMT_HISTORY,
                    max_bytes > INT64_MAX ? INT64_MAX : (int64_t)max_bytes);
}

static int by_seq(const void *a, const void *b) {
  int64_t left = ((const convstore_message *)a)->seq;
  int64_t right = ((const convstore_message *)b)->seq;
  return (left > right) - (left < right);
}

/* Oldest first. The statement's rows come in one order or the other, by the index; a plan that did not keep it, which
 * SQL would allow, is put right. */
static void put_in_order(convstore_message *messages, size_t n, bool descending) {
  bool sorted = true;
  if (n > 1 && messages[0].seq > messages[n - 1].seq) {
    for (size_t i = 0; i < n / 2; i++) {
      convstore_message swapped = messages[i];
      messages[i] = messages[n - 1 - i];
      messages[n - 1 - i] = swapped;
    }
  }
  for (size_t i = 1; i < n; i++) sorted = sorted && messages[i - 1].seq < messages[i].seq;
  if (!sorted) qsort(messages, n, sizeof *messages, by_seq);
  if (!descending) return;
  for (size_t i = 0; i < n / 2; i++) {
    convstore_message swapped = messages[i];
    messages[i] = messages[n - 1 - i];
    messages[n - 1 - i] = swapped;
  }
}

static int receive_history(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  const PGresult *rows = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = read_messages(rows, call);
  if (status != CONVSTORE_OK) return status;
  if (request->max_bytes > 0 && result->n_messages > 0) {
    int64_t n = convstore__postgres_read_integer(rows, 0, MESSAGE_COLUMNS);
    int64_t limit = row_limit(request);
    result->more = (int64_t)result->n_messages < n || (n == limit && request->limit != limit);
  }
  put_in_order(result->messages, result->n_messages, request->descending);
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_history = {
    .frame = POSTGRES_FRAME_USER, .send = send_history, .receive = receive_history};

static int send_bounds(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  if (call->request->roles != 0) return send_range(connection, call, POSTGRES_STMT_BOUNDS, 0);
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_queue(connection, POSTGRES_STMT_LIVE_CONVERSATION, &params);
  return CONVSTORE_OK;
}

/* Without a choice of roles the bounds follow from last_seq alone: seqs have no gaps. */
static void compute_bounds(struct convstore_call *call, int64_t last_seq) {
  const convstore_request *request = call->request;
  int64_t first = request->after < last_seq ? request->after + 1 : last_seq + 1;
  int64_t last = request->before <= last_seq ? request->before - 1 : last_seq;
  if (first > last) return;
  if (request->limit != CONVSTORE_ABSENT && last - first >= request->limit) {
    if (request->from_end)
      first = last - request->limit + 1;
    else
      last = first + request->limit - 1;
  }
  call->result->first_seq = first;
  call->result->last_seq = last;
}

static int receive_bounds(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT8, POSTGRES_INT8};
  const PGresult *result = convstore__postgres_result(connection, 0);
  int status = convstore__postgres_check_columns(result, types, 2, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(result) == 0) return convstore__no_conversation(call);
  if (call->request->roles == 0) {
    compute_bounds(call, convstore__postgres_read_integer(result, 0, 0));
  } else if (!convstore__postgres_is_null(result, 0, 0)) {
    call->result->first_seq = convstore__postgres_read_integer(result, 0, 0);
    call->result->last_seq = convstore__postgres_read_integer(result, 0, 1);
  }
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_bounds = {
    .frame = POSTGRES_FRAME_USER, .send = send_bounds, .receive = receive_bounds};

/* ---- changing one ---------------------------------------------------------------------------------------------- */

static void add_change(struct postgres_params *params, const struct convstore_call *call) {
  convstore__postgres_add_conversation(params, call);
  convstore__postgres_add_integer(params, call->request->seq);
  convstore__postgres_add_time(params, call->now_ms);
}

static int receive_change(struct postgres_connection *connection, struct convstore_call *call) {
  int status = read_messages(convstore__postgres_result(connection, 0), call);
  if (status != CONVSTORE_OK || call->result->n_messages > 0) return status;
  /* The statement waited for the conversation's lock and then looked with older eyes: it may have been archived. */
  return connection->step++ == 0 ? POSTGRES_AGAIN : convstore__no_message(call);
}

static int send_annotate(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  add_change(&params, call);
  convstore__postgres_add_text(&params, call->request->metadata);
  convstore__postgres_add_integer(&params, connection->options.max_content_bytes);
  convstore__postgres_queue(connection, POSTGRES_STMT_ANNOTATE_MESSAGE, &params);
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_annotate = {
    .frame = POSTGRES_FRAME_USER, .send = send_annotate, .receive = receive_change};

static int send_redact(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  add_change(&params, call);
  convstore__postgres_queue(connection, POSTGRES_STMT_REDACT_MESSAGE, &params);
  convstore__postgres_queue_drop_segments(connection, call, call->request->seq, call->request->seq);
  return CONVSTORE_OK;
}

const struct postgres_operation convstore__postgres_redact = {
    .frame = POSTGRES_FRAME_USER, .send = send_redact, .receive = receive_change};
