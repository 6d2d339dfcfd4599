/* What operators ask over all users of an SQLite file: who they are, and how much there is. */
#include <math.h>
#include <string.h>

#include "../core/pages.h"
#include "sqlite_operations.h"

/* Where a page begins. Column and value are compared as numbers or as texts, as the column is typed; before the first
 * page stands what is less than any. */
static int bind_position(sqlite3_stmt *statement, const struct sqlite_connection *connection,
                         const convstore_position *position) {
  if (!position->set && connection->base.user_id_type == CONVSTORE_USER_ID_BIGINT)
    return sqlite3_bind_double(statement, 1, -HUGE_VAL);
  return convstore__sqlite_bind_text(statement, 1, (convstore_text){position->user_id, position->n_user_id});
}

static int read_user(convstore_user *out, sqlite3_stmt *row, struct convstore_call *call) {
  *out = (convstore_user){
      .conversations = sqlite3_column_int64(row, 1),
      .messages = sqlite3_column_int64(row, 2),
      .updated_at_ms = sqlite3_column_int64(row, 3),
  };
  return convstore__sqlite_read_text(&out->user_id, row, 0, call);
}

int convstore__sqlite_users(struct sqlite_connection *connection, struct convstore_call *call) {
  convstore_result *result = call->result;
  size_t limit = (size_t)call->request->limit;
  int status = CONVSTORE_OK;
  int code;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_USERS, call->err);
  if (statement == NULL) return call->err->status;
  if (bind_position(statement, connection, &call->request->position) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 2, call->request->limit + 1) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  struct convstore_arena *arena = convstore__arena(result);
  if (arena != NULL) result->users = convstore__arena_alloc(arena, (limit + 1) * sizeof *result->users);
  if (result->users == NULL) return convstore__sqlite_no_memory(call->err);
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    status = read_user(&result->users[result->n_users], statement, call);
    if (status != CONVSTORE_OK) break;
    result->n_users++;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status != CONVSTORE_OK ? status : convstore__page_users(call);
}

int convstore__sqlite_stats(struct sqlite_connection *connection, struct convstore_call *call) {
  const char *version = sqlite3_libversion();
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_STATS, call->err);
  if (statement == NULL) return call->err->status;
  if (sqlite3_step(statement) == SQLITE_ROW)
    call->result->stats = (convstore_stats){
        .backend = connection->base.backend->name,
        .backend_version = {version, strlen(version)},
        .users = sqlite3_column_int64(statement, 0),
        .conversations = sqlite3_column_int64(statement, 1),
        .messages = sqlite3_column_int64(statement, 2),
        .archived_messages = sqlite3_column_int64(statement, 3),
        .bytes = sqlite3_column_int64(statement, 4),
    };
  else
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  call->result->schema_version = connection->base.schema_version;
  return status;
}
