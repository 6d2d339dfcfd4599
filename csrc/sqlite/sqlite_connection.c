/*
 * The connection: what is the same for every operation. See sqlite_connection.h.
 * It holds no statement open between calls, so nothing outlives a call but the prepared statements themselves.
 */
#include "sqlite_operations.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../core/clock.h"
#include "../core/interrupt.h"
#include "../core/operations.h"

#define JOURNAL_MODE_SIZE 16
#define LONG_WAIT_MS 100 /* of a call: worth an event */
/* Between two looks at the interrupt, in instructions of SQLite's virtual machine: under a millisecond. */
#define INSTRUCTIONS 10000

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* A wait that is over is known by the one that follows. */
static void end_wait(struct sqlite_connection *connection) {
  connection->waited_ms += connection->wait_ms;
  connection->wait_ms = 0;
}

static void begin_wait(struct sqlite_connection *connection) {
  end_wait(connection);
  connection->wait_began_ms = convstore__monotonic_ms();
  connection->wait_statement = connection->statement;
}

void convstore__sqlite_forget_waits(struct sqlite_connection *connection) {
  connection->waited_ms = 0;
  connection->wait_ms = 0;
}

void convstore__sqlite_note_waits(struct sqlite_connection *connection) {
  end_wait(connection);
  if (connection->waited_ms < LONG_WAIT_MS) return;
  convstore_event *event =
      convstore__event(connection->base.events, CONVSTORE_EVENT_WAIT,
                       "\"%s\" was locked by another connection for %lld ms of this call", connection->path,
                       (long long)connection->waited_ms);
  if (event == NULL) return;
  event->elapsed_ms = connection->waited_ms;
  if (connection->wait_statement >= 0)
    event->statement = convstore__sqlite_stmt_texts[connection->wait_statement].name;
}

bool convstore__sqlite_must_end(struct sqlite_connection *connection) {
  if (convstore_interrupt_is_raised(connection->base.interrupt)) connection->interrupted = true;
  return connection->interrupted;
}

/* In the middle of a statement. Anything but 0 ends it. */
static int on_progress(void *context) {
  struct sqlite_connection *connection = context;
  return !connection->is_undoing && convstore__sqlite_must_end(connection);
}

void convstore__sqlite_watch_interrupt(struct sqlite_connection *connection) {
  bool watches = connection->base.interrupt != NULL;
  sqlite3_progress_handler(connection->db, watches ? INSTRUCTIONS : 0, watches ? on_progress : NULL,
                           connection);
}

/* Waits a little more, until the call's deadline: SQLite's own handler backs off to 100 ms steps, in which a busy bot
 * starves. The sleep grows to 10 ms and is jittered, so that waiting processes do not wake in step. */
static int on_busy(void *context, int count) {
  struct sqlite_connection *connection = context;
  int64_t left_us = (connection->deadline_ms - convstore__monotonic_ms()) * 1000;
  unsigned char random;
  if (count == 0) begin_wait(connection);
  int64_t sleep_us = count < 10 ? 1000 * (count + 1) : 10000;
  if (left_us <= 0 || convstore__sqlite_must_end(connection)) return 0;
  sqlite3_randomness(1, &random);
  sleep_us = sleep_us / 2 + sleep_us * random / 256;
  if (sleep_us > left_us) sleep_us = left_us;
  struct timespec time = {.tv_sec = sleep_us / 1000000, .tv_nsec = sleep_us % 1000000 * 1000};
  (void)nanosleep(&time, NULL);
  connection->wait_ms = convstore__monotonic_ms() - connection->wait_began_ms;
  return 1;
}

/* Opening a named pipe would wait for its other end, without a limit, and a device is no place for a database. What is
 * not there, and a folder, SQLite refuses well enough. */
static bool may_be_opened(const char *path) {
  struct stat info;
  if (strcmp(path, ":memory:") == 0 || stat(path, &info) != 0) return true;
  return S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

int convstore__sqlite_connect(struct sqlite_connection *connection, convstore_error *err) {
  /* Unshared, so without SQLite's mutex: the core lets one call at a time into a handle. */
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  flags |= connection->options.readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_libversion_number() < 3038000)
    return convstore_fail(err, CONVSTORE_E_UNSUPPORTED, "SQLite %s is too old; convstore needs 3.38 or newer",
                          sqlite3_libversion());
  if (!may_be_opened(connection->path))
    return convstore_fail(err, CONVSTORE_E_INVALID, "\"%s\" is no regular file; give the path of a file",
                          connection->path);
  if (sqlite3_open_v2(connection->path, &connection->db, flags, NULL) != SQLITE_OK)
    return convstore__sqlite_fail(connection, err);
  if (sqlite3_busy_handler(connection->db, on_busy, connection) != SQLITE_OK)
    return convstore__sqlite_fail(connection, err);
  convstore__sqlite_watch_interrupt(connection);
  /* secure_delete from the first write on: switched on only for an erasure it leaves what was deleted before. */
  return convstore__sqlite_run_script(
      connection,
      connection->options.durability_normal
          ? "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL;"
          : "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;",
      err);
}

/* ---- statements ------------------------------------------------------------------------------------------------ */

void convstore__sqlite_forget_statements(struct sqlite_connection *connection) {
  for (int i = 0; i < SQLITE_STMTS; i++) {
    sqlite3_finalize(connection->statements[i]);
    connection->statements[i] = NULL;
  }
}

sqlite3_stmt *convstore__sqlite_statement(struct sqlite_connection *connection, int id,
                                          convstore_error *err) {
  sqlite3_stmt **statement = &connection->statements[id];
  connection->statement = id;
  if (*statement != NULL) return *statement;
  if (sqlite3_prepare_v3(connection->db, convstore__sqlite_stmt_texts[id].sql, -1, SQLITE_PREPARE_PERSISTENT,
                         statement, NULL) != SQLITE_OK)
    (void)convstore__sqlite_fail(connection, err);
  return *statement;
}

int convstore__sqlite_exec(struct sqlite_connection *connection, sqlite3_stmt *statement,
                           convstore_error *err) {
  int code = sqlite3_step(statement);
  int status =
      code == SQLITE_DONE || code == SQLITE_ROW ? CONVSTORE_OK : convstore__sqlite_fail(connection, err);
  sqlite3_reset(statement);
  return status;
}

/* `each` is called with `context` for each row. */
static int run_script(struct sqlite_connection *connection, const char *sql,
                      int (*each)(void *, int, char **, char **), void *context, convstore_error *err) {
  connection->statement = -1;
  if (sqlite3_exec(connection->db, sql, each, context, NULL) == SQLITE_OK) return CONVSTORE_OK;
  return convstore__sqlite_fail(connection, err);
}

int convstore__sqlite_run_script(struct sqlite_connection *connection, const char *sql,
                                 convstore_error *err) {
  return run_script(connection, sql, NULL, NULL, err);
}

static int read_mode(void *context, int n, char **values, char **names) {
  char *mode = context;
  (void)names;
  if (n == 1 && values[0] != NULL) (void)sqlite3_snprintf(JOURNAL_MODE_SIZE, mode, "%s", values[0]);
  return 0;
}

int convstore__sqlite_use_wal(struct sqlite_connection *connection, convstore_error *err) {
  char mode[JOURNAL_MODE_SIZE] = "";
  int status;
  /* The switch wants the file alone and does not always ask the busy handler, so it is tried until the deadline. */
  for (int count = 0;; count++) {
    status = run_script(connection, "PRAGMA journal_mode = WAL;", read_mode, mode, err);
    if (status != CONVSTORE_E_BUSY || !on_busy(connection, count)) break;
  }
  if (status == CONVSTORE_E_BUSY && connection->interrupted) status = convstore__fail_interrupted(err);
  /* A database in memory has none, and needs none. */
  if (status == CONVSTORE_OK && strcmp(mode, "wal") != 0 && strcmp(mode, "memory") != 0)
    (void)convstore__event(
        connection->base.events, CONVSTORE_EVENT_FALLBACK,
        "\"%s\" cannot have a write-ahead log here; with journal_mode %s readers and writers "
        "wait for each other",
        connection->path, mode);
  return status;
}

int convstore__sqlite_bind_text(sqlite3_stmt *statement, int index, convstore_text text) {
  if (text.data == NULL) return sqlite3_bind_null(statement, index);
  return sqlite3_bind_text64(statement, index, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

int convstore__sqlite_bind_id(sqlite3_stmt *statement, int index, const char *id) {
  return sqlite3_bind_text(statement, index, id, CONVSTORE_ID_SIZE - 1, SQLITE_STATIC);
}

int convstore__sqlite_bind_conversation(sqlite3_stmt *statement, const struct convstore_call *call) {
  int code = convstore__sqlite_bind_text(statement, 1, call->request->user_id);
  return code != SQLITE_OK ? code : convstore__sqlite_bind_id(statement, 2, call->request->conversation_id);
}

int convstore__sqlite_read_text(convstore_text *out, sqlite3_stmt *statement, int column,
                                struct convstore_call *call) {
  if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
    *out = (convstore_text){NULL, 0};
    return CONVSTORE_OK;
  }
  const char *data = (const char *)sqlite3_column_text(statement, column);
  if (data == NULL) return convstore__sqlite_no_memory(call->err);
  out->size = (size_t)sqlite3_column_bytes(statement, column);
  out->data = convstore__arena_copy(call->result->memory, data, out->size);
  return out->data != NULL ? CONVSTORE_OK : convstore__sqlite_no_memory(call->err);
}

int convstore__sqlite_read_id(char out[CONVSTORE_ID_SIZE], sqlite3_stmt *statement, int column,
                              struct convstore_call *call) {
  const char *data = (const char *)sqlite3_column_text(statement, column);
  if (data == NULL && sqlite3_column_type(statement, column) == SQLITE_NULL) {
    out[0] = '\0';
    return CONVSTORE_OK;
  }
  if (data == NULL) return convstore__sqlite_no_memory(call->err);
  if (sqlite3_column_bytes(statement, column) != CONVSTORE_ID_SIZE - 1)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a stored id is no UUID; restore a backup");
  memcpy(out, data, CONVSTORE_ID_SIZE);
  return CONVSTORE_OK;
}

int64_t convstore__sqlite_read_optional(sqlite3_stmt *statement, int column) {
  return sqlite3_column_type(statement, column) == SQLITE_NULL ? CONVSTORE_ABSENT
                                                               : sqlite3_column_int64(statement, column);
}

/* ---- transactions ---------------------------------------------------------------------------------------------- */

int convstore__sqlite_run(struct sqlite_connection *connection, enum sqlite_stmt id, convstore_error *err) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, err);
  return statement == NULL ? err->status : convstore__sqlite_exec(connection, statement, err);
}

int convstore__sqlite_run_for_conversation(struct sqlite_connection *connection,
                                           const struct convstore_call *call, enum sqlite_stmt id) {
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if (convstore__sqlite_bind_conversation(statement, call) != SQLITE_OK)
    return convstore__sqlite_fail(connection, call->err);
  return convstore__sqlite_exec(connection, statement, call->err);
}

static void roll_back(struct sqlite_connection *connection, bool nested) {
  convstore_error ignored = {0};
  if (sqlite3_get_autocommit(connection->db)) {
    /* SQLite undid everything by itself (disk full, I/O error, out of memory), the caller's transaction included. */
    if (nested) connection->base.lost = true;
    return;
  }
  int status =
      convstore__sqlite_run(connection, nested ? SQLITE_STMT_ROLLBACK_TO : SQLITE_STMT_ROLLBACK, &ignored);
  if (status == CONVSTORE_OK && nested)
    status = convstore__sqlite_run(connection, SQLITE_STMT_RELEASE, &ignored);
  if (status != CONVSTORE_OK) {
    /* Not even the prepared statement could run (out of memory): end the whole transaction the short way. */
    (void)sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    if (nested) connection->base.lost = true;
  }
}

void convstore__sqlite_undo(struct sqlite_connection *connection, bool nested) {
  connection->is_undoing = true;
  roll_back(connection, nested);
  connection->is_undoing = false;
}

int convstore__sqlite_begin(struct sqlite_connection *connection, struct convstore_call *call,
                            enum sqlite_stmt id, bool nested) {
  static const enum sqlite_stmt undo[] = {SQLITE_STMT_ROLLBACK, SQLITE_STMT_ROLLBACK_TO, SQLITE_STMT_RELEASE};
  for (size_t i = nested ? 1 : 0; i < (nested ? 3 : 1); i++)
    if (convstore__sqlite_statement(connection, (int)undo[i], call->err) == NULL) return call->err->status;
  int status = convstore__sqlite_run(connection, id, call->err);
  if (status != CONVSTORE_OK || nested || !convstore__needs[call->request->operation].schema) return status;
  status = convstore__sqlite_check_schema(connection, call, false);
  if (status != CONVSTORE_OK) convstore__sqlite_undo(connection, false);
  return status;
}

int convstore__sqlite_write(struct sqlite_connection *connection, struct convstore_call *call,
                            sqlite_body *body) {
  bool nested = call->depth > 0;
  int status =
      convstore__sqlite_begin(connection, call, nested ? SQLITE_STMT_SAVEPOINT : SQLITE_STMT_BEGIN, nested);
  if (status != CONVSTORE_OK) return status;
  status = body(connection, call);
  if (status == CONVSTORE_OK) {
    status = convstore__sqlite_run(connection, nested ? SQLITE_STMT_RELEASE : SQLITE_STMT_COMMIT, call->err);
    if (status == CONVSTORE_OK) return status;
  }
  convstore__sqlite_undo(connection, nested);
  return status;
}
