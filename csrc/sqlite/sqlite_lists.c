/*
 * Lists over all of a user's conversations in SQLite: the conversations, and their messages, a page at a time.
 * Each page is one statement, so it shows one moment; it reads one row more than the limit, for core/pages.c.
 */
#include <string.h>

#include "../core/pages.h"
#include "sqlite_operations.h"

/* An array for a page's rows, in the result's arena. NULL: out of memory. */
static void *alloc_rows(struct convstore_call *call, size_t size) {
  struct convstore_arena *arena = convstore__arena(call->result);
  return arena == NULL ? NULL : convstore__arena_alloc(arena, ((size_t)call->request->limit + 1) * size);
}

/* ---- conversations ---------------------------------------------------------------------------------------------- */

enum { /* the columns behind those of a conversation */
  LAST_ROLE = 12,
  LAST_PREVIEW,
  LAST_CREATED_AT
};

static int read_listed(convstore_listed *out, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_text role;
  memset(out, 0, sizeof *out);
  int status = convstore__sqlite_read_conversation(&out->conversation, row, call);
  if (status != CONVSTORE_OK || out->conversation.last_seq == 0) return status;
  status = convstore__sqlite_read_text(&role, row, LAST_ROLE, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_text(&out->preview, row, LAST_PREVIEW, call);
  if (status != CONVSTORE_OK) return status;
  if (convstore_role_parse(&out->role, role, NULL) != CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "the last message of conversation %s is missing or damaged; restore a backup",
                          out->conversation.id);
  out->message_created_at_ms = sqlite3_column_int64(row, LAST_CREATED_AT);
  convstore__cut_preview(&out->preview);
  return CONVSTORE_OK;
}

static int bind_list(sqlite3_stmt *statement, const convstore_request *request) {
  const char *mark = request->mark_only ? convstore_mark_name(request->mark) : NULL;
  int code = convstore__sqlite_bind_text(statement, 1, request->user_id);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(statement, 2, request->position.time_ms);
  if (code == SQLITE_OK) code = convstore__sqlite_bind_id(statement, 3, request->position.id);
  if (code == SQLITE_OK) code = sqlite3_bind_text(statement, 4, mark, -1, SQLITE_STATIC);
  return code == SQLITE_OK ? sqlite3_bind_int64(statement, 5, request->limit + 1) : code;
}

int convstore__sqlite_list(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  convstore_result *result = call->result;
  int status = CONVSTORE_OK;
  int code;
  int id =
      SQLITE_STMT_LIST + (request->by_created ? SQLITE_STMT_BY_CREATED : 0) + (int)request->deleted_filter;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return call->err->status;
  if (bind_list(statement, request) != SQLITE_OK) return convstore__sqlite_fail(connection, call->err);
  result->listed = alloc_rows(call, sizeof *result->listed);
  if (result->listed == NULL) return convstore__sqlite_no_memory(call->err);
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    status = read_listed(&result->listed[result->n_listed], statement, call);
    if (status != CONVSTORE_OK) break;
    result->n_listed++;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status != CONVSTORE_OK ? status : convstore__page_listed(call);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

enum { /* the column behind those of a message */
  CONVERSATION_ID = 14
};

static int bind_messages(sqlite3_stmt *statement, const convstore_request *request) {
  int code = convstore__sqlite_bind_text(statement, 1, request->user_id);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(statement, 2, request->position.time_ms);
  if (code == SQLITE_OK) code = convstore__sqlite_bind_id(statement, 3, request->position.id);
  if (code == SQLITE_OK) code = convstore__sqlite_bind_id(statement, 4, request->position.conversation_id);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(statement, 5, request->since_ms);
  if (code == SQLITE_OK) code = sqlite3_bind_int64(statement, 6, request->limit + 1);
  /* A role that is not asked for leaves its place to NULL, which equals nothing. */
  for (int role = 0; code == SQLITE_OK && role < CONVSTORE_ROLES; role++) {
    const char *name = (request->roles & 1U << role) != 0 ? convstore_role_name((convstore_role)role) : NULL;
    code = sqlite3_bind_text(statement, 7 + role, name, -1, SQLITE_STATIC);
  }
  return code == SQLITE_OK ? sqlite3_bind_int(statement, 12, request->roles == 0) : code;
}

static int read_page_row(sqlite3_stmt *row, struct convstore_call *call) {
  convstore_result *result = call->result;
  char *conversation_id = result->conversation_ids[result->n_messages];
  int status = convstore__sqlite_read_message(&result->messages[result->n_messages], row, call);
  if (status == CONVSTORE_OK) status = convstore__sqlite_read_id(conversation_id, row, CONVERSATION_ID, call);
  if (status == CONVSTORE_OK) result->n_messages++;
  return status;
}

int convstore__sqlite_messages(struct sqlite_connection *connection, struct convstore_call *call) {
  convstore_result *result = call->result;
  int status = CONVSTORE_OK;
  int code;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_MESSAGES, call->err);
  if (statement == NULL) return call->err->status;
  if (bind_messages(statement, call->request) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  result->messages = alloc_rows(call, sizeof *result->messages);
  if (result->messages != NULL) result->conversation_ids = alloc_rows(call, sizeof *result->conversation_ids);
  if (result->conversation_ids == NULL) return convstore__sqlite_no_memory(call->err);
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    status = read_page_row(statement, call);
    if (status != CONVSTORE_OK) break;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status != CONVSTORE_OK ? status : convstore__page_messages(call);
}
