/* One search: what matches, how good it is, in which order it comes; search.h has the rules. Knows no database. */
#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"
#include "plain.h"
#include "snippet.h"

enum {
  WEIGHED = 32,  /* units; as many as a position has weights */
  PHRASES = 256, /* that are matched exactly, beside those that weigh */
  FIRST_HITS = 16,
  MOST_HITS = 2048 /* in one block */
};
_Static_assert(sizeof((convstore_position *)NULL)->weights == WEIGHED, "a weight for each unit that weighs");

/* A message that matches; `counts` tells how often it has each unit that weighs. */
struct hit {
  int64_t seq;
  int64_t created_at_ms;
  unsigned char conversation_id[16];
  uint32_t n_tokens;
  uint16_t counts[];
};

/* Hits lie one after the other. */
struct block {
  struct block *next;
  size_t n, room;
  unsigned char *hits;
};

struct convstore_search {
  struct convstore_arena *arena;
  const convstore_request *request;
  int64_t now_ms;
  struct convstore_query query;
  int64_t *buckets;
  size_t n_buckets;

  struct convstore_match match;
  uint16_t *counts; /* of the segment at hand: a row for each unit that weighs and one more */
  uint8_t *alive;   /* which of its messages may still be hits */
  size_t room;      /* messages */

  size_t n_weighed;
  uint64_t n_messages;
  uint64_t frequency[WEIGHED];
  unsigned char weights[WEIGHED];

  struct block *first, *last;
  size_t hit_size;
  size_t n_hits;
  struct convstore_candidate *candidates;
  size_t n_candidates;
};

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to search");
}

/* ---- the query ---- */

static bool list_buckets(struct convstore_search *search) {
  const struct convstore_query *query = &search->query;
  search->buckets = convstore__arena_alloc(search->arena, CONVSTORE_BUCKETS * sizeof *search->buckets);
  if (!search->buckets) return false;
  for (size_t i = 0; i < query->n_terms; i++)
    if (i == 0 || query->terms[i].bucket != query->terms[i - 1].bucket)
      search->buckets[search->n_buckets++] = query->terms[i].bucket;
  return true;
}

int convstore__search_start(struct convstore_search **out, struct convstore_call *call) {
  const convstore_request *request = call->request;
  struct convstore_arena *arena = convstore__arena(call->result);
  struct convstore_search *search = arena ? convstore__arena_alloc(arena, sizeof *search) : NULL;
  if (!search) return no_memory(call->err);
  memset(search, 0, sizeof *search);
  search->arena = arena;
  search->request = request;
  search->now_ms = request->position.set ? request->position.now_ms : call->now_ms;
  int status = convstore__query_parse(&search->query, request->text, arena, call->err);
  if (status != CONVSTORE_OK) return status;
  if (!list_buckets(search)) return no_memory(call->err);
  status = convstore__match_start(&search->match, &search->query, arena, call->err);
  if (status != CONVSTORE_OK) return status;
  search->n_weighed = search->query.n_positive < WEIGHED ? search->query.n_positive : WEIGHED;
  size_t size = sizeof(struct hit) + search->n_weighed * sizeof(uint16_t);
  search->hit_size = (size + 7) & ~(size_t)7;
  *out = search;
  return CONVSTORE_OK;
}

bool convstore__search_is_empty(const struct convstore_search *search) {
  return search->query.n_positive == 0;
}

size_t convstore__search_buckets(const struct convstore_search *search, const int64_t **out) {
  *out = search->buckets;
  return search->n_buckets;
}

/* ---- a segment ---- */

static int make_room(struct convstore_search *search, size_t n, convstore_error *err) {
  if (n <= search->room) return CONVSTORE_OK;
  size_t room = n * 2; /* segments differ a little */
  uint16_t *counts = convstore__arena_alloc(search->arena, room * (search->n_weighed + 1) * sizeof *counts);
  uint8_t *alive = convstore__arena_alloc(search->arena, room);
  if (!counts || !alive) return no_memory(err);
  search->counts = counts;
  search->alive = alive;
  search->room = room;
  return CONVSTORE_OK;
}

/* Which messages the request's filters leave. */
static void filter_messages(struct convstore_search *search) {
  const convstore_request *request = search->request;
  const struct convstore_segment_messages *messages = &search->match.messages;
  unsigned roles = request->roles ? request->roles : ~0U;
  for (size_t i = 0; i < messages->n; i++)
    search->alive[i] =
        (roles >> messages->roles[i] & 1) &&
        (request->since_ms == CONVSTORE_ABSENT || messages->created_at_ms[i] >= request->since_ms) &&
        (request->before_ms == CONVSTORE_ABSENT || messages->created_at_ms[i] < request->before_ms);
  if (request->conversation_id[0] == '\0') return;

  unsigned char id[16];
  convstore__uuid_pack(id, request->conversation_id);
  for (size_t i = 0; i < messages->n_runs; i++) {
    const struct convstore_segment_run *run = &messages->runs[i];
    size_t end = i + 1 < messages->n_runs ? run[1].first : messages->n;
    if (memcmp(run->id, id, sizeof id) != 0) memset(search->alive + run->first, 0, end - run->first);
  }
}

/* Leaves those alive that have the unit, or those that have it not. How many. */
static size_t keep(uint8_t *alive, const uint16_t *counts, size_t n, bool negative) {
  size_t n_alive = 0;
  for (size_t i = 0; i < n; i++) {
    alive[i] = alive[i] && (counts[i] > 0) != negative;
    n_alive += alive[i];
  }
  return n_alive;
}

/* Finds which messages of the segment are hits. */
static int match_units(size_t *n_alive, struct convstore_search *search, convstore_error *err) {
  const struct convstore_query *query = &search->query;
  const struct convstore_match *match = &search->match;
  const size_t n = match->messages.n;
  size_t n_with;
  filter_messages(search);
  *n_alive = n;
  for (size_t i = 0; i < search->n_weighed; i++) { /* in all messages, since weights depend on them */
    uint16_t *counts = search->counts + i * n;
    memset(counts, 0, n * sizeof *counts);
    int status = convstore__match_unit(&n_with, counts, match, &query->units[i], NULL, false, err);
    if (status != CONVSTORE_OK) return status;
    search->frequency[i] += n_with;
    *n_alive = keep(search->alive, counts, n, false);
  }
  uint16_t *counts = search->counts + search->n_weighed * n;
  size_t n_phrases = 0;
  for (size_t i = search->n_weighed; i<query->n_units && * n_alive> 0; i++) {
    const struct convstore_unit *unit = &query->units[i];
    bool loosely = unit->n > 1 && n_phrases++ >= PHRASES;
    if (!convstore__match_may(match, unit)) {
      if (!unit->negative) *n_alive = 0;
      continue;
    }
    memset(counts, 0, n * sizeof *counts);
    int status = convstore__match_unit(&n_with, counts, match, unit, search->alive, loosely, err);
    if (status != CONVSTORE_OK) return status;
    *n_alive = keep(search->alive, counts, n, unit->negative);
  }
  return CONVSTORE_OK;
}

static struct hit *new_hit(struct convstore_search *search) {
  struct block *block = search->last;
  if (!block || block->n == block->room) {
    size_t room = !block ? FIRST_HITS : block->room < MOST_HITS ? block->room * 2 : MOST_HITS;
    block = convstore__arena_alloc(search->arena, sizeof *block);
    unsigned char *hits = block ? convstore__arena_alloc(search->arena, room * search->hit_size) : NULL;
    if (!hits) return NULL;
    *block = (struct block){.room = room, .hits = hits};
    if (search->last)
      search->last->next = block;
    else
      search->first = block;
    search->last = block;
  }
  search->n_hits++;
  return (struct hit *)(void *)(block->hits + block->n++ * search->hit_size);
}

static int add_hits(struct convstore_search *search, convstore_error *err) {
  const struct convstore_segment_messages *messages = &search->match.messages;
  const struct convstore_segment_run *run = messages->runs;
  for (size_t i = 0; i < messages->n; i++) {
    if (!search->alive[i]) continue;
    while (run + 1 < messages->runs + messages->n_runs && run[1].first <= i) run++;
    struct hit *hit = new_hit(search);
    if (!hit) return no_memory(err);
    hit->seq = run->first_seq + (int64_t)(i - run->first);
    hit->created_at_ms = messages->created_at_ms[i];
    memcpy(hit->conversation_id, run->id, sizeof hit->conversation_id);
    hit->n_tokens = messages->n_tokens[i];
    for (size_t unit = 0; unit < search->n_weighed; unit++)
      hit->counts[unit] = search->counts[unit * messages->n + i];
  }
  return CONVSTORE_OK;
}

int convstore__search_add(struct convstore_search *search, const void *messages, size_t messages_size,
                          const struct convstore_postings *postings, size_t n_postings,
                          convstore_error *err) {
  size_t n_alive = 0;
  if (convstore__search_is_empty(search)) return CONVSTORE_OK;
  int status = convstore__match_segment(&search->match, messages, messages_size, postings, n_postings,
                                        search->arena, err);
  if (status != CONVSTORE_OK || search->match.messages.n == 0) return status;
  status = make_room(search, search->match.messages.n, err);
  if (status == CONVSTORE_OK) status = match_units(&n_alive, search, err);
  if (status != CONVSTORE_OK) return status;
  search->n_messages += search->match.messages.n_with_tokens;
  return n_alive > 0 ? add_hits(search, err) : CONVSTORE_OK;
}

/* ---- ranking ---- */

static void weigh(struct convstore_search *search) {
  const convstore_position *position = &search->request->position;
  for (size_t i = 0; i < search->n_weighed; i++) {
    double frequency = (double)search->frequency[i];
    double others = (double)search->n_messages - frequency;
    double weight = round(16.0 * log1p((others + 0.5) / (frequency + 0.5)));
    search->weights[i] = (unsigned char)(weight < 1 ? 1 : weight > 255 ? 255 : weight);
    if (position->set && i < position->n_weights) search->weights[i] = position->weights[i];
  }
}

static int64_t score_of(const struct convstore_search *search, const struct hit *hit) {
  const double month_ms = 30.0 * 24 * 60 * 60 * 1000;
  double sum = 0;
  double length = 1.2 * (0.25 + 0.75 * hit->n_tokens / 64.0);
  for (size_t i = 0; i < search->n_weighed; i++)
    sum += search->weights[i] * (hit->counts[i] / (hit->counts[i] + length));
  double age_ms = (double)search->now_ms - (double)hit->created_at_ms;
  double recency = 0.5 + 0.5 * exp2(-(age_ms > 0 ? age_ms : 0) / month_ms);
  return llround(recency * sum * 1e6);
}

static int descending(int64_t a, int64_t b) {
  return a > b ? -1 : a < b;
}

static int compare_candidates(const void *a, const void *b) {
  const struct convstore_candidate *x = a, *y = b;
  int order = descending(x->score, y->score);
  if (order == 0) order = descending(x->created_at_ms, y->created_at_ms);
  if (order == 0) order = strcmp(y->conversation_id, x->conversation_id);
  return order != 0 ? order : descending(x->seq, y->seq);
}

int convstore__search_rank(struct convstore_search *search, convstore_error *err) {
  const convstore_position *position = &search->request->position;
  struct convstore_candidate behind = {
      .seq = position->seq, .score = position->score, .created_at_ms = position->time_ms};
  memcpy(behind.conversation_id, position->conversation_id, CONVSTORE_ID_SIZE);

  weigh(search);
  search->candidates = convstore__arena_alloc(search->arena, search->n_hits * sizeof *search->candidates);
  if (!search->candidates) return no_memory(err);
  search->n_candidates = 0;
  for (const struct block *block = search->first; block; block = block->next) {
    for (size_t i = 0; i < block->n; i++) {
      const struct hit *hit = (const struct hit *)(const void *)(block->hits + i * search->hit_size);
      struct convstore_candidate *candidate = &search->candidates[search->n_candidates];
      candidate->seq = hit->seq;
      candidate->score = score_of(search, hit);
      candidate->created_at_ms = hit->created_at_ms;
      convstore__uuid_unpack(candidate->conversation_id, hit->conversation_id);
      search->n_candidates += !position->set || compare_candidates(candidate, &behind) > 0;
    }
  }
  qsort(search->candidates, search->n_candidates, sizeof *search->candidates, compare_candidates);
  return CONVSTORE_OK;
}

size_t convstore__search_candidates(const struct convstore_search *search,
                                    const struct convstore_candidate **out) {
  *out = search->candidates;
  return search->n_candidates;
}

/* ---- what is shown ---- */

int convstore__search_hit(convstore_hit *out, const struct convstore_search *search,
                          const struct convstore_candidate *candidate, const convstore_message *message,
                          convstore_error *err) {
  convstore_text text;
  char *owned;
  int status = convstore__plain(&text, &owned, message->content, message->parts, err);
  if (status != CONVSTORE_OK) return status;
  status = convstore__snippet(&out->snippet, &search->query, text, search->arena, err);
  free(owned);
  if (status == CONVSTORE_OK) out->score = (double)candidate->score / 1e6;
  return status;
}

void convstore__search_position(convstore_position *out, const struct convstore_search *search,
                                const struct convstore_candidate *candidate) {
  *out = (convstore_position){
      .set = true,
      .time_ms = candidate->created_at_ms,
      .seq = candidate->seq,
      .score = candidate->score,
      .now_ms = search->now_ms,
      .n_weights = search->n_weighed,
  };
  memcpy(out->conversation_id, candidate->conversation_id, CONVSTORE_ID_SIZE);
  memcpy(out->weights, search->weights, search->n_weighed);
}
