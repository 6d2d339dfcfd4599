/*
 * The SQLite backend: the seam's five functions, and the table from operations to the functions that do them.
 * It blocks: a call runs to its end in `start`, on whatever thread that is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/operations.h"
#include "sqlite_operations.h"

#include "migrations.inc"

static int open_connection(struct sqlite_connection *connection, struct convstore_call *call) {
  int status = convstore__sqlite_connect(connection, call->err);
  return status != CONVSTORE_OK ? status : convstore__sqlite_open_schema(connection, call);
}

/* ---- the caller's transactions --------------------------------------------------------------------------------- */

static int begin(struct sqlite_connection *connection, struct convstore_call *call) {
  if (call->depth > 0) return convstore__sqlite_begin(connection, call, SQLITE_STMT_SAVEPOINT, true);
  connection->has_erased = false;
  /* With the write lock from the start, a transaction that read first cannot fail at its first write. */
  return convstore__sqlite_begin(
      connection, call, connection->options.readonly ? SQLITE_STMT_BEGIN_READ : SQLITE_STMT_BEGIN, false);
}

static int commit(struct sqlite_connection *connection, struct convstore_call *call) {
  bool nested = call->depth > 1;
  int status =
      convstore__sqlite_run(connection, nested ? SQLITE_STMT_RELEASE : SQLITE_STMT_COMMIT, call->err);
  if (status != CONVSTORE_OK) convstore__sqlite_undo(connection, nested);
  if (status == CONVSTORE_OK && !nested && connection->has_erased)
    convstore__sqlite_forget_log(connection, call);
  return status;
}

static int rollback(struct sqlite_connection *connection, struct convstore_call *call) {
  convstore__sqlite_undo(connection, call->depth > 1);
  return CONVSTORE_OK;
}

/* ---- the seam -------------------------------------------------------------------------------------------------- */

static sqlite_operation *const operations[CONVSTORE_OPERATIONS] = {
    [CONVSTORE_OPEN] = open_connection,
    [CONVSTORE_CREATE] = convstore__sqlite_create_conversation,
    [CONVSTORE_CONVERSATION] = convstore__sqlite_conversation_by_key,
    [CONVSTORE_GET] = convstore__sqlite_get_conversation,
    [CONVSTORE_UPDATE] = convstore__sqlite_update_conversation,
    [CONVSTORE_DELETE] = convstore__sqlite_delete_conversation,
    [CONVSTORE_RESTORE] = convstore__sqlite_restore_conversation,
    [CONVSTORE_PURGE] = convstore__sqlite_purge_conversation,
    [CONVSTORE_APPEND] = convstore__sqlite_append,
    [CONVSTORE_MESSAGE] = convstore__sqlite_message,
    [CONVSTORE_HISTORY] = convstore__sqlite_history,
    [CONVSTORE_BOUNDS] = convstore__sqlite_bounds,
    [CONVSTORE_ANNOTATE] = convstore__sqlite_annotate,
    [CONVSTORE_REDACT] = convstore__sqlite_redact,
    [CONVSTORE_SEARCH] = convstore__sqlite_search,
    [CONVSTORE_FORK] = convstore__sqlite_fork,
    [CONVSTORE_SUMMARIZE] = convstore__sqlite_summarize,
    [CONVSTORE_LIST] = convstore__sqlite_list,
    [CONVSTORE_MESSAGES] = convstore__sqlite_messages,
    [CONVSTORE_USAGE] = convstore__sqlite_usage,
    [CONVSTORE_CONTEXT] = convstore__sqlite_context,
    [CONVSTORE_ERASE] = convstore__sqlite_erase,
    [CONVSTORE_PURGE_OLD] = convstore__sqlite_purge_old,
    [CONVSTORE_ARCHIVE] = convstore__sqlite_archive,
    [CONVSTORE_USERS] = convstore__sqlite_users,
    [CONVSTORE_CHECK] = convstore__sqlite_check,
    [CONVSTORE_STATS] = convstore__sqlite_stats,
    [CONVSTORE_BACKUP] = convstore__sqlite_backup,
    [CONVSTORE_BEGIN] = begin,
    [CONVSTORE_COMMIT] = commit,
    [CONVSTORE_ROLLBACK] = rollback,
    [CONVSTORE_SCHEMA_VERSION] = convstore__sqlite_schema_version,
    [CONVSTORE_MIGRATIONS] = convstore__sqlite_migrations,
    [CONVSTORE_MIGRATE] = convstore__sqlite_migrate,
};

/* Whether a call that reads writes nothing, so that all of it may see one state of the file. Searches make their index,
 * a conversation is made where its key is new, and these must begin with the state of that moment. */
static bool reads_alone(convstore_operation operation) {
  return convstore__needs[operation].reads && operation != CONVSTORE_CONVERSATION &&
         operation != CONVSTORE_SEARCH && operation != CONVSTORE_BACKUP;
}

static int start_call(struct sqlite_connection *connection, struct convstore_call *call) {
  connection->deadline_ms = call->deadline_ms;
  connection->interrupted = false;
  errno = 0; /* see fail_io() in sqlite_error.c */
  /* A rollback that failed, for want of memory, has left its transaction open: no later call may become part of it. */
  if (call->depth == 0 && connection->db != NULL && !sqlite3_get_autocommit(connection->db)) {
    convstore__sqlite_undo(connection, false);
    if (!sqlite3_get_autocommit(connection->db)) return convstore__sqlite_no_memory(call->err);
  }
  int status = CONVSTORE_OK;
  /* Writes look at the schema under their lock. */
  if (call->depth == 0 && convstore__needs[call->request->operation].reads)
    status = convstore__sqlite_check_schema(connection, call, reads_alone(call->request->operation));
  if (status == CONVSTORE_OK) status = operations[call->request->operation](connection, call);
  convstore__sqlite_end_check(connection);
  /* Disk full, an I/O error or no memory may have made SQLite undo the caller's whole transaction. */
  if (call->depth > 0 && sqlite3_get_autocommit(connection->db) &&
      call->request->operation != CONVSTORE_COMMIT && call->request->operation != CONVSTORE_ROLLBACK)
    connection->base.lost = true;
  return status;
}

static int start(struct convstore_connection *base, struct convstore_call *call) {
  struct sqlite_connection *connection = (struct sqlite_connection *)base;
  convstore__sqlite_forget_waits(connection);
  int status = start_call(connection, call);
  convstore__sqlite_note_waits(connection);
  return status;
}

static void close_connection(struct convstore_connection *base) {
  struct sqlite_connection *connection = (struct sqlite_connection *)base;
  convstore__sqlite_forget_statements(connection);
  convstore_result_free(&connection->scratch);
  (void)sqlite3_close_v2(connection->db); /* rolls back what is open */
  free(connection->path);
  free(connection);
}

/* A path as SQLite takes it literally: builds with URI names would read "file:..." as something else. */
static char *literal_path(const char *location) {
  const char *prefix = strncmp(location, "file:", 5) == 0 ? "./" : "";
  size_t size = strlen(prefix) + strlen(location) + 1;
  char *path = malloc(size);
  if (path != NULL) {
    memcpy(path, prefix, strlen(prefix));
    memcpy(path + strlen(prefix), location, strlen(location) + 1);
  }
  return path;
}

static int create(struct convstore_connection **out, const char *location, const convstore_options *options,
                  convstore_error *err) {
  int status = CONVSTORE_OK;
  if (location[0] == '\0')
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "the path of the database is empty; give a file, or \":memory:\"");
  struct sqlite_connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) return convstore__sqlite_no_memory(err);
  connection->base.backend = &convstore__sqlite;
  connection->options = *options;
  connection->options.users = NULL;
  connection->path = literal_path(location);
  if (connection->path == NULL) status = convstore__sqlite_no_memory(err);
  if (status == CONVSTORE_OK && options->users != NULL)
    status = convstore__sqlite_normalize_users(connection->users, options->users, err);
  if (status != CONVSTORE_OK) {
    close_connection(&connection->base);
    return status;
  }
  *out = &connection->base;
  return CONVSTORE_OK;
}

const struct convstore_backend convstore__sqlite = {
    .name = "sqlite",
    .blocks = true,
    .steps = sqlite_steps,
    .n_steps = sizeof sqlite_steps / sizeof *sqlite_steps,
    .create = create,
    .start = start,
    .close = close_connection,
};
