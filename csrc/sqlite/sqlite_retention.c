/*
 * What is old or to be forgotten in SQLite: purging, erasing, moving to the archive. Each call does one part, a short
 * transaction, and says whether there is more; core/part_size.h says how much that is. How messages are moved is in
 * sqlite_archive.c.
 *
 * A conversation that is too long for a part is deleted from its end, part by part: what is left of it is at any moment
 * a whole conversation, though a deleted one. Its times stay, so a purge that comes later finds it again.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/part_size.h"
#include "sqlite_operations.h"

enum {
  CHECKPOINT_WAIT_MS = 50 /* for readers, after an erasure */
};

/* More than any conversation has. Counters that are damaged shall not make the sums of them overflow. */
#define MOST_MESSAGES (INT64_C(1) << 40)

/* A conversation that the part may be about. */
struct old {
  convstore_text user_id;
  char id[CONVSTORE_ID_SIZE];
  int64_t last_seq;
  int64_t archived_seq;
};

/* What the part works on. One more than it takes tells that there is more. */
struct part {
  struct old *list;
  size_t n;
  size_t n_max;
};

static int write_part(struct sqlite_connection *connection, struct convstore_call *call, sqlite_body *body) {
  /* Where nothing is old SQLite would not notice. */
  if (sqlite3_db_readonly(connection->db, "main") == 1)
    return convstore_fail(
        call->err, CONVSTORE_E_READONLY,
        "\"%s\" cannot be written; open it without `readonly`, on a file that may be changed",
        connection->path);
  convstore__sqlite_pause(connection, call);
  int status = convstore__sqlite_write(connection, call, body);
  connection->part_ended_ms = convstore__monotonic_ms();
  return status;
}

/* ---- finding --------------------------------------------------------------------------------------------------- */

static int read_old(struct part *part, struct sqlite_connection *connection, struct convstore_call *call,
                    sqlite3_stmt *statement) {
  int status = CONVSTORE_OK;
  int code = SQLITE_ROW;
  while (status == CONVSTORE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW && part->n <= part->n_max) {
    struct old *old = &part->list[part->n++];
    status = convstore__sqlite_read_text(&old->user_id, statement, 0, call);
    if (status == CONVSTORE_OK) status = convstore__sqlite_read_id(old->id, statement, 1, call);
    old->last_seq = sqlite3_column_int64(statement, 2);
    if (old->last_seq < 0) old->last_seq = 0;
    if (old->last_seq > MOST_MESSAGES) old->last_seq = MOST_MESSAGES;
    old->archived_seq = sqlite3_column_int64(statement, 3);
    if (old->archived_seq > old->last_seq) old->archived_seq = old->last_seq;
  }
  if (status == CONVSTORE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  return status;
}

static int bind_time(sqlite3_stmt *statement, int index, int64_t time_ms) {
  return time_ms == CONVSTORE_ABSENT ? sqlite3_bind_null(statement, index)
                                     : sqlite3_bind_int64(statement, index, time_ms);
}

/* Finds what the part is about, under the write lock. */
static int find_old(struct part *part, struct sqlite_connection *connection, struct convstore_call *call,
                    enum sqlite_stmt id) {
  const convstore_request *request = call->request;
  bool of_user = id == SQLITE_STMT_USERS_CONVERSATIONS;
  struct convstore_arena *arena = convstore__arena(call->result);
  *part = (struct part){.n_max = CONVSTORE_PART_CONVERSATIONS};
  if (!of_user && request->limit < CONVSTORE_PART_CONVERSATIONS) part->n_max = (size_t)request->limit;
  if (arena != NULL) part->list = convstore__arena_alloc(arena, (part->n_max + 1) * sizeof *part->list);
  if (part->list == NULL) return convstore__sqlite_no_memory(call->err);
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if ((of_user ? convstore__sqlite_bind_text(statement, 1, request->user_id)
               : bind_time(statement, 1, request->deleted_before_ms)) != SQLITE_OK ||
      bind_time(statement, 2, request->idle_before_ms) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, (int64_t)part->n_max + 1) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int status = read_old(part, connection, call, statement);
  sqlite3_reset(statement);
  return status;
}

/* ---- purging --------------------------------------------------------------------------------------------------- */

/* Runs a statement of user, conversation, now and the last message that stays. */
static int run_shrinking(struct sqlite_connection *connection, const struct convstore_call *call, int id,
                         int64_t kept) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 4, kept) != SQLITE_OK ||
      (id == SQLITE_STMT_SHRINK_CONVERSATION && sqlite3_bind_int64(statement, 3, call->now_ms) != SQLITE_OK))
    return convstore__sqlite_fail(connection, call->err);
  return convstore__sqlite_exec(connection, statement, call->err);
}

/* Deletes the messages behind `kept`, and the conversation as far as its users are concerned. */
static int shrink(struct sqlite_connection *connection, const struct convstore_call *call,
                  int64_t archived_seq, int64_t kept) {
  int status = run_shrinking(connection, call, SQLITE_STMT_SHRINK_CONVERSATION, kept);
  if (status == CONVSTORE_OK) status = run_shrinking(connection, call, SQLITE_STMT_SHRINK_MESSAGES, kept);
  if (status == CONVSTORE_OK && archived_seq > kept)
    status = run_shrinking(connection, call, SQLITE_STMT_SHRINK_MESSAGES + SQLITE_STMT_ARCHIVED, kept);
  if (status == CONVSTORE_OK) status = run_shrinking(connection, call, SQLITE_STMT_SHRINK_SUMMARIES, kept);
  return status;
}

/* What a part has still room for. */
struct room {
  int64_t messages;
  int64_t runs;
};

/* Steps a statement of user, conversation and a number. *found is false where it gives no row; its first column is
 * *seq, its second *n, where that is asked for. */
static int look(bool *found, int64_t *seq, int64_t *n, struct sqlite_connection *connection,
                const struct convstore_call *call, int id, int64_t number) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, number) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int code = sqlite3_step(statement);
  *found = code == SQLITE_ROW;
  if (*found) *seq = sqlite3_column_int64(statement, 0);
  if (*found && n != NULL) *n = sqlite3_column_int64(statement, 1);
  if (code != SQLITE_ROW && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* Where the conversation is to end so that no more messages and runs go than there is room for; 0: all of it may go.
 * By the messages that are there: a last_seq that is damaged would never end. */
static int find_end(int64_t *kept, struct room *room, struct sqlite_connection *connection,
                    const struct convstore_call *call, const struct old *old) {
  bool found = false;
  int64_t seq = 0;
  int64_t n = 0;
  int status = CONVSTORE_OK;
  *kept = 0;
  int place = convstore__sqlite_place(old->archived_seq, 0, old->last_seq);
  if (old->last_seq > room->messages)
    status = look(&found, &seq, NULL, connection, call, SQLITE_STMT_LAST_MESSAGES + place, room->messages);
  if (status == CONVSTORE_OK && found) *kept = seq - 1;
  if (status == CONVSTORE_OK)
    status = look(&found, &seq, &n, connection, call, SQLITE_STMT_LAST_RUNS, room->runs);
  if (status != CONVSTORE_OK || !found) return status;
  if (n == room->runs && seq - 1 > *kept) *kept = seq - 1;
  room->runs -= n;
  return status;
}

/* Purges one, or its end. `call` is about it. *room becomes less. */
static int purge_one(struct room *room, struct sqlite_connection *connection,
                     const struct convstore_call *call, const struct old *old) {
  int64_t kept = 0;
  int status = find_end(&kept, room, connection, call, old);
  if (status == CONVSTORE_OK) status = convstore__sqlite_drop_segments(connection, call, kept + 1, INT64_MAX);
  if (status == CONVSTORE_OK && kept > 0) status = shrink(connection, call, old->archived_seq, kept);
  if (status == CONVSTORE_OK && kept == 0)
    status = convstore__sqlite_run_for_conversation(connection, call, SQLITE_STMT_PURGE_CONVERSATION);
  room->messages = kept > 0 ? 0 : room->messages - old->last_seq;
  call->result->n_messages_changed += old->last_seq - kept;
  call->result->n_conversations += kept == 0;
  return status;
}

static int purge_part(struct sqlite_connection *connection, struct convstore_call *call,
                      enum sqlite_stmt found_by) {
  struct part part;
  struct room room = {.messages = CONVSTORE_PART_MESSAGES, .runs = CONVSTORE_PART_RUNS};
  convstore_request request = *call->request;
  struct convstore_call one = *call;
  int status = find_old(&part, connection, call, found_by);
  one.request = &request;
  for (size_t i = 0; status == CONVSTORE_OK && i < part.n && i < part.n_max; i++) {
    if (room.messages <= 0 || room.runs <= 0) break;
    request.user_id = part.list[i].user_id;
    memcpy(request.conversation_id, part.list[i].id, CONVSTORE_ID_SIZE);
    status = purge_one(&room, connection, &one, &part.list[i]);
  }
  call->result->more = call->result->n_conversations < (int64_t)part.n;
  return status;
}

static int purge_old_body(struct sqlite_connection *connection, struct convstore_call *call) {
  return purge_part(connection, call, SQLITE_STMT_OLD_CONVERSATIONS);
}

int convstore__sqlite_purge_old(struct sqlite_connection *connection, struct convstore_call *call) {
  return write_part(connection, call, purge_old_body);
}

/* ---- erasing --------------------------------------------------------------------------------------------------- */

static int erase_body(struct sqlite_connection *connection, struct convstore_call *call) {
  return purge_part(connection, call, SQLITE_STMT_USERS_CONVERSATIONS);
}

/* Where others read it stays there until the next checkpoint: the erasure is none the worse for it. */
void convstore__sqlite_forget_log(struct sqlite_connection *connection, const struct convstore_call *call) {
  int64_t until_ms = convstore__monotonic_ms() + CHECKPOINT_WAIT_MS;
  if (until_ms < connection->deadline_ms) connection->deadline_ms = until_ms;
  (void)sqlite3_wal_checkpoint_v2(connection->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  connection->deadline_ms = call->deadline_ms;
}

int convstore__sqlite_erase(struct sqlite_connection *connection, struct convstore_call *call) {
  int status = write_part(connection, call, erase_body);
  if (status != CONVSTORE_OK || call->result->more) return status;
  if (call->depth == 0)
    convstore__sqlite_forget_log(connection, call);
  else
    connection->has_erased = true;
  return status;
}

/* ---- the archive ----------------------------------------------------------------------------------------------- */

/* The part is about one conversation after the other, until it has its size. */
static int archive_body(struct sqlite_connection *connection, struct convstore_call *call) {
  struct part part;
  convstore_result *result = call->result;
  convstore_request request = *call->request;
  struct convstore_call one = *call;
  int64_t until_ms = convstore__monotonic_ms() + convstore__sqlite_part_ms;
  int status = find_old(&part, connection, call, SQLITE_STMT_IDLE_CONVERSATIONS);
  one.request = &request;
  for (size_t i = 0; status == CONVSTORE_OK && i < part.n && i < part.n_max; i++) {
    const struct old *old = &part.list[i];
    int64_t archived_seq = old->archived_seq;
    int64_t n = old->last_seq - archived_seq;
    if (i > 0 &&
        (result->n_messages_changed + n > CONVSTORE_PART_MESSAGES || convstore__monotonic_ms() >= until_ms))
      break;
    request.user_id = old->user_id;
    memcpy(request.conversation_id, old->id, CONVSTORE_ID_SIZE);
    status = convstore__sqlite_archive_part(&archived_seq, connection, &one, old->last_seq, until_ms);
    result->n_messages_changed += archived_seq - old->archived_seq;
    if (archived_seq < old->last_seq) break;
    result->n_conversations++;
  }
  result->more = result->n_conversations < (int64_t)part.n;
  return status;
}

int convstore__sqlite_archive(struct sqlite_connection *connection, struct convstore_call *call) {
  return write_part(connection, call, archive_body);
}
