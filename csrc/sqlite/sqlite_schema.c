/*
 * The schema of an SQLite file: which steps it has, taking it up and down, and what was chosen when it was made.
 * A migration is one transaction whatever the number of its steps, under the write lock, so that many processes that
 * start at once wait for the first and find its work done.
 */
#include <stdlib.h>
#include <string.h>

#include "../core/clock.h"
#include "../core/render.h"
#include "sqlite_operations.h"

/* Made by the engine, not by a step, so that the first step can be recorded like any other. */
static const char create_migrations_sql[] = "CREATE TABLE convstore_migrations (\n"
                                            "  version INTEGER NOT NULL,\n"
                                            "  name TEXT NOT NULL,\n"
                                            "  checksum TEXT NOT NULL, -- of both files of the step\n"
                                            "  applied_at INTEGER NOT NULL,\n"
                                            "  CONSTRAINT convstore_migrations_pkey PRIMARY KEY (version)\n"
                                            ") STRICT";

static const char *const type_names[] = {
    [CONVSTORE_USER_ID_TEXT] = "text",
    [CONVSTORE_USER_ID_UUID] = "uuid",
    [CONVSTORE_USER_ID_BIGINT] = "bigint",
};
static const size_t n_types = sizeof type_names / sizeof *type_names;

/* What the schema is made with, or was. */
struct settings {
  char users[CONVSTORE_USERS_SIZE]; /* "" for none */
  convstore_user_id_type user_id_type;
};

/* The rows of convstore_migrations. */
struct applied {
  struct convstore_migration_applied *rows; /* in the result's arena */
  size_t n;
  int version;  /* the highest */
  bool foreign; /* there is no list, but tables of our names */
};

static const struct convstore_migration_step *steps(const struct sqlite_connection *connection) {
  return connection->base.backend->steps;
}

static size_t n_steps(const struct sqlite_connection *connection) {
  return connection->base.backend->n_steps;
}

static int prepare(sqlite3_stmt **out, struct sqlite_connection *connection, const char *sql,
                   convstore_error *err) {
  if (sqlite3_prepare_v2(connection->db, sql, -1, out, NULL) == SQLITE_OK) return CONVSTORE_OK;
  return convstore__sqlite_fail(connection, err);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Whether there is a list of applied steps, and whether there are the tables that such a list would speak of. */
static int look_for_tables(bool *list, bool *data, struct sqlite_connection *connection,
                           convstore_error *err) {
  sqlite3_stmt *statement = NULL;
  int status = prepare(
      &statement, connection,
      "SELECT coalesce(max(name = 'convstore_migrations'), 0), coalesce(max(name <> 'convstore_migrations'), 0)"
      " FROM sqlite_schema WHERE type = 'table'"
      " AND name IN ('convstore_migrations', 'convstore_conversations', 'convstore_messages')",
      err);
  if (status != CONVSTORE_OK) return status;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    *list = sqlite3_column_int(statement, 0) != 0;
    *data = sqlite3_column_int(statement, 1) != 0;
  } else {
    status = convstore__sqlite_fail(connection, err);
  }
  (void)sqlite3_finalize(statement);
  return status;
}

static int fail_foreign(const struct sqlite_connection *connection, convstore_error *err) {
  return convstore_fail(
      err, CONVSTORE_E_SCHEMA,
      "\"%s\" has tables of convstore's names that convstore did not make; rename them, or use another file",
      connection->path);
}

static int read_row(struct convstore_migration_applied *out, sqlite3_stmt *row,
                    const struct sqlite_connection *connection, convstore_error *err) {
  for (int column = 0; column < 4; column++)
    if (sqlite3_column_type(row, column) == SQLITE_NULL) return fail_foreign(connection, err);
  const char *name = (const char *)sqlite3_column_text(row, 1);
  const char *checksum = (const char *)sqlite3_column_text(row, 2);
  if (name == NULL || checksum == NULL) return convstore__sqlite_no_memory(err);
  int64_t version = sqlite3_column_int64(row, 0);
  out->version = version >= 0 && version <= INT32_MAX ? (int)version : -1; /* no version of ours */
  (void)sqlite3_snprintf(sizeof out->name, out->name, "%s", name);
  (void)sqlite3_snprintf(sizeof out->checksum, out->checksum, "%s", checksum);
  out->applied_at_ms = sqlite3_column_int64(row, 3);
  return CONVSTORE_OK;
}

static int read_applied(struct applied *out, struct sqlite_connection *connection,
                        struct convstore_call *call) {
  bool list = false;
  bool data = false;
  size_t capacity = 0;
  sqlite3_stmt *statement = NULL;
  memset(out, 0, sizeof *out);
  struct convstore_arena *arena = convstore__arena(call->result);
  if (arena == NULL) return convstore__sqlite_no_memory(call->err);
  int status = look_for_tables(&list, &data, connection, call->err);
  out->foreign = data && !list;
  if (status != CONVSTORE_OK || !list) return status;
  status = prepare(&statement, connection,
                   "SELECT version, name, checksum, applied_at FROM convstore_migrations ORDER BY version",
                   call->err);
  int code = SQLITE_DONE;
  while (status == CONVSTORE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (out->n == capacity) {
      capacity = capacity == 0 ? 16 : capacity * 2;
      struct convstore_migration_applied *rows = convstore__arena_alloc(arena, capacity * sizeof *rows);
      if (rows == NULL) {
        status = convstore__sqlite_no_memory(call->err);
        break;
      }
      if (out->n > 0) memcpy(rows, out->rows, out->n * sizeof *rows);
      out->rows = rows;
    }
    status = read_row(&out->rows[out->n], statement, connection, call->err);
    if (status == CONVSTORE_OK) out->version = out->rows[out->n++].version;
  }
  if (status == CONVSTORE_OK && code != SQLITE_DONE) status = convstore__sqlite_fail(connection, call->err);
  (void)sqlite3_finalize(statement);
  return status;
}

static int read_settings(struct settings *out, struct sqlite_connection *connection, convstore_error *err) {
  sqlite3_stmt *statement = NULL;
  int status =
      prepare(&statement, connection, "SELECT users, user_id_type FROM convstore_settings WHERE id = 1", err);
  if (status != CONVSTORE_OK) return status;
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    const char *users = (const char *)sqlite3_column_text(statement, 0);
    const char *type = (const char *)sqlite3_column_text(statement, 1);
    (void)sqlite3_snprintf(sizeof out->users, out->users, "%s", users != NULL ? users : "");
    size_t i = 0;
    while (i < n_types && (type == NULL || strcmp(type, type_names[i]) != 0)) i++;
    if (i < n_types)
      out->user_id_type = (convstore_user_id_type)i;
    else
      status = convstore_fail(err, CONVSTORE_E_CORRUPT,
                              "convstore_settings has an unknown type; restore a backup");
  } else if (code == SQLITE_DONE) {
    status =
        convstore_fail(err, CONVSTORE_E_CORRUPT, "convstore_settings has lost its row; restore a backup");
  } else {
    status = convstore__sqlite_fail(connection, err);
  }
  (void)sqlite3_finalize(statement);
  return status;
}

/* What a new schema would be made with, by the options and the host's table. */
static int choose_settings(struct settings *out, struct sqlite_connection *connection, convstore_error *err) {
  memset(out, 0, sizeof *out);
  if (connection->users[0] == '\0') return CONVSTORE_OK;
  memcpy(out->users, connection->users, sizeof out->users);
  return convstore__sqlite_users_type(&out->user_id_type, connection, err);
}

/* What a schema of this version was, or would be, made with. */
static int settings_at(struct settings *out, int version, struct sqlite_connection *connection,
                       convstore_error *err) {
  return version > 0 ? read_settings(out, connection, err) : choose_settings(out, connection, err);
}

/* SQLite's own number for the state of all tables in the file: it moves with every change of any of them. With `hold`
 * the statement stays where it is, which keeps its transaction open. */
static int read_cookie(int64_t *out, struct sqlite_connection *connection, bool hold, convstore_error *err) {
  int status = CONVSTORE_OK;
  sqlite3_stmt *statement = convstore__sqlite_statement(connection, SQLITE_STMT_SCHEMA_COOKIE, err);
  if (statement == NULL) return err->status;
  sqlite3_reset(statement); /* it may be held */
  if (sqlite3_step(statement) == SQLITE_ROW)
    *out = sqlite3_column_int64(statement, 0);
  else
    status = convstore__sqlite_fail(connection, err);
  if (!hold || status != CONVSTORE_OK) sqlite3_reset(statement);
  return status;
}

void convstore__sqlite_end_check(struct sqlite_connection *connection) {
  sqlite3_reset(connection->statements[SQLITE_STMT_SCHEMA_COOKIE]);
}

/* Learns the schema's state for the connection, which is not usable (version -1) unless all of it is right. Steps that
 * are not ours are no error. */
static int learn(struct applied *applied, struct sqlite_connection *connection, struct convstore_call *call) {
  struct settings settings = {0};
  convstore_error ignored = {0};
  int version = -1;
  connection->base.schema_version = -1;
  int status = read_cookie(&connection->schema_cookie, connection, false, call->err);
  if (status == CONVSTORE_OK) status = read_applied(applied, connection, call);
  if (status != CONVSTORE_OK) return status;
  call->result->schema_version = applied->version;
  call->result->newest_version = (int)n_steps(connection);
  if (applied->foreign || convstore__migrate_check(&version, steps(connection), n_steps(connection),
                                                   applied->rows, applied->n, &ignored) != CONVSTORE_OK)
    return CONVSTORE_OK;
  if (version == (int)n_steps(connection)) {
    status = read_settings(&settings, connection, call->err);
    if (status != CONVSTORE_OK) return status;
    if (connection->users[0] != '\0' && sqlite3_stricmp(connection->users, settings.users) != 0)
      return convstore_fail(
          call->err, CONVSTORE_E_SCHEMA,
          "the schema was made with users = %s, not %s; open it without `users`, or with the same",
          settings.users[0] != '\0' ? settings.users : "none", connection->users);
  }
  connection->base.user_id_type = settings.user_id_type;
  connection->refers_to_users = settings.users[0] != '\0';
  connection->base.schema_version = version;
  return CONVSTORE_OK;
}

int convstore__sqlite_check_schema(struct sqlite_connection *connection, struct convstore_call *call,
                                   bool hold) {
  struct applied applied = {0};
  int64_t cookie = 0;
  convstore_user_id_type type = connection->base.user_id_type;
  int status = read_cookie(&cookie, connection, hold, call->err);
  if (status != CONVSTORE_OK || cookie == connection->schema_cookie) return status;
  convstore__sqlite_end_check(connection);
  status = learn(&applied, connection, call);
  if (status != CONVSTORE_OK) return status;
  if (connection->base.schema_version == (int)n_steps(connection) && connection->base.user_id_type == type)
    return CONVSTORE_OK; /* it was one of the host's tables */
  return convstore_fail(
      call->err, CONVSTORE_E_SCHEMA,
      "another process has migrated the schema to version %d, and %zu is needed; open the store again, "
      "call store:migrate(), or update convstore",
      applied.version, n_steps(connection));
}

int convstore__sqlite_schema_version(struct sqlite_connection *connection, struct convstore_call *call) {
  struct applied applied = {0};
  return learn(&applied, connection, call);
}

/* ---- listing --------------------------------------------------------------------------------------------------- */

/* The values of a migration's {{names}}. `references` is room for what the last of them needs. */
static const struct convstore_substitution *substitutions(struct convstore_substitution list[3],
                                                          char *references, size_t size,
                                                          const struct settings *settings) {
  references[0] = '\0';
  if (settings->users[0] != '\0')
    (void)sqlite3_snprintf((int)size, references,
                           " CONSTRAINT convstore_conversations_user_id_fkey REFERENCES %s ON DELETE CASCADE",
                           settings->users);
  list[0] = (struct convstore_substitution){
      "user_id_type", settings->user_id_type == CONVSTORE_USER_ID_BIGINT ? "INTEGER" : "TEXT"};
  list[1] = (struct convstore_substitution){"user_id_references", references};
  list[2] = (struct convstore_substitution){NULL, NULL};
  return list;
}

int convstore__sqlite_migrations(struct sqlite_connection *connection, struct convstore_call *call) {
  struct applied applied = {0};
  struct settings settings = {0};
  struct convstore_substitution list[3];
  char references[CONVSTORE_USERS_SIZE + 128];
  int status = learn(&applied, connection, call);
  if (status == CONVSTORE_OK) status = settings_at(&settings, applied.version, connection, call->err);
  if (status != CONVSTORE_OK) return status;

  struct convstore_arena *arena = call->result->memory;
  size_t most = n_steps(connection) + applied.n;
  convstore_migration *migrations = convstore__arena_alloc(arena, most * sizeof *migrations);
  if (migrations == NULL) return convstore__sqlite_no_memory(call->err);
  (void)substitutions(list, references, sizeof references, &settings);
  size_t n = 0;
  for (size_t i = 0; i < n_steps(connection); i++) {
    const struct convstore_migration_step *step = &steps(connection)[i];
    migrations[n] = (convstore_migration){
        .version = step->version,
        .name = step->name,
        .applied_at_ms = CONVSTORE_ABSENT,
        .up = convstore__render(arena, step->up, list),
        .down = convstore__render(arena, step->down, list),
    };
    if (migrations[n].up == NULL || migrations[n].down == NULL) return convstore__sqlite_no_memory(call->err);
    n++;
  }
  for (size_t i = 0; i < applied.n; i++) {
    const struct convstore_migration_applied *row = &applied.rows[i];
    if (row->version >= 1 && row->version <= (int)n_steps(connection))
      migrations[row->version - 1].applied_at_ms = row->applied_at_ms;
    else /* a newer library's: its SQL is not known here */
      migrations[n++] = (convstore_migration){
          .version = row->version, .name = row->name, .applied_at_ms = row->applied_at_ms};
  }
  call->result->migrations = migrations;
  call->result->n_migrations = n;
  return CONVSTORE_OK;
}

/* ---- migrating ------------------------------------------------------------------------------------------------- */

/* Adds a step to the list of applied ones, or takes it off. */
static int record_step(struct sqlite_connection *connection, struct convstore_call *call,
                       const struct convstore_migration_step *step, bool up) {
  sqlite3_stmt *statement = NULL;
  int status = prepare(
      &statement, connection,
      up ? "INSERT INTO convstore_migrations (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)"
         : "DELETE FROM convstore_migrations WHERE version = ?1",
      call->err);
  if (status != CONVSTORE_OK) return status;
  bool bound = sqlite3_bind_int(statement, 1, step->version) == SQLITE_OK;
  if (up)
    bound = bound && sqlite3_bind_text(statement, 2, step->name, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_bind_text(statement, 3, step->checksum, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_bind_int64(statement, 4, call->now_ms) == SQLITE_OK;
  if (!bound || sqlite3_step(statement) != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, call->err);
  (void)sqlite3_finalize(statement);
  return status;
}

static int record_settings(struct sqlite_connection *connection, const struct settings *settings,
                           convstore_error *err) {
  sqlite3_stmt *statement = NULL;
  int status =
      prepare(&statement, connection,
              "INSERT INTO convstore_settings (id, users, user_id_type) VALUES (1, nullif(?1, ''), ?2)", err);
  if (status != CONVSTORE_OK) return status;
  if (sqlite3_bind_text(statement, 1, settings->users, -1, SQLITE_STATIC) != SQLITE_OK ||
      sqlite3_bind_text(statement, 2, type_names[settings->user_id_type], -1, SQLITE_STATIC) != SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_DONE)
    status = convstore__sqlite_fail(connection, err);
  (void)sqlite3_finalize(statement);
  return status;
}

static int run_step(struct sqlite_connection *connection, struct convstore_call *call,
                    const struct convstore_migration_step *step, bool up, const struct settings *settings) {
  struct convstore_substitution list[3];
  char references[CONVSTORE_USERS_SIZE + 128];
  const char *sql = convstore__render(call->result->memory, up ? step->up : step->down,
                                      substitutions(list, references, sizeof references, settings));
  if (sql == NULL) return convstore__sqlite_no_memory(call->err);
  int status = convstore__sqlite_run_script(connection, sql, call->err);
  return status != CONVSTORE_OK ? status : record_step(connection, call, step, up);
}

/* What is to be done to reach the request's target from where the file is now. */
static int make_plan(struct convstore_migration_plan *out, struct sqlite_connection *connection,
                     struct convstore_call *call) {
  struct applied applied = {0};
  int status = read_applied(&applied, connection, call);
  if (status != CONVSTORE_OK) return status;
  if (applied.foreign) return fail_foreign(connection, call->err);
  return convstore__migrate_plan(out, steps(connection), n_steps(connection), applied.rows, applied.n,
                                 call->request->target, call->err);
}

static int migrate_body(struct sqlite_connection *connection, struct convstore_call *call) {
  struct settings settings = {0};
  struct convstore_migration_plan plan = {0};
  connection->ran.plan.n = 0;
  /* Again, under the lock: another process may have been faster. */
  int status = make_plan(&plan, connection, call);
  if (status == CONVSTORE_OK) status = settings_at(&settings, plan.current, connection, call->err);
  if (status != CONVSTORE_OK || plan.n == 0) return status;

  int64_t *elapsed_ms = convstore__arena_alloc(call->result->memory, plan.n * sizeof *elapsed_ms);
  if (elapsed_ms == NULL) return convstore__sqlite_no_memory(call->err);
  connection->ran = (struct sqlite_ran){.plan = plan, .elapsed_ms = elapsed_ms};
  if (plan.current == 0) status = convstore__sqlite_run_script(connection, create_migrations_sql, call->err);
  for (size_t i = 0; status == CONVSTORE_OK && i < plan.n; i++) {
    int64_t started_ms = convstore__monotonic_ms();
    status =
        run_step(connection, call, convstore__migrate_step(&plan, steps(connection), i), plan.up, &settings);
    elapsed_ms[i] = convstore__monotonic_ms() - started_ms;
  }
  if (status == CONVSTORE_OK && plan.current == 0) status = record_settings(connection, &settings, call->err);
  if (status == CONVSTORE_OK && plan.target == 0)
    status = convstore__sqlite_run_script(connection, "DROP TABLE convstore_migrations", call->err);
  return status;
}

static void note_ran(struct sqlite_connection *connection) {
  const struct sqlite_ran *ran = &connection->ran;
  for (size_t i = 0; i < ran->plan.n; i++)
    convstore__event_migrated(connection->base.events,
                              convstore__migrate_step(&ran->plan, steps(connection), i), ran->plan.up,
                              ran->elapsed_ms[i]);
}

int convstore__sqlite_migrate(struct sqlite_connection *connection, struct convstore_call *call) {
  struct applied applied = {0};
  struct convstore_migration_plan plan = {0};
  int status = make_plan(&plan, connection, call);
  if (status != CONVSTORE_OK) return status;
  if (plan.n > 0) {
    convstore__sqlite_forget_statements(connection);
    status = convstore__sqlite_write(connection, call, migrate_body);
    if (status != CONVSTORE_OK) return status;
    note_ran(connection);
  }
  status = learn(&applied, connection, call);
  if (status == CONVSTORE_OK && applied.version > 0 && !connection->options.readonly)
    status = convstore__sqlite_use_wal(connection, call->err);
  return status;
}

/* In a UTF-16 file SQLite changes some characters and counts other bytes than were given. */
static int check_encoding(struct sqlite_connection *connection, convstore_error *err) {
  sqlite3_stmt *statement = NULL;
  int status = prepare(&statement, connection, "PRAGMA encoding", err);
  if (status != CONVSTORE_OK) return status;
  const char *encoding =
      sqlite3_step(statement) == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
  if (encoding == NULL)
    status = convstore__sqlite_fail(connection, err);
  else if (strcmp(encoding, "UTF-8") != 0)
    status = convstore_fail(
        err, CONVSTORE_E_UNSUPPORTED,
        "\"%s\" keeps its text as %s, which does not give every text back; use a file of UTF-8",
        connection->path, encoding);
  (void)sqlite3_finalize(statement);
  return status;
}

int convstore__sqlite_open_schema(struct sqlite_connection *connection, struct convstore_call *call) {
  struct applied applied = {0};
  struct convstore_migration_plan plan = {0};
  bool never = connection->options.migrate == CONVSTORE_MIGRATE_NEVER;
  int status = check_encoding(connection, call->err);
  if (status == CONVSTORE_OK) status = learn(&applied, connection, call);
  if (never && status == CONVSTORE_E_SCHEMA && connection->base.schema_version < 0) return CONVSTORE_OK;
  /* An SQLite file is its bot's alone, so an older schema is brought up to date even by default. */
  if (status == CONVSTORE_OK && !never) status = make_plan(&plan, connection, call);
  if (status != CONVSTORE_OK) return status;
  if (!never && plan.n > 0) {
    if (!connection->options.readonly) return convstore__sqlite_migrate(connection, call);
    return convstore_fail(
        call->err, CONVSTORE_E_SCHEMA,
        "\"%s\" has schema version %d and %d is needed, which `readonly` forbids to make; open it without",
        connection->path, plan.current, plan.target);
  }
  if (connection->options.readonly || connection->base.schema_version != (int)n_steps(connection))
    return CONVSTORE_OK;
  return convstore__sqlite_use_wal(connection, call->err);
}
