/*
 * Looks for what is not as it should be in PostgreSQL: what our tables say of each other, and whether the schema and
 * its row-level security still are what the migrations made, in one round trip. Further ones look into the search index
 * (postgres_check_index.c). Queries only: nobody waits for them.
 */
#include "../core/problems.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

static const enum postgres_stmt checks[] = {POSTGRES_STMT_CHECK_MESSAGES, POSTGRES_STMT_CHECK_SEARCH,
                                            POSTGRES_STMT_CHECK_SUMMARIES, POSTGRES_STMT_CHECK_SCHEMA,
                                            POSTGRES_STMT_CHECK_SECURITY};
enum {
  N_CHECKS = sizeof checks / sizeof *checks
};

enum {
  STEP_SQL,  /* all that the database can judge by itself, and the first page of the search index */
  STEP_INDEX /* another page of it */
};

static int send_check(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->step == STEP_INDEX) return convstore__postgres_queue_index_check(connection, call);
  convstore__postgres_queue_frame(connection, POSTGRES_STMT_BEGIN_CHECK, NULL);
  for (size_t i = 0; i < N_CHECKS; i++) {
    struct postgres_params params = {0};
    convstore__postgres_add_integer(&params, CONVSTORE_PROBLEM_ROWS);
    if (checks[i] == POSTGRES_STMT_CHECK_SCHEMA || checks[i] == POSTGRES_STMT_CHECK_SECURITY)
      convstore__postgres_add_string(&params, connection->schema);
    if (checks[i] == POSTGRES_STMT_CHECK_SECURITY) convstore__postgres_add_string(&params, connection->role);
    convstore__postgres_queue(connection, checks[i], &params);
  }
  convstore__postgres_queue_sight(connection);
  if (call->depth > 0) convstore__postgres_queue_frame(connection, POSTGRES_STMT_END_CHECK, NULL);
  return convstore__postgres_queue_index_check(connection, call);
}

/* Adds what a statement has found. */
static int receive_problems(size_t *capacity, const PGresult *rows, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_TEXT, POSTGRES_UUID, POSTGRES_TEXT};
  int status = convstore__postgres_check_columns(rows, types, 3, call->err);
  for (int row = 0; status == CONVSTORE_OK && row < PQntuples(rows); row++) {
    convstore_problem problem;
    convstore__postgres_read_id(problem.conversation_id, rows, row, 1);
    status = convstore__postgres_read_text(&problem.problem, rows, row, 0, call);
    if (status == CONVSTORE_OK) status = convstore__postgres_read_text(&problem.detail, rows, row, 2, call);
    if (status == CONVSTORE_OK) status = convstore__problem_add(capacity, call, &problem);
  }
  return status;
}

static int receive_sql(size_t *capacity, struct postgres_connection *connection,
                       struct convstore_call *call) {
  int status = convstore__postgres_receive_sight(connection, N_CHECKS, call);
  call->result->n_problems = 0; /* of a try whose connection was lost */
  *capacity = 0;
  for (size_t i = 0; status == CONVSTORE_OK && i < N_CHECKS; i++)
    status = receive_problems(capacity, convstore__postgres_result(connection, i), call);
  return status;
}

static int receive_check(struct postgres_connection *connection, struct convstore_call *call) {
  size_t *capacity = &connection->n_problems;
  int status = CONVSTORE_OK;
  if (connection->step == STEP_SQL) status = receive_sql(capacity, connection, call);
  if (status == CONVSTORE_OK) status = convstore__postgres_receive_index_check(capacity, connection, call);
  if (status == POSTGRES_AGAIN) connection->step = STEP_INDEX;
  if (status == CONVSTORE_OK) convstore__problems_finish(call);
  return status;
}

const struct postgres_operation convstore__postgres_check = {
    .frame = POSTGRES_FRAME_OPERATOR, .send = send_check, .receive = receive_check};
