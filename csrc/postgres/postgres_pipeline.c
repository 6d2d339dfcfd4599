/* Queueing and reading; see postgres_pipeline.h. */
#include "postgres_pipeline.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/render.h"
#include "postgres_error.h"

/* ---- texts ----------------------------------------------------------------------------------------------------- */

static const char *quote(struct convstore_arena *arena, const char *text, char mark, const char *prefix) {
  char *out = convstore__arena_alloc(arena, 2 * strlen(text) + strlen(prefix) + 3);
  char *to = out;
  if (out == NULL) return NULL;
  while (*prefix != '\0') *to++ = *prefix++;
  *to++ = mark;
  for (; *text != '\0'; text++) {
    if (*text == mark || (*text == '\\' && mark == '\'')) *to++ = *text;
    *to++ = *text;
  }
  *to++ = mark;
  *to = '\0';
  return out;
}

const char *convstore__postgres_quote_name(struct convstore_arena *arena, const char *name) {
  return quote(arena, name, '"', "");
}

/* With a backslash it is an escape string, which means the same whatever standard_conforming_strings is. */
const char *convstore__postgres_quote_text(struct convstore_arena *arena, const char *text) {
  return quote(arena, text, '\'', strchr(text, '\\') != NULL ? "E" : "");
}

const char *convstore__postgres_user_id_type_name(convstore_user_id_type type) {
  static const char *const names[] = {
      [CONVSTORE_USER_ID_TEXT] = "text",
      [CONVSTORE_USER_ID_UUID] = "uuid",
      [CONVSTORE_USER_ID_BIGINT] = "bigint",
  };
  return names[type];
}

void convstore__postgres_forget_prepared(struct postgres_connection *connection) {
  for (int i = 0; i < POSTGRES_STMTS; i++) connection->statements[i].state = POSTGRES_UNPREPARED;
}

void convstore__postgres_forget_texts(struct postgres_connection *connection) {
  convstore_result_free(&connection->texts);
  memset(connection->statements, 0, sizeof connection->statements);
}

/* FNV-1a, 64 bits. */
static uint64_t checksum(const char *text) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
  return hash;
}

static bool render(struct postgres_prepared *out, struct postgres_connection *connection,
                   enum postgres_stmt id) {
  struct convstore_arena *arena = convstore__arena(&connection->texts);
  if (arena == NULL) return false;
  const char *schema = convstore__postgres_quote_name(arena, connection->schema);
  const struct convstore_substitution list[] = {
      {"schema", schema},
      {"user_id_type", convstore__postgres_user_id_type_name(connection->base.user_id_type)},
      {"claim", connection->jwt_claim == NULL
                    ? ""
                    : ", set_config('request.jwt.claims',"
                      " CAST(jsonb_build_object(CAST($6 AS text), CAST($1 AS text)) AS text), true)"},
      {"role", connection->role == NULL ? "" : ", set_config('role', $5, true)"},
      {"operator_role", connection->role == NULL ? "" : ", set_config('role', $4, true)"},
      {NULL, NULL},
  };
  if (schema == NULL) return false;
  out->sql = convstore__render(arena, convstore__postgres_stmt_texts[id].sql, list);
  if (out->sql == NULL) return false;
  (void)snprintf(out->name, sizeof out->name, "convstore_%s_%016" PRIx64,
                 convstore__postgres_stmt_texts[id].name, checksum(out->sql));
  return true;
}

/* ---- queueing -------------------------------------------------------------------------------------------------- */

void convstore__postgres_pipeline_clear(struct postgres_connection *connection) {
  struct postgres_pipeline *pipeline = &connection->pipeline;
  for (size_t i = 0; i < pipeline->n; i++) PQclear(pipeline->entries[i].result);
  pipeline->n = 0;
  pipeline->n_read = 0;
  pipeline->queued_badly = false;
  pipeline->waited = false;
  pipeline->error = NULL;
}

/* Notes what was handed to libpq, whose answer was `sent`. */
static void note(struct postgres_connection *connection, struct postgres_entry entry, int sent) {
  struct postgres_pipeline *pipeline = &connection->pipeline;
  if (pipeline->n == pipeline->capacity) {
    size_t capacity = pipeline->capacity == 0 ? 16 : 2 * pipeline->capacity;
    struct postgres_entry *more = realloc(pipeline->entries, capacity * sizeof *more);
    if (more == NULL) {
      pipeline->queued_badly = true;
      return;
    }
    pipeline->entries = more;
    pipeline->capacity = capacity;
  }
  pipeline->entries[pipeline->n++] = entry;
  if (sent != 1) pipeline->queued_badly = true;
}

static const struct postgres_params no_params = {0};

static void queue_text(struct postgres_connection *connection, const char *sql,
                       const struct postgres_params *params, struct postgres_entry entry) {
  if (params == NULL) params = &no_params;
  int sent = PQsendQueryParams(connection->db, sql, params->n, params->types, params->values, params->lengths,
                               params->formats, 1);
  note(connection, entry, sent);
}

static void queue_statement(struct postgres_connection *connection, enum postgres_stmt id,
                            const struct postgres_params *params, bool asked) {
  struct postgres_prepared *statement = &connection->statements[id];
  struct postgres_entry entry = {.statement = (int)id, .asked = asked};
  if (params == NULL) params = &no_params;
  if (statement->sql == NULL && !render(statement, connection, id)) {
    connection->pipeline.queued_badly = true;
    return;
  }
  if (connection->unnamed) {
    queue_text(connection, statement->sql, params, entry);
    return;
  }
  if (statement->state == POSTGRES_UNPREPARED) {
    int sent = PQsendPrepare(connection->db, statement->name, statement->sql, params->n, params->types);
    note(connection, (struct postgres_entry){.statement = (int)id, .parses = true}, sent);
    statement->state = POSTGRES_PREPARING;
  }
  int sent = PQsendQueryPrepared(connection->db, statement->name, params->n, params->values, params->lengths,
                                 params->formats, 1);
  note(connection, entry, sent);
}

void convstore__postgres_queue(struct postgres_connection *connection, enum postgres_stmt id,
                               const struct postgres_params *params) {
  queue_statement(connection, id, params, true);
}

void convstore__postgres_queue_frame(struct postgres_connection *connection, enum postgres_stmt id,
                                     const struct postgres_params *params) {
  queue_statement(connection, id, params, false);
}

void convstore__postgres_queue_text(struct postgres_connection *connection, const char *sql,
                                    const struct postgres_params *params) {
  queue_text(connection, sql, params, (struct postgres_entry){.statement = -1, .asked = true});
}

void convstore__postgres_queue_frame_text(struct postgres_connection *connection, const char *sql) {
  queue_text(connection, sql, NULL, (struct postgres_entry){.statement = -1});
}

void convstore__postgres_pipeline_end(struct postgres_connection *connection) {
  if (PQpipelineSync(connection->db) != 1) connection->pipeline.queued_badly = true;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* All is answered: finds the first error, and settles what is prepared. */
static void finish(struct postgres_connection *connection) {
  struct postgres_pipeline *pipeline = &connection->pipeline;
  for (size_t i = 0; i < pipeline->n; i++) {
    const struct postgres_entry *entry = &pipeline->entries[i];
    ExecStatusType status = PQresultStatus(entry->result);
    if (entry->parses)
      connection->statements[entry->statement].state =
          status == PGRES_COMMAND_OK ? POSTGRES_PREPARED : POSTGRES_UNPREPARED;
    if (pipeline->error == NULL && status == PGRES_FATAL_ERROR) pipeline->error = entry->result;
  }
}

static int lose(struct postgres_connection *connection) {
  convstore__postgres_set_reason(connection, PQerrorMessage(connection->db));
  return POSTGRES_LOST;
}

/* Takes one result that is there. *ended: it was the pipeline's end. False: it does not fit what was sent. */
static bool take_result(struct postgres_connection *connection, bool *ended) {
  struct postgres_pipeline *pipeline = &connection->pipeline;
  struct postgres_entry *entry = pipeline->n_read < pipeline->n ? &pipeline->entries[pipeline->n_read] : NULL;
  PGresult *result = PQgetResult(connection->db);
  *ended = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
  if (result == NULL) { /* stands behind each statement's result */
    if (entry == NULL || entry->result == NULL) return false;
    pipeline->n_read++;
    return true;
  }
  if (*ended || entry == NULL || entry->result != NULL) {
    PQclear(result);
    return *ended && entry == NULL;
  }
  entry->result = result;
  return true;
}

static void want_answer(const struct postgres_connection *connection, struct convstore_call *call,
                        int unsent) {
  call->want.fd = PQsocket(connection->db);
  call->want.events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0));
  call->want.until_ms = call->deadline_ms;
}

int convstore__postgres_pipeline_step(struct postgres_connection *connection, struct convstore_call *call) {
  PGconn *db = connection->db;
  bool ended = false;
  if (connection->pipeline.queued_badly)
    return PQstatus(db) == CONNECTION_BAD ? lose(connection) : convstore__postgres_no_memory(call->err);

  int unsent = PQflush(db); /* where writing fails, reading says why */
  bool may_have_come =
      connection->pipeline.waited; /* just sent, nothing can have: a look would be a call for nothing */
  connection->pipeline.waited = true;
  if (!may_have_come && unsent >= 0) {
    want_answer(connection, call, unsent);
    return CONVSTORE_PENDING;
  }
  while (!ended) {
    if (PQisBusy(db)) {
      bool read = PQconsumeInput(db) != 0;
      if (unsent > 0) unsent = PQflush(db);
      if (!read && PQisBusy(db)) return lose(connection);
      if (PQisBusy(db)) {
        want_answer(connection, call, unsent);
        return CONVSTORE_PENDING;
      }
    }
    bool fits = take_result(connection, &ended);
    if (PQstatus(db) == CONNECTION_BAD || !fits) return lose(connection);
  }
  finish(connection);
  return CONVSTORE_OK;
}

const PGresult *convstore__postgres_result(const struct postgres_connection *connection, size_t k) {
  const struct postgres_pipeline *pipeline = &connection->pipeline;
  for (size_t i = 0; i < pipeline->n; i++) {
    if (pipeline->entries[i].asked && k == 0) return pipeline->entries[i].result;
    if (pipeline->entries[i].asked) k--;
  }
  return NULL;
}
