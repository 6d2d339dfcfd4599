/* Messages in SQLite: reading them, annotating and redacting one. They lie in one of two tables of the same shape. */
#include <string.h>

#include "sqlite_operations.h"

/* Counters that no conversation reaches, and that leave room for every sum: a stored one beyond is damage. */
#define MAX_COUNTER (INT64_C(1) << 53)

int convstore__sqlite_find_live(struct sqlite_live *out, sqlite3_stmt **statement,
                                struct sqlite_connection *connection, struct convstore_call *call) {
  *statement = convstore__sqlite_statement(connection, SQLITE_STMT_LIVE_CONVERSATION, call->err);
  if (*statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(*statement, call) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int code = sqlite3_step(*statement);
  if (code == SQLITE_DONE) return convstore__no_conversation(call);
  if (code != SQLITE_ROW) return convstore__sqlite_fail(connection, call->err);
  out->last_seq = sqlite3_column_int64(*statement, 0);
  out->token_count = sqlite3_column_int64(*statement, 1);
  out->pinned_token_count = sqlite3_column_int64(*statement, 2);
  out->updated_at_ms = sqlite3_column_int64(*statement, 3);
  out->archived = sqlite3_column_type(*statement, 5) != SQLITE_NULL;
  out->search_pending = sqlite3_column_int(*statement, 6) != 0;
  out->archived_seq = sqlite3_column_int64(*statement, 7);
  if (out->last_seq < 0 || out->last_seq > MAX_COUNTER || out->token_count > MAX_COUNTER ||
      out->pinned_token_count < 0 || out->pinned_token_count > out->token_count)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "conversation %s has impossible counters; restore a backup",
                          call->request->conversation_id);
  convstore_text mark = {(const char *)sqlite3_column_text(*statement, 4), 0};
  if (mark.data == NULL && sqlite3_column_type(*statement, 4) != SQLITE_NULL)
    return convstore__sqlite_no_memory(call->err);
  mark.size = mark.data != NULL ? strlen(mark.data) : 0;
  if (convstore_mark_parse(&out->mark, mark, NULL) == CONVSTORE_OK) return CONVSTORE_OK;
  return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                        "conversation %s has an unknown status; restore a backup",
                        call->request->conversation_id);
}

static int fail_role(const struct convstore_call *call, int64_t seq) {
  return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "message %lld has an unknown role; restore a backup",
                        (long long)seq);
}

int convstore__sqlite_read_stored(convstore_message *out, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_text *const texts[] = {&out->content,      &out->parts,       &out->name,    &out->tool_calls,
                                   &out->tool_call_id, &out->attachments, &out->metadata};
  out->seq = sqlite3_column_int64(row, 0);
  int status = convstore__sqlite_read_id(out->id, row, 1, call);
  if (status != CONVSTORE_OK) return status;
  if (out->id[0] == '\0')
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "message %lld has no id; restore a backup",
                          (long long)out->seq);

  convstore_text role = {(const char *)sqlite3_column_text(row, 2), (size_t)sqlite3_column_bytes(row, 2)};
  if (role.data == NULL && sqlite3_column_type(row, 2) != SQLITE_NULL)
    return convstore__sqlite_no_memory(call->err);
  if (convstore_role_parse(&out->role, role, NULL) != CONVSTORE_OK) return fail_role(call, out->seq);

  for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) {
    status = convstore__sqlite_read_text(texts[i], row, 3 + i, call);
    if (status != CONVSTORE_OK) return status;
  }
  out->token_count = sqlite3_column_int64(row, 10);
  out->created_at_ms = sqlite3_column_int64(row, 11);
  out->updated_at_ms = convstore__sqlite_read_optional(row, 12);
  out->redacted_at_ms = convstore__sqlite_read_optional(row, 13);
  return CONVSTORE_OK;
}

int convstore__sqlite_read_message(convstore_message *out, sqlite3_stmt *row, struct convstore_call *call) {
  int status = convstore__sqlite_read_stored(out, row, call);
  if (status == CONVSTORE_OK && out->redacted_at_ms != CONVSTORE_ABSENT)
    out->tool_calls = (convstore_text){NULL, 0};
  return status;
}

/* Steps a bound statement that gives at most one message, makes that the result, and resets it. */
static int step_message(struct sqlite_connection *connection, struct convstore_call *call,
                        sqlite3_stmt *statement) {
  convstore_result *result = call->result;
  int status = CONVSTORE_OK;
  struct convstore_arena *arena = convstore__arena(result);
  convstore_message *message = arena == NULL ? NULL : convstore__arena_alloc(arena, sizeof *message);
  if (message == NULL) return convstore__sqlite_no_memory(call->err);
  int code = sqlite3_step(statement);
  if (code == SQLITE_DONE) status = convstore__no_message(call);
  if (code == SQLITE_ROW) {
    status = convstore__sqlite_read_message(message, statement, call);
    if (status == CONVSTORE_OK)
      code = sqlite3_step(statement); /* RETURNING is done only when stepped to the end */
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  if (status != CONVSTORE_OK) return status;
  result->messages = message;
  result->n_messages = 1;
  return CONVSTORE_OK;
}

int convstore__sqlite_message(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  bool by_id = request->message_id[0] != '\0';
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  if (status != CONVSTORE_OK) goto done;

  sqlite3_stmt *statement = convstore__sqlite_statement(
      connection,
      by_id ? SQLITE_STMT_MESSAGE_BY_ID + convstore__sqlite_place(live.archived_seq, 0, live.last_seq)
            : SQLITE_STMT_MESSAGE_BY_SEQ + (request->seq <= live.archived_seq),
      call->err);
  if (statement == NULL) {
    status = call->err->status;
  } else if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
             (by_id ? convstore__sqlite_bind_id(statement, 3, request->message_id)
                    : sqlite3_bind_int64(statement, 3, request->seq)) != SQLITE_OK) {
    status = convstore__sqlite_fail(connection, call->err);
  } else {
    status = step_message(connection, call, statement);
  }

done:
  sqlite3_reset(found);
  return status;
}

/* ---- ranges ---------------------------------------------------------------------------------------------------- */

/* The last message that the range can have. */
static int64_t last_in_range(const convstore_request *request, int64_t last_seq) {
  return request->before <= last_seq ? request->before - 1 : last_seq;
}

/* The statement of `kind` for the request's range, bound. Rows come from the end that the limit counts from. */
static sqlite3_stmt *bind_range(struct sqlite_connection *connection, const struct convstore_call *call,
                                int kind, const struct sqlite_live *live) {
  const convstore_request *request = call->request;
  int id =
      kind +
      convstore__sqlite_place(live->archived_seq, request->after, last_in_range(request, live->last_seq)) +
      (request->from_end ? SQLITE_STMT_DESCENDING : 0) + (request->roles != 0 ? SQLITE_STMT_ROLES : 0);
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return NULL;
  bool bound =
      convstore__sqlite_bind_conversation(statement, call) == SQLITE_OK &&
      sqlite3_bind_int64(statement, 3, request->after) == SQLITE_OK &&
      sqlite3_bind_int64(statement, 4, request->before) == SQLITE_OK &&
      sqlite3_bind_int64(statement, 5, request->limit == CONVSTORE_ABSENT ? -1 : request->limit) == SQLITE_OK;
  /* A role that is not asked for leaves its place to NULL, which equals nothing. */
  for (int role = 0; bound && request->roles != 0 && role < CONVSTORE_ROLES; role++) {
    const char *name = (request->roles & 1U << role) != 0 ? convstore_role_name((convstore_role)role) : NULL;
    bound = sqlite3_bind_text(statement, 6 + role, name, -1, SQLITE_STATIC) == SQLITE_OK;
  }
  if (bound) return statement;
  (void)convstore__sqlite_fail(connection, call->err);
  return NULL;
}

/* What is allocated at once for a range: about 200 MB, of which only what is used becomes real. */
#define MAX_FIRST_ROWS 1000000

/* Messages as they are read: an array in the result's arena that grows by doubling. */
struct rows {
  convstore_message *messages;
  size_t n;
  size_t capacity;
  size_t bytes; /* of texts, so far */
};

static bool grow(struct rows *rows, struct convstore_arena *arena) {
  size_t capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
  convstore_message *messages = convstore__arena_alloc(arena, capacity * sizeof *messages);
  if (messages == NULL) return false;
  if (rows->n > 0) memcpy(messages, rows->messages, rows->n * sizeof *messages);
  rows->messages = messages;
  rows->capacity = capacity;
  return true;
}

static size_t text_bytes(const convstore_message *message) {
  return message->content.size + message->parts.size + message->name.size + message->tool_calls.size +
         message->tool_call_id.size + message->attachments.size + message->metadata.size;
}

/* Reads all rows of a bound statement, or as many as the request's bytes allow, and resets it. */
static int read_rows(struct rows *rows, struct sqlite_connection *connection, struct convstore_call *call,
                     sqlite3_stmt *statement) {
  struct convstore_arena *arena = call->result->memory;
  size_t max_bytes = call->request->max_bytes;
  int status = CONVSTORE_OK;
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (max_bytes > 0 && rows->bytes >= max_bytes) {
      call->result->more = true;
      code = SQLITE_DONE;
      break;
    }
    if (rows->n == rows->capacity && !grow(rows, arena)) {
      status = convstore__sqlite_no_memory(call->err);
      break;
    }
    status = convstore__sqlite_read_message(&rows->messages[rows->n], statement, call);
    if (status != CONVSTORE_OK) break;
    rows->bytes += text_bytes(&rows->messages[rows->n]);
    rows->n++;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static void reverse(convstore_message *messages, size_t n) {
  for (size_t i = 0; i < n / 2; i++) {
    convstore_message swapped = messages[i];
    messages[i] = messages[n - 1 - i];
    messages[n - 1 - i] = swapped;
  }
}

/* How many rows the range can hold at most: seqs have no gaps. Longer ones grow: last_seq may be wrong. */
static size_t most_rows(const convstore_request *request, int64_t last_seq) {
  int64_t n = last_in_range(request, last_seq) - request->after;
  if (request->limit != CONVSTORE_ABSENT && request->limit < n) n = request->limit;
  if (n > MAX_FIRST_ROWS) n = MAX_FIRST_ROWS;
  return n > 0 ? (size_t)n : 0;
}

int convstore__sqlite_history(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct rows rows = {0};
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  if (status != CONVSTORE_OK) goto done;
  struct convstore_arena *arena = convstore__arena(call->result);
  if (arena == NULL) {
    status = convstore__sqlite_no_memory(call->err);
    goto done;
  }
  /* Without a filter the number of rows is known, and the array is made once. */
  if (request->roles == 0 && request->max_bytes == 0) {
    rows.capacity = most_rows(request, live.last_seq);
    rows.messages = convstore__arena_alloc(arena, rows.capacity * sizeof *rows.messages);
    if (rows.messages == NULL) {
      status = convstore__sqlite_no_memory(call->err);
      goto done;
    }
  }
  sqlite3_stmt *statement = bind_range(connection, call, SQLITE_STMT_HISTORY, &live);
  status = statement == NULL ? call->err->status : read_rows(&rows, connection, call, statement);
  if (status != CONVSTORE_OK) goto done;
  if (request->from_end != request->descending) reverse(rows.messages, rows.n);
  call->result->messages = rows.messages;
  call->result->n_messages = rows.n;

done:
  sqlite3_reset(found);
  return status;
}

/* Without a filter the bounds follow from the last seq: there are no gaps. */
static void compute_bounds(convstore_result *result, const convstore_request *request, int64_t last_seq) {
  int64_t last = last_in_range(request, last_seq);
  if (request->after >= last) return;
  int64_t first = request->after + 1;
  if (request->limit != CONVSTORE_ABSENT && request->limit < last - first + 1) {
    if (request->from_end)
      first = last - request->limit + 1;
    else
      last = first + request->limit - 1;
  }
  result->first_seq = first;
  result->last_seq = last;
}

static int read_bounds(struct sqlite_connection *connection, struct convstore_call *call,
                       const struct sqlite_live *live) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = bind_range(connection, call, SQLITE_STMT_BOUNDS, live);
  if (statement == NULL) return call->err->status;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    call->result->first_seq = sqlite3_column_int64(statement, 0);
    call->result->last_seq = sqlite3_column_int64(statement, 1);
  } else {
    status = convstore__sqlite_fail(connection, call->err);
  }
  sqlite3_reset(statement);
  return status;
}

int convstore__sqlite_bounds(struct sqlite_connection *connection, struct convstore_call *call) {
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  if (status == CONVSTORE_OK && call->request->roles == 0)
    compute_bounds(call->result, call->request, live.last_seq);
  else if (status == CONVSTORE_OK)
    status = read_bounds(connection, call, &live);
  sqlite3_reset(found);
  return status;
}

/* ---- changing one ---------------------------------------------------------------------------------------------- */

int convstore__sqlite_check_merged(struct sqlite_connection *connection, struct convstore_call *call,
                                   convstore_text metadata) {
  if (metadata.size <= (size_t)connection->options.max_content_bytes) return CONVSTORE_OK;
  return convstore_fail(call->err, CONVSTORE_E_TOO_LARGE,
                        "metadata has %zu bytes when merged; at most %lld are allowed", metadata.size,
                        (long long)connection->options.max_content_bytes);
}

int convstore__sqlite_fail_merge(struct sqlite_connection *connection, struct convstore_call *call,
                                 convstore_text metadata, int status) {
  int64_t most = connection->options.max_content_bytes + (int64_t)metadata.size;
  if (call->err->native != SQLITE_CONSTRAINT_CHECK || most <= CONVSTORE_MAX_CONTENT) return status;
  return convstore_fail(call->err, CONVSTORE_E_TOO_LARGE, "metadata has more than %d bytes when merged",
                        CONVSTORE_MAX_CONTENT);
}

/* Locks the conversation by writing its time, and says where its messages lie. */
static int touch(int64_t *archived_seq, struct sqlite_connection *connection, struct convstore_call *call) {
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_TOUCH_CONVERSATION, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  if (code == SQLITE_DONE) {
    status = convstore__no_conversation(call);
  } else if (code == SQLITE_ROW) {
    *archived_seq = sqlite3_column_int64(statement, 0);
    code = sqlite3_step(statement);
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int annotate_body(struct sqlite_connection *connection, struct convstore_call *call) {
  int64_t archived_seq = 0;
  int status = touch(&archived_seq, connection, call);
  if (status != CONVSTORE_OK) return status;
  sqlite3_stmt *statement = convstore__sqlite_statement(
      connection, SQLITE_STMT_ANNOTATE_MESSAGE + (call->request->seq <= archived_seq), call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, call->request->seq) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 4, call->request->metadata) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 5, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  status = step_message(connection, call, statement);
  if (status != CONVSTORE_OK)
    return convstore__sqlite_fail_merge(connection, call, call->request->metadata, status);
  return convstore__sqlite_check_merged(connection, call, call->result->messages->metadata);
}

int convstore__sqlite_annotate(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, annotate_body);
}

static int redact_body(struct sqlite_connection *connection, struct convstore_call *call) {
  int64_t archived_seq = 0;
  int status = touch(&archived_seq, connection, call);
  if (status != CONVSTORE_OK) return status;
  sqlite3_stmt *statement = convstore__sqlite_statement(
      connection, SQLITE_STMT_REDACT_MESSAGE + (call->request->seq <= archived_seq), call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, call->request->seq) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 4, call->now_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  status = step_message(connection, call, statement);
  if (status != CONVSTORE_OK) return status;
  return convstore__sqlite_drop_segments(connection, call, call->request->seq, call->request->seq);
}

int convstore__sqlite_redact(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, redact_body);
}
