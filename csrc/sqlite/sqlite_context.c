/*
 * Contexts in SQLite: what is pinned, the latest summary, and the history backwards for as long as the window wants
 * more. What belongs in a context is decided by core/context.h.
 */
#include "sqlite_operations.h"

#include "../core/context.h"

/* A statement about the call's conversation, bound. ?3 is bound where `third` is there. NULL: call->err says why. */
static sqlite3_stmt *bind(struct sqlite_connection *connection, const struct convstore_call *call, int id,
                          int64_t third) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return NULL;
  if (convstore__sqlite_bind_conversation(statement, call) == SQLITE_OK &&
      (third == CONVSTORE_ABSENT || sqlite3_bind_int64(statement, 3, third) == SQLITE_OK))
    return statement;
  (void)convstore__sqlite_fail(connection, call->err);
  return NULL;
}

/* The latest summary; `through` is 0 where there is none. The content is read only where it is wanted. */
static int read_summary(convstore_summary *out, struct sqlite_connection *connection,
                        struct convstore_call *call) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = bind(connection, call, SQLITE_STMT_LATEST_SUMMARY, CONVSTORE_ABSENT);
  if (statement == NULL) return call->err->status;
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    out->through = sqlite3_column_int64(statement, 0);
    out->token_count = sqlite3_column_int64(statement, 2);
    if (!call->request->no_system) status = convstore__sqlite_read_text(&out->content, statement, 1, call);
  } else if (code != SQLITE_DONE) {
    status = convstore__sqlite_fail(connection, call->err);
  }
  sqlite3_reset(statement);
  return status;
}

typedef int take_message(struct convstore_context_builder *builder, const convstore_message *message);

/* Hands the rows of a bound statement to `take`, as long as the window has not enough, and resets it. */
static int read_messages(struct convstore_context_builder *builder, struct sqlite_connection *connection,
                         sqlite3_stmt *statement, take_message *take) {
  struct convstore_call *call = builder->call;
  convstore_message message;
  int status = CONVSTORE_OK;
  int code = SQLITE_DONE;
  while (status == CONVSTORE_OK && !builder->window.enough &&
         (code = sqlite3_step(statement)) == SQLITE_ROW) {
    status = convstore__sqlite_read_stored(&message, statement, call);
    if (status == CONVSTORE_OK) status = take(builder, &message);
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int read_pinned(struct convstore_context_builder *builder, struct sqlite_connection *connection,
                       const struct sqlite_live *live) {
  struct convstore_call *call = builder->call;
  int status = CONVSTORE_OK;
  bool counts = call->request->no_system;
  int place = convstore__sqlite_place(live->archived_seq, counts ? builder->through : 0, live->last_seq);
  sqlite3_stmt *statement = counts
                                ? bind(connection, call, SQLITE_STMT_COUNT_PINNED + place, builder->through)
                                : bind(connection, call, SQLITE_STMT_PINNED + place, CONVSTORE_ABSENT);
  if (statement == NULL) return call->err->status;
  if (!counts) return read_messages(builder, connection, statement, convstore__context_pin);
  if (sqlite3_step(statement) == SQLITE_ROW)
    builder->n_system = sqlite3_column_int64(statement, 0);
  else
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int read_window(struct convstore_context_builder *builder, struct sqlite_connection *connection,
                       const struct sqlite_live *live) {
  int place = convstore__sqlite_place(live->archived_seq, builder->through, live->last_seq);
  sqlite3_stmt *statement = bind(connection, builder->call, SQLITE_STMT_WINDOW + place, builder->through);
  if (statement == NULL) return builder->call->err->status;
  return read_messages(builder, connection, statement, convstore__context_add);
}

int convstore__sqlite_context(struct sqlite_connection *connection, struct convstore_call *call) {
  struct convstore_context_builder builder;
  struct sqlite_live live = {0};
  convstore_summary summary = {0};
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  if (status == CONVSTORE_OK && convstore__arena(call->result) == NULL)
    status = convstore__sqlite_no_memory(call->err);
  if (status == CONVSTORE_OK) status = read_summary(&summary, connection, call);
  if (status == CONVSTORE_OK) {
    convstore__context_start(&builder, call, live.last_seq, summary.through);
    status = read_pinned(&builder, connection, &live);
  }
  if (status == CONVSTORE_OK && summary.content.data != NULL)
    status = convstore__context_summarize(&builder, summary.content, summary.token_count);
  if (status == CONVSTORE_OK) status = convstore__context_open(&builder);
  if (status == CONVSTORE_OK) status = read_window(&builder, connection, &live);
  sqlite3_reset(found);
  return status == CONVSTORE_OK ? convstore__context_finish(&builder) : status;
}
