/*
 * Searching in PostgreSQL: one round reads the user's segments and what is not indexed yet, which core/search.c finds
 * and ranks in; a second one reads the page's messages. Where much is not indexed, rounds before these index it, part
 * by part, each in a transaction of its own that locks nothing while anybody waits for this side.
 */
#include <string.h>

#include "../core/clock.h"
#include "../core/search_page.h"
#include "../core/segment_size.h"
#include "postgres_error.h"
#include "postgres_pipeline.h"

enum {
  STEP_READ,
  STEP_INDEX,   /* write the segment that the last round has read */
  STEP_REBUILD, /* the index is damaged: drop it */
  STEP_FOUND    /* read the page's messages */
};

enum {
  MOST_STALE = 3,  /* segments that others made useless while they were made */
  MORE_FOUND = 32, /* candidates beyond a page: some may be of deleted conversations */
  COLUMN_KIND = 0,
  COLUMN_A,
  COLUMN_B,
  COLUMN_ID,
  COLUMN_ROLE,
  COLUMN_CREATED_AT,
  COLUMN_CONTENT,
  COLUMN_PARTS,
  COLUMN_BYTES,
  FOUND_ORD = 14, /* behind the columns of a message */
  FOUND_TITLE
};

/* What lives as long as the call. */
struct postgres_search {
  struct convstore_search *search;  /* of the last STEP_READ */
  struct convstore_segment segment; /* to be written; lies in connection->scratch */
  int64_t n_redacted;               /* messages in it */
  bool only_reads;                  /* the index is taken as it is */
  bool rebuilt;
  int n_stale;
  int64_t n_indexed; /* messages in the segments written so far, and since when */
  int64_t indexing_began_ms;
  size_t first; /* candidate of the STEP_FOUND under way */
  size_t n;
  const struct convstore_candidate *last; /* of the page so far */
};

void convstore__postgres_queue_drop_segments(struct postgres_connection *connection,
                                             const struct convstore_call *call, int64_t first_seq,
                                             int64_t last_seq) {
  struct postgres_params params = {0};
  convstore__postgres_add_conversation(&params, call);
  convstore__postgres_add_integer(&params, first_seq);
  convstore__postgres_add_integer(&params, last_seq);
  convstore__postgres_queue(connection, POSTGRES_STMT_REOPEN_NEIGHBOURS, &params);
  convstore__postgres_queue(connection, POSTGRES_STMT_DROP_SEGMENTS, &params);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Made at the first round of the call, and kept through all that are tried again. */
static int make_state(struct postgres_connection *connection, struct convstore_call *call) {
  struct convstore_arena *arena = convstore__arena(call->result);
  struct postgres_search *state = NULL;
  if (arena != NULL) state = convstore__arena_alloc(arena, sizeof *state);
  if (state == NULL) return convstore__postgres_no_memory(call->err);
  /* In a caller's transaction a search writes nothing: it would be undone with it, or hold others up until its end. */
  *state = (struct postgres_search){.only_reads = connection->options.readonly || call->depth > 0};
  connection->search = state;
  return CONVSTORE_OK;
}

static int send_read(struct postgres_connection *connection, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct postgres_search *state = connection->search;
  struct postgres_params params = {0};
  struct postgres_array array;
  const int64_t *buckets = NULL;
  int status = convstore__search_start(&state->search, call);
  if (status != CONVSTORE_OK) return status;
  size_t n = convstore__search_buckets(state->search, &buckets);
  status = convstore__postgres_array_start(&array, call, POSTGRES_INT8, n, n * 8);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < n; i++) convstore__postgres_array_integer(&array, buckets[i]);
  convstore__postgres_add_text(&params, request->user_id);
  convstore__postgres_add_id(&params, request->conversation_id[0] == '\0' ? NULL : request->conversation_id);
  bool all = state->only_reads;
  convstore__postgres_add_integer(&params, all ? CONVSTORE_ABSENT : CONVSTORE_SEGMENT_MAX);
  convstore__postgres_add_integer(&params, all ? CONVSTORE_ABSENT : CONVSTORE_SEGMENT_MAX_BYTES);
  convstore__postgres_add_array(&params, POSTGRES_INT8_ARRAY, &array);
  convstore__postgres_add_integer(&params, all ? CONVSTORE_ABSENT : CONVSTORE_SEGMENT_MIN);
  convstore__postgres_queue(connection, POSTGRES_STMT_SEARCH_READ, &params);
  return CONVSTORE_OK;
}

/* The rows of SEARCH_READ, kind by kind. */
struct read_rows {
  const PGresult *rows;
  int row;
  int n;
};

static int64_t kind_of(const struct read_rows *at) {
  return at->row < at->n ? convstore__postgres_read_integer(at->rows, at->row, COLUMN_KIND) : -1;
}

static int add_message(struct convstore_segment_builder *builder, const struct read_rows *at, size_t *n_bytes,
                       struct convstore_call *call) {
  char id[CONVSTORE_ID_SIZE];
  convstore_role role;
  convstore__postgres_read_id(id, at->rows, at->row, COLUMN_ID);
  int64_t seq = convstore__postgres_read_integer(at->rows, at->row, COLUMN_A);
  if (convstore_role_parse(&role, convstore__postgres_peek_text(at->rows, at->row, COLUMN_ROLE), NULL) !=
      CONVSTORE_OK)
    return convstore_fail(call->err, CONVSTORE_E_CORRUPT,
                          "message %lld has an unknown role; restore a backup", (long long)seq);
  convstore_text content = convstore__postgres_peek_text(at->rows, at->row, COLUMN_CONTENT);
  convstore_text parts = convstore__postgres_peek_text(at->rows, at->row, COLUMN_PARTS);
  *n_bytes += content.size + parts.size;
  return convstore__segment_add(builder, id, seq, role,
                                convstore__postgres_read_time(at->rows, at->row, COLUMN_CREATED_AT), content,
                                parts, call->err);
}

/* Makes a segment of the messages that are in none. */
static int build_tail(size_t *n_bytes, struct read_rows *at, struct postgres_connection *connection,
                      struct convstore_call *call) {
  struct postgres_search *state = connection->search;
  struct convstore_segment_builder *builder = NULL;
  convstore_result_free(&connection->scratch);
  struct convstore_arena *arena = convstore__arena(&connection->scratch);
  if (arena == NULL) return convstore__postgres_no_memory(call->err);
  int status = convstore__segment_start(&builder, arena, call->err);
  *n_bytes = 0;
  state->n_redacted = 0;
  for (; status == CONVSTORE_OK && kind_of(at) == 2; at->row++) {
    status = add_message(builder, at, n_bytes, call);
    state->n_redacted += convstore__postgres_read_integer(at->rows, at->row, COLUMN_B);
  }
  return status != CONVSTORE_OK ? status : convstore__segment_finish(&state->segment, builder, call->err);
}

/* *damaged: a segment is not what any search has written. */
static int add_segments(bool *damaged, struct read_rows *at, const struct postgres_search *state,
                        struct convstore_call *call) {
  int status = CONVSTORE_OK;
  while (status == CONVSTORE_OK && kind_of(at) == 3) {
    struct convstore_postings postings[CONVSTORE_BUCKETS];
    size_t n = 0;
    int64_t id = convstore__postgres_read_integer(at->rows, at->row, COLUMN_A);
    convstore_text messages = convstore__postgres_peek_text(at->rows, at->row++, COLUMN_BYTES);
    for (; kind_of(at) == 3 && convstore__postgres_read_integer(at->rows, at->row, COLUMN_A) == id;
         at->row++) {
      convstore_text bytes = convstore__postgres_peek_text(at->rows, at->row, COLUMN_BYTES);
      int64_t bucket = convstore__postgres_read_integer(at->rows, at->row, COLUMN_B);
      if (n < CONVSTORE_BUCKETS)
        postings[n++] = (struct convstore_postings){(int)bucket, bytes.data, bytes.size};
    }
    status = convstore__search_add(state->search, messages.data, messages.size, postings, n, call->err);
    *damaged = status == CONVSTORE_E_CORRUPT;
  }
  return status;
}

static int go_on(struct postgres_connection *connection, int step) {
  connection->step = step;
  return POSTGRES_AGAIN;
}

/* All is read: what there is of it, best first. */
static int rank(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_search *state = connection->search;
  const struct convstore_candidate *candidates = NULL;
  int status = convstore__search_rank(state->search, call->err);
  if (status != CONVSTORE_OK) return status;
  size_t n = convstore__search_candidates(state->search, &candidates);
  size_t limit = (size_t)call->request->limit;
  status = convstore__search_page(call->result, limit < n ? limit : n, call->err);
  state->first = 0;
  state->last = NULL;
  return status != CONVSTORE_OK || n == 0 ? status : go_on(connection, STEP_FOUND);
}

/* All that is to be indexed is. */
static void note_indexed(const struct postgres_connection *connection) {
  struct postgres_search *state = connection->search;
  if (state->n_indexed > 0)
    convstore__event_indexed(connection->base.events, state->n_indexed,
                             convstore__monotonic_ms() - state->indexing_began_ms);
  state->n_indexed = 0;
}

static int receive_read(struct postgres_connection *connection, struct convstore_call *call) {
  static const enum postgres_type types[] = {POSTGRES_INT4, POSTGRES_INT8,  POSTGRES_INT8,
                                             POSTGRES_UUID, POSTGRES_TEXT,  POSTGRES_TIMESTAMPTZ,
                                             POSTGRES_TEXT, POSTGRES_JSONB, POSTGRES_BYTEA};
  struct postgres_search *state = connection->search;
  struct read_rows at = {.rows = convstore__postgres_result(connection, 0)};
  size_t n_bytes = 0;
  bool damaged = false;
  int status = convstore__postgres_check_columns(at.rows, types, COLUMN_BYTES + 1, call->err);
  if (status != CONVSTORE_OK) return status;
  at.n = PQntuples(at.rows);
  bool found = kind_of(&at) == 0;
  if (found) at.row++;
  if (!found && call->request->conversation_id[0] != '\0') return convstore__no_conversation(call);
  if (convstore__search_is_empty(state->search)) return convstore__search_page(call->result, 0, call->err);

  int64_t n_conversations = convstore__postgres_read_integer(at.rows, at.row, COLUMN_A);
  int64_t n_messages = convstore__postgres_read_integer(at.rows, at.row++, COLUMN_B);
  status = build_tail(&n_bytes, &at, connection, call);
  if (status != CONVSTORE_OK) return status;
  bool is_part = (int64_t)state->segment.n_messages < n_messages;
  if (!state->only_reads &&
      (is_part || convstore__is_worth_a_segment((size_t)n_messages, (size_t)n_conversations, n_bytes))) {
    if (state->n_indexed == 0) state->indexing_began_ms = convstore__monotonic_ms();
    return go_on(connection, STEP_INDEX);
  }
  note_indexed(connection);

  status = add_segments(&damaged, &at, state, call);
  if (damaged && !state->only_reads && !state->rebuilt) return go_on(connection, STEP_REBUILD);
  if (status == CONVSTORE_OK && state->segment.n_messages > 0)
    status = convstore__search_add(state->search, state->segment.messages, state->segment.messages_size,
                                   state->segment.postings, state->segment.n_postings, call->err);
  convstore_result_free(&connection->scratch);
  return status != CONVSTORE_OK ? status : rank(connection, call);
}

/* ---- indexing -------------------------------------------------------------------------------------------------- */

static int add_runs(struct postgres_params *params, const struct convstore_segment *segment,
                    struct convstore_call *call) {
  size_t n = segment->n_runs;
  struct postgres_array ids;
  struct postgres_array first;
  struct postgres_array last;
  int status = convstore__postgres_array_start(&ids, call, POSTGRES_UUID, n, n * 16);
  if (status == CONVSTORE_OK) status = convstore__postgres_array_start(&first, call, POSTGRES_INT8, n, n * 8);
  if (status == CONVSTORE_OK) status = convstore__postgres_array_start(&last, call, POSTGRES_INT8, n, n * 8);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < n; i++) {
    convstore__postgres_array_id(&ids, segment->runs[i].conversation_id);
    convstore__postgres_array_integer(&first, segment->runs[i].first_seq);
    convstore__postgres_array_integer(&last, segment->runs[i].last_seq);
  }
  convstore__postgres_add_array(params, POSTGRES_UUID_ARRAY, &ids);
  convstore__postgres_add_array(params, POSTGRES_INT8_ARRAY, &first);
  convstore__postgres_add_array(params, POSTGRES_INT8_ARRAY, &last);
  return CONVSTORE_OK;
}

static int add_postings(struct postgres_params *params, const struct convstore_segment *segment,
                        struct convstore_call *call) {
  size_t n = segment->n_postings;
  size_t n_bytes = 0;
  struct postgres_array buckets;
  struct postgres_array postings;
  for (size_t i = 0; i < n; i++) n_bytes += segment->postings[i].size;
  int status = convstore__postgres_array_start(&buckets, call, POSTGRES_INT8, n, n * 8);
  if (status == CONVSTORE_OK)
    status = convstore__postgres_array_start(&postings, call, POSTGRES_BYTEA, n, n_bytes);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < n; i++) {
    const struct convstore_postings *one = &segment->postings[i];
    convstore__postgres_array_integer(&buckets, one->bucket);
    convstore__postgres_array_text(&postings, (convstore_text){one->data, one->size});
  }
  convstore__postgres_add_array(params, POSTGRES_INT8_ARRAY, &buckets);
  convstore__postgres_add_array(params, POSTGRES_BYTEA_ARRAY, &postings);
  return CONVSTORE_OK;
}

static int queue_segment(struct postgres_connection *connection, struct convstore_call *call) {
  const struct postgres_search *state = connection->search;
  const struct convstore_segment *segment = &state->segment;
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, call->request->user_id);
  int status = add_runs(&params, segment, call);
  if (status != CONVSTORE_OK) return status;
  struct postgres_params locks = params;
  locks.n = 2; /* the user and the conversations */
  convstore__postgres_add_integer(&params, (int64_t)segment->n_messages);
  convstore__postgres_add_bytes(&params, segment->messages, segment->messages_size);
  status = add_postings(&params, segment, call);
  if (status != CONVSTORE_OK) return status;
  convstore__postgres_add_integer(&params, state->n_redacted);
  convstore__postgres_queue(connection, POSTGRES_STMT_LOCK_CONVERSATIONS, &locks);
  convstore__postgres_queue(connection, POSTGRES_STMT_INSERT_SEGMENT, &params);
  return CONVSTORE_OK;
}

static int send_index(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_params params = {0};
  int status = CONVSTORE_OK;
  if (connection->search->segment.n_messages > 0) status = queue_segment(connection, call);
  convstore__postgres_add_text(&params, call->request->user_id);
  if (status == CONVSTORE_OK) convstore__postgres_queue(connection, POSTGRES_STMT_SEARCH_INDEXED, &params);
  return status;
}

/* Others were faster, or changed what was read: read again, and in the end without indexing. */
static int after_stale(struct postgres_connection *connection) {
  struct postgres_search *state = connection->search;
  state->n_stale++;
  if (state->n_stale >= MOST_STALE) state->only_reads = true;
  return go_on(connection, STEP_READ);
}

static int receive_index(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_search *state = connection->search;
  bool wrote = state->segment.n_messages > 0;
  bool stale = wrote && PQntuples(convstore__postgres_result(connection, 1)) == 0;
  if (wrote && !stale) state->n_indexed += (int64_t)state->segment.n_messages;
  convstore_result_free(&connection->scratch);
  if (convstore__monotonic_ms() >= call->deadline_ms) {
    note_indexed(connection);
    return convstore_fail(
        call->err, CONVSTORE_E_TIMEOUT,
        "indexing this user's messages took longer than `timeout`; search again, and it goes "
        "on where it stopped");
  }
  if (stale) return after_stale(connection);
  /* Only marks were to be taken off. Those that are still there are somebody else's at the moment. */
  if (!wrote) state->only_reads = true;
  return go_on(connection, STEP_READ);
}

static void queue_rebuild(struct postgres_connection *connection, const struct convstore_call *call) {
  struct postgres_params params = {0};
  convstore__postgres_add_text(&params, call->request->user_id);
  convstore__postgres_queue(connection, POSTGRES_STMT_REOPEN_ALL, &params);
  convstore__postgres_queue(connection, POSTGRES_STMT_DROP_ALL_SEGMENTS, &params);
  connection->search->rebuilt = true;
}

/* ---- the page -------------------------------------------------------------------------------------------------- */

static int send_found(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_search *state = connection->search;
  const struct convstore_candidate *candidates = NULL;
  size_t n = convstore__search_candidates(state->search, &candidates) - state->first;
  size_t wanted = (size_t)call->request->limit + 1 - call->result->n_messages;
  struct postgres_params params = {0};
  struct postgres_array ids;
  struct postgres_array seqs;
  if (n > wanted + MORE_FOUND) n = wanted + MORE_FOUND;
  state->n = n;
  int status = convstore__postgres_array_start(&ids, call, POSTGRES_UUID, n, n * 16);
  if (status == CONVSTORE_OK) status = convstore__postgres_array_start(&seqs, call, POSTGRES_INT8, n, n * 8);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = state->first; i < state->first + n; i++) {
    convstore__postgres_array_id(&ids, candidates[i].conversation_id);
    convstore__postgres_array_integer(&seqs, candidates[i].seq);
  }
  convstore__postgres_add_text(&params, call->request->user_id);
  convstore__postgres_add_array(&params, POSTGRES_UUID_ARRAY, &ids);
  convstore__postgres_add_array(&params, POSTGRES_INT8_ARRAY, &seqs);
  convstore__postgres_add_integer(&params, (int64_t)wanted);
  convstore__postgres_queue(connection, POSTGRES_STMT_SEARCH_FOUND, &params);
  return CONVSTORE_OK;
}

static int receive_found(struct postgres_connection *connection, struct convstore_call *call) {
  struct postgres_search *state = connection->search;
  const PGresult *rows = convstore__postgres_result(connection, 0);
  const struct convstore_candidate *candidates = NULL;
  size_t n = convstore__search_candidates(state->search, &candidates);
  int status = convstore__postgres_check_message_columns(rows, call);
  for (int row = 0; status == CONVSTORE_OK && row < PQntuples(rows); row++) {
    int64_t place = convstore__postgres_read_integer(rows, row, FOUND_ORD);
    const struct convstore_candidate *candidate = &candidates[state->first + (size_t)place - 1];
    convstore_text title = {NULL, 0};
    convstore_message message;
    if ((int64_t)call->result->n_messages == call->request->limit) /* there is another page */
      return convstore__search_cursor(state->search, state->last, call);
    status = convstore__postgres_read_message(&message, rows, row, call);
    if (status == CONVSTORE_OK) status = convstore__postgres_read_text(&title, rows, row, FOUND_TITLE, call);
    if (status == CONVSTORE_OK)
      status = convstore__search_add_hit(state->search, candidate, title, &message, call);
    state->last = candidate;
  }
  if (status != CONVSTORE_OK) return status;
  state->first += state->n;
  return state->first < n ? go_on(connection, STEP_FOUND) : CONVSTORE_OK;
}

/* ---- the operation --------------------------------------------------------------------------------------------- */

static int send_search(struct postgres_connection *connection, struct convstore_call *call) {
  if (connection->search == NULL) {
    int status = make_state(connection, call);
    if (status != CONVSTORE_OK || connection->search == NULL) return status;
  }
  switch (connection->step) {
  case STEP_INDEX:
    return send_index(connection, call);
  case STEP_REBUILD:
    queue_rebuild(connection, call);
    return CONVSTORE_OK;
  case STEP_FOUND:
    return send_found(connection, call);
  default:
    return send_read(connection, call);
  }
}

static int receive_search(struct postgres_connection *connection, struct convstore_call *call) {
  switch (connection->step) {
  case STEP_INDEX:
    return receive_index(connection, call);
  case STEP_REBUILD:
    return go_on(connection, STEP_READ);
  case STEP_FOUND:
    return receive_found(connection, call);
  default:
    return receive_read(connection, call);
  }
}

/* A search only reads as far as its caller is concerned: where it cannot write the index, it does without. */
static int refuse_search(struct postgres_connection *connection, struct convstore_call *call,
                         const char *sqlstate) {
  (void)call;
  if (connection->step != STEP_INDEX && connection->step != STEP_REBUILD) return CONVSTORE_OK;
  if (strcmp(sqlstate, "25006") == 0 || strcmp(sqlstate, "55P03") == 0) {
    connection->search->only_reads = true;
    return go_on(connection, STEP_READ);
  }
  return after_stale(connection);
}

const struct postgres_operation convstore__postgres_search = {
    .frame = POSTGRES_FRAME_USER, .send = send_search, .receive = receive_search, .refuse = refuse_search};
