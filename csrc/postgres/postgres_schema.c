/*
 * The state of a schema: looking at the catalog first, since what is not there cannot be selected from, then at its own
 * tables. Who may not read those as the login may as the role. See postgres_migrate.c for changing it.
 */
#include "postgres_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_error.h"

static const struct convstore_migration_step *steps(const struct postgres_connection *connection) {
  return connection->base.backend->steps;
}

static size_t n_steps(const struct postgres_connection *connection) {
  return connection->base.backend->n_steps;
}

/* ---- the catalog ----------------------------------------------------------------------------------------------- */

/* $1 schema, $2 role */
static const char state_sql[] =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = CAST($1 AS name)),"
    " coalesce(bool_or(c.relname = 'migrations'), false), coalesce(bool_or(c.relname = 'settings'), false),"
    " coalesce(bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND pg_catalog.has_table_privilege(c.oid, 'SELECT')), false),"
    " coalesce((SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER') FROM pg_catalog.pg_roles AS r"
    " WHERE r.rolname = CAST($2 AS name)), false)"
    " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = CAST($1 AS name) AND c.relname IN ('migrations', 'settings') AND c.relkind IN ('r', 'p')";

void convstore__postgres_queue_state(struct postgres_connection *connection) {
  struct postgres_params params = {0};
  convstore__postgres_add_string(&params, connection->schema);
  convstore__postgres_add_string(&params, connection->role);
  convstore__postgres_queue_text(connection, state_sql, &params);
}

int convstore__postgres_receive_state(bool *more, struct postgres_connection *connection,
                                      const PGresult *result, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_BOOL, POSTGRES_BOOL, POSTGRES_BOOL, POSTGRES_BOOL,
                                             POSTGRES_BOOL};
  struct convstore_arena *arena = convstore__arena(call->result);
  struct postgres_schema_state *state = NULL;
  int status = convstore__postgres_check_columns(result, types, 5, call->err);
  if (status != CONVSTORE_OK) return status;
  if (arena != NULL) state = convstore__arena_alloc(arena, sizeof *state);
  if (state == NULL) return convstore__postgres_no_memory(call->err);
  *state = (struct postgres_schema_state){
      .schema_exists = convstore__postgres_read_bool(result, 0, 0),
      .has_migrations = convstore__postgres_read_bool(result, 0, 1),
      .has_settings = convstore__postgres_read_bool(result, 0, 2),
      .readable = convstore__postgres_read_bool(result, 0, 3),
      .is_member = convstore__postgres_read_bool(result, 0, 4),
      .chosen = {.users = connection->users,
                 .jwt_claim = connection->jwt_claim != NULL ? connection->jwt_claim : ""},
  };
  state->settings = state->chosen;
  connection->schema_state = state;
  *more = state->has_migrations;
  return CONVSTORE_OK;
}

/* ---- our tables ------------------------------------------------------------------------------------------------ */

/* Queues a text with {{schema}} in it. */
static void queue_rendered(struct postgres_connection *connection, struct convstore_call *call,
                           const char *sql) {
  struct convstore_arena *arena = convstore__arena(call->result);
  struct convstore_substitution list[] = {{"schema", NULL}, {NULL, NULL}};
  const char *text = NULL;
  if (arena != NULL) list[0].value = convstore__postgres_quote_name(arena, connection->schema);
  if (list[0].value != NULL) text = convstore__render(arena, sql, list);
  if (text != NULL)
    convstore__postgres_queue_text(connection, text, NULL);
  else
    connection->pipeline.queued_badly = true;
}

void convstore__postgres_queue_tables(struct postgres_connection *connection, struct convstore_call *call) {
  const struct postgres_schema_state *state = connection->schema_state;
  struct postgres_params params = {0};
  /* Queued in any case, so that the results keep their places. */
  convstore__postgres_add_string(&params, !state->readable && state->is_member ? connection->role : "none");
  convstore__postgres_queue_text(connection, "SELECT pg_catalog.set_config('role', $1, true)", &params);
  queue_rendered(connection, call,
                 "SELECT version, name, checksum, applied_at FROM {{schema}}.migrations ORDER BY version");
  if (state->has_settings)
    queue_rendered(
        connection, call,
        "SELECT users, user_id_type, jwt_claim, schema_created FROM {{schema}}.settings WHERE id = 1");
}

static int receive_applied(struct postgres_schema_state *state, const PGresult *rows,
                           struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT4, POSTGRES_TEXT, POSTGRES_TEXT,
                                             POSTGRES_TIMESTAMPTZ};
  int status = convstore__postgres_check_columns(rows, types, 4, call->err);
  if (status != CONVSTORE_OK) return status;
  size_t n = (size_t)PQntuples(rows);
  state->applied = convstore__arena_alloc(call->result->memory, n * sizeof *state->applied);
  if (state->applied == NULL) return convstore__postgres_no_memory(call->err);
  for (size_t i = 0; i < n; i++) {
    struct convstore_migration_applied *one = &state->applied[i];
    one->version = (int)convstore__postgres_read_integer(rows, (int)i, 0);
    (void)snprintf(one->name, sizeof one->name, "%s", PQgetvalue(rows, (int)i, 1));
    (void)snprintf(one->checksum, sizeof one->checksum, "%s", PQgetvalue(rows, (int)i, 2));
    one->applied_at_ms = convstore__postgres_read_time(rows, (int)i, 3);
    state->version = one->version;
  }
  state->n_applied = n;
  return CONVSTORE_OK;
}

static int receive_settings(struct postgres_settings *out, const PGresult *row, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_TEXT, POSTGRES_BOOL};
  convstore_text users;
  convstore_text claim;
  int status = convstore__postgres_check_columns(row, types, 4, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(row) == 0)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "the table \"settings\" has lost its row; restore a backup");
  status = convstore__postgres_read_text(&users, row, 0, 0, call);
  if (status == CONVSTORE_OK) status = convstore__postgres_read_text(&claim, row, 0, 2, call);
  if (status != CONVSTORE_OK) return status;
  *out = (struct postgres_settings){
      .users = users.data != NULL ? users.data : "",
      .jwt_claim = claim.data != NULL ? claim.data : "",
      .schema_created = convstore__postgres_read_bool(row, 0, 3),
  };
  for (int type = CONVSTORE_USER_ID_TEXT; type <= CONVSTORE_USER_ID_BIGINT; type++) {
    out->user_id_type = (convstore_user_id_type)type;
    if (strcmp(PQgetvalue(row, 0, 1), convstore__postgres_user_id_type_name(out->user_id_type)) == 0)
      return CONVSTORE_OK;
  }
  return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                        "the table \"settings\" has an unknown type; restore a backup");
}

int convstore__postgres_receive_tables(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_schema_state *state = connection->schema_state;
  int status = receive_applied(state, convstore__postgres_result(connection, 1), call);
  if (status == CONVSTORE_OK && state->has_settings)
    status = receive_settings(&state->settings, convstore__postgres_result(connection, 2), call);
  return status;
}

/* ---- what it means --------------------------------------------------------------------------------------------- */

static int check_options(const struct postgres_connection *connection,
                         const struct postgres_settings *settings, convstore_error *err) {
  if (connection->users[0] != '\0' && strcmp(connection->users, settings->users) != 0)
    return convstore_fail(
        err, CONVSTORE_E_SCHEMA,
        "the schema was made with users = %s, not %s; open it without `users`, or with the same",
        settings->users[0] != '\0' ? settings->users : "none", connection->users);
  if (connection->asked_claim && strcmp(connection->jwt_claim, settings->jwt_claim) != 0)
    return convstore_fail(
        err, CONVSTORE_E_SCHEMA,
        "the schema was made with jwt_claim = %s, not %s; open it without `jwt_claim`, or with the same",
        settings->jwt_claim[0] != '\0' ? settings->jwt_claim : "none", connection->jwt_claim);
  return CONVSTORE_OK;
}

/* Whether the statements of this connection fit the schema: they depend on the type of user ids and on the claim. */
static int adopt_settings(struct postgres_connection *connection, const struct postgres_settings *settings,
                          convstore_error *err) {
  const char *claim = connection->jwt_claim != NULL ? connection->jwt_claim : "";
  if (settings->user_id_type == connection->base.user_id_type && strcmp(settings->jwt_claim, claim) == 0)
    return CONVSTORE_OK;
  if (strcmp(settings->jwt_claim, claim) != 0) {
    char *copy = settings->jwt_claim[0] == '\0' ? NULL : strdup(settings->jwt_claim);
    if (settings->jwt_claim[0] != '\0' && copy == NULL) return convstore__postgres_no_memory(err);
    free(connection->jwt_claim);
    connection->jwt_claim = copy;
  }
  connection->base.user_id_type = settings->user_id_type;
  convstore__postgres_forget_texts(connection);
  return CONVSTORE_OK;
}

int convstore__postgres_adopt_state(struct postgres_connection *connection, struct convstore_call *call) {
  const struct postgres_schema_state *state = connection->schema_state;
  convstore_error ignored;
  int version;
  call->result->schema_version = state->version;
  call->result->newest_version = (int)n_steps(connection);
  int status = convstore__migrate_check(&version, steps(connection), n_steps(connection), state->applied,
                                        state->n_applied, &ignored);
  connection->base.schema_version = status == CONVSTORE_OK ? version : -1;
  if (connection->base.schema_version != (int)n_steps(connection)) return CONVSTORE_OK;
  status = check_options(connection, &state->settings, call->err);
  return status != CONVSTORE_OK ? status : adopt_settings(connection, &state->settings, call->err);
}

int convstore__postgres_plan(struct convstore_migration_plan *out,
                             const struct postgres_connection *connection, int64_t target,
                             convstore_error *err) {
  const struct postgres_schema_state *state = connection->schema_state;
  return convstore__migrate_plan(out, steps(connection), n_steps(connection), state->applied,
                                 state->n_applied, target, err);
}

/* ---- the version, and the list of steps ------------------------------------------------------------------------ */

enum {
  STEP_STATE,
  STEP_TABLES
};

static int send_version(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->step == STEP_STATE)
    convstore__postgres_queue_state(connection);
  else
    convstore__postgres_queue_tables(connection, call);
  return CONVSTORE_OK;
}

/* POSTGRES_AGAIN: a second round is needed. */
static int receive_learned(struct postgres_connection *connection, struct convstore_call *call) {
  bool more = false;
  if (connection->step == STEP_TABLES) return convstore__postgres_receive_tables(connection, call);
  int status =
      convstore__postgres_receive_state(&more, connection, convstore__postgres_result(connection, 0), call);
  if (status != CONVSTORE_OK || !more) return status;
  connection->step = STEP_TABLES;
  return POSTGRES_AGAIN;
}

static int receive_version(struct postgres_connection *connection, struct convstore_call *call) {
  int status = receive_learned(connection, call);
  return status != CONVSTORE_OK ? status : convstore__postgres_adopt_state(connection, call);
}

const struct postgres_operation convstore__postgres_schema_version = {
    .frame = POSTGRES_FRAME_SCHEMA, .send = send_version, .receive = receive_version};

bool convstore__postgres_substitutions(struct convstore_substitution list[POSTGRES_SUBSTITUTIONS],
                                       const struct postgres_connection *connection,
                                       const struct postgres_settings *settings,
                                       struct convstore_arena *arena) {
  enum {
    ROOM = 128
  };
  const char *type = convstore__postgres_user_id_type_name(settings->user_id_type);
  const char *claim = convstore__postgres_quote_text(arena, settings->jwt_claim);
  const char *role = connection->role != NULL ? connection->role : POSTGRES_DEFAULT_ROLE;
  char *references = convstore__arena_alloc(arena, strlen(settings->users) + ROOM);
  char *current = claim == NULL ? NULL : convstore__arena_alloc(arena, strlen(claim) + ROOM);
  if (references == NULL || current == NULL) return false;
  (void)snprintf(references, strlen(settings->users) + ROOM,
                 " CONSTRAINT conversations_user_id_fkey REFERENCES %s ON DELETE CASCADE", settings->users);
  if (settings->jwt_claim[0] != '\0')
    (void)snprintf(current, strlen(claim) + ROOM,
                   "CAST(NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> %s AS %s)", claim,
                   type);
  else
    (void)snprintf(current, strlen(claim) + ROOM,
                   "CAST(NULLIF(current_setting('convstore.user_id', true), '') AS %s)", type);
  const struct convstore_substitution all[POSTGRES_SUBSTITUTIONS] = {
      {"schema", convstore__postgres_quote_name(arena, connection->schema)},
      {"schema_text", convstore__postgres_quote_text(arena, connection->schema)},
      {"role_text", convstore__postgres_quote_text(arena, role)},
      {"operator_role_text", convstore__postgres_quote_text(arena, connection->operator_role)},
      {"role_required", connection->role != NULL ? "true" : "false"},
      {"user_id_type", settings->user_id_type == CONVSTORE_USER_ID_TEXT ? "text COLLATE \"C\"" : type},
      {"user_id_references", settings->users[0] != '\0' ? references : ""},
      {"current_user_id", current},
      {NULL, NULL},
  };
  memcpy(list, all, sizeof all);
  return all[0].value != NULL && all[1].value != NULL && all[2].value != NULL && all[3].value != NULL;
}

static int list_migrations(const struct postgres_connection *connection, struct convstore_call *call) {
  const struct postgres_schema_state *state = connection->schema_state;
  struct convstore_substitution list[POSTGRES_SUBSTITUTIONS];
  struct convstore_arena *arena = call->result->memory;
  size_t most = n_steps(connection) + state->n_applied;
  convstore_migration *migrations = convstore__arena_alloc(arena, most * sizeof *migrations);
  if (migrations == NULL ||
      !convstore__postgres_substitutions(list, connection,
                                         state->version > 0 ? &state->settings : &state->chosen, arena))
    return convstore__postgres_no_memory(call->err);
  size_t n = 0;
  for (; n < n_steps(connection); n++) {
    const struct convstore_migration_step *step = &steps(connection)[n];
    migrations[n] = (convstore_migration){
        .version = step->version,
        .name = step->name,
        .applied_at_ms = CONVSTORE_ABSENT,
        .up = convstore__render(arena, step->up, list),
        .down = convstore__render(arena, step->down, list),
    };
    if (migrations[n].up == NULL || migrations[n].down == NULL)
      return convstore__postgres_no_memory(call->err);
  }
  for (size_t i = 0; i < state->n_applied; i++) {
    const struct convstore_migration_applied *row = &state->applied[i];
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

/* The SQL of the first step needs the type of the column that `users` names, where it is still to be run. */
static bool wants_users(const struct postgres_connection *connection) {
  return connection->users[0] != '\0' && !connection->schema_state->has_migrations;
}

static int send_migrations(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->step != STEP_STATE && wants_users(connection))
    return convstore__postgres_queue_users(connection, call);
  return send_version(connection, call);
}

static int receive_migrations(struct postgres_connection *connection, struct convstore_call *call) {
  int status;
  if (connection->step != STEP_STATE && wants_users(connection)) {
    status = convstore__postgres_receive_users(&connection->schema_state->chosen.user_id_type, connection,
                                               convstore__postgres_result(connection, 0), call->err);
  } else {
    status = receive_learned(connection, call);
    if (status == CONVSTORE_OK && connection->step == STEP_STATE && wants_users(connection)) {
      connection->step = STEP_TABLES;
      return POSTGRES_AGAIN;
    }
  }
  if (status == CONVSTORE_OK) status = convstore__postgres_adopt_state(connection, call);
  return status != CONVSTORE_OK ? status : list_migrations(connection, call);
}

const struct postgres_operation convstore__postgres_migrations = {
    .frame = POSTGRES_FRAME_SCHEMA, .send = send_migrations, .receive = receive_migrations};
