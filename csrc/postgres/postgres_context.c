/*
 * Contexts in PostgreSQL: one statement that brings what is pinned, the latest summary and as many of the newest
 * messages as the window should take. What belongs in a context is decided by core/context.h.
 *
 * How many it takes is a guess, by tokens. Where messages that cost nothing stand in between, redacted ones or torn
 * exchanges, the guess was short, and further rounds ask for what is before. Each looks further than the one before it.
 */
#include <stdlib.h>

#include "../core/context.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  KIND = 14, /* behind the columns of a message */
  TOTAL,
  N_SYSTEM,
  COLUMNS
};

enum {
  HEAD,
  PINNED,
  WINDOW
};

enum {
  LEAST_ROWS = 8, /* looked at even where redacted system messages have more tokens than are wanted */
  MORE_ROWS = 64, /* looked at by the second round; doubled by each after it */
  MAX_STEP = 20
};

/* What the next round begins with. */
struct context_call {
  struct convstore_context_builder builder; /* first: connection->context */
  int64_t before;                           /* the lowest seq so far */
  int64_t total;                            /* tokens before it */
};

static struct context_call *context_of(const struct postgres_connection *connection) {
  return (struct context_call *)connection->context;
}

/* What is left of the window's tokens, and ever more of what may cost nothing. */
static int64_t tokens_wanted(const struct convstore_window *window, int step) {
  int64_t left = window->max_tokens - window->tokens + 1;
  return left > INT64_MAX >> (2 * step) ? INT64_MAX : left << (2 * step);
}

static int send_context(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  if (connection->step == 0) {
    bool limited = request->max_tokens != CONVSTORE_ABSENT;
    convstore__postgres_add_integer(&params, CONVSTORE_ABSENT);
    convstore__postgres_add_integer(&params, CONVSTORE_ABSENT);
    convstore__postgres_add_integer(&params,
                                    limited ? request->max_tokens - request->reserve : CONVSTORE_ABSENT);
    convstore__postgres_add_integer(&params, request->max_messages);
    convstore__postgres_add_integer(&params, !request->no_system);
    convstore__postgres_add_integer(&params, CONVSTORE_ABSENT);
    convstore__postgres_add_integer(&params, LEAST_ROWS);
  } else {
    const struct context_call *context = context_of(connection);
    const struct convstore_window *window = &context->builder.window;
    int step = connection->step < MAX_STEP ? connection->step : MAX_STEP;
    convstore__postgres_add_integer(&params, context->before);
    convstore__postgres_add_integer(&params, context->total);
    convstore__postgres_add_integer(
        &params, request->max_tokens == CONVSTORE_ABSENT ? CONVSTORE_ABSENT : tokens_wanted(window, step));
    convstore__postgres_add_integer(&params, request->max_messages == CONVSTORE_ABSENT
                                                 ? CONVSTORE_ABSENT
                                                 : window->max_messages - window->n_messages);
    convstore__postgres_add_integer(&params, !request->no_system);
    convstore__postgres_add_integer(&params, context->builder.through);
    convstore__postgres_add_integer(&params, (int64_t)MORE_ROWS << (step - 1));
  }
  convstore__postgres_queue(connection, POSTGRES_STMT_CONTEXT, &params);
  return CONVSTORE_OK;
}

/* ---- the order of rows ----------------------------------------------------------------------------------------- */

/* A row and where it belongs: the head, what is pinned from the oldest on, the window from the newest on. */
struct place {
  int row;
  int64_t kind;
  int64_t rank;
};

static int by_place(const void *a, const void *b) {
  const struct place *left = a;
  const struct place *right = b;
  if (left->kind != right->kind) return left->kind < right->kind ? -1 : 1;
  return (left->rank > right->rank) - (left->rank < right->rank);
}

/* The rows in order. They come so by their indexes, but SQL does not promise it. NULL: out of memory. */
static const struct place *put_in_order(const PGresult *rows, struct convstore_arena *arena) {
  int n = PQntuples(rows);
  bool sorted = true;
  struct place *places = convstore__arena_alloc(arena, (size_t)n * sizeof *places);
  if (places == NULL) return NULL;
  for (int row = 0; row < n; row++) {
    int64_t seq = convstore__postgres_read_integer(rows, row, 0);
    int64_t kind = convstore__postgres_read_integer(rows, row, KIND);
    places[row] = (struct place){.row = row, .kind = kind, .rank = kind == WINDOW ? -seq : seq};
    sorted = sorted && (row == 0 || by_place(&places[row - 1], &places[row]) < 0);
  }
  if (!sorted) qsort(places, (size_t)n, sizeof *places, by_place);
  return places;
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

static int check_columns(const PGresult *rows, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT4, POSTGRES_INT8, POSTGRES_INT8};
  int status = convstore__postgres_check_message_columns(rows, call);
  for (int i = KIND; i < COLUMNS && status == CONVSTORE_OK; i++) {
    if (i < PQnfields(rows) && PQftype(rows, i) == (Oid)types[i - KIND]) continue;
    status =
        convstore_fail(call->err, CONVSTORE_E_SCHEMA,
                       "a column of a convstore table has an unexpected type; undo what was changed by hand");
  }
  return status;
}

/* The first round's head and what is pinned. *n_taken: how many rows these are. */
static int take_beginning(int *n_taken, struct postgres_connection *connection, const PGresult *rows,
                          const struct place *places, struct convstore_call *call) {
  int n = PQntuples(rows);
  int row = places[0].row;
  convstore_message message;
  int64_t last_seq = convstore__postgres_read_integer(rows, row, 0);
  struct context_call *context = convstore__arena_alloc(call->result->memory, sizeof *context);
  if (context == NULL) return convstore__postgres_no_memory(call->err);
  connection->context = &context->builder;
  context->before = last_seq + 1;
  convstore__context_start(&context->builder, call, last_seq,
                           convstore__postgres_read_integer(rows, row, TOTAL));
  context->builder.n_system = convstore__postgres_read_integer(rows, row, N_SYSTEM);

  int status = CONVSTORE_OK;
  for (*n_taken = 1; *n_taken < n && places[*n_taken].kind == PINNED && status == CONVSTORE_OK; ++*n_taken) {
    status = convstore__postgres_read_message(&message, rows, places[*n_taken].row, call);
    if (status == CONVSTORE_OK) status = convstore__context_pin(&context->builder, &message);
  }
  if (status == CONVSTORE_OK) status = convstore__postgres_read_message(&message, rows, row, call);
  if (status == CONVSTORE_OK && message.content.data != NULL)
    status = convstore__context_summarize(&context->builder, message.content, message.token_count);
  return status != CONVSTORE_OK ? status : convstore__context_open(&context->builder);
}

static bool is_pinned(const convstore_message *message) {
  return message->role == CONVSTORE_ROLE_SYSTEM || message->role == CONVSTORE_ROLE_DEVELOPER;
}

/* Feeds the window. *more: it wants what is before these rows, and there is something. */
static int take_window(bool *more, struct context_call *context, const PGresult *rows,
                       const struct place *places, int i, struct convstore_call *call) {
  int n = PQntuples(rows);
  int status = CONVSTORE_OK;
  bool any = i < n;
  for (; i < n && status == CONVSTORE_OK && !context->builder.window.enough; i++) {
    convstore_message message;
    status = convstore__postgres_read_stored(&message, rows, places[i].row, call);
    if (status != CONVSTORE_OK) break;
    context->before = message.seq;
    context->total = convstore__postgres_read_integer(rows, places[i].row, TOTAL) -
                     (is_pinned(&message) ? 0 : message.token_count);
    status = convstore__context_add(&context->builder, &message);
  }
  *more = any && !context->builder.window.enough && context->before > context->builder.through + 1;
  return status;
}

static int receive_context(struct postgres_connection *connection, struct convstore_call *call) {
  const PGresult *rows = convstore__postgres_result(connection, 0);
  struct convstore_arena *arena = convstore__arena(call->result);
  int i = 1;
  bool more = false;
  int status = check_columns(rows, call);
  if (status != CONVSTORE_OK) return status;
  if (PQntuples(rows) == 0) return convstore__no_conversation(call);
  const struct place *places = arena == NULL ? NULL : put_in_order(rows, arena);
  if (places == NULL) return convstore__postgres_no_memory(call->err);
  if (connection->step == 0) status = take_beginning(&i, connection, rows, places, call);
  if (status == CONVSTORE_OK) status = take_window(&more, context_of(connection), rows, places, i, call);
  if (status != CONVSTORE_OK) return status;
  if (!more) return convstore__context_finish(connection->context);
  connection->step++;
  return POSTGRES_AGAIN;
}

const struct postgres_operation convstore__postgres_context = {
    .frame = POSTGRES_FRAME_USER, .send = send_context, .receive = receive_context};
