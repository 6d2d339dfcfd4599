/*
 * Taking the schema up and down. All steps of a call are one transaction under an advisory lock, so that many processes
 * that start at once wait for the first and find its work done.
 *
 * A step is a script of many statements. It is run from inside a DO block, so that it travels in the pipeline like
 * everything else and the connection never has to leave pipeline mode.
 */
#include <string.h>

#include "postgres_error.h"
#include "postgres_schema.h"

enum {
  STEP_LOCK,
  STEP_TABLES,
  STEP_RUN
};

/* Behind the steps of the operation that opens a store, which looks first. */
enum {
  OPEN_STATE,
  OPEN_TABLES,
  OPEN_MIGRATES
};

/* Made by the engine, not by a step, so that the first step can be recorded like any other. */
static const char *const create_migrations_sql[] = {
    ("CREATE TABLE {{schema}}.migrations (version integer NOT NULL, name text NOT NULL, checksum text NOT NULL,"
     " applied_at timestamptz NOT NULL, CONSTRAINT migrations_pkey PRIMARY KEY (version))"),
    "COMMENT ON TABLE {{schema}}.migrations IS 'The applied steps of this schema''s history'",
    "COMMENT ON COLUMN {{schema}}.migrations.version IS '1, 2, 3 ...'",
    "COMMENT ON COLUMN {{schema}}.migrations.name IS 'What the step does'",
    "COMMENT ON COLUMN {{schema}}.migrations.checksum IS 'Of both files of the step'",
    "COMMENT ON COLUMN {{schema}}.migrations.applied_at IS 'When it was applied'",
};

/* The schema stays where somebody else's objects are in it. */
static const char drop_schema_sql[] = "DO $drop$ BEGIN EXECUTE format('DROP SCHEMA %I', {{schema_text}});"
                                      " EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $drop$";

static const char script_begin[] = "DO $convstore_migration$ BEGIN EXECUTE $convstore_script$";
static const char script_end[] = "$convstore_script$; END $convstore_migration$";

/* ---- running --------------------------------------------------------------------------------------------------- */

/* What a migration is rendered with. */
struct rendering {
  struct convstore_arena *arena;
  struct convstore_substitution list[POSTGRES_SUBSTITUTIONS];
};

static int queue_rendered(struct postgres_connection *connection, const struct rendering *rendering,
                          const char *sql, const struct postgres_params *params, convstore_error *err) {
  const char *text = convstore__render(rendering->arena, sql, rendering->list);
  if (text == NULL) return convstore__postgres_no_memory(err);
  convstore__postgres_queue_text(connection, text, params);
  return CONVSTORE_OK;
}

static int queue_script(struct postgres_connection *connection, const struct rendering *rendering,
                        const char *sql, convstore_error *err) {
  const char *text = convstore__render(rendering->arena, sql, rendering->list);
  size_t size = text == NULL ? 0 : strlen(text);
  char *script =
      text == NULL ? NULL
                   : convstore__arena_alloc(rendering->arena, size + sizeof script_begin + sizeof script_end);
  if (script == NULL) return convstore__postgres_no_memory(err);
  if (strstr(text, "$convstore_script$") != NULL)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "a name in the options contains \"$convstore_script$\"; choose another");
  memcpy(script, script_begin, sizeof script_begin - 1);
  memcpy(script + sizeof script_begin - 1, text, size);
  memcpy(script + sizeof script_begin - 1 + size, script_end, sizeof script_end);
  convstore__postgres_queue_text(connection, script, NULL);
  return CONVSTORE_OK;
}

static int queue_step(struct postgres_connection *connection, struct convstore_call *call,
                      const struct rendering *rendering, const struct convstore_migration_step *step,
                      bool up) {
  struct postgres_params params = {0};
  int status = queue_script(connection, rendering, up ? step->up : step->down, call->err);
  if (status != CONVSTORE_OK) return status;
  convstore__postgres_add_integer(&params, step->version);
  if (up) {
    convstore__postgres_add_string(&params, step->name);
    convstore__postgres_add_string(&params, step->checksum);
    convstore__postgres_add_time(&params, call->now_ms);
  }
  return queue_rendered(connection, rendering,
                        up ? "INSERT INTO {{schema}}.migrations (version, name, checksum, applied_at)"
                             " VALUES (CAST($1 AS bigint), $2, $3, $4)"
                             " RETURNING pg_catalog.clock_timestamp()"
                           : "DELETE FROM {{schema}}.migrations WHERE version = CAST($1 AS bigint)"
                             " RETURNING pg_catalog.clock_timestamp()",
                        &params, call->err);
}

static int queue_settings(struct postgres_connection *connection, struct convstore_call *call,
                          const struct rendering *rendering, const struct postgres_settings *settings) {
  struct postgres_params params = {0};
  convstore__postgres_add_string(&params, settings->users);
  convstore__postgres_add_string(&params, convstore__postgres_user_id_type_name(settings->user_id_type));
  convstore__postgres_add_string(&params, settings->jwt_claim);
  convstore__postgres_add_integer(&params, settings->schema_created);
  return queue_rendered(connection, rendering,
                        "INSERT INTO {{schema}}.settings (id, users, user_id_type, jwt_claim, schema_created)"
                        " VALUES (1, NULLIF($1, ''), $2, NULLIF($3, ''), CAST($4 AS bigint) = 1)",
                        &params, call->err);
}

static int queue_run(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_schema_state *state = connection->schema_state;
  const struct convstore_migration_step *steps = connection->base.backend->steps;
  struct rendering rendering = {.arena = call->result->memory};
  struct convstore_migration_plan plan;
  int status = convstore__postgres_plan(&plan, connection, connection->target, call->err);
  if (status != CONVSTORE_OK || plan.n == 0) return status;

  bool first = plan.current == 0;
  const struct postgres_settings *settings = first ? &state->chosen : &state->settings;
  if (!convstore__postgres_substitutions(rendering.list, connection, settings, rendering.arena))
    return convstore__postgres_no_memory(call->err);
  if (first && !state->schema_exists) {
    state->chosen.schema_created = true;
    status = queue_rendered(connection, &rendering, "CREATE SCHEMA {{schema}}", NULL, call->err);
  }
  for (size_t i = 0; first && !state->has_migrations && status == CONVSTORE_OK &&
                     i < sizeof create_migrations_sql / sizeof *create_migrations_sql;
       i++)
    status = queue_rendered(connection, &rendering, create_migrations_sql[i], NULL, call->err);
  if (status == CONVSTORE_OK)
    convstore__postgres_queue_text(connection, "SELECT pg_catalog.clock_timestamp()", NULL);
  for (size_t i = 0; status == CONVSTORE_OK && i < plan.n; i++)
    status = queue_step(connection, call, &rendering, convstore__migrate_step(&plan, steps, i), plan.up);
  if (status == CONVSTORE_OK && first) status = queue_settings(connection, call, &rendering, settings);
  if (status == CONVSTORE_OK && plan.target == 0)
    status = queue_rendered(connection, &rendering, "DROP TABLE {{schema}}.migrations", NULL, call->err);
  if (status == CONVSTORE_OK && plan.target == 0 && settings->schema_created)
    status = queue_rendered(connection, &rendering, drop_schema_sql, NULL, call->err);
  return status;
}

/* Tells of each step. A row is a reading of the server's clock: one before the first step, one behind each. */
static void note_run(const struct postgres_connection *connection,
                     const struct convstore_migration_plan *plan) {
  const PGresult *result;
  int64_t before_ms = CONVSTORE_ABSENT;
  size_t n = 0;
  for (size_t k = 0; n < plan->n && (result = convstore__postgres_result(connection, k)) != NULL; k++) {
    if (PQntuples(result) != 1) continue;
    int64_t ms = convstore__postgres_read_time(result, 0, 0);
    if (before_ms != CONVSTORE_ABSENT)
      convstore__event_migrated(connection->base.events,
                                convstore__migrate_step(plan, connection->base.backend->steps, n++), plan->up,
                                ms - before_ms);
    before_ms = ms;
  }
}

/* What the connection knows after the commit. */
static int adopt_run(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_schema_state *state = connection->schema_state;
  struct convstore_migration_plan plan;
  int status = convstore__postgres_plan(&plan, connection, connection->target, call->err);
  if (status != CONVSTORE_OK) return status;
  if (plan.n == 0) return convstore__postgres_adopt_state(connection, call);
  note_run(connection, &plan);
  if (plan.current == 0) state->settings = state->chosen;
  struct convstore_migration_applied *applied =
      convstore__arena_alloc(call->result->memory, (size_t)plan.target * sizeof *applied);
  if (applied == NULL) return convstore__postgres_no_memory(call->err);
  memset(applied, 0, (size_t)plan.target * sizeof *applied);
  for (size_t i = 0; i < (size_t)plan.target; i++) {
    const struct convstore_migration_step *step = &connection->base.backend->steps[i];
    applied[i].version = step->version;
    memcpy(applied[i].name, step->name, strlen(step->name) + 1);
    memcpy(applied[i].checksum, step->checksum, strlen(step->checksum) + 1);
  }
  state->applied = applied;
  state->n_applied = (size_t)plan.target;
  state->version = plan.target;
  return convstore__postgres_adopt_state(connection, call);
}

/* ---- the operation --------------------------------------------------------------------------------------------- */

static int send_lock(struct postgres_connection *connection) {
  struct postgres_params params = {0};
  convstore__postgres_add_string(&params, connection->schema);
  convstore__postgres_queue_text(
      connection,
      "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('convstore ' || $1, 0))", &params);
  convstore__postgres_queue_state(connection);
  connection->keep_open = true;
  return CONVSTORE_OK;
}

static bool has_users(const struct postgres_connection *connection) {
  return connection->users[0] != '\0';
}

static int send_step(struct postgres_connection *connection, struct convstore_call *call, int step) {
  switch (step) {
  case STEP_LOCK:
    return send_lock(connection);
  case STEP_TABLES:
    connection->keep_open = true;
    if (connection->schema_state->has_migrations) convstore__postgres_queue_tables(connection, call);
    return has_users(connection) ? convstore__postgres_queue_users(connection, call) : CONVSTORE_OK;
  default:
    return queue_run(connection, call);
  }
}

static int receive_tables(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_schema_state *state = connection->schema_state;
  size_t n_tables = !state->has_migrations ? 0 : state->has_settings ? 3 : 2;
  struct convstore_migration_plan plan;
  int status = n_tables == 0 ? CONVSTORE_OK : convstore__postgres_receive_tables(connection, call);
  /* Checked before anything is queued. */
  if (status == CONVSTORE_OK)
    status = convstore__postgres_plan(&plan, connection, connection->target, call->err);
  if (status == CONVSTORE_OK && plan.current == 0 && plan.n > 0 && has_users(connection))
    status = convstore__postgres_receive_users(&state->chosen.user_id_type, connection,
                                               convstore__postgres_result(connection, n_tables), call->err);
  return status;
}

/* CONVSTORE_OK: the last step is done; POSTGRES_AGAIN: *step is the next. */
static int receive_step(struct postgres_connection *connection, struct convstore_call *call, int step) {
  bool more;
  int status;
  switch (step) {
  case STEP_LOCK:
    status =
        convstore__postgres_receive_state(&more, connection, convstore__postgres_result(connection, 1), call);
    break;
  case STEP_TABLES:
    status = receive_tables(connection, call);
    break;
  default:
    return adopt_run(connection, call);
  }
  if (status != CONVSTORE_OK) return status;
  connection->step++;
  return POSTGRES_AGAIN;
}

/* The roles belong to the whole cluster: whoever sets up another database at the same moment may have been faster to
 * grant them to this login. 0001 minds that for CREATE ROLE only; the next try finds them granted. */
static int refuse_grant(struct postgres_connection *connection, struct convstore_call *call,
                        const char *sqlstate) {
  const char *table = PQresultErrorField(connection->pipeline.error, PG_DIAG_TABLE_NAME);
  (void)call;
  if (strcmp(sqlstate, "23505") != 0 || table == NULL || strcmp(table, "pg_auth_members") != 0)
    return CONVSTORE_OK;
  connection->step = 0;
  return POSTGRES_AGAIN;
}

static int send_migrate(struct postgres_connection *connection, struct convstore_call *call) {
  connection->target = call->request->target;
  return send_step(connection, call, connection->step);
}

static int receive_migrate(struct postgres_connection *connection, struct convstore_call *call) {
  return receive_step(connection, call, connection->step);
}

const struct postgres_operation convstore__postgres_migrate = {
    .frame = POSTGRES_FRAME_SCHEMA, .send = send_migrate, .receive = receive_migrate, .refuse = refuse_grant};

/* ---- opening --------------------------------------------------------------------------------------------------- */

static int send_open(struct postgres_connection *connection, struct convstore_call *call) {
  connection->target = CONVSTORE_ABSENT;
  if (connection->step == OPEN_STATE)
    convstore__postgres_queue_state(connection);
  else if (connection->step == OPEN_TABLES)
    convstore__postgres_queue_tables(connection, call);
  else
    return send_step(connection, call, connection->step - OPEN_MIGRATES);
  return CONVSTORE_OK;
}

static int fail_no_member(const struct postgres_connection *connection, convstore_error *err) {
  const char *user = PQuser(connection->db);
  return convstore_fail(
      err, CONVSTORE_E_DENIED,
      "the login %s is no member of the role %s; let an administrator run \"GRANT %s TO %s\" (after "
      "\"CREATE ROLE %s NOLOGIN\" if it is missing), or open with role = false",
      user, connection->role, connection->role, user, connection->role);
}

/* What the options say about the state that was found. */
static int decide(struct postgres_connection *connection, struct convstore_call *call) {
  struct convstore_migration_plan plan;
  int status = convstore__postgres_adopt_state(connection, call);
  if (status != CONVSTORE_OK || connection->options.migrate == CONVSTORE_MIGRATE_NEVER) return status;
  status = convstore__postgres_plan(&plan, connection, CONVSTORE_ABSENT, call->err);
  if (status != CONVSTORE_OK) return status;
  if (plan.n == 0) {
    if (connection->role != NULL && !connection->schema_state->is_member)
      return fail_no_member(connection, call->err);
    return CONVSTORE_OK;
  }
  if (connection->options.readonly)
    return convstore_fail(
        call->err, CONVSTORE_E_SCHEMA,
        "the database has schema version %d and %d is needed; open it once without `readonly`", plan.current,
        plan.target);
  /* Other processes may still run the older code, so only who says so brings a schema up to date. */
  if (plan.current > 0 && connection->options.migrate != CONVSTORE_MIGRATE_ALWAYS)
    return convstore_fail(
        call->err, CONVSTORE_E_SCHEMA,
        "the database has schema version %d and %d is needed; run convstore migrate up, or open with "
        "migrate = true",
        plan.current, plan.target);
  connection->step = OPEN_MIGRATES;
  return POSTGRES_AGAIN;
}

static int receive_open(struct postgres_connection *connection, struct convstore_call *call) {
  bool more = false;
  int status;
  if (connection->step >= OPEN_MIGRATES)
    return receive_step(connection, call, connection->step - OPEN_MIGRATES);
  if (connection->step == OPEN_TABLES) {
    status = convstore__postgres_receive_tables(connection, call);
  } else {
    status =
        convstore__postgres_receive_state(&more, connection, convstore__postgres_result(connection, 0), call);
    if (status == CONVSTORE_OK && more) {
      connection->step = OPEN_TABLES;
      return POSTGRES_AGAIN;
    }
  }
  return status != CONVSTORE_OK ? status : decide(connection, call);
}

const struct postgres_operation convstore__postgres_open = {
    .frame = POSTGRES_FRAME_SCHEMA, .send = send_open, .receive = receive_open, .refuse = refuse_grant};
