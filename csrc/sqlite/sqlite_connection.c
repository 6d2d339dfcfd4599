/*
 * The connection: what is the same for every operation. See sqlite_connection.h.
 * It holds no statement open between calls, so nothing outlives a call but the prepared statements themselves.
 */
#include "sqlite_operations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../core/clock.h"

/* ---- errors ---------------------------------------------------------------------------------------------------- */

int sqlite_no_memory(convstore_error *err)
{
  return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory");
}

/* The folder that `path` is in, cut to `size`. */
static void folder_of(char *out, size_t size, const char *path)
{
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    (void)snprintf(out, size, ".");
  else
    (void)snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Why the file could not be opened: SQLite says only that it could not. */
static int fail_cantopen(struct sqlite_connection *connection, convstore_error *err)
{
  const char *path = connection->path;
  char folder[4096];
  struct stat info;
  folder_of(folder, sizeof folder, path);
  bool there = stat(path, &info) == 0;
  if (there && S_ISDIR(info.st_mode))
    return convstore_fail(err, CONVSTORE_E_INVALID, "\"%s\" is a folder; give the path of a file", path);
  if (!there && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "\"%s\" cannot be opened: %s", path, strerror(errno));
  if ((there && access(path, R_OK) != 0) || (!there && errno == EACCES))
    return convstore_fail(err, CONVSTORE_E_DENIED, "\"%s\" may not be read by this user; change its permissions", path);
  if (!there && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)))
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "\"%s\" cannot be made: its folder does not exist; make it first",
                          path);
  if (!there && connection->options.readonly)
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "\"%s\" does not exist; open it once without `readonly`", path);
  if (access(folder, W_OK) != 0)
    return convstore_fail(err, CONVSTORE_E_READONLY,
                          "\"%s\" needs a folder in which this user may make files (%s); change its permissions", path,
                          strerror(errno));
  return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "\"%s\" cannot be opened; see whether too many files are open", path);
}

static int fail_io(struct sqlite_connection *connection, int extended, convstore_error *err)
{
  int reason = sqlite3_system_errno(connection->db);
  /* A commit that fails leaves SQLite's own record of errno empty. Then errno itself is asked, but only for what says
   * why a write fails: SQLite also looks for files that are not there, and need not be. */
  if (reason == 0 && (errno == EDQUOT || errno == EFBIG || errno == ENOSPC || errno == EROFS)) reason = errno;
  if (extended == SQLITE_IOERR_NOMEM) return sqlite_no_memory(err);
  if (extended == SQLITE_IOERR_CORRUPTFS)
    return convstore_fail(err, CONVSTORE_E_CORRUPT, "the file system under \"%s\" is damaged; restore a backup",
                          connection->path);
  /* A quota or a file-size limit reaches SQLite as a failed write, not as a full disk. */
  if (reason == EDQUOT || reason == EFBIG || reason == ENOSPC)
    return convstore_fail(err, CONVSTORE_E_FULL, "no room for \"%s\": %s; free some space and try again",
                          connection->path, strerror(reason));
  if (reason == EROFS || reason == EACCES)
    return convstore_fail(err, CONVSTORE_E_READONLY, "\"%s\" cannot be written: %s", connection->path,
                          strerror(reason));
  return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "reading or writing \"%s\" failed: %s (%s); check the disk",
                        connection->path, sqlite3_errmsg(connection->db), reason != 0 ? strerror(reason) : "no reason");
}

/*
 * The core has checked what is written, so a rule that is broken is about rows that were there before: counters, mostly.
 * But for JSON: without memory to parse it, SQLite 3.40 takes it for malformed.
 */
static int fail_constraint(struct sqlite_connection *connection, int extended, convstore_error *err)
{
  static const char *const json_checks[] = {"metadata_check", "parts_check", "tool_calls_check", "attachments_check"};
  const char *why = sqlite3_errmsg(connection->db);
  switch (extended) {
    case SQLITE_CONSTRAINT_CHECK:
      for (size_t i = 0; i < sizeof json_checks / sizeof *json_checks; i++)
        if (strstr(why, json_checks[i]) != NULL) return sqlite_no_memory(err);
      /* fall through */
    case SQLITE_CONSTRAINT_DATATYPE:
    case SQLITE_CONSTRAINT_NOTNULL:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
      return convstore_fail(err, CONVSTORE_E_CORRUPT, "what \"%s\" holds breaks its own rules (%s); restore a backup",
                            connection->path, why);
    default: /* a trigger of the host's, perhaps */
      return convstore_fail(err, CONVSTORE_E_INVALID, "a rule of the database refused this: %s", why);
  }
}

/* Whether SQLite speaks of tables of ours that are not as our migrations made them. */
static bool is_lost_table(const char *why)
{
  if (strstr(why, "no such table") != NULL && strstr(why, "convstore_") == NULL) return false;
  static const char *const phrases[] = {"no such table", "no such column", "has no column named", "because it is a view",
                                        "use DROP VIEW"};
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (strstr(why, phrases[i]) != NULL) return true;
  return false;
}

int sqlite_fail(struct sqlite_connection *connection, convstore_error *err)
{
  sqlite3 *db = connection->db;
  int extended = db == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db);
  const char *path = connection->path;
  int status;
  switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      status = convstore_fail(err, CONVSTORE_E_BUSY,
                              "\"%s\" is locked by another connection; try again, or raise `timeout`", path);
      break;
    case SQLITE_NOMEM:
      status = sqlite_no_memory(err);
      break;
    case SQLITE_READONLY:
      status = convstore_fail(err, CONVSTORE_E_READONLY,
                              "\"%s\" cannot be written: %s; open it without `readonly`, on a file that may be changed", path,
                              sqlite3_errmsg(db));
      break;
    case SQLITE_IOERR:
      status = fail_io(connection, extended, err);
      break;
    case SQLITE_FULL:
      status = convstore_fail(err, CONVSTORE_E_FULL, "no room for \"%s\"; free some space and try again", path);
      break;
    case SQLITE_CANTOPEN:
      status = fail_cantopen(connection, err);
      break;
    case SQLITE_NOTADB:
      status = convstore_fail(err, CONVSTORE_E_CORRUPT, "\"%s\" is not an SQLite database; give another path", path);
      break;
    case SQLITE_CORRUPT:
      status = convstore_fail(err, CONVSTORE_E_CORRUPT, "\"%s\" is damaged (%s); restore a backup", path,
                              sqlite3_errmsg(db));
      break;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      status = convstore_fail(err, CONVSTORE_E_DENIED, "\"%s\" may not be used: %s", path, sqlite3_errmsg(db));
      break;
    case SQLITE_TOOBIG:
      status = convstore_fail(err, CONVSTORE_E_TOO_LARGE, "a value is larger than SQLite takes; shorten it");
      break;
    case SQLITE_CONSTRAINT:
      status = fail_constraint(connection, extended, err);
      break;
    case SQLITE_ERROR:
      if (is_lost_table(sqlite3_errmsg(db))) {
        status = convstore_fail(err, CONVSTORE_E_SCHEMA, "the tables in \"%s\" are not as convstore made them (%s); restore a backup, or use "
                                "another file",
                                path, sqlite3_errmsg(db));
        break;
      }
      if (strstr(sqlite3_errmsg(db), "malformed JSON") != NULL) {
        status = convstore_fail(err, CONVSTORE_E_CORRUPT, "\"%s\" holds broken JSON; restore a backup", path);
        break;
      }
      if (strstr(sqlite3_errmsg(db), "foreign key mismatch") != NULL || strstr(sqlite3_errmsg(db), "no such table") != NULL) {
        status = convstore_fail(err, CONVSTORE_E_INVALID,
                                "the table that `users` named is gone, or its column is no key any more (%s); mend it",
                                sqlite3_errmsg(db));
        break;
      }
      /* "table x already exists", "there is already a table named x" */
      if (strstr(sqlite3_errmsg(db), "already ") != NULL) {
        status = convstore_fail(err, CONVSTORE_E_SCHEMA,
                                "\"%s\" has tables of convstore's names that convstore did not make (%s); rename them, or "
                                "use another file",
                                path, sqlite3_errmsg(db));
        break;
      } /* fall through */
    default:
      status = convstore_fail(err, CONVSTORE_E_INTERNAL, "SQLite refused a statement of convstore: %s (%d)",
                              db == NULL ? "" : sqlite3_errmsg(db), extended);
      break;
  }
  err->native = extended;
  return status;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* Waits a little more, until the call's deadline: SQLite's own handler backs off to 100 ms steps, in which a busy bot
 * starves. The sleep grows to 10 ms and is jittered, so that waiting processes do not wake in step. */
static int on_busy(void *context, int count)
{
  const struct sqlite_connection *connection = context;
  int64_t left_us = (connection->deadline_ms - convstore__monotonic_ms()) * 1000;
  unsigned char random;
  int64_t sleep_us = count < 10 ? 1000 * (count + 1) : 10000;
  if (left_us <= 0) return 0;
  sqlite3_randomness(1, &random);
  sleep_us = sleep_us / 2 + sleep_us * random / 256;
  if (sleep_us > left_us) sleep_us = left_us;
  struct timespec time = {.tv_sec = sleep_us / 1000000, .tv_nsec = sleep_us % 1000000 * 1000};
  (void)nanosleep(&time, NULL);
  return 1;
}

int sqlite_connect(struct sqlite_connection *connection, convstore_error *err)
{
  /* Unshared, so without SQLite's mutex: the core lets one call at a time into a handle. */
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  flags |= connection->options.readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_libversion_number() < 3038000)
    return convstore_fail(err, CONVSTORE_E_UNSUPPORTED, "SQLite %s is too old; convstore needs 3.38 or newer",
                          sqlite3_libversion());
  if (sqlite3_open_v2(connection->path, &connection->db, flags, NULL) != SQLITE_OK)
    return sqlite_fail(connection, err);
  if (sqlite3_busy_handler(connection->db, on_busy, connection) != SQLITE_OK) return sqlite_fail(connection, err);
  /* secure_delete from the first write on: switched on only for an erasure it leaves what was deleted before. */
  return sqlite_run_script(connection,
                           connection->options.durability_normal
                               ? "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL;"
                               : "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;",
                           err);
}

int sqlite_use_wal(struct sqlite_connection *connection, convstore_error *err)
{
  int status;
  /* The switch wants the file alone and does not always ask the busy handler, so it is tried until the deadline. */
  for (int count = 0;; count++) {
    status = sqlite_run_script(connection, "PRAGMA journal_mode = WAL;", err);
    if (status != CONVSTORE_E_BUSY || !on_busy(connection, count)) return status;
  }
}

/* ---- statements ------------------------------------------------------------------------------------------------ */

void sqlite_forget_statements(struct sqlite_connection *connection)
{
  for (int i = 0; i < SQLITE_STMTS; i++) {
    sqlite3_finalize(connection->statements[i]);
    connection->statements[i] = NULL;
  }
}

sqlite3_stmt *sqlite_statement(struct sqlite_connection *connection, int id, convstore_error *err)
{
  sqlite3_stmt **statement = &connection->statements[id];
  if (*statement != NULL) return *statement;
  if (sqlite3_prepare_v3(connection->db, sqlite_stmt_texts[id].sql, -1, SQLITE_PREPARE_PERSISTENT, statement,
                         NULL) != SQLITE_OK)
    (void)sqlite_fail(connection, err);
  return *statement;
}

int sqlite_exec(struct sqlite_connection *connection, sqlite3_stmt *statement, convstore_error *err)
{
  int code = sqlite3_step(statement);
  int status = code == SQLITE_DONE || code == SQLITE_ROW ? CONVSTORE_OK : sqlite_fail(connection, err);
  sqlite3_reset(statement);
  return status;
}

int sqlite_run_script(struct sqlite_connection *connection, const char *sql, convstore_error *err)
{
  if (sqlite3_exec(connection->db, sql, NULL, NULL, NULL) == SQLITE_OK) return CONVSTORE_OK;
  return sqlite_fail(connection, err);
}

int sqlite_bind_text(sqlite3_stmt *statement, int index, convstore_text text)
{
  if (text.data == NULL) return sqlite3_bind_null(statement, index);
  return sqlite3_bind_text64(statement, index, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

int sqlite_bind_id(sqlite3_stmt *statement, int index, const char *id)
{
  return sqlite3_bind_text(statement, index, id, CONVSTORE_ID_SIZE - 1, SQLITE_STATIC);
}

int sqlite_bind_optional(sqlite3_stmt *statement, int index, int64_t value)
{
  return value == CONVSTORE_ABSENT ? sqlite3_bind_null(statement, index) : sqlite3_bind_int64(statement, index, value);
}

int sqlite_bind_conversation(sqlite3_stmt *statement, const struct convstore_call *call)
{
  int code = sqlite_bind_text(statement, 1, call->request->user_id);
  return code != SQLITE_OK ? code : sqlite_bind_id(statement, 2, call->request->conversation_id);
}

int sqlite_read_text(convstore_text *out, sqlite3_stmt *statement, int column, struct convstore_call *call)
{
  if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
    *out = (convstore_text){NULL, 0};
    return CONVSTORE_OK;
  }
  const char *data = (const char *)sqlite3_column_text(statement, column);
  if (data == NULL) return sqlite_no_memory(call->err);
  out->size = (size_t)sqlite3_column_bytes(statement, column);
  out->data = convstore__arena_copy(call->result->memory, data, out->size);
  return out->data != NULL ? CONVSTORE_OK : sqlite_no_memory(call->err);
}

int sqlite_read_id(char out[CONVSTORE_ID_SIZE], sqlite3_stmt *statement, int column, struct convstore_call *call)
{
  const char *data = (const char *)sqlite3_column_text(statement, column);
  if (data == NULL && sqlite3_column_type(statement, column) == SQLITE_NULL) {
    out[0] = '\0';
    return CONVSTORE_OK;
  }
  if (data == NULL) return sqlite_no_memory(call->err);
  if (sqlite3_column_bytes(statement, column) != CONVSTORE_ID_SIZE - 1)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT, "a stored id is no UUID; restore a backup");
  memcpy(out, data, CONVSTORE_ID_SIZE);
  return CONVSTORE_OK;
}

int64_t sqlite_read_optional(sqlite3_stmt *statement, int column)
{
  return sqlite3_column_type(statement, column) == SQLITE_NULL ? CONVSTORE_ABSENT
                                                               : sqlite3_column_int64(statement, column);
}

/* ---- transactions ---------------------------------------------------------------------------------------------- */

int sqlite_run(struct sqlite_connection *connection, enum sqlite_stmt id, convstore_error *err)
{
  sqlite3_stmt *statement = sqlite_statement(connection, (int)id, err);
  return statement == NULL ? err->status : sqlite_exec(connection, statement, err);
}

int sqlite_run_for_conversation(struct sqlite_connection *connection, const struct convstore_call *call,
                                enum sqlite_stmt id)
{
  sqlite3_stmt *statement = sqlite_statement(connection, (int)id, call->err);
  if (statement == NULL) return call->err->status;
  if (sqlite_bind_conversation(statement, call) != SQLITE_OK) return sqlite_fail(connection, call->err);
  return sqlite_exec(connection, statement, call->err);
}

void sqlite_undo(struct sqlite_connection *connection, bool nested)
{
  convstore_error ignored;
  if (sqlite3_get_autocommit(connection->db)) {
    /* SQLite undid everything by itself (disk full, I/O error, out of memory), the caller's transaction included. */
    if (nested) connection->base.lost = true;
    return;
  }
  int status = sqlite_run(connection, nested ? SQLITE_STMT_ROLLBACK_TO : SQLITE_STMT_ROLLBACK, &ignored);
  if (status == CONVSTORE_OK && nested) status = sqlite_run(connection, SQLITE_STMT_RELEASE, &ignored);
  if (status != CONVSTORE_OK) {
    /* Not even the prepared statement could run (out of memory): end the whole transaction the short way. */
    (void)sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    if (nested) connection->base.lost = true;
  }
}

int sqlite_begin(struct sqlite_connection *connection, struct convstore_call *call, enum sqlite_stmt id, bool nested)
{
  static const enum sqlite_stmt undo[] = {SQLITE_STMT_ROLLBACK, SQLITE_STMT_ROLLBACK_TO, SQLITE_STMT_RELEASE};
  for (size_t i = nested ? 1 : 0; i < (nested ? 3 : 1); i++)
    if (sqlite_statement(connection, (int)undo[i], call->err) == NULL) return call->err->status;
  int status = sqlite_run(connection, id, call->err);
  if (status != CONVSTORE_OK || nested || call->request->operation >= CONVSTORE_SCHEMA_VERSION) return status;
  status = sqlite_check_schema(connection, call);
  if (status != CONVSTORE_OK) sqlite_undo(connection, false);
  return status;
}

int sqlite_write(struct sqlite_connection *connection, struct convstore_call *call, sqlite_body *body)
{
  bool nested = call->depth > 0;
  int status = sqlite_begin(connection, call, nested ? SQLITE_STMT_SAVEPOINT : SQLITE_STMT_BEGIN, nested);
  if (status != CONVSTORE_OK) return status;
  status = body(connection, call);
  if (status == CONVSTORE_OK) {
    status = sqlite_run(connection, nested ? SQLITE_STMT_RELEASE : SQLITE_STMT_COMMIT, call->err);
    if (status == CONVSTORE_OK) return status;
  }
  sqlite_undo(connection, nested);
  return status;
}
