/*
 * Appending in SQLite: one transaction that takes the next seqs of the conversation and inserts the messages.
 * A retry is found by the UNIQUE constraint on the message's id, after the fact: the usual append asks nothing first,
 * and the failed insert takes its seqs back when it is undone.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/message.h"
#include "sqlite_operations.h"

/* An answer of append_body beside the statuses: undo, then look at what is stored, for a replay or a conflict. */
enum {
  APPEND_STORED = 2
};

static bool is_pinned(const convstore_message *message) {
  return message->role == CONVSTORE_ROLE_SYSTEM || message->role == CONVSTORE_ROLE_DEVELOPER;
}

/* Takes the seqs: what was found becomes what it is with the new messages, here and in the database. */
static int advance(struct sqlite_live *live, struct sqlite_connection *connection,
                   struct convstore_call *call) {
  const convstore_request *request = call->request;
  live->last_seq += (int64_t)request->n_messages;
  for (size_t i = 0; i < request->n_messages; i++) {
    live->token_count += request->messages[i].token_count;
    if (is_pinned(&request->messages[i])) live->pinned_token_count += request->messages[i].token_count;
  }
  live->updated_at_ms = call->now_ms;
  if (live->mark == CONVSTORE_MARK_ARCHIVED) live->mark = CONVSTORE_MARK_ACTIVE;

  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_ADVANCE_CONVERSATION, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, live->last_seq) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 4, live->token_count) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 5, live->pinned_token_count) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 6, live->updated_at_ms) != SQLITE_OK ||
      sqlite3_bind_text(statement, 7, convstore_mark_name(live->mark), -1, SQLITE_STATIC) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  return convstore__sqlite_exec(connection, statement, call->err);
}

static int insert_message(struct sqlite_connection *connection, struct convstore_call *call,
                          sqlite3_stmt *statement, const convstore_message *message, int64_t token_total) {
  if (sqlite3_bind_int64(statement, 3, message->seq) != SQLITE_OK ||
      convstore__sqlite_bind_id(statement, 4, message->id) != SQLITE_OK ||
      sqlite3_bind_text(statement, 5, convstore_role_name(message->role), -1, SQLITE_STATIC) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 6, message->content) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 7, message->parts) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 8, message->name) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 9, message->tool_calls) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 10, message->tool_call_id) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 11, message->attachments) != SQLITE_OK ||
      convstore__sqlite_bind_text(statement, 12, message->metadata) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 13, message->token_count) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 14, message->created_at_ms) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 15, token_total) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = CONVSTORE_OK;
  int code = sqlite3_step(statement);
  if (code ==
      SQLITE_CONSTRAINT_UNIQUE) /* the id; a seq that is taken already is another matter: last_seq is wrong */
    status = APPEND_STORED;
  else if (code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* `live` counts the new messages already. */
static int insert_messages(struct sqlite_connection *connection, struct convstore_call *call,
                           const struct sqlite_live *live) {
  convstore_request *request = call->request;
  int64_t seq = live->last_seq - (int64_t)request->n_messages;
  int64_t token_total = live->token_count - live->pinned_token_count;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_INSERT_MESSAGE, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  for (size_t i = 0; i < request->n_messages; i++)
    if (!is_pinned(&request->messages[i])) token_total -= request->messages[i].token_count;

  for (size_t i = 0; i < request->n_messages; i++) {
    convstore_message *message = &request->messages[i];
    message->seq = ++seq;
    if (!is_pinned(message)) token_total += message->token_count;
    int status = insert_message(connection, call, statement, message, token_total);
    if (status != CONVSTORE_OK) return status;
  }
  return CONVSTORE_OK;
}

/* What a program learns of the conversation from an append. */
static void report(convstore_result *result, const struct sqlite_live *live) {
  result->conversation.last_seq = live->last_seq;
  result->conversation.token_count = live->token_count;
  result->conversation.updated_at_ms = live->updated_at_ms;
  result->conversation.mark = live->mark;
}

/* Reads the message that has this id, if one is stored. */
static int read_stored(bool *found, struct sqlite_connection *connection, struct convstore_call *call,
                       convstore_message *out, const char *id, int place) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_MESSAGE_BY_ID + place, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      convstore__sqlite_bind_id(statement, 3, id) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int code = sqlite3_step(statement);
  *found = code == SQLITE_ROW;
  if (*found)
    status = convstore__sqlite_read_message(out, statement, call);
  else if (code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* The keys of the table that is appended to say nothing of messages that are still in the archive. */
static int look_in_archive(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  int status = convstore__arena(call->result) == NULL ? convstore__sqlite_no_memory(call->err) : CONVSTORE_OK;
  for (size_t i = 0; status == CONVSTORE_OK && i < request->n_messages; i++) {
    convstore_message stored;
    bool found = false;
    status = read_stored(&found, connection, call, &stored, request->messages[i].id, SQLITE_STMT_ARCHIVED);
    if (found) return APPEND_STORED;
  }
  return status;
}

static int append_body(struct sqlite_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  call->result->more = false;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  sqlite3_reset(found); /* the write lock keeps the row as it is */
  if (status != CONVSTORE_OK) return status;
  if (request->expect != CONVSTORE_ABSENT && request->expect != live.last_seq) return APPEND_STORED;
  if (live.archived || live.archived_seq > 0) {
    bool last = false;
    status = convstore__sqlite_unarchive_part(&last, &live, connection, call);
    call->result->more = !last;
    if (status == CONVSTORE_OK && last && live.archived_seq > 0) status = look_in_archive(connection, call);
    if (status != CONVSTORE_OK || !last) return status;
  }
  if (status == CONVSTORE_OK) status = advance(&live, connection, call);
  /* Once for all appends between two searches, since a column that is set costs its indexes, changed or not. */
  if (status == CONVSTORE_OK && !live.search_pending)
    status = convstore__sqlite_run_for_conversation(connection, call, SQLITE_STMT_MARK_SEARCH_PENDING);
  if (status == CONVSTORE_OK) status = insert_messages(connection, call, &live);
  if (status == CONVSTORE_OK) report(call->result, &live);
  return status;
}

/* ---- replays --------------------------------------------------------------------------------------------------- */

/* Compares what was to be appended with what is stored: all of it, in this order, is a replay. */
static int replay(struct sqlite_connection *connection, struct convstore_call *call,
                  const struct sqlite_live *live) {
  const convstore_request *request = call->request;
  convstore_result *result = call->result;
  size_t n = request->n_messages;
  size_t n_stored = 0;
  int64_t seq = 0;
  int place = convstore__sqlite_place(live->archived_seq, 0, live->last_seq);
  convstore_message *stored = convstore__arena_alloc(result->memory, n * sizeof *stored);
  if (stored == NULL) return convstore__sqlite_no_memory(call->err);

  for (size_t i = 0; i < n; i++) {
    bool found = false;
    int status = read_stored(&found, connection, call, &stored[i], request->messages[i].id, place);
    if (status != CONVSTORE_OK) return status;
    if (!found) continue;
    n_stored++;
    bool same = false;
    status = convstore__message_same(&same, &stored[i], &request->messages[i], call->err);
    if (status != CONVSTORE_OK) return status;
    if (!same) return convstore__stored_otherwise(call, request->messages[i].id);
    if (stored[i].seq <= seq) return convstore__stored_in_other_order(call);
    seq = stored[i].seq;
  }
  if (n_stored == 0 && request->expect != CONVSTORE_ABSENT && live->last_seq != request->expect)
    return convstore__not_expected(call, live->last_seq);
  if (n_stored == 0) return convstore__id_given_twice(call);
  if (n_stored < n) return convstore__stored_in_part(call, n_stored);
  result->messages = stored;
  result->n_messages = n;
  report(result, live);
  return CONVSTORE_OK;
}

/* Nothing to append is no write, but the conversation must be there. */
static int append_nothing(struct sqlite_connection *connection, struct convstore_call *call) {
  struct sqlite_live live = {0};
  sqlite3_stmt *found = NULL;
  int status = convstore__sqlite_find_live(&live, &found, connection, call);
  sqlite3_reset(found);
  if (status == CONVSTORE_OK) report(call->result, &live);
  return status;
}

int convstore__sqlite_append(struct sqlite_connection *connection, struct convstore_call *call) {
  if (call->request->n_messages == 0) return append_nothing(connection, call);
  int status = convstore__sqlite_write(connection, call, append_body);
  while (status == CONVSTORE_OK && call->result->more) { /* a part of what was archived is back */
    connection->part_ended_ms = convstore__monotonic_ms();
    convstore__sqlite_pause(connection, call);
    status = convstore__sqlite_write(connection, call, append_body);
  }
  if (status == CONVSTORE_OK) {
    call->result->messages = call->request->messages;
    call->result->n_messages = call->request->n_messages;
  }
  if (status != APPEND_STORED) return status;

  struct sqlite_live live = {0};
  sqlite3_stmt *statement = NULL;
  status = convstore__sqlite_find_live(&live, &statement, connection, call);
  if (status == CONVSTORE_OK) status = replay(connection, call, &live);
  sqlite3_reset(statement);
  return status;
}
