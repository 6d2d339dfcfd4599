/*
 * What is old or to be forgotten in PostgreSQL: purging, erasing, moving to the archive. Each call does one part, a
 * short transaction and one round trip, and says whether there is more; core/part_size.h says how much that is.
 *
 * A part takes what nobody has locked. Only where all that is left is locked it waits for one, so a call that says
 * "no more" has left nothing. A part whose answer was lost with the connection is done, but not counted.
 */
#include "../core/part_size.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  STEP_PICK,
  STEP_WAIT /* all that is left was locked */
};

/* ---- sending --------------------------------------------------------------------------------------------------- */

/* What says which conversations: $1 and $2. */
static void add_condition(struct postgres_params *params, const struct convstore_call *call) {
  const convstore_request *request = call->request;
  if (request->operation == CONVSTORE_ERASE)
    convstore__postgres_add_text(params, request->user_id);
  else
    convstore__postgres_add_time(params, request->deleted_before_ms);
  convstore__postgres_add_time(params, request->idle_before_ms);
}

/* Chooses and locks the part. */
static void queue_pick(struct postgres_connection *connection, const struct convstore_call *call,
                       enum postgres_stmt id) {
  struct postgres_params params = {0};
  int64_t most = CONVSTORE_PART_CONVERSATIONS;
  bool waits = connection->step == STEP_WAIT;
  if (call->request->operation != CONVSTORE_ERASE && call->request->limit < most) most = call->request->limit;
  /* The caller's own transaction keeps its plans. */
  if (call->depth == 0) convstore__postgres_queue(connection, POSTGRES_STMT_PLAN_BY_INDEX, NULL);
  add_condition(&params, call);
  convstore__postgres_add_integer(&params, waits ? 1 : most);
  convstore__postgres_add_integer(&params, CONVSTORE_PART_MESSAGES);
  if (id != POSTGRES_STMT_PICK_IDLE) convstore__postgres_add_integer(&params, CONVSTORE_PART_RUNS);
  convstore__postgres_queue(connection, (enum postgres_stmt)((int)id + (waits ? POSTGRES_STMT_WAITING : 0)),
                            &params);
}

static void queue_at(struct postgres_connection *connection, const struct convstore_call *call,
                     enum postgres_stmt id) {
  struct postgres_params params = {0};
  convstore__postgres_add_time(&params, call->now_ms);
  convstore__postgres_queue(connection, id, &params);
}

static void queue_left(struct postgres_connection *connection, const struct convstore_call *call,
                       enum postgres_stmt id) {
  struct postgres_params params = {0};
  add_condition(&params, call);
  convstore__postgres_queue(connection, id, &params);
}

static void queue_purge(struct postgres_connection *connection, const struct convstore_call *call) {
  convstore__postgres_queue(connection, POSTGRES_STMT_REOPEN_PART_NEIGHBOURS, NULL);
  convstore__postgres_queue(connection, POSTGRES_STMT_DROP_PART_SEGMENTS, NULL);
  queue_at(connection, call, POSTGRES_STMT_SHRINK_PART);
  convstore__postgres_queue(connection, POSTGRES_STMT_DELETE_PART, NULL);
}

static int send_purge_old(struct postgres_connection *connection, struct convstore_call *call) {
  queue_pick(connection, call, POSTGRES_STMT_PICK_OLD);
  queue_purge(connection, call);
  queue_left(connection, call, POSTGRES_STMT_OLD_LEFT);
  convstore__postgres_queue_sight(connection);
  return CONVSTORE_OK;
}

static int send_erase(struct postgres_connection *connection, struct convstore_call *call) {
  queue_pick(connection, call, POSTGRES_STMT_PICK_USERS);
  queue_purge(connection, call);
  queue_left(connection, call, POSTGRES_STMT_USERS_LEFT);
  return CONVSTORE_OK;
}

/* One that is longer than a part has its messages in both tables until the last part. */
static int send_archive(struct postgres_connection *connection, struct convstore_call *call) {
  queue_pick(connection, call, POSTGRES_STMT_PICK_IDLE);
  convstore__postgres_queue(connection, POSTGRES_STMT_ARCHIVE_PART, NULL);
  queue_at(connection, call, POSTGRES_STMT_MARK_PART_ARCHIVED);
  queue_left(connection, call, POSTGRES_STMT_IDLE_LEFT);
  convstore__postgres_queue_sight(connection);
  return CONVSTORE_OK;
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

/* Reads the answer of the k-th statement, the last but that which looks whether all users were seen. */
static int receive_left(struct postgres_connection *connection, struct convstore_call *call, size_t k) {
  static const enum postgres_type types[] = {POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8, POSTGRES_BOOL};
  if (call->depth == 0) k++;
  const PGresult *row = convstore__postgres_result(connection, k);
  convstore_result *result = call->result;
  int status = convstore__postgres_check_columns(row, types, 4, call->err);
  if (status == CONVSTORE_OK && call->request->operation != CONVSTORE_ERASE)
    status = convstore__postgres_receive_sight(connection, k + 1, call);
  if (status != CONVSTORE_OK) return status;
  result->n_conversations = convstore__postgres_read_integer(row, 0, 0);
  result->n_messages_changed = convstore__postgres_read_integer(row, 0, 1);
  result->more = convstore__postgres_read_bool(row, 0, 3);
  if (convstore__postgres_read_integer(row, 0, 2) > 0 || !result->more) return CONVSTORE_OK;
  connection->step = connection->step == STEP_PICK ? STEP_WAIT : STEP_PICK;
  return POSTGRES_AGAIN;
}

static int receive_purge(struct postgres_connection *connection, struct convstore_call *call) {
  return receive_left(connection, call, 5);
}

static int receive_archive(struct postgres_connection *connection, struct convstore_call *call) {
  return receive_left(connection, call, 3);
}

const struct postgres_operation convstore__postgres_purge_old = {
    .frame = POSTGRES_FRAME_OPERATOR, .send = send_purge_old, .receive = receive_purge};

const struct postgres_operation convstore__postgres_erase = {
    .frame = POSTGRES_FRAME_USER, .send = send_erase, .receive = receive_purge};

const struct postgres_operation convstore__postgres_archive = {
    .frame = POSTGRES_FRAME_OPERATOR, .send = send_archive, .receive = receive_archive};
