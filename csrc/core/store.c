/*
 * The store: opening, running one request, closing. The only file that calls a backend's functions.
 * It decides what a call needs (a right schema, a live transaction, time left) and drives it until it is done. One loop
 * serves backends that block and backends that are stepped, so an event loop needs no second way through.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "events.h"
#include "interrupt.h"
#include "operations.h"
#include "request.h"
#include "wait.h"

#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_SLOW_MS 1000
/* For a server to answer that it has undone an interrupted call; who pressed Ctrl-C still waits. */
#define INTERRUPT_GRACE_MS 500

struct convstore {
  struct convstore_connection *connection;
  convstore_options options; /* with defaults filled in; its texts are not kept */
  int depth;                 /* open transactions, one inside the other */
  int lost_status;           /* of the call that lost the transaction around it */
};

/* Whether a call is to end that has not been told so yet. */
static bool must_end(const struct convstore_connection *connection, const struct convstore_call *call) {
  return !call->interrupted && convstore_interrupt_is_raised(connection->interrupt);
}

static int interrupt(struct convstore_connection *connection, struct convstore_call *call) {
  int64_t until_ms = convstore__monotonic_ms() + INTERRUPT_GRACE_MS;
  call->interrupted = true;
  if (until_ms < call->deadline_ms) call->deadline_ms = until_ms;
  return connection->backend->interrupt(connection, call);
}

/* Runs a call to its end. One that is still pending after its deadline is given up. */
static int drive(struct convstore_connection *connection, struct convstore_call *call) {
  const struct convstore_backend *backend = connection->backend;
  convstore_operation operation = call->request->operation;
  /* The ends of a transaction have to reach the database: it would stay open there. */
  if (operation != CONVSTORE_COMMIT && operation != CONVSTORE_ROLLBACK && must_end(connection, call))
    return convstore__fail_interrupted(call->err);
  int status = backend->start(connection, call);
  while (status == CONVSTORE_PENDING) {
    if (must_end(connection, call)) {
      status = interrupt(connection, call);
      continue;
    }
    bool late = convstore__monotonic_ms() >= call->deadline_ms;
    if (!late) convstore__wait(call, call->interrupted ? NULL : connection->interrupt);
    if (must_end(connection, call)) continue;
    status = backend->resume(connection, call);
    if (status == CONVSTORE_PENDING && late) {
      backend->cancel(connection, call);
      return convstore_fail(
          call->err, CONVSTORE_E_TIMEOUT,
          "the database has the call but gave no answer in time; try again with the same id");
    }
  }
  return status;
}

/* When a call that begins now must have ended. The clock shows whole milliseconds, so one more: never too early. */
static int64_t deadline(const convstore *store) {
  return convstore__monotonic_ms() + store->options.timeout_ms + 1;
}

/* Runs a prepared request. `call` has its inputs but for the depth. */
static int run(convstore *store, struct convstore_call call) {
  call.depth = store->depth;
  bool lost = store->connection->lost;
  int status = drive(store->connection, &call);
  if (store->connection->lost && !lost) store->lost_status = status < 0 ? status : CONVSTORE_E_UNAVAILABLE;
  return status;
}

/* Said of a transaction that is lost, with the reason where that matters: a full disk is not mended by trying again. */
static int fail_lost(const convstore *store, convstore_error *err, const char *sentence) {
  bool tells = store->lost_status == CONVSTORE_E_FULL || store->lost_status == CONVSTORE_E_BUSY ||
               store->lost_status == CONVSTORE_E_READONLY || store->lost_status == CONVSTORE_E_CORRUPT;
  return convstore_fail(err, tells ? store->lost_status : CONVSTORE_E_UNAVAILABLE, "%s (%s); run it again",
                        sentence, convstore_status_name(store->lost_status));
}

static int newest(const convstore *store) {
  return (int)store->connection->backend->n_steps;
}

/* Refuses what needs our tables while they are not there. Looks again first: another process may have made them. */
static int require_schema(convstore *store, int64_t deadline_ms, convstore_error *err) {
  struct convstore_connection *connection = store->connection;
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  if (connection->schema_version == newest(store)) return CONVSTORE_OK;

  request.operation = CONVSTORE_SCHEMA_VERSION;
  int status = run(store, (struct convstore_call){
                              .request = &request,
                              .result = &result,
                              .err = err,
                              .now_ms = convstore__wall_ms(),
                              .deadline_ms = deadline_ms,
                          });
  convstore_result_free(&result);
  if (status != CONVSTORE_OK) return status;
  if (connection->schema_version == newest(store)) return CONVSTORE_OK;
  if (connection->schema_version < 0)
    return convstore_fail(err, CONVSTORE_E_SCHEMA,
                          "the applied migrations are not those of this library; restore the "
                          "convstore tables from a backup, or use another database");
  if (connection->schema_version > newest(store))
    return convstore_fail(err, CONVSTORE_E_SCHEMA,
                          "the database has schema version %d and this library knows %d; update convstore",
                          connection->schema_version, newest(store));
  return convstore_fail(err, CONVSTORE_E_SCHEMA,
                        "the database has schema version %d and %d is needed; call store:migrate(), or run "
                        "convstore migrate up",
                        connection->schema_version, newest(store));
}

/* What depends on the transactions around a call. */
static int require_transaction(const convstore *store, convstore_operation operation, convstore_error *err) {
  bool ends = operation == CONVSTORE_COMMIT || operation == CONVSTORE_ROLLBACK;
  if (ends && store->depth == 0)
    return convstore_fail(err, CONVSTORE_E_INVALID, "no transaction is open; begin one first");
  if (operation == CONVSTORE_MIGRATE && store->depth > 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "migrate runs in a transaction of its own; call it outside store:transaction");
  if ((operation == CONVSTORE_PURGE_OLD || operation == CONVSTORE_ARCHIVE) && store->depth > 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "%s runs in short transactions of its own; call it outside store:transaction",
                          operation == CONVSTORE_ARCHIVE ? "archive" : "purge");
  if (operation == CONVSTORE_BACKUP && store->depth > 0)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "backup copies what is committed; call it outside store:transaction");
  if (store->connection->lost && operation != CONVSTORE_ROLLBACK && operation != CONVSTORE_COMMIT)
    return fail_lost(store, err, "an earlier failure has ended this transaction and undone it");
  return CONVSTORE_OK;
}

/* COMMIT and ROLLBACK end the innermost transaction whatever they answer. */
static int end_transaction(convstore *store, struct convstore_call call) {
  bool lost = store->connection->lost;
  int status = CONVSTORE_OK;
  if (!lost) status = run(store, call);
  store->depth--;
  if (store->depth == 0) store->connection->lost = false;
  if (lost && call.request->operation == CONVSTORE_COMMIT)
    return fail_lost(store, call.err,
                     "nothing was committed: an earlier failure has undone this transaction");
  return status;
}

static int run_request(convstore_result *out, convstore *store, convstore_request *request,
                       convstore_error *err) {
  convstore_error ignored;
  convstore_request prepared;
  struct convstore_call call = {
      .request = &prepared,
      .result = out,
      .err = err != NULL ? err : &ignored,
      .now_ms = convstore__wall_ms(),
      .deadline_ms = deadline(store),
      .id_is_new = request->conversation.id[0] == '\0',
  };
  convstore_operation operation = request->operation;
  if (operation <= CONVSTORE_OPEN || operation >= CONVSTORE_OPERATIONS)
    return convstore_fail(err, CONVSTORE_E_INVALID, "no such operation: %d", (int)operation);

  int status = require_transaction(store, operation, call.err);
  if (status == CONVSTORE_OK && convstore__needs[operation].schema && !store->connection->lost)
    status = require_schema(store, call.deadline_ms, call.err);
  if (status == CONVSTORE_OK)
    status = convstore__request_prepare(&prepared, request, &store->options, store->connection->user_id_type,
                                        call.now_ms, out, call.err);
  if (status != CONVSTORE_OK) return status;
  if (operation == CONVSTORE_COMMIT || operation == CONVSTORE_ROLLBACK) return end_transaction(store, call);
  status = run(store, call);
  if (status == CONVSTORE_OK && operation == CONVSTORE_BEGIN) store->depth++;
  return status;
}

/* Notes a call that took long, for whoever listens. */
static void note_slow(const convstore *store, int64_t started_ms, int status) {
  int64_t elapsed_ms = convstore__monotonic_ms() - started_ms;
  convstore_event *event;
  if (elapsed_ms < store->options.slow_ms) return;
  event = convstore__event(store->options.events, CONVSTORE_EVENT_SLOW, "the call took %lld ms",
                           (long long)elapsed_ms);
  if (event == NULL) return;
  event->elapsed_ms = elapsed_ms;
  event->status = status;
}

int convstore_run(convstore_result *out, convstore *store, convstore_request *request, convstore_error *err) {
  convstore_events *events = store->options.events;
  if (events == NULL) return run_request(out, store, request, err);
  int64_t started_ms = convstore__monotonic_ms();
  convstore__events_begin(events, (int)request->operation);
  int status = run_request(out, store, request, err);
  note_slow(store, started_ms, status);
  convstore__events_end(events);
  return status;
}

static int check_options(convstore_options *options, convstore_error *err) {
  if (options->timeout_ms == 0) options->timeout_ms = DEFAULT_TIMEOUT_MS;
  if (options->max_content_bytes == 0) options->max_content_bytes = CONVSTORE_DEFAULT_CONTENT;
  if (options->slow_ms == 0) options->slow_ms = DEFAULT_SLOW_MS;
  if (options->timeout_ms < 1 || options->timeout_ms > INT32_MAX)
    return convstore_fail(err, CONVSTORE_E_INVALID, "timeout is outside 0.001-2147483 seconds");
  if (options->max_content_bytes < 1 || options->max_content_bytes > CONVSTORE_MAX_CONTENT)
    return convstore_fail(err, CONVSTORE_E_INVALID, "max_content_bytes is outside 1-%d",
                          CONVSTORE_MAX_CONTENT);
  return CONVSTORE_OK;
}

/* The caller's texts were borrowed until the connection had its copies. */
static void forget_texts(convstore_options *options) {
  options->users = NULL;
  options->schema = NULL;
  options->role = NULL;
  options->operator_role = NULL;
  options->jwt_claim = NULL;
}

int convstore__open_backend(convstore **out, const struct convstore_backend *backend, const char *location,
                            const convstore_options *options, convstore_error *err) {
  convstore_error ignored;
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_result result = {0};
  if (err == NULL) err = &ignored;
  request.operation = (convstore_operation)CONVSTORE_OPEN;
  convstore *store = calloc(1, sizeof *store);
  if (store == NULL) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a store");
  if (options != NULL) store->options = *options;
  convstore_events *events = store->options.events;
  int64_t started_ms = convstore__monotonic_ms();
  if (events != NULL) convstore__events_begin(events, CONVSTORE_OPEN);

  int status = check_options(&store->options, err);
  if (status == CONVSTORE_OK) status = backend->create(&store->connection, location, &store->options, err);
  forget_texts(&store->options);
  if (status == CONVSTORE_OK) {
    store->connection->events = events;
    store->connection->interrupt = store->options.interrupt;
    status = run(store, (struct convstore_call){
                            .request = &request,
                            .result = &result,
                            .err = err,
                            .now_ms = convstore__wall_ms(),
                            .deadline_ms = deadline(store),
                        });
  }
  convstore_result_free(&result);
  if (events != NULL) {
    note_slow(store, started_ms, status);
    convstore__events_end(events);
  }
  if (status != CONVSTORE_OK) {
    convstore_close(store);
    return status;
  }
  *out = store;
  return CONVSTORE_OK;
}

int convstore_open(convstore **out, const char *dsn, const convstore_options *options, convstore_error *err) {
  const struct convstore_backend *backend;
  const char *location;
  int status = convstore__backend_for(&backend, &location, dsn, err);
  if (status != CONVSTORE_OK) return status;
  return convstore__open_backend(out, backend, location, options, err);
}

void convstore_close(convstore *store) {
  if (store == NULL) return;
  if (store->connection != NULL) store->connection->backend->close(store->connection);
  free(store);
}

void convstore_result_free(convstore_result *result) {
  convstore__arena_free(result->memory);
  memset(result, 0, sizeof *result);
}

int convstore_depth(const convstore *store) {
  return store->depth;
}
