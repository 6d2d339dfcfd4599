/* Which messages of a segment hold the units of a query. Knows no ranking and no database. */
#include "match.h"

int convstore__match_start(struct convstore_match *out, const struct convstore_query *query,
                           struct convstore_arena *arena, convstore_error *err) {
  size_t most = 0;
  for (size_t i = 0; i < query->n_units; i++)
    if (query->units[i].n_terms > most) most = query->units[i].n_terms;
  *out = (struct convstore_match){.query = query};
  out->found = convstore__arena_alloc(arena, query->n_terms * sizeof *out->found);
  out->cursors = convstore__arena_alloc(arena, most * sizeof *out->cursors);
  out->heap = convstore__arena_alloc(arena, most * sizeof *out->heap);
  if (!out->found || !out->cursors || !out->heap)
    return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to search");
  return CONVSTORE_OK;
}

/* The terms `first` ... of the query that fall into a bucket; both are sorted, so one walk finds them all. */
static int find_terms(struct convstore_match *match, const struct convstore_postings *postings, size_t first,
                      convstore_error *err) {
  const struct convstore_query *query = match->query;
  const unsigned bucket = query->terms[first].bucket;
  struct convstore_term_cursor cursor;
  bool found;
  int status = convstore__term_cursor_start(&cursor, postings->data, postings->size, err);
  if (status == CONVSTORE_OK) status = convstore__term_cursor_next(&found, &cursor, err);
  while (status == CONVSTORE_OK && found && first < query->n_terms && query->terms[first].bucket == bucket) {
    const struct convstore_query_term *term = &query->terms[first];
    int order = convstore__term_order(0, cursor.term, cursor.size, 0, term->data, term->size);
    if (order == 0)
      match->found[first] =
          (struct convstore_message_cursor){.at = cursor.postings, .end = cursor.postings_end};
    if (order >= 0) first++;
    if (order <= 0) status = convstore__term_cursor_next(&found, &cursor, err);
  }
  return status;
}

int convstore__match_segment(struct convstore_match *match, const void *messages, size_t messages_size,
                             const struct convstore_postings *postings, size_t n_postings,
                             struct convstore_arena *arena, convstore_error *err) {
  const struct convstore_query *query = match->query;
  size_t first_term[CONVSTORE_BUCKETS]; /* of each bucket, plus 1; 0: none */
  int status = convstore__read_messages(&match->messages, messages, messages_size, arena, err);
  if (status != CONVSTORE_OK) return status;
  for (size_t i = 0; i < CONVSTORE_BUCKETS; i++) first_term[i] = 0;
  for (size_t i = query->n_terms; i > 0; i--) {
    first_term[query->terms[i - 1].bucket] = i;
    match->found[i - 1] = (struct convstore_message_cursor){NULL, NULL, 0, 0, 0, NULL};
  }
  for (size_t i = 0; i < n_postings && status == CONVSTORE_OK; i++) {
    int bucket = postings[i].bucket;
    if (bucket >= 0 && bucket < CONVSTORE_BUCKETS && first_term[bucket] != 0)
      status = find_terms(match, &postings[i], first_term[bucket] - 1, err);
  }
  return status;
}

bool convstore__match_may(const struct convstore_match *match, const struct convstore_unit *unit) {
  for (size_t i = 0; i < unit->n_terms; i++)
    if (match->found[unit->terms[i]].at == match->found[unit->terms[i]].end) return false;
  return true;
}

/* ---- phrases ---- */

/* Restores the heap, the smallest place first, below `i`. */
static void sift(struct convstore_match_place *heap, size_t n, size_t i) {
  struct convstore_match_place moved = heap[i];
  for (size_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && heap[child + 1].place < heap[child].place) child++;
    if (heap[child].place >= moved.place) break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

/* How often a phrase occurs in the message that all cursors stand at: its terms' places are merged into the
 * sequence of tokens that the text has of them. */
static uint16_t count_phrase(const struct convstore_match *match, const struct convstore_unit *unit) {
  struct convstore_match_place *heap = match->heap;
  size_t n = unit->n_terms;
  for (size_t i = 0; i < n; i++) {
    heap[i] = (struct convstore_match_place){
        .left = match->cursors[i].n - 1, .term = unit->terms[i], .places = match->cursors[i].places};
    heap[i].place = convstore__next_place(&heap[i].places);
  }
  for (size_t i = n / 2; i > 0; i--) sift(heap, n, i - 1);

  uint16_t count = 0;
  size_t matched = 0;
  uint32_t last_index = 0;
  while (n > 0) {
    uint32_t index = heap->place / 2;
    if (index != last_index + 1) matched = 0;
    last_index = index;
    matched = convstore__unit_advance(unit, matched, heap->term, heap->place % 2);
    if (matched == unit->n && count < UINT16_MAX) count++;
    if (heap->left > 0) {
      heap->left--;
      heap->place += convstore__next_place(&heap->places);
    } else {
      heap[0] = heap[--n];
    }
    sift(heap, n, 0);
  }
  return count;
}

/* Moves all of a unit's cursors to the first message, from `message` on, that has all terms; SIZE_MAX: there is
 * none. */
static int next_common(size_t *message, const struct convstore_match *match, size_t n, convstore_error *err) {
  for (size_t i = 0; i < n;) {
    struct convstore_message_cursor *cursor = &match->cursors[i];
    while (cursor->next_message <= *message) {
      int status = convstore__message_cursor_next(cursor, match->messages.n, err);
      if (status != CONVSTORE_OK) return status;
      if (cursor->message == SIZE_MAX) {
        *message = SIZE_MAX;
        return CONVSTORE_OK;
      }
    }
    if (cursor->message > *message) {
      *message = cursor->message;
      i = 0;
    } else {
      i++;
    }
  }
  return CONVSTORE_OK;
}

static int match_phrase(size_t *n, uint16_t *counts, const struct convstore_match *match,
                        const struct convstore_unit *unit, const uint8_t *alive, bool loosely,
                        convstore_error *err) {
  for (size_t i = 0; i < unit->n_terms; i++) match->cursors[i] = match->found[unit->terms[i]];
  for (size_t message = 0;; message++) {
    int status = next_common(&message, match, unit->n_terms, err);
    if (status != CONVSTORE_OK || message == SIZE_MAX) return status;
    if (alive && !alive[message]) continue;
    counts[message] = loosely ? 1 : count_phrase(match, unit);
    *n += counts[message] > 0;
  }
}

int convstore__match_unit(size_t *n, uint16_t *counts, const struct convstore_match *match,
                          const struct convstore_unit *unit, const uint8_t *alive, bool loosely,
                          convstore_error *err) {
  *n = 0;
  if (!convstore__match_may(match, unit)) return CONVSTORE_OK;
  if (unit->n > 1) return match_phrase(n, counts, match, unit, alive, loosely, err);
  struct convstore_message_cursor cursor = match->found[unit->terms[0]];
  for (;;) {
    int status = convstore__message_cursor_next(&cursor, match->messages.n, err);
    if (status != CONVSTORE_OK || cursor.message == SIZE_MAX) return status;
    counts[cursor.message] = cursor.n < UINT16_MAX ? (uint16_t)cursor.n : UINT16_MAX;
    ++*n;
  }
}
