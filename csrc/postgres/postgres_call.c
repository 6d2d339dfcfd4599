/*
 * One call as a machine of phases that is stepped until it is done. The only place that decides what is tried again.
 *
 * A call that is a transaction of its own may be repeated whole, after a deadlock as after a lost connection, since
 * every operation has its ids from before the first try and recognises what it wrote. In a caller's transaction only
 * what came first in it may: later the loss of the connection has undone what the caller believes done.
 */
#include "postgres_call.h"

#include <stdio.h>
#include <string.h>

#include "../core/clock.h"
#include "../core/interrupt.h"
#include "postgres_cancel.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  FIRST_REST_MS = 20,
  LONGEST_REST_MS = 1000,
  SETTLING_LOOK_MS = 2
};

static bool is_late(const struct convstore_call *call) {
  return convstore__monotonic_ms() >= call->deadline_ms;
}

/* An interrupted call that was sent, whose answer will not be had. */
static int fail_unknown(const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_TIMEOUT,
                        "the call was interrupted before PostgreSQL had answered, so it is not known whether "
                        "it was done; try again with the same id");
}

/* Ends the call: nothing of it stays but the connection. */
static int end_call(struct postgres_connection *connection, int status) {
  convstore__postgres_pipeline_clear(connection);
  connection->phase = POSTGRES_IDLE;
  return status;
}

/* Drops the connection, and with it the caller's transaction if there is one. */
static void drop(struct postgres_connection *connection, const struct convstore_call *call) {
  if (call->depth > 0) connection->base.lost = true;
  convstore__postgres_pipeline_clear(connection);
  convstore__postgres_drop(connection);
}

/* ---- rounds ---------------------------------------------------------------------------------------------------- */

/*
 * The server gives up a little before the client does, so that an answer says what it waited for: first the lock, then
 * the statement. Without the client it would finish, or queue, what nobody waits for.
 */
static void add_timeouts(struct postgres_params *params, char texts[2][24],
                         const struct convstore_call *call) {
  int64_t left = call->deadline_ms - convstore__monotonic_ms();
  int64_t margin = left / 20 > 100 ? 100 : left / 20 < 10 ? 10 : left / 20;
  for (int i = 0; i < 2; i++) {
    int64_t ms = left - (2 - i) * margin;
    (void)snprintf(texts[i], sizeof texts[i], "%lld", (long long)(ms < 1 ? 1 : ms));
    convstore__postgres_add_string(params, texts[i]);
  }
}

static void queue_settings(struct postgres_connection *connection, const struct convstore_call *call) {
  struct postgres_params params = {0};
  char timeouts[2][24];
  bool user = connection->operation->frame == POSTGRES_FRAME_USER;
  if (user) convstore__postgres_add_text(&params, call->request->user_id);
  add_timeouts(&params, timeouts, call);
  /* Never off: with it a killed server lost 21 of 13,769 acknowledged rows. */
  convstore__postgres_add_string(&params, connection->options.durability_normal ? "local" : "on");
  if (user) {
    convstore__postgres_add_string(&params, connection->role);
    convstore__postgres_add_string(&params, connection->jwt_claim);
  }
  if (connection->operation->frame == POSTGRES_FRAME_OPERATOR)
    convstore__postgres_add_string(&params, connection->operator_role);
  static const enum postgres_stmt settings[] = {
      [POSTGRES_FRAME_USER] = POSTGRES_STMT_SETTINGS,
      [POSTGRES_FRAME_OPERATOR] = POSTGRES_STMT_OPERATOR_SETTINGS,
      [POSTGRES_FRAME_SCHEMA] = POSTGRES_STMT_SCHEMA_SETTINGS,
  };
  convstore__postgres_queue_frame(connection, settings[connection->operation->frame], &params);
}

static void queue_undo(struct postgres_connection *connection, const struct convstore_call *call) {
  if (call->depth == 0) {
    convstore__postgres_queue_frame_text(connection, "ROLLBACK");
  } else {
    convstore__postgres_queue_frame_text(connection, "ROLLBACK TO SAVEPOINT convstore");
    convstore__postgres_queue_frame_text(connection, "RELEASE SAVEPOINT convstore");
  }
}

static enum postgres_stmt begin_of(const struct postgres_connection *connection) {
  return connection->options.readonly ? POSTGRES_STMT_BEGIN_READ : POSTGRES_STMT_BEGIN;
}

void convstore__postgres_queue_begin(struct postgres_connection *connection) {
  convstore__postgres_queue_frame_text(connection, convstore__postgres_stmt_texts[begin_of(connection)].sql);
}

static int send_round(struct postgres_connection *connection, struct convstore_call *call) {
  const struct postgres_operation *operation = connection->operation;
  bool framed = operation->frame != POSTGRES_FRAME_NONE;
  bool nested = call->depth > 0;
  convstore__postgres_pipeline_clear(connection);
  if (connection->must_recover) queue_undo(connection, call);
  connection->must_recover = false;
  connection->keep_open = false;
  if (framed && nested) {
    if (!connection->begun) convstore__postgres_queue_begin(connection);
    convstore__postgres_queue_frame_text(connection, "SAVEPOINT convstore");
  } else if (framed && !connection->open) {
    convstore__postgres_queue_frame(connection, begin_of(connection), NULL);
  }
  if (framed && !connection->open) queue_settings(connection, call);
  int status = operation->send(connection, call);
  if (framed && nested)
    convstore__postgres_queue_frame_text(connection, "RELEASE SAVEPOINT convstore");
  else if (framed && !connection->keep_open)
    convstore__postgres_queue_frame(connection, POSTGRES_STMT_COMMIT, NULL);
  convstore__postgres_pipeline_end(connection);
  return status;
}

/* ---- connections that come and go ------------------------------------------------------------------------------ */

/* Waits before the next try, longer each time and never in step with others. */
static void rest(struct postgres_connection *connection, const struct convstore_call *call) {
  int64_t now = convstore__monotonic_ms();
  unsigned shift = connection->n_lost < 6 ? connection->n_lost : 6;
  int64_t ms = (int64_t)FIRST_REST_MS << shift;
  if (ms > LONGEST_REST_MS) ms = LONGEST_REST_MS;
  connection->jitter = connection->jitter * 1664525U + 1013904223U + (unsigned)now;
  ms = ms / 2 + (int64_t)(connection->jitter >> 8) % (ms / 2 + 1);
  connection->n_lost++;
  connection->rest_until_ms = now + ms < call->deadline_ms ? now + ms : call->deadline_ms;
  connection->phase = POSTGRES_RESTING;
}

/* ---- what is told of it ---------------------------------------------------------------------------------------- */

static const char *statement_of(const struct postgres_connection *connection, const PGresult *result) {
  const struct postgres_pipeline *pipeline = &connection->pipeline;
  for (size_t i = 0; i < pipeline->n; i++)
    if (pipeline->entries[i].result == result && pipeline->entries[i].statement >= 0)
      return convstore__postgres_stmt_texts[pipeline->entries[i].statement].name;
  return NULL;
}

/* Notes what is done about an error that a statement gave. */
static convstore_event *note_remedy(const struct postgres_connection *connection, convstore_event_kind kind,
                                    int status, const char *sentence) {
  const PGresult *error = connection->pipeline.error;
  const char *words = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
  convstore_event *event = convstore__event(connection->base.events, kind, "%s: PostgreSQL says \"%s\"",
                                            sentence, words != NULL ? words : "");
  if (event == NULL) return NULL;
  event->status = status;
  event->statement = statement_of(connection, error);
  (void)snprintf(event->sqlstate, sizeof event->sqlstate, "%s", PQresultErrorField(error, PG_DIAG_SQLSTATE));
  return event;
}

static void note_retry(struct postgres_connection *connection) {
  convstore_event *event =
      note_remedy(connection, CONVSTORE_EVENT_RETRY, CONVSTORE_E_BUSY,
                  "the call was undone because others were at the same rows, and is run again");
  connection->n_repeated++;
  if (event != NULL) event->attempt = connection->n_repeated;
}

static void note_unreachable(const struct postgres_connection *connection) {
  convstore_event *event = convstore__event(
      connection->base.events, CONVSTORE_EVENT_LOST, "no connection to PostgreSQL in time: %s",
      connection->lost_reason[0] != '\0' ? connection->lost_reason : "no answer");
  if (event == NULL) return;
  event->status = CONVSTORE_E_UNAVAILABLE;
  event->attempt = connection->n_tries;
}

static void note_unanswered(const struct postgres_connection *connection) {
  convstore_event *event =
      convstore__event(connection->base.events, CONVSTORE_EVENT_LOST,
                       "the connection to PostgreSQL was given up: the server gave no answer in time");
  if (event != NULL) event->status = CONVSTORE_E_TIMEOUT;
}

/* ---- giving up ------------------------------------------------------------------------------------------------- */

/* Every server that was reached took no writes. */
static int fail_readonly(const struct postgres_connection *connection, const struct convstore_call *call) {
  return convstore_fail(call->err, CONVSTORE_E_READONLY,
                        "the server takes no writes (%s); connect to one that does, for example with "
                        "target_session_attrs=read-write",
                        connection->lost_reason);
}

/* The deadline came while there was no connection. */
static int give_up_connecting(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->phase == POSTGRES_RESOLVING) convstore__postgres_note_lookup_late(connection);
  convstore__postgres_drop(connection);
  note_unreachable(connection);
  if (connection->refused_writes) return fail_readonly(connection, call);
  return convstore_fail(call->err, CONVSTORE_E_UNAVAILABLE,
                        "no connection to PostgreSQL in time: %s; check that it runs, then try again",
                        connection->lost_reason[0] != '\0' ? connection->lost_reason : "no answer");
}

/* A dropped connection is as good as a ROLLBACK, though of the whole transaction. */
static bool is_rolled_back(struct postgres_connection *connection, const struct convstore_call *call) {
  if (call->request->operation != CONVSTORE_ROLLBACK) return false;
  connection->base.lost = call->depth > 1;
  return true;
}

/* The connection broke while a round travelled. POSTGRES_AGAIN: the call goes on. */
static int on_lost(struct postgres_connection *connection, struct convstore_call *call) {
  bool ended = call->depth > 0 && connection->began_before;
  bool recovering = connection->recovering;
  convstore__postgres_note_lost(connection,
                                connection->refused_writes ? CONVSTORE_E_READONLY : CONVSTORE_E_UNAVAILABLE,
                                connection->pipeline.error);
  drop(connection, call);
  if (recovering) return connection->verdict;
  if (is_rolled_back(connection, call)) return CONVSTORE_OK;
  if (ended && call->request->operation == CONVSTORE_COMMIT && call->depth == 1)
    return convstore_fail(
        call->err, CONVSTORE_E_UNAVAILABLE,
        "the connection was lost at COMMIT (%s), so it is not known whether the transaction was "
        "committed; look before running it again",
        connection->lost_reason);
  if (ended)
    return convstore_fail(call->err, CONVSTORE_E_UNAVAILABLE,
                          "the connection was lost (%s) and the transaction with it; run it again",
                          connection->lost_reason);
  connection->base.lost = false;
  if (call->interrupted) return fail_unknown(call);
  connection->may_be_done = call->depth == 0;
  connection->must_recover = false;
  connection->step = 0;
  if (connection->n_lost == 0) {
    connection->n_lost = 1;
    convstore__postgres_connect_start(connection);
  } else {
    rest(connection, call);
  }
  return POSTGRES_AGAIN;
}

/* No answer by the deadline: the connection's state is unknown, so it goes. */
static int give_up_answer(struct postgres_connection *connection, struct convstore_call *call) {
  bool recovering = connection->recovering;
  note_unanswered(connection);
  drop(connection, call);
  if (recovering) return connection->verdict;
  if (is_rolled_back(connection, call)) return CONVSTORE_OK;
  if (connection->refused_writes) return fail_readonly(connection, call);
  if (call->interrupted) return fail_unknown(call);
  return convstore_fail(call->err, CONVSTORE_E_TIMEOUT,
                        "PostgreSQL has the call but gave no answer in time; try again with the same id");
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

/* Undoes what the server has of the call, then answers `status`, whose error is in call->err already. */
static int undo(struct postgres_connection *connection, const struct convstore_call *call, int status,
                bool whole) {
  if (call->depth == 0 && connection->operation->frame == POSTGRES_FRAME_NONE)
    return end_call(connection, status);
  convstore__postgres_pipeline_clear(connection);
  if (whole)
    convstore__postgres_queue_frame_text(connection, "ROLLBACK");
  else
    queue_undo(connection, call);
  convstore__postgres_pipeline_end(connection);
  if (whole) {
    connection->base.lost = true;
    connection->begun = false;
  }
  connection->open = false;
  connection->verdict = status;
  connection->recovering = true;
  connection->phase = POSTGRES_EXCHANGING;
  return POSTGRES_AGAIN;
}

/* The same rounds from the first on, on this connection. */
static int repeat(struct postgres_connection *connection, bool from_start) {
  if (from_start) connection->step = 0;
  connection->must_recover = true;
  connection->open = false;
  connection->phase = POSTGRES_SENDING;
  return POSTGRES_AGAIN;
}

static int judge_error(struct postgres_connection *connection, struct convstore_call *call) {
  const PGresult *error = connection->pipeline.error;
  const struct postgres_operation *operation = connection->operation;
  const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
  bool nested = call->depth > 0;
  bool whole = nested && operation->frame == POSTGRES_FRAME_NONE;
  if (sqlstate == NULL) { /* libpq's own: it had no memory for what came */
    drop(connection, call);
    return convstore__postgres_no_memory(call->err);
  }
  enum postgres_remedy remedy = convstore__postgres_remedy(sqlstate);
  bool takes_no_writes = strcmp(sqlstate, "25006") == 0;
  bool is_locked = strcmp(sqlstate, "55P03") == 0;
  if (call->interrupted && (strcmp(sqlstate, "57014") == 0 || remedy == POSTGRES_SAME))
    return undo(connection, call, convstore__fail_interrupted(call->err),
                whole || (nested && remedy == POSTGRES_SAME));
  if (operation->refuse != NULL && (remedy == POSTGRES_CONSTRAINT || takes_no_writes || is_locked)) {
    int status = operation->refuse(connection, call, sqlstate);
    if (status == POSTGRES_AGAIN) return repeat(connection, false);
    if (status != CONVSTORE_OK) return undo(connection, call, status, whole);
  }
  switch (remedy) {
  case POSTGRES_SAME:
    if (!nested && !is_late(call)) {
      note_retry(connection);
      return repeat(connection, true);
    }
    whole = nested;
    break;
  case POSTGRES_UNNAMED:
    if (connection->options.prepare != CONVSTORE_PREPARE_AUTO || connection->unnamed) break;
    connection->unnamed = true;
    (void)note_remedy(connection, CONVSTORE_EVENT_FALLBACK, CONVSTORE_E_UNSUPPORTED,
                      "from now on without prepared statements");
    return repeat(connection, connection->open);
  case POSTGRES_RECONNECT:
    /* After a failover another server answers the same address: once again, but not for ever. */
    if (takes_no_writes &&
        (connection->options.readonly || connection->refused_writes || (nested && connection->began_before)))
      break;
    connection->refused_writes = takes_no_writes;
    convstore__postgres_set_reason(connection, PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY));
    if (connection->n_lost == 0) connection->n_lost = 1;
    return on_lost(connection, call);
  case POSTGRES_CONSTRAINT:
  case POSTGRES_FINAL:
    break;
  }
  return undo(connection, call, convstore__postgres_fail(error, connection, call->err), whole);
}

/* A round was answered. POSTGRES_AGAIN: connection->phase says what comes next. */
static int judge(struct postgres_connection *connection, struct convstore_call *call) {
  const PGresult *error = connection->pipeline.error;
  if (connection->recovering) {
    if (error != NULL) drop(connection, call);
    return end_call(connection, connection->verdict);
  }
  /* BEGIN is the first or, behind an undo, the second: where anything stands behind it, it went well. */
  if (call->depth > 0) connection->begun = true;
  if (error != NULL) return judge_error(connection, call);

  connection->open = connection->keep_open;
  int status = connection->operation->receive(connection, call);
  if (status == POSTGRES_AGAIN && call->interrupted)
    status = convstore__fail_interrupted(call->err);
  else if (status == POSTGRES_AGAIN && is_late(call))
    status = convstore_fail(
        call->err, CONVSTORE_E_TIMEOUT,
        "it was not done in time: there was much to do, or others were at the same rows; try again");
  if (status == POSTGRES_AGAIN) {
    connection->phase = POSTGRES_SENDING;
    return POSTGRES_AGAIN;
  }
  if (status != CONVSTORE_OK && connection->open) return undo(connection, call, status, false);
  return end_call(connection, status);
}

/* ---- interruption ---------------------------------------------------------------------------------------------- */

/* A cancel request that is still on its way when its call is over could hit the next one: it is waited for a little,
 * and then the connection goes. Nothing is open on it any more but what its caller has. */
static int settle(struct postgres_connection *connection, struct convstore_call *call) {
  bool over = convstore__postgres_cancel_done(connection->cancel);
  if (!over && !is_late(call) && connection->db != NULL) {
    call->want.fd = -1;
    call->want.events = 0;
    call->want.until_ms = convstore__monotonic_ms() + SETTLING_LOOK_MS;
    return CONVSTORE_PENDING;
  }
  convstore__postgres_cancel_release(connection->cancel);
  connection->cancel = NULL;
  if (!over && connection->db != NULL) drop(connection, call);
  return connection->verdict;
}

/* ---- the machine ----------------------------------------------------------------------------------------------- */

static int advance_connecting(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->phase == POSTGRES_RESTING) {
    if (is_late(call)) return give_up_connecting(connection, call);
    if (convstore__monotonic_ms() < connection->rest_until_ms) {
      call->want.fd = -1;
      call->want.events = 0;
      call->want.until_ms = connection->rest_until_ms;
      return CONVSTORE_PENDING;
    }
    convstore__postgres_connect_start(connection);
  }
  int status = convstore__postgres_connect(connection, call);
  if (status == CONVSTORE_OK) {
    connection->phase = POSTGRES_SENDING;
    return POSTGRES_AGAIN;
  }
  if (status == POSTGRES_LOST) {
    convstore__postgres_drop(connection);
    rest(connection, call);
    return POSTGRES_AGAIN;
  }
  if (status == CONVSTORE_PENDING) return is_late(call) ? give_up_connecting(connection, call) : status;
  convstore__postgres_drop(connection);
  return status;
}

static int advance(struct postgres_connection *connection, struct convstore_call *call) {
  int status;
  do {
    switch (connection->phase) {
    case POSTGRES_SETTLING:
      status = settle(connection, call);
      break;
    case POSTGRES_RESOLVING:
    case POSTGRES_CONNECTING:
    case POSTGRES_RESTING:
      status = advance_connecting(connection, call);
      break;
    case POSTGRES_SENDING:
      status = send_round(connection, call);
      connection->phase = POSTGRES_EXCHANGING;
      if (status == CONVSTORE_OK)
        status = POSTGRES_AGAIN;
      else /* what libpq has of the round cannot be taken back */
        drop(connection, call);
      break;
    default:
      status = convstore__postgres_pipeline_step(connection, call);
      if (status == CONVSTORE_OK)
        status = judge(connection, call);
      else if (status == POSTGRES_LOST)
        status = on_lost(connection, call);
      else if (status != CONVSTORE_PENDING)
        drop(connection, call);
      else if (is_late(call))
        status = give_up_answer(connection, call);
      break;
    }
    if (status != CONVSTORE_PENDING && status != POSTGRES_AGAIN && connection->cancel != NULL) {
      (void)end_call(connection, status);
      connection->verdict = status;
      connection->phase = POSTGRES_SETTLING;
      status = POSTGRES_AGAIN;
    }
  } while (status == POSTGRES_AGAIN);
  return status == CONVSTORE_PENDING ? status : end_call(connection, status);
}

int convstore__postgres_call_start(struct postgres_connection *connection, struct convstore_call *call,
                                   const struct postgres_operation *operation) {
  connection->operation = operation;
  connection->step = 0;
  connection->n_lost = 0;
  connection->n_repeated = 0;
  connection->n_tries = 0;
  connection->may_be_done = false;
  connection->refused_writes = false;
  connection->recovering = false;
  connection->must_recover = false;
  connection->began_before = connection->begun;
  connection->lost_reason[0] = '\0';
  connection->search = NULL;
  connection->phase = POSTGRES_SENDING;
  if (connection->db == NULL) convstore__postgres_connect_start(connection);
  return advance(connection, call);
}

int convstore__postgres_call_resume(struct postgres_connection *connection, struct convstore_call *call) {
  return advance(connection, call);
}

int convstore__postgres_call_interrupt(struct postgres_connection *connection, struct convstore_call *call) {
  switch (connection->phase) {
  case POSTGRES_RESOLVING:
  case POSTGRES_CONNECTING:
  case POSTGRES_RESTING:
    convstore__postgres_drop(connection);
    return end_call(connection,
                    connection->may_be_done ? fail_unknown(call) : convstore__fail_interrupted(call->err));
  default:
    /* COMMIT and ROLLBACK are let go on: cancelled, it would not be clear what had become of the transaction. */
    if (!connection->recovering && connection->operation->frame != POSTGRES_FRAME_NONE)
      connection->cancel = convstore__postgres_cancel_start(connection->db);
    return advance(connection, call);
  }
}

void convstore__postgres_call_cancel(struct postgres_connection *connection, struct convstore_call *call) {
  drop(connection, call);
  convstore__postgres_cancel_release(connection->cancel);
  connection->cancel = NULL;
  (void)end_call(connection, CONVSTORE_OK);
}
