/*
 * Moving a conversation's messages to the archive and back, in SQLite. Each lies in one of the two tables, and the
 * conversation's archived_seq says up to which they are archived: so a long conversation is moved in parts, and what
 * reads or appends in between finds everything. docs/decisions/0022-retention-in-parts.md
 */
#include <time.h>

#include "../core/clock.h"
#include "../core/part_size.h"
#include "sqlite_operations.h"

enum {
  CHUNK_MESSAGES = 100, /* moved between two looks at the clock */
  /* Between two parts. Who waits for the write lock looks every 5 to 15 ms, and would find it taken again. */
  PAUSE_MS = 16
};

int64_t convstore__sqlite_part_ms = 20;

void convstore__sqlite_pause(const struct sqlite_connection *connection, const struct convstore_call *call) {
  int64_t left_ms = connection->part_ended_ms + PAUSE_MS - convstore__monotonic_ms();
  if (call->depth > 0 || left_ms <= 0 || left_ms > PAUSE_MS) return;
  struct timespec time = {.tv_nsec = (long)left_ms * 1000000};
  (void)nanosleep(&time, NULL);
}

/* A statement about the call's conversation with two numbers. NULL: call->err says why. */
static sqlite3_stmt *bind(struct sqlite_connection *connection, const struct convstore_call *call, int id,
                          int64_t third, int64_t fourth) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, id, call->err);
  if (statement == NULL) return NULL;
  if (convstore__sqlite_bind_conversation(statement, call) == SQLITE_OK &&
      sqlite3_bind_int64(statement, 3, third) == SQLITE_OK &&
      (fourth == CONVSTORE_ABSENT || sqlite3_bind_int64(statement, 4, fourth) == SQLITE_OK))
    return statement;
  (void)convstore__sqlite_fail(connection, call->err);
  return NULL;
}

static int run(struct sqlite_connection *connection, const struct convstore_call *call, int id, int64_t third,
               int64_t fourth) {
  sqlite3_stmt *statement = bind(connection, call, id, third, fourth);
  return statement == NULL ? call->err->status : convstore__sqlite_exec(connection, statement, call->err);
}

/* Makes *seq what a bound statement finds, if it finds something. */
static int find(int64_t *seq, struct sqlite_connection *connection, const struct convstore_call *call,
                sqlite3_stmt *statement) {
  int status = CONVSTORE_OK;
  if (statement == NULL) return call->err->status;
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW)
    *seq = sqlite3_column_int64(statement, 0);
  else if (code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

/* Moves messages after + 1 ... last out of the table that `from` says: 0 or SQLITE_STMT_ARCHIVED. */
static int move(struct sqlite_connection *connection, const struct convstore_call *call, int from,
                int64_t after, int64_t last) {
  int status = run(connection, call, SQLITE_STMT_MOVE_COPY + from, after, last);
  if (status != CONVSTORE_OK) return status;
  return run(connection, call, SQLITE_STMT_MOVE_DELETE + from, after, last);
}

int convstore__sqlite_archive_part(int64_t *archived_seq, struct sqlite_connection *connection,
                                   const struct convstore_call *call, int64_t last_seq, int64_t until_ms) {
  int status = CONVSTORE_OK;
  for (int n = 0; status == CONVSTORE_OK && *archived_seq < last_seq && n < CONVSTORE_PART_MESSAGES;
       n += CHUNK_MESSAGES) {
    /* By the messages that are there: with a last_seq that is damaged it would never end. */
    int64_t seq = last_seq;
    if (n > 0 && convstore__monotonic_ms() >= until_ms) break;
    status = find(&seq, connection, call,
                  bind(connection, call, SQLITE_STMT_FIRST_MESSAGES, *archived_seq, CHUNK_MESSAGES));
    if (status == CONVSTORE_OK) status = move(connection, call, 0, *archived_seq, seq);
    if (status == CONVSTORE_OK) *archived_seq = seq;
  }
  if (status != CONVSTORE_OK) return status;
  return run(connection, call, SQLITE_STMT_MARK_ARCHIVED, *archived_seq, call->now_ms);
}

int convstore__sqlite_unarchive_part(bool *last, struct sqlite_live *live,
                                     struct sqlite_connection *connection,
                                     const struct convstore_call *call) {
  int64_t now_ms = convstore__monotonic_ms();
  int64_t until_ms = now_ms + convstore__sqlite_part_ms;
  int64_t half_ms = call->deadline_ms - connection->options.timeout_ms / 2;
  int status = CONVSTORE_OK;
  for (int n = 0; status == CONVSTORE_OK && live->archived_seq > 0 && n < CONVSTORE_PART_MESSAGES;
       n += CHUNK_MESSAGES) {
    int64_t seq = 1;
    if (n > 0 && (now_ms = convstore__monotonic_ms()) >= until_ms) break;
    status = find(&seq, connection, call,
                  bind(connection, call, SQLITE_STMT_LAST_MESSAGES + SQLITE_STMT_ARCHIVED, CHUNK_MESSAGES,
                       CONVSTORE_ABSENT));
    if (seq < 1) seq = 1; /* such a row is damage */
    if (status == CONVSTORE_OK)
      status = move(connection, call, SQLITE_STMT_ARCHIVED, seq - 1, live->archived_seq);
    if (status == CONVSTORE_OK) live->archived_seq = seq - 1;
  }
  if (status != CONVSTORE_OK) return status;
  /* An append shall not fail for what was archived: with half of its time gone the rest stays where it is, and each
   * later append brings one part. */
  *last = live->archived_seq == 0 || !live->archived || now_ms >= half_ms;
  return run(connection, call, SQLITE_STMT_MARK_UNARCHIVED, live->archived_seq, *last);
}
