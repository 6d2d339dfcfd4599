/*
 * What SQLite's errors mean: a status of the contract, and a sentence that names the file and what to do.
 * SQLite has one code for many reasons, so its words and errno are asked too; where, the reason stands beside it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/interrupt.h"
#include "sqlite_connection.h"

int convstore__sqlite_no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "not enough memory");
}

/* The folder that `path` is in, cut to `size`. */
static void folder_of(char *out, size_t size, const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    (void)snprintf(out, size, ".");
  else
    (void)snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Why the file could not be opened: SQLite says only that it could not. */
static int fail_cantopen(struct sqlite_connection *connection, convstore_error *err) {
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
    return convstore_fail(err, CONVSTORE_E_DENIED,
                          "\"%s\" may not be read by this user; change its permissions", path);
  if (!there && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)))
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE,
                          "\"%s\" cannot be made: its folder does not exist; make it first", path);
  if (!there && connection->options.readonly)
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE,
                          "\"%s\" does not exist; open it once without `readonly`", path);
  if (access(folder, W_OK) != 0)
    return convstore_fail(
        err, CONVSTORE_E_READONLY,
        "\"%s\" needs a folder in which this user may make files (%s); change its permissions", path,
        strerror(errno));
  return convstore_fail(err, CONVSTORE_E_UNAVAILABLE,
                        "\"%s\" cannot be opened; see whether too many files are open", path);
}

static int fail_io(struct sqlite_connection *connection, int extended, convstore_error *err) {
  int reason = sqlite3_system_errno(connection->db);
  /* A commit that fails leaves SQLite's own record of errno empty. Then errno itself is asked, but only for what says
   * why a write fails: SQLite also looks for files that are not there, and need not be. */
  if (reason == 0 && (errno == EDQUOT || errno == EFBIG || errno == ENOSPC || errno == EROFS)) reason = errno;
  if (extended == SQLITE_IOERR_NOMEM) return convstore__sqlite_no_memory(err);
  if (extended == SQLITE_IOERR_CORRUPTFS)
    return convstore_fail(err, CONVSTORE_E_CORRUPT,
                          "the file system under \"%s\" is damaged; restore a backup", connection->path);
  /* A quota or a file-size limit reaches SQLite as a failed write, not as a full disk. */
  if (reason == EDQUOT || reason == EFBIG || reason == ENOSPC)
    return convstore_fail(err, CONVSTORE_E_FULL, "no room for \"%s\": %s; free some space and try again",
                          connection->path, strerror(reason));
  if (reason == EROFS || reason == EACCES)
    return convstore_fail(err, CONVSTORE_E_READONLY, "\"%s\" cannot be written: %s", connection->path,
                          strerror(reason));
  return convstore_fail(err, CONVSTORE_E_UNAVAILABLE,
                        "reading or writing \"%s\" failed: %s (%s); check the disk", connection->path,
                        sqlite3_errmsg(connection->db), reason != 0 ? strerror(reason) : "no reason");
}

/*
 * The core has checked what is written, so a rule that is broken is about rows that were there before: counters,
 * mostly. But for JSON: without memory to parse it, SQLite 3.40 takes it for malformed.
 */
static int fail_constraint(struct sqlite_connection *connection, int extended, convstore_error *err) {
  static const char *const json_checks[] = {"metadata_check", "parts_check", "tool_calls_check",
                                            "attachments_check"};
  const char *why = sqlite3_errmsg(connection->db);
  switch (extended) {
  case SQLITE_CONSTRAINT_CHECK:
    for (size_t i = 0; i < sizeof json_checks / sizeof *json_checks; i++)
      if (strstr(why, json_checks[i]) != NULL) return convstore__sqlite_no_memory(err);
    /* fall through */
  case SQLITE_CONSTRAINT_DATATYPE:
  case SQLITE_CONSTRAINT_NOTNULL:
  case SQLITE_CONSTRAINT_PRIMARYKEY:
    return convstore_fail(err, CONVSTORE_E_CORRUPT,
                          "what \"%s\" holds breaks its own rules (%s); restore a backup", connection->path,
                          why);
  default: /* a trigger of the host's, perhaps */
    return convstore_fail(err, CONVSTORE_E_INVALID, "a rule of the database refused this: %s", why);
  }
}

/* Whether SQLite speaks of tables of ours that are not as our migrations made them. */
static bool is_lost_table(const struct sqlite_connection *connection, const char *why) {
  if (connection->refers_to_users && strstr(why, "no such table") != NULL &&
      strstr(why, "convstore_") == NULL)
    return false; /* it is the table of the option `users` */
  if (!connection->refers_to_users && strstr(why, "foreign key mismatch") != NULL) return true;
  static const char *const phrases[] = {"no such table",       "no such column",       "no such index",
                                        "has no column named", "because it is a view", "use DROP VIEW",
                                        "error in index"};
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (strstr(why, phrases[i]) != NULL) return true;
  return false;
}

int convstore__sqlite_fail(struct sqlite_connection *connection, convstore_error *err) {
  sqlite3 *db = connection->db;
  int extended = db == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db);
  const char *path = connection->path;
  int status;
  switch (extended & 0xff) {
  case SQLITE_INTERRUPT:
    status = convstore__fail_interrupted(err);
    break;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL:
    if (connection->interrupted) {
      status = convstore__fail_interrupted(err);
      break;
    }
    status = convstore_fail(err, CONVSTORE_E_BUSY,
                            "\"%s\" is locked by another connection; try again, or raise `timeout`", path);
    break;
  case SQLITE_NOMEM:
    status = convstore__sqlite_no_memory(err);
    break;
  case SQLITE_READONLY:
    status = convstore_fail(
        err, CONVSTORE_E_READONLY,
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
    status =
        convstore_fail(err, CONVSTORE_E_CORRUPT, "\"%s\" is not an SQLite database; give another path", path);
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
    if (is_lost_table(connection, sqlite3_errmsg(db))) {
      status =
          convstore_fail(err, CONVSTORE_E_SCHEMA,
                         "the tables in \"%s\" are not as convstore made them (%s); restore a backup, or use "
                         "another file",
                         path, sqlite3_errmsg(db));
      break;
    }
    if (strstr(sqlite3_errmsg(db), "integer overflow") != NULL) { /* of a sum */
      status = convstore_fail(err, CONVSTORE_E_CORRUPT,
                              "\"%s\" holds token counts that make no sense; restore a backup", path);
      break;
    }
    if (strstr(sqlite3_errmsg(db), "malformed JSON") != NULL) {
      status = convstore_fail(err, CONVSTORE_E_CORRUPT, "\"%s\" holds broken JSON; restore a backup", path);
      break;
    }
    if (connection->refers_to_users && (strstr(sqlite3_errmsg(db), "foreign key mismatch") != NULL ||
                                        strstr(sqlite3_errmsg(db), "no such table") != NULL)) {
      status = convstore_fail(
          err, CONVSTORE_E_INVALID,
          "the table that `users` named is gone, or its column is no key any more (%s); mend it",
          sqlite3_errmsg(db));
      break;
    }
    /* "table x already exists", "there is already a table named x" */
    if (strstr(sqlite3_errmsg(db), "already ") != NULL) {
      status = convstore_fail(
          err, CONVSTORE_E_SCHEMA,
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
