/*
 * The search index in SQLite: which messages are not in it yet, writing them there, and taking some out again.
 * Knows nothing of queries. What is indexed of a conversation are its runs; the gaps between them are what is not.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/segment_size.h"
#include "sqlite_operations.h"

/* A search is a reader: it does not wait for the lock longer than it takes to do without. */
#define LOCK_WAIT_MS 50

/* ---- walking over what is not indexed -------------------------------------------------------------------------- */

static int bind_user_and(struct sqlite_connection *connection, sqlite3_stmt *statement,
                         const struct convstore_call *call, const char *conversation_id) {
  if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) == SQLITE_OK &&
      sqlite3_bind_text(statement, 2, conversation_id, -1, SQLITE_STATIC) == SQLITE_OK)
    return CONVSTORE_OK;
  return convstore__sqlite_fail(connection, call->err);
}

/* Goes to the next conversation that may have something, if there is one. */
static int next_conversation(struct sqlite_tail *tail, struct sqlite_connection *connection,
                             struct convstore_call *call) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_PENDING, call->err);
  if (statement == NULL) return call->err->status;
  int status = bind_user_and(connection, statement, call, tail->conversation_id);
  if (status != CONVSTORE_OK) return status;
  int code = sqlite3_step(statement);
  if (code == SQLITE_DONE) {
    tail->done = true;
  } else if (code != SQLITE_ROW) {
    status = convstore__sqlite_fail(connection, call->err);
  } else {
    status = convstore__sqlite_read_id(tail->conversation_id, statement, 0, call);
    tail->last_seq = sqlite3_column_int64(statement, 1);
    tail->archived_seq = sqlite3_column_int64(statement, 2);
    tail->seq = 0;
  }
  sqlite3_reset(statement);
  return status;
}

struct reading {
  struct sqlite_tail_part *part;
  struct sqlite_tail *tail;
  struct convstore_segment_builder *builder;
  size_t n_messages;
};

static bool is_full(const struct reading *reading) {
  return reading->n_messages >= CONVSTORE_SEGMENT_MAX ||
         reading->part->n_bytes >= CONVSTORE_SEGMENT_MAX_BYTES;
}

static convstore_text peek_text(sqlite3_stmt *row, int column) {
  const char *data = (const char *)sqlite3_column_text(row, column);
  return (convstore_text){data, data == NULL ? 0 : (size_t)sqlite3_column_bytes(row, column)};
}

static int add_message(struct reading *reading, sqlite3_stmt *row, struct convstore_call *call) {
  convstore_role role;
  int64_t seq = sqlite3_column_int64(row, 0);
  int status = convstore_role_parse(&role, peek_text(row, 1), NULL);
  if (status != CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "message %lld has an unknown role; restore a backup", (long long)seq);
  convstore_text content = peek_text(row, 3);
  convstore_text parts = peek_text(row, 4);
  if ((content.data == NULL && sqlite3_column_type(row, 3) != SQLITE_NULL) ||
      (parts.data == NULL && sqlite3_column_type(row, 4) != SQLITE_NULL))
    return convstore__sqlite_no_memory(call->err);
  status = convstore__segment_add(reading->builder, reading->tail->conversation_id, seq, role,
                                  sqlite3_column_int64(row, 2), content, parts, call->err);
  reading->part->n_bytes += content.size + parts.size;
  reading->n_messages++;
  reading->tail->seq = seq;
  return status;
}

/* Reads messages first ... last of the walk's conversation, or as many of them as the part has room for. */
static int read_gap(struct reading *reading, int64_t first, int64_t last,
                    struct sqlite_connection *connection, struct convstore_call *call) {
  int place = convstore__sqlite_place(reading->tail->archived_seq, first - 1, last);
  sqlite3_stmt *statement =
      convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_TEXTS + place, call->err);
  if (statement == NULL) return call->err->status;
  int status = bind_user_and(connection, statement, call, reading->tail->conversation_id);
  if (status == CONVSTORE_OK && (sqlite3_bind_int64(statement, 3, first) != SQLITE_OK ||
                                 sqlite3_bind_int64(statement, 4, last) != SQLITE_OK))
    status = convstore__sqlite_fail(connection, call->err);
  if (status != CONVSTORE_OK) return status;
  int code = SQLITE_ROW;
  while (status == CONVSTORE_OK && !is_full(reading) && (code = sqlite3_step(statement)) == SQLITE_ROW)
    status = add_message(reading, statement, call);
  if (status == CONVSTORE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  if (status == CONVSTORE_OK && code == SQLITE_DONE) reading->tail->seq = last;
  sqlite3_reset(statement);
  return status;
}

/* Reads the gaps of the walk's conversation, from where the walk is. */
static int read_conversation(struct reading *reading, struct sqlite_connection *connection,
                             struct convstore_call *call) {
  struct sqlite_tail *tail = reading->tail;
  sqlite3_stmt *runs = convstore__sqlite_statement(connection, SQLITE_STMT_SEARCH_RUNS, call->err);
  if (runs == NULL) return call->err->status;
  int status = bind_user_and(connection, runs, call, tail->conversation_id);
  int code = SQLITE_ROW;
  int64_t before = 0; /* up to here the runs were looked at */
  while (status == CONVSTORE_OK && !is_full(reading) && tail->seq < tail->last_seq &&
         (code = sqlite3_step(runs)) == SQLITE_ROW) {
    int64_t first = sqlite3_column_int64(runs, 0);
    int64_t last = sqlite3_column_int64(runs, 1);
    if (first <= before || last < first || last > tail->last_seq) {
      connection->index_is_damaged = true;
      status = convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                              "the search index is damaged: it has messages that are not there");
      break;
    }
    before = last;
    if (first > tail->seq + 1) status = read_gap(reading, tail->seq + 1, first - 1, connection, call);
    if (status == CONVSTORE_OK && tail->seq >= first - 1 && tail->seq < last) tail->seq = last;
  }
  if (status == CONVSTORE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(runs);
  if (status != CONVSTORE_OK || is_full(reading) || tail->seq >= tail->last_seq) return status;
  return read_gap(reading, tail->seq + 1, tail->last_seq, connection, call);
}

int convstore__sqlite_read_tail(struct sqlite_tail_part *out, struct sqlite_tail *tail,
                                convstore_result *memory, struct sqlite_connection *connection,
                                struct convstore_call *call) {
  struct reading reading = {.part = out, .tail = tail};
  struct convstore_arena *arena = convstore__arena(memory);
  *out = (struct sqlite_tail_part){0};
  if (arena != NULL)
    out->finished = convstore__arena_alloc(arena, CONVSTORE_SEGMENT_MAX * sizeof *out->finished);
  if (out->finished == NULL) return convstore__sqlite_no_memory(call->err);
  int status = convstore__segment_start(&reading.builder, arena, call->err);
  while (status == CONVSTORE_OK && !tail->done && !is_full(&reading) &&
         out->n_finished < CONVSTORE_SEGMENT_MAX) {
    if (tail->seq < tail->last_seq) {
      status = read_conversation(&reading, connection, call);
      continue;
    }
    if (tail->conversation_id[0] != '\0')
      memcpy(out->finished[out->n_finished++], tail->conversation_id, CONVSTORE_ID_SIZE);
    status = next_conversation(tail, connection, call);
  }
  return status != CONVSTORE_OK ? status
                                : convstore__segment_finish(&out->segment, reading.builder, call->err);
}

bool convstore__sqlite_is_worth_a_segment(const struct sqlite_tail_part *part,
                                          const struct sqlite_tail *tail) {
  return !tail->done ||
         convstore__is_worth_a_segment(part->segment.n_messages, part->n_finished, part->n_bytes);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static int insert_segment(int64_t *id, struct sqlite_connection *connection, struct convstore_call *call,
                          const struct convstore_segment *segment) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_INSERT_SEGMENT, call->err);
  if (statement == NULL) return call->err->status;
  int status = bind_user_and(connection, statement, call, segment->runs[0].conversation_id);
  if (status != CONVSTORE_OK) return status;
  if (sqlite3_bind_int64(statement, 3, (int64_t)segment->n_messages) != SQLITE_OK ||
      sqlite3_bind_blob64(statement, 4, segment->messages, segment->messages_size, SQLITE_STATIC) !=
          SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    *id = sqlite3_column_int64(statement, 0);
    code = sqlite3_step(statement); /* RETURNING is done only when stepped to the end */
  }
  if (code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  sqlite3_reset(statement);
  return status;
}

static int insert_runs(int64_t id, struct sqlite_connection *connection, struct convstore_call *call,
                       const struct convstore_segment *segment) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_INSERT_RUN, call->err);
  if (statement == NULL) return call->err->status;
  int status = CONVSTORE_OK;
  for (size_t i = 0; status == CONVSTORE_OK && i < segment->n_runs; i++) {
    const struct convstore_run *run = &segment->runs[i];
    status = bind_user_and(connection, statement, call, run->conversation_id);
    if (status != CONVSTORE_OK) break;
    if (sqlite3_bind_int64(statement, 3, run->first_seq) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 4, run->last_seq) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 5, id) != SQLITE_OK)
      return convstore__sqlite_fail(connection, call->err);
    status = convstore__sqlite_exec(connection, statement, call->err);
  }
  return status;
}

static int insert_postings(int64_t id, struct sqlite_connection *connection, struct convstore_call *call,
                           const struct convstore_segment *segment) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_INSERT_POSTINGS, call->err);
  if (statement == NULL) return call->err->status;
  int status = CONVSTORE_OK;
  for (size_t i = 0; status == CONVSTORE_OK && i < segment->n_postings; i++) {
    const struct convstore_postings *postings = &segment->postings[i];
    if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 2, id) != SQLITE_OK ||
        sqlite3_bind_int(statement, 3, postings->bucket) != SQLITE_OK ||
        sqlite3_bind_blob64(statement, 4, postings->data, postings->size, SQLITE_STATIC) != SQLITE_OK)
      return convstore__sqlite_fail(connection, call->err);
    status = convstore__sqlite_exec(connection, statement, call->err);
  }
  return status;
}

/* Runs a statement of user and conversation for one that is not the call's. */
static int run_for(struct sqlite_connection *connection, struct convstore_call *call, enum sqlite_stmt id,
                   const char *conversation_id) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  int status = bind_user_and(connection, statement, call, conversation_id);
  return status != CONVSTORE_OK ? status : convstore__sqlite_exec(connection, statement, call->err);
}

/* Reads a part and writes it, under one lock, so that no redaction can come in between. */
static int index_part(struct sqlite_connection *connection, struct convstore_call *call) {
  struct sqlite_tail tail = {.done = false};
  struct sqlite_tail_part part;
  int64_t id = 0;
  int status = convstore__sqlite_read_tail(&part, &tail, &connection->scratch, connection, call);
  connection->tail_is_long = false;
  connection->n_indexed = 0;
  if (status != CONVSTORE_OK || !convstore__sqlite_is_worth_a_segment(&part, &tail)) return status;
  if (part.segment.n_messages > 0) {
    status = insert_segment(&id, connection, call, &part.segment);
    if (status == CONVSTORE_OK) status = insert_runs(id, connection, call, &part.segment);
    if (status == CONVSTORE_OK) status = insert_postings(id, connection, call, &part.segment);
    connection->index_is_damaged =
        status == CONVSTORE_E_CORRUPT && (call->err->native & 0xff) == SQLITE_CONSTRAINT;
  }
  for (size_t i = 0; status == CONVSTORE_OK && i < part.n_finished; i++)
    status = run_for(connection, call, SQLITE_STMT_SEARCH_INDEXED, part.finished[i]);
  connection->tail_is_long = !tail.done;
  connection->n_indexed = part.segment.n_messages;
  return status;
}

/* *n_indexed grows by what was indexed, also where the end is an error. */
static int index_parts(int64_t *n_indexed, struct sqlite_connection *connection,
                       struct convstore_call *call) {
  int status;
  do {
    int64_t now = convstore__monotonic_ms();
    if (now >= call->deadline_ms)
      return convstore_fail(call->err, CONVSTORE_E_TIMEOUT,
                            "indexing this user's messages took longer than `timeout`; search again, and it "
                            "goes on where it stopped");
    if (connection->deadline_ms > now + LOCK_WAIT_MS) connection->deadline_ms = now + LOCK_WAIT_MS;
    status = convstore__sqlite_write(connection, call, index_part);
    connection->deadline_ms = call->deadline_ms;
    convstore_result_free(&connection->scratch);
    if (status == CONVSTORE_OK) *n_indexed += (int64_t)connection->n_indexed;
  } while (status == CONVSTORE_OK && connection->tail_is_long);
  return status;
}

int convstore__sqlite_index_tail(struct sqlite_connection *connection, struct convstore_call *call) {
  int64_t started_ms = convstore__monotonic_ms();
  int64_t n_indexed = 0;
  int status = index_parts(&n_indexed, connection, call);
  if (n_indexed > 0)
    convstore__event_indexed(connection->base.events, n_indexed, convstore__monotonic_ms() - started_ms);
  return status;
}

/* ---- taking out ------------------------------------------------------------------------------------------------ */

static int run_for_range(struct sqlite_connection *connection, const struct convstore_call *call,
                         enum sqlite_stmt id, int64_t first_seq, int64_t last_seq) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 3, first_seq) != SQLITE_OK ||
      sqlite3_bind_int64(statement, 4, last_seq) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  return convstore__sqlite_exec(connection, statement, call->err);
}

int convstore__sqlite_drop_segments(struct sqlite_connection *connection, const struct convstore_call *call,
                                    int64_t first_seq, int64_t last_seq) {
  int status = run_for_range(connection, call, SQLITE_STMT_REOPEN_NEIGHBOURS, first_seq, last_seq);
  if (status != CONVSTORE_OK) return status;
  return run_for_range(connection, call, SQLITE_STMT_DROP_SEGMENTS, first_seq, last_seq);
}

static int drop_index(struct sqlite_connection *connection, struct convstore_call *call) {
  static const enum sqlite_stmt ids[] = {SQLITE_STMT_REOPEN_ALL, SQLITE_STMT_DROP_ALL_RUNS,
                                         SQLITE_STMT_DROP_ALL_POSTINGS, SQLITE_STMT_DROP_ALL_SEGMENTS};
  int status = CONVSTORE_OK;
  for (size_t i = 0; status == CONVSTORE_OK && i < sizeof ids / sizeof *ids; i++) {
    sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)ids[i], call->err);
    if (statement == NULL) return call->err->status;
    if (convstore__sqlite_bind_text(statement, 1, call->request->user_id) != SQLITE_OK)
      return convstore__sqlite_fail(connection, call->err);
    status = convstore__sqlite_exec(connection, statement, call->err);
  }
  return status;
}

int convstore__sqlite_drop_index(struct sqlite_connection *connection, struct convstore_call *call) {
  return convstore__sqlite_write(connection, call, drop_index);
}
