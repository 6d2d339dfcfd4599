/*
 * A copy of an SQLite database, made while others write: SQLite's own backup, page by page, into a file with a name of
 * its own beside the one that is asked for, which gets its name when it is whole and on the disk.
 *
 * SQLite begins a backup anew when another process has written between two steps. In write-ahead mode, in which
 * convstore keeps its files, a read transaction that is held from the first step to the last prevents that: the copy is
 * of one moment and nobody is kept from writing, only the log grows meanwhile. In the other modes such a transaction
 * would lock writers out; there each step is one of its own, with a pause behind it, and a busy file may take until the
 * deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../core/clock.h"
#include "../core/interrupt.h"
#include "sqlite_operations.h"

enum {
  PAGES_OF_STEP = 100, /* some hundred kilobytes: a lock of a few milliseconds */
  PAUSE_MS = 5,
  PATH_ROOM = 4096 /* bytes of a path, at most */
};

/* What one backup owns. */
struct backup {
  char *path;      /* as asked for */
  char *folder;    /* that it is in */
  char *temporary; /* the name of the copy until it is whole; NULL: not made yet */
  int fd; /* of the copy: kept open until SQLite has closed it, since closing it would drop SQLite's locks */
  sqlite3 *copy;
};

/* ---- the file system ------------------------------------------------------------------------------------------- */

/* What a failed call to the system means, by errno. */
static int fail_system(const struct backup *backup, convstore_error *err) {
  int reason = errno;
  switch (reason) {
  case EEXIST:
    return convstore_fail(err, CONVSTORE_E_CONFLICT,
                          "\"%s\" exists already; give the path of a file that does not", backup->path);
  case ENOENT:
  case ENOTDIR:
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE,
                          "\"%s\" cannot be made: its folder does not exist; make it first", backup->path);
  case EACCES:
  case EPERM:
    if (access(backup->folder, X_OK) != 0)
      return convstore_fail(err, CONVSTORE_E_DENIED,
                            "\"%s\" may not be reached by this user; change the permissions of its folder",
                            backup->path);
    /* fall through */
  case EROFS:
    return convstore_fail(
        err, CONVSTORE_E_READONLY,
        "\"%s\" needs a folder in which this user may make files (%s); change its permissions", backup->path,
        strerror(reason));
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return convstore_fail(err, CONVSTORE_E_FULL, "no room for \"%s\": %s; free some space and try again",
                          backup->path, strerror(reason));
  case ENOMEM:
    return convstore__sqlite_no_memory(err);
  default:
    return convstore_fail(err, CONVSTORE_E_UNAVAILABLE, "\"%s\" cannot be made: %s", backup->path,
                          strerror(reason));
  }
}

/* A name in a folder, as SQLite takes it literally: builds with URI names would read "file:..." as something else. */
static char *join(const char *folder, const char *name) {
  const char *prefix = strncmp(folder, "file:", 5) == 0 ? "./" : "";
  size_t size = strlen(prefix) + strlen(folder) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL) (void)snprintf(path, size, "%s%s/%s", prefix, folder, name);
  return path;
}

static char *copy_bytes(const char *data, size_t size) {
  char *copy = malloc(size + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, data, size);
  copy[size] = '\0';
  return copy;
}

/* Takes the request's path, and the folder in it. */
static int set_path(struct backup *backup, const struct convstore_call *call) {
  const convstore_text *path = &call->request->path;
  backup->path = copy_bytes(path->data, path->size);
  if (backup->path == NULL) return convstore__sqlite_no_memory(call->err);
  const char *slash = strrchr(backup->path, '/');
  if (slash == NULL)
    backup->folder = copy_bytes(".", 1);
  else /* that of "/copy.db" is "/" */
    backup->folder = copy_bytes(backup->path, slash == backup->path ? 1 : (size_t)(slash - backup->path));
  return backup->folder != NULL ? CONVSTORE_OK : convstore__sqlite_no_memory(call->err);
}

static const char *const besides[] = {"-journal", "-wal", "-shm"};

/* What lies beside a database belongs to it for SQLite: an old log would be played back over the copy, and a copy with
 * such a name over a database. */
static int refuse_besides(const struct backup *backup, convstore_error *err) {
  struct stat info;
  size_t size = strlen(backup->path);
  for (size_t i = 0; i < sizeof besides / sizeof *besides; i++) {
    char name[PATH_ROOM];
    size_t n = strlen(besides[i]);
    int length = snprintf(name, sizeof name, "%s%s", backup->path, besides[i]);
    if (length > 0 && (size_t)length < sizeof name && lstat(name, &info) == 0)
      return convstore_fail(err, CONVSTORE_E_CONFLICT,
                            "\"%s\" is there, and would be taken for a part of the copy; remove it, or give "
                            "another path",
                            name);
    if (size <= n || strcmp(backup->path + size - n, besides[i]) != 0) continue;
    length = snprintf(name, sizeof name, "%.*s", (int)(size - n), backup->path);
    if (length > 0 && (size_t)length < sizeof name && lstat(name, &info) == 0)
      return convstore_fail(err, CONVSTORE_E_CONFLICT,
                            "\"%s\" would be taken for a part of the database beside it; give another path",
                            backup->path);
  }
  return CONVSTORE_OK;
}

/* Makes the file that will be the copy, readable for nobody who may not read the database itself. */
static int make_file(struct backup *backup, const struct sqlite_connection *connection,
                     struct convstore_call *call) {
  char name[sizeof ".convstore-backup-" + CONVSTORE_ID_SIZE];
  char id[CONVSTORE_ID_SIZE];
  struct stat info;
  const char *source = sqlite3_db_filename(connection->db, "main");
  bool is_file = source != NULL && source[0] != '\0' && stat(source, &info) == 0;
  mode_t mode = is_file ? (info.st_mode & 0666) | S_IRUSR | S_IWUSR : S_IRUSR | S_IWUSR;
  if (lstat(backup->path, &info) == 0) {
    errno = EEXIST;
    return fail_system(backup, call->err);
  }
  int status = convstore_uuid(id, call->err);
  if (status != CONVSTORE_OK) return status;
  (void)snprintf(name, sizeof name, ".convstore-backup-%s", id);
  backup->temporary = join(backup->folder, name);
  if (backup->temporary == NULL) return convstore__sqlite_no_memory(call->err);
  backup->fd = open(backup->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (backup->fd >= 0) return CONVSTORE_OK;
  status = fail_system(backup, call->err);
  free(backup->temporary);
  backup->temporary = NULL;
  return status;
}

static int sync_folder(const struct backup *backup, convstore_error *err) {
  int fd = open(backup->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_system(backup, err);
  /* Some file systems do not sync folders, and say that it makes no sense to them. */
  int status = fsync(fd) == 0 || errno == EINVAL ? CONVSTORE_OK : fail_system(backup, err);
  (void)close(fd);
  return status;
}

/* Gives the copy its name, unless somebody was faster with it: a link never replaces a file. Where the file system has
 * no links, it is looked at once more and renamed. */
static int give_name(struct backup *backup, convstore_error *err) {
  struct stat info;
  if (link(backup->temporary, backup->path) == 0) return CONVSTORE_OK;
  if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP && errno != EMLINK)
    return fail_system(backup, err);
  if (lstat(backup->path, &info) == 0) {
    errno = EEXIST;
    return fail_system(backup, err);
  }
  return rename(backup->temporary, backup->path) == 0 ? CONVSTORE_OK : fail_system(backup, err);
}

/* Makes the copy last: its bytes, its name, and the folder that has it. */
static int publish(struct backup *backup, convstore_error *err) {
  if (fsync(backup->fd) != 0) return fail_system(backup, err);
  int status = give_name(backup, err);
  if (status != CONVSTORE_OK) return status;
  status = sync_folder(backup, err);
  if (status != CONVSTORE_OK) (void)unlink(backup->path);
  return status;
}

/* ---- SQLite ---------------------------------------------------------------------------------------------------- */

/* Says what is wrong with the copy, or, for what concerns reading, with the source. */
static int fail_copy(const struct backup *backup, struct sqlite_connection *connection, int code,
                     convstore_error *err) {
  bool reading = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB ||
                 code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ ||
                 code == SQLITE_IOERR_CORRUPTFS;
  struct sqlite_connection said = {.db = backup->copy, .path = reading ? connection->path : backup->path};
  if (code == SQLITE_NOMEM) return convstore__sqlite_no_memory(err);
  return convstore__sqlite_fail(&said, err);
}

static int open_copy(struct backup *backup, struct sqlite_connection *connection, convstore_error *err) {
  /* Nobody else knows the file, and it is thrown away after a failure: no journal, no syncs until it is whole. */
  static const char quick[] = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;";
  sqlite3 *copy = NULL;
  int code = sqlite3_open_v2(
      backup->temporary, &copy,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);
  backup->copy = copy; /* there is one to close after a failure, too */
  if (code == SQLITE_OK) code = sqlite3_exec(backup->copy, quick, NULL, NULL, NULL);
  return code == SQLITE_OK ? CONVSTORE_OK : fail_copy(backup, connection, code, err);
}

/* Whether a reader leaves writers alone. */
static int is_wal(bool *wal, struct sqlite_connection *connection, convstore_error *err) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_JOURNAL_MODE, err);
  if (statement == NULL) return err->status;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    const char *mode = (const char *)sqlite3_column_text(statement, 0);
    *wal = mode != NULL && strcmp(mode, "wal") == 0;
  } else {
    status = convstore__sqlite_fail(connection, err);
  }
  sqlite3_reset(statement);
  return status;
}

static void pause_for_writers(void) {
  struct timespec time = {.tv_nsec = PAUSE_MS * 1000000};
  (void)nanosleep(&time, NULL);
}

/* Copies all pages. */
static int copy_pages(struct backup *backup, bool pauses, struct sqlite_connection *connection,
                      struct convstore_call *call) {
  sqlite3_backup *pages = sqlite3_backup_init(backup->copy, "main", connection->db, "main");
  if (pages == NULL) return fail_copy(backup, connection, sqlite3_extended_errcode(backup->copy), call->err);
  int code = SQLITE_OK;
  bool late = false;
  while (!late && !convstore__sqlite_must_end(connection) &&
         (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)) {
    code = sqlite3_backup_step(pages, PAGES_OF_STEP);
    late = code != SQLITE_DONE && convstore__monotonic_ms() >= call->deadline_ms;
    if (code != SQLITE_DONE && !late && (pauses || code != SQLITE_OK)) pause_for_writers();
  }
  int end = sqlite3_backup_finish(pages); /* leaves the reason, if there is one, with the copy's connection */
  if (connection->interrupted && code != SQLITE_DONE) return convstore__fail_interrupted(call->err);
  if (late)
    return convstore_fail(call->err, CONVSTORE_E_TIMEOUT,
                          "the backup was not done in time; open with a longer `timeout`");
  if (code == SQLITE_DONE && end == SQLITE_OK) return CONVSTORE_OK;
  return fail_copy(backup, connection, code != SQLITE_DONE ? code : end, call->err);
}

/* The header says that the file is in write-ahead mode, which can't be read where nobody may write: a copy may come to
 * lie in such a place. A store that opens it switches it back. */
static int finish_copy(struct backup *backup, struct sqlite_connection *connection, convstore_error *err) {
  int code = sqlite3_exec(backup->copy, "PRAGMA journal_mode = DELETE;", NULL, NULL, NULL);
  int status = code == SQLITE_OK ? CONVSTORE_OK : fail_copy(backup, connection, code, err);
  if (status != CONVSTORE_OK) return status;
  code = sqlite3_close(backup->copy);
  if (code == SQLITE_OK) {
    backup->copy = NULL;
    return CONVSTORE_OK;
  }
  return fail_copy(backup, connection, code, err);
}

static int make_copy(struct backup *backup, struct sqlite_connection *connection,
                     struct convstore_call *call) {
  bool wal = false;
  int status = open_copy(backup, connection, call->err);
  if (status == CONVSTORE_OK) status = is_wal(&wal, connection, call->err);
  if (status == CONVSTORE_OK && wal)
    status = convstore__sqlite_begin(connection, call, SQLITE_STMT_BEGIN_READ, false);
  if (status != CONVSTORE_OK) return status;
  status = copy_pages(backup, !wal, connection, call);
  if (wal) convstore__sqlite_undo(connection, false);
  return status != CONVSTORE_OK ? status : finish_copy(backup, connection, call->err);
}

/* Whatever is left goes: after a success the copy's first name, after a failure all of it. */
static void clean_up(struct backup *backup) {
  (void)sqlite3_close_v2(backup->copy);
  if (backup->fd >= 0) (void)close(backup->fd);
  if (backup->temporary != NULL) (void)unlink(backup->temporary);
  for (size_t i = 0; backup->temporary != NULL && i < sizeof besides / sizeof *besides; i++) {
    char name[PATH_ROOM];
    int n = snprintf(name, sizeof name, "%s%s", backup->temporary, besides[i]);
    if (n > 0 && (size_t)n < sizeof name) (void)unlink(name);
  }
  free(backup->temporary);
  free(backup->folder);
  free(backup->path);
}

int convstore__sqlite_backup(struct sqlite_connection *connection, struct convstore_call *call) {
  struct backup backup = {.fd = -1};
  int status = set_path(&backup, call);
  if (status == CONVSTORE_OK) status = refuse_besides(&backup, call->err);
  if (status == CONVSTORE_OK) status = make_file(&backup, connection, call);
  if (status == CONVSTORE_OK) status = make_copy(&backup, connection, call);
  if (status == CONVSTORE_OK) status = publish(&backup, call->err);
  clean_up(&backup);
  return status;
}
