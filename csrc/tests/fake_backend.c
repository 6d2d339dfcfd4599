/* See fake_backend.h. */
#include "fake_backend.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/clock.h"
#include "../core/store.h"
#include "check.h"

struct fake fake = {.fd = -1, .write_fd = -1};

static const struct convstore_migration_step steps[FAKE_NEWEST] = {
    {.version = 1, .name = "init", .checksum = "1111111111111111", .up = "", .down = ""},
    {.version = 2, .name = "more", .checksum = "2222222222222222", .up = "", .down = ""},
};

static void record(enum fake_event event, const struct convstore_call *call) {
  struct fake_record *to = &fake.records[fake.n_records % FAKE_MAX_RECORDS];
  memset(to, 0, sizeof *to);
  fake.counts[event]++;
  fake.n_records++;
  to->event = event;
  to->at_ms = convstore__monotonic_ms();
  if (!call) return;
  to->operation = (int)call->request->operation;
  to->depth = call->depth;
  to->now_ms = call->now_ms;
  to->deadline_ms = call->deadline_ms;
  to->id_is_new = call->id_is_new;
  to->interrupted = call->interrupted;
  to->request = *call->request;
  if (call->request->n_messages > 0) to->message = call->request->messages[0];
}

static int fake_create(struct convstore_connection **out, const char *location,
                       const convstore_options *options, convstore_error *err) {
  record(FAKE_CREATE, NULL);
  fake.options = *options;
  strncpy(fake.location, location, sizeof fake.location - 1);
  if (fake.create_status != CONVSTORE_OK)
    return convstore_fail(err, fake.create_status, "create was told so");
  struct convstore_connection *connection = calloc(1, sizeof *connection);
  if (!connection) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a fake");
  connection->backend = &fake_backend;
  *out = connection;
  return CONVSTORE_OK;
}

/* The next answer. What OPEN and SCHEMA_VERSION learn, they learn only where they succeed. */
static int answer(struct convstore_connection *connection, struct convstore_call *call) {
  struct fake_answer given = {0};
  if (fake.n_answered < fake.n_answers) given = fake.answers[fake.n_answered++];
  if (given.version) fake.version = *given.version;
  if (given.lost) connection->lost = true;
  if (given.status == CONVSTORE_PENDING) {
    call->want.fd = fake.fd;
    call->want.events = given.events;
    call->want.until_ms = convstore__monotonic_ms() + given.wait_ms;
    return CONVSTORE_PENDING;
  }
  if (given.status != CONVSTORE_OK) {
    convstore_fail(call->err, given.status, "the fake was told so");
    call->err->native = 4711;
    return given.status;
  }
  int operation = (int)call->request->operation;
  if (operation == CONVSTORE_OPEN || operation == CONVSTORE_SCHEMA_VERSION ||
      operation == CONVSTORE_MIGRATE) {
    connection->schema_version = fake.version;
    connection->user_id_type = fake.user_id_type;
  }
  return CONVSTORE_OK;
}

static int fake_start(struct convstore_connection *connection, struct convstore_call *call) {
  record(FAKE_START, call);
  return answer(connection, call);
}

static int fake_resume(struct convstore_connection *connection, struct convstore_call *call) {
  record(FAKE_RESUME, call);
  return answer(connection, call);
}

static int fake_interrupt(struct convstore_connection *connection, struct convstore_call *call) {
  record(FAKE_INTERRUPT, call);
  return answer(connection, call);
}

static void fake_cancel(struct convstore_connection *connection, struct convstore_call *call) {
  (void)connection;
  record(FAKE_CANCEL, call);
}

static void fake_close(struct convstore_connection *connection) {
  record(FAKE_CLOSE, NULL);
  free(connection);
}

const struct convstore_backend fake_backend = {
    .name = "fake",
    .steps = steps,
    .n_steps = FAKE_NEWEST,
    .create = fake_create,
    .start = fake_start,
    .resume = fake_resume,
    .interrupt = fake_interrupt,
    .cancel = fake_cancel,
    .close = fake_close,
};

void fake_reset(void) {
  int ends[2] = {-1, -1};
  if (fake.fd >= 0) close(fake.fd);
  if (fake.write_fd >= 0) close(fake.write_fd);
  memset(&fake, 0, sizeof fake);
  CHECK(pipe(ends) == 0);
  fake.fd = ends[0];
  fake.write_fd = ends[1];
  fake.version = FAKE_NEWEST;
}

void fake_answer(struct fake_answer given) {
  if (CHECK(fake.n_answers < FAKE_MAX_ANSWERS)) fake.answers[fake.n_answers++] = given;
}

void fake_make_ready(void) {
  CHECK(write(fake.write_fd, "x", 1) == 1);
}

const struct fake_record *fake_last(void) {
  return &fake.records[(fake.n_records + FAKE_MAX_RECORDS - 1) % FAKE_MAX_RECORDS];
}

convstore *fake_open(const convstore_options *options) {
  convstore *store = NULL;
  convstore_error err = {0};
  fake_reset();
  CHECK_INT(convstore__open_backend(&store, &fake_backend, "place", options, &err), CONVSTORE_OK);
  CHECK_STRING(err.message, "");
  fake.n_records = 0;
  memset(fake.counts, 0, sizeof fake.counts);
  return store;
}

convstore_request fake_request(convstore_operation operation) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.operation = operation;
  request.user_id = (convstore_text){"alice", 5};
  memcpy(request.conversation_id, FAKE_CONVERSATION_ID, sizeof FAKE_CONVERSATION_ID);
  request.seq = 1;
  return request;
}

int fake_run(convstore *store, convstore_operation operation, convstore_error *err) {
  convstore_request request = fake_request(operation);
  convstore_result result = {0};
  int status = convstore_run(&result, store, &request, err);
  convstore_result_free(&result);
  return status;
}
