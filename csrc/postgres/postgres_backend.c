/*
 * The PostgreSQL backend: the seam's functions, and the table from operations to what does them.
 * It never waits: a call says what it wants and is resumed.
 */
#include <stdlib.h>
#include <string.h>

#include "../core/text.h"
#include "postgres_call.h"
#include "postgres_error.h"
#include "postgres_schema.h"

#include "migrations.inc"

enum {
  MAX_NAME = 63 /* bytes of a name in PostgreSQL: it would cut longer ones without a word */
};

/* ---- the caller's transactions --------------------------------------------------------------------------------- */

static int send_savepoint(struct postgres_connection *connection, struct convstore_call *call) {
  (void)call;
  if (!connection->begun) convstore__postgres_queue_begin(connection);
  convstore__postgres_queue_frame_text(connection, "SAVEPOINT convstore");
  return CONVSTORE_OK;
}

static int receive_nothing(struct postgres_connection *connection, struct convstore_call *call) {
  (void)connection;
  (void)call;
  return CONVSTORE_OK;
}

static int send_nothing(struct postgres_connection *connection, struct convstore_call *call) {
  (void)connection;
  (void)call;
  return CONVSTORE_OK;
}

static const struct postgres_operation connect_only = {
    .frame = POSTGRES_FRAME_NONE, .send = send_nothing, .receive = receive_nothing};

static const struct postgres_operation savepoint = {
    .frame = POSTGRES_FRAME_NONE, .send = send_savepoint, .receive = receive_nothing};

static int send_commit(struct postgres_connection *connection, struct convstore_call *call) {
  convstore__postgres_queue_frame_text(connection,
                                       call->depth > 1 ? "RELEASE SAVEPOINT convstore" : "COMMIT");
  return CONVSTORE_OK;
}

static int receive_end(struct postgres_connection *connection, struct convstore_call *call) {
  if (call->depth == 1) connection->begun = false;
  return CONVSTORE_OK;
}

static const struct postgres_operation commit = {
    .frame = POSTGRES_FRAME_NONE, .send = send_commit, .receive = receive_end};

static int send_rollback(struct postgres_connection *connection, struct convstore_call *call) {
  if (call->depth > 1) {
    convstore__postgres_queue_frame_text(connection, "ROLLBACK TO SAVEPOINT convstore");
    convstore__postgres_queue_frame_text(connection, "RELEASE SAVEPOINT convstore");
  } else {
    convstore__postgres_queue_frame_text(connection, "ROLLBACK");
  }
  return CONVSTORE_OK;
}

static const struct postgres_operation rollback = {
    .frame = POSTGRES_FRAME_NONE, .send = send_rollback, .receive = receive_end};

/* ---- the seam -------------------------------------------------------------------------------------------------- */

static const struct postgres_operation *const operations[CONVSTORE_OPERATIONS] = {
    [CONVSTORE_OPEN] = &convstore__postgres_open,
    [CONVSTORE_CREATE] = &convstore__postgres_create,
    [CONVSTORE_CONVERSATION] = &convstore__postgres_conversation,
    [CONVSTORE_GET] = &convstore__postgres_get,
    [CONVSTORE_UPDATE] = &convstore__postgres_update,
    [CONVSTORE_DELETE] = &convstore__postgres_delete,
    [CONVSTORE_RESTORE] = &convstore__postgres_restore,
    [CONVSTORE_PURGE] = &convstore__postgres_purge,
    [CONVSTORE_APPEND] = &convstore__postgres_append,
    [CONVSTORE_MESSAGE] = &convstore__postgres_message,
    [CONVSTORE_HISTORY] = &convstore__postgres_history,
    [CONVSTORE_BOUNDS] = &convstore__postgres_bounds,
    [CONVSTORE_ANNOTATE] = &convstore__postgres_annotate,
    [CONVSTORE_REDACT] = &convstore__postgres_redact,
    [CONVSTORE_SEARCH] = &convstore__postgres_search,
    [CONVSTORE_FORK] = &convstore__postgres_fork,
    [CONVSTORE_SUMMARIZE] = &convstore__postgres_summarize,
    [CONVSTORE_LIST] = &convstore__postgres_list,
    [CONVSTORE_MESSAGES] = &convstore__postgres_messages,
    [CONVSTORE_USAGE] = &convstore__postgres_usage,
    [CONVSTORE_CONTEXT] = &convstore__postgres_context,
    [CONVSTORE_ERASE] = &convstore__postgres_erase,
    [CONVSTORE_PURGE_OLD] = &convstore__postgres_purge_old,
    [CONVSTORE_ARCHIVE] = &convstore__postgres_archive,
    [CONVSTORE_USERS] = &convstore__postgres_users,
    [CONVSTORE_CHECK] = &convstore__postgres_check,
    [CONVSTORE_STATS] = &convstore__postgres_stats,
    [CONVSTORE_BEGIN] = &savepoint,
    [CONVSTORE_COMMIT] = &commit,
    [CONVSTORE_ROLLBACK] = &rollback,
    [CONVSTORE_SCHEMA_VERSION] = &convstore__postgres_schema_version,
    [CONVSTORE_MIGRATIONS] = &convstore__postgres_migrations,
    [CONVSTORE_MIGRATE] = &convstore__postgres_migrate,
};

static int start(struct convstore_connection *base, struct convstore_call *call) {
  struct postgres_connection *connection = (struct postgres_connection *)base;
  convstore_operation operation = call->request->operation;
  /* The server hears of a transaction with its first call: until then nothing can be lost, and a trip is saved. But
   * that there is a server is seen to before the caller's function runs. */
  if (operation == CONVSTORE_BEGIN && call->depth == 0)
    return convstore__postgres_is_connected(connection)
               ? CONVSTORE_OK
               : convstore__postgres_call_start(connection, call, &connect_only);
  if (operation == CONVSTORE_COMMIT || operation == CONVSTORE_ROLLBACK)
    if (!connection->begun) return CONVSTORE_OK;
  if (operation == CONVSTORE_BACKUP)
    return convstore_fail(call->err, CONVSTORE_E_UNSUPPORTED,
                          "a PostgreSQL database is not copied by convstore; use pg_dump, for example "
                          "\"pg_dump --schema=%s --file=FILE\"",
                          connection->schema);
  return convstore__postgres_call_start(connection, call, operations[operation]);
}

static int resume(struct convstore_connection *base, struct convstore_call *call) {
  return convstore__postgres_call_resume((struct postgres_connection *)base, call);
}

static int interrupt(struct convstore_connection *base, struct convstore_call *call) {
  return convstore__postgres_call_interrupt((struct postgres_connection *)base, call);
}

static void cancel(struct convstore_connection *base, struct convstore_call *call) {
  convstore__postgres_call_cancel((struct postgres_connection *)base, call);
}

static void close_connection(struct convstore_connection *base) {
  struct postgres_connection *connection = (struct postgres_connection *)base;
  convstore__postgres_pipeline_clear(connection);
  convstore__postgres_drop(connection); /* the server rolls back what is open */
  convstore__postgres_forget_texts(connection);
  convstore_result_free(&connection->scratch);
  free(connection->pipeline.entries);
  free(connection->dsn);
  free(connection->schema);
  free(connection->role);
  free(connection->operator_role);
  free(connection->jwt_claim);
  free(connection);
}

/* libpq takes a URI or keywords and values. `location` is what follows "postgres:" or "postgresql:". */
static char *make_dsn(const char *location) {
  static const char scheme[] = "postgresql:";
  size_t prefix = strncmp(location, "//", 2) == 0 ? sizeof scheme - 1 : 0;
  size_t size = strlen(location) + 1;
  char *dsn = malloc(prefix + size);
  if (dsn == NULL) return NULL;
  memcpy(dsn, scheme, prefix);
  memcpy(dsn + prefix, location, size);
  return dsn;
}

/* libpq's words may quote a piece of a badly written password, so all that is handed on is the name of a parameter that
 * it does not know, and that only where no password can be meant. */
static int fail_dsn(const char *dsn, const char *words, convstore_error *err) {
  char name[MAX_NAME + 1] = "";
  const char *quoted = words == NULL ? NULL : strchr(words, '"');
  const char *found = NULL;
  if (quoted != NULL && strncmp(words, "invalid ", 8) == 0) {
    size_t n = strspn(quoted + 1, "abcdefghijklmnopqrstuvwxyz_");
    if (n > 0 && n < sizeof name && quoted[1 + n] == '"') memcpy(name, quoted + 1, n);
    name[n < sizeof name ? n : 0] = '\0';
    found = name[0] != '\0' ? strstr(dsn, name) : NULL;
  }
  if (found != NULL && strstr(dsn, "password") == NULL && strchr(found, '@') == NULL)
    return convstore_fail(err, CONVSTORE_E_INVALID, "the DSN has a parameter that libpq does not know: %s",
                          name);
  return convstore_fail(
      err, CONVSTORE_E_INVALID,
      "the DSN is neither a postgresql:// URI nor \"postgres:\" with libpq's keyword=value pairs; write "
      "special characters in a URI as %%XX and look for misspelt parameters");
}

static int check_dsn(const char *dsn, convstore_error *err) {
  char *words = NULL;
  PQconninfoOption *options = PQconninfoParse(dsn, &words);
  int status = options != NULL ? CONVSTORE_OK : fail_dsn(dsn, words, err);
  PQconninfoFree(options);
  PQfreemem(words);
  return status;
}

static int copy_name(char **out, const char *name, const char *otherwise, const char *field,
                     convstore_error *err) {
  if (name == NULL) name = otherwise;
  if (name[0] == '\0' || strlen(name) > MAX_NAME)
    return convstore_fail(err, CONVSTORE_E_INVALID, "%s must be a name of 1 to %d bytes", field, MAX_NAME);
  if (convstore__utf8_check(name, strlen(name)) != strlen(name))
    return convstore_fail(err, CONVSTORE_E_INVALID, "%s is not UTF-8", field);
  *out = strdup(name);
  return *out != NULL ? CONVSTORE_OK : convstore__postgres_no_memory(err);
}

static int copy_options(struct postgres_connection *connection, const convstore_options *options,
                        convstore_error *err) {
  const char *schema = options->schema;
  if (schema != NULL && (strncmp(schema, "pg_", 3) == 0 || strcmp(schema, "information_schema") == 0))
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "the schema %s is PostgreSQL's own; choose another `schema`", schema);
  int status = copy_name(&connection->schema, schema, POSTGRES_DEFAULT_SCHEMA, "schema", err);
  if (status == CONVSTORE_OK && !options->no_role)
    status = copy_name(&connection->role, options->role, POSTGRES_DEFAULT_ROLE, "role", err);
  if (status == CONVSTORE_OK)
    status = copy_name(&connection->operator_role, options->operator_role, POSTGRES_DEFAULT_OPERATOR_ROLE,
                       "operator_role", err);
  if (status == CONVSTORE_OK && options->jwt_claim != NULL)
    status = copy_name(&connection->jwt_claim, options->jwt_claim, "", "jwt_claim", err);
  if (status == CONVSTORE_OK && options->users != NULL)
    status = convstore__postgres_normalize_users(connection->users, options->users, err);
  connection->asked_claim = connection->jwt_claim != NULL;
  return status;
}

static int create(struct convstore_connection **out, const char *location, const convstore_options *options,
                  convstore_error *err) {
  struct postgres_connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) return convstore__postgres_no_memory(err);
  connection->base.backend = &convstore__postgres;
  connection->options = *options;
  connection->options.users = NULL;
  connection->options.schema = NULL;
  connection->options.role = NULL;
  connection->options.operator_role = NULL;
  connection->options.jwt_claim = NULL;
  connection->unnamed = options->prepare == CONVSTORE_PREPARE_NEVER;
  connection->dsn = make_dsn(location);
  int status = connection->dsn == NULL ? convstore__postgres_no_memory(err) : check_dsn(connection->dsn, err);
  if (status == CONVSTORE_OK) status = copy_options(connection, options, err);
  if (status != CONVSTORE_OK) {
    close_connection(&connection->base);
    return status;
  }
  *out = &connection->base;
  return CONVSTORE_OK;
}

const struct convstore_backend convstore__postgres = {
    .name = "postgres",
    .blocks = false,
    .steps = postgres_steps,
    .n_steps = sizeof postgres_steps / sizeof *postgres_steps,
    .create = create,
    .start = start,
    .resume = resume,
    .interrupt = interrupt,
    .cancel = cancel,
    .close = close_connection,
};
