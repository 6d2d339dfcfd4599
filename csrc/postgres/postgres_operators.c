/* What operators ask over all users in PostgreSQL: who they are, and how much there is. One statement each. */
#include "../core/pages.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

/* ---- sight ------------------------------------------------------------------------------------------------------ */

/* Without a role row-level security still binds all but a superuser's login and one with BYPASSRLS, and would show the
 * others an empty database. */
void convstore__postgres_queue_sight(struct postgres_connection *connection) {
  struct postgres_params params = {0};
  if (connection->role != NULL) return;
  convstore__postgres_add_string(&params, connection->schema);
  convstore__postgres_queue(connection, POSTGRES_STMT_SEES_ALL, &params);
}

int convstore__postgres_receive_sight(struct postgres_connection *connection, size_t k,
                                      struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_BOOL};
  if (connection->role != NULL) return CONVSTORE_OK;
  const PGresult *rows = convstore__postgres_result(connection, k);
  int status = convstore__postgres_check_columns(rows, types, 1, call->err);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(rows) == 1 && convstore__postgres_read_bool(rows, 0, 0)) return CONVSTORE_OK;
  return convstore_fail(call->err, CONVSTORE_E_DENIED,
                        "the login sees the rows of one user at a time; open without role = false as a login "
                        "that was granted \"%s\", or as one with BYPASSRLS",
                        connection->operator_role);
}

/* ---- users ------------------------------------------------------------------------------------------------------ */

static int send_users(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_position *position = &call->request->position;
  struct postgres_params params = {0};
  if (position->set)
    convstore__postgres_add_text(&params, (convstore_text){position->user_id, position->n_user_id});
  else
    convstore__postgres_add_string(&params, NULL);
  convstore__postgres_add_integer(&params, call->request->limit + 1);
  convstore__postgres_queue_frame(connection, POSTGRES_STMT_BY_INDEX, NULL);
  convstore__postgres_queue(connection, POSTGRES_STMT_USERS, &params);
  convstore__postgres_queue_sight(connection);
  return CONVSTORE_OK;
}

static int read_user(convstore_user *out, const PGresult *rows, int row, struct convstore_call *call) {
  *out = (convstore_user){
      .conversations = convstore__postgres_read_integer(rows, row, 1),
      .messages = convstore__postgres_read_integer(rows, row, 2),
      .updated_at_ms = convstore__postgres_read_time(rows, row, 3),
  };
  return convstore__postgres_read_text(&out->user_id, rows, row, 0, call);
}

static int receive_users(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_TEXT, POSTGRES_INT8, POSTGRES_INT8,
                                             POSTGRES_TIMESTAMPTZ};
  const PGresult *rows = convstore__postgres_result(connection, 0);
  convstore_result *result = call->result;
  int status = convstore__postgres_receive_sight(connection, 1, call);
  if (status == CONVSTORE_OK) status = convstore__postgres_check_columns(rows, types, 4, call->err);
  if (status != CONVSTORE_OK) return status;
  struct convstore_arena *arena = convstore__arena(result);
  if (arena != NULL)
    result->users = convstore__arena_alloc(arena, (size_t)PQntuples(rows) * sizeof *result->users);
  if (result->users == NULL) return convstore__postgres_no_memory(call->err);
  for (int row = 0; row < PQntuples(rows); row++) {
    status = read_user(&result->users[row], rows, row, call);
    if (status != CONVSTORE_OK) return status;
  }
  result->n_users = (size_t)PQntuples(rows);
  return convstore__page_users(call);
}

const struct postgres_operation convstore__postgres_users = {
    .frame = POSTGRES_FRAME_OPERATOR, .send = send_users, .receive = receive_users};

/* ---- stats ------------------------------------------------------------------------------------------------------ */

static int send_stats(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  (void)call;
  convstore__postgres_add_string(&params, connection->schema);
  convstore__postgres_queue(connection, POSTGRES_STMT_STATS, &params);
  convstore__postgres_queue_sight(connection);
  return CONVSTORE_OK;
}

static int receive_stats(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_TEXT, POSTGRES_INT8, POSTGRES_INT8,
                                             POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8};
  const PGresult *rows = convstore__postgres_result(connection, 0);
  int status = convstore__postgres_receive_sight(connection, 1, call);
  if (status == CONVSTORE_OK) status = convstore__postgres_check_columns(rows, types, 6, call->err);
  if (status != CONVSTORE_OK) return status;
  if (convstore__arena(call->result) == NULL) return convstore__postgres_no_memory(call->err);
  call->result->stats = (convstore_stats){
      .backend = connection->base.backend->name,
      .users = convstore__postgres_read_integer(rows, 0, 1),
      .conversations = convstore__postgres_read_integer(rows, 0, 2),
      .messages = convstore__postgres_read_integer(rows, 0, 3),
      .archived_messages = convstore__postgres_read_integer(rows, 0, 4),
      .bytes = convstore__postgres_read_integer(rows, 0, 5),
  };
  call->result->schema_version = connection->base.schema_version;
  return convstore__postgres_read_text(&call->result->stats.backend_version, rows, 0, 0, call);
}

const struct postgres_operation convstore__postgres_stats = {
    .frame = POSTGRES_FRAME_OPERATOR, .send = send_stats, .receive = receive_stats};
