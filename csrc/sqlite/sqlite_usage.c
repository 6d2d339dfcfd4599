/* What a user's messages come to in SQLite, in groups by role, day or conversation: one statement, from indexes. */
#include <string.h>

#include "sqlite_operations.h"

/* Reads the group's name, as `by` says, and its sums. */
static int read_group(convstore_usage *out, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_text role;
  int status = CONVSTORE_OK;
  memset(out, 0, sizeof *out);
  switch (call->request->by) {
  case CONVSTORE_BY_DAY:
    out->day = sqlite3_column_int64(row, 0);
    break;
  case CONVSTORE_BY_CONVERSATION:
    status = convstore__sqlite_read_id(out->conversation_id, row, 0, call);
    break;
  case CONVSTORE_BY_ROLE:
    status = convstore__sqlite_read_text(&role, row, 0, call);
    if (status == CONVSTORE_OK && convstore_role_parse(&out->role, role, NULL) != CONVSTORE_OK)
      status =
          convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a message has an unknown role; restore a backup");
    break;
  }
  out->messages = sqlite3_column_int64(row, 1);
  out->tokens = sqlite3_column_int64(row, 2);
  call->result->n_conversations = sqlite3_column_int64(row, 3);
  return status;
}

/* How many groups there may be is not known ahead: the array grows by doubling. */
static int add_group(size_t *capacity, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_result *result = call->result;
  if (result->n_usage == *capacity) {
    size_t n = *capacity == 0 ? 16 : *capacity * 2;
    convstore_usage *usage = convstore__arena_alloc(result->memory, n * sizeof *usage);
    if (usage == NULL) return convstore__sqlite_no_memory(call->err);
    if (result->n_usage > 0) memcpy(usage, result->usage, result->n_usage * sizeof *usage);
    result->usage = usage;
    *capacity = n;
  }
  int status = read_group(&result->usage[result->n_usage], row, call);
  if (status == CONVSTORE_OK) result->n_usage++;
  return status;
}

int convstore__sqlite_usage(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  size_t capacity = 0;
  int status = CONVSTORE_OK;
  int code;
  if (convstore__arena(call->result) == NULL) return convstore__sqlite_no_memory(call->err);
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_USAGE + (int)request->by, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_text(statement, 1, request->user_id) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 2, request->since_ms) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, request->before_ms) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    status = add_group(&capacity, statement, call);
    if (status != CONVSTORE_OK) break;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}
