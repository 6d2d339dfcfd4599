/* Reading the blobs of a segment. Knows no queries, and believes nothing. */
#include "segment_reader.h"

#include <string.h>

#include "varint.h"

static int corrupt(convstore_error *err, const char *what) {
  return convstore_fail(err, CONVSTORE_E_CORRUPT, "the search index is damaged: %s", what);
}

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to search");
}

/* ---- messages ---- */

static int make_room(struct convstore_segment_messages *messages, size_t n, size_t n_runs,
                     struct convstore_arena *arena, convstore_error *err) {
  if (n > messages->room) {
    uint32_t *n_tokens = convstore__arena_alloc(arena, n * sizeof *n_tokens);
    uint8_t *roles = convstore__arena_alloc(arena, n * sizeof *roles);
    int64_t *created_at_ms = convstore__arena_alloc(arena, n * sizeof *created_at_ms);
    if (!n_tokens || !roles || !created_at_ms) return no_memory(err);
    messages->n_tokens = n_tokens;
    messages->roles = roles;
    messages->created_at_ms = created_at_ms;
    messages->room = n;
  }
  if (n_runs > messages->room_runs) {
    struct convstore_segment_run *runs = convstore__arena_alloc(arena, n_runs * sizeof *runs);
    if (!runs) return no_memory(err);
    messages->runs = runs;
    messages->room_runs = n_runs;
  }
  return CONVSTORE_OK;
}

static bool read_runs(struct convstore_segment_messages *messages, const unsigned char **at,
                      const unsigned char *end) {
  size_t n = 0;
  for (size_t i = 0; i < messages->n_runs; i++) {
    struct convstore_segment_run *run = &messages->runs[i];
    uint64_t first_seq, n_more;
    if (end - *at < (ptrdiff_t)sizeof run->id) return false;
    memcpy(run->id, *at, sizeof run->id);
    *at += sizeof run->id;
    if (!convstore__get_varint_to(&first_seq, INT64_MAX, at, end) ||
        !convstore__get_varint_to(&n_more, INT64_MAX - first_seq, at, end) || n_more >= messages->n - n)
      return false;
    run->first_seq = (int64_t)first_seq;
    run->first = n;
    n += (size_t)n_more + 1;
  }
  return n == messages->n;
}

static bool read_each(struct convstore_segment_messages *messages, const unsigned char **at,
                      const unsigned char *end) {
  uint64_t created_at_ms = 0;
  messages->n_with_tokens = 0;
  for (size_t i = 0; i < messages->n; i++) {
    uint64_t tokens, later;
    if (!convstore__get_varint_to(&tokens, (uint64_t)UINT32_MAX * 8, at, end) ||
        tokens % 8 >= CONVSTORE_ROLES || !convstore__get_varint(&later, at, end))
      return false;
    created_at_ms += convstore__unzigzag(later);
    messages->n_tokens[i] = (uint32_t)(tokens / 8);
    messages->roles[i] = (uint8_t)(tokens % 8);
    messages->created_at_ms[i] = (int64_t)created_at_ms;
    messages->n_with_tokens += tokens >= 8;
  }
  return *at == end;
}

int convstore__read_messages(struct convstore_segment_messages *out, const void *data, size_t size,
                             struct convstore_arena *arena, convstore_error *err) {
  const unsigned char *at = data;
  uint64_t n, n_runs;
  if (size == 0 || *at != CONVSTORE_SEGMENT_VERSION)
    return corrupt(err, "a list of messages is of no known version");
  const unsigned char *end = at++ + size;
  /* Each takes two bytes and more, so a wrong number asks for no more memory than the blob's own. */
  if (!convstore__get_varint_to(&n, size / 2, &at, end) || !convstore__get_varint_to(&n_runs, n, &at, end) ||
      n_runs > size / 18)
    return corrupt(err, "a list of messages has a wrong length");
  int status = make_room(out, (size_t)n, (size_t)n_runs, arena, err);
  if (status != CONVSTORE_OK) return status;
  out->n = (size_t)n;
  out->n_runs = (size_t)n_runs;
  if (!read_runs(out, &at, end) || !read_each(out, &at, end))
    return corrupt(err, "a list of messages makes no sense");
  return CONVSTORE_OK;
}

/* ---- postings ---- */

int convstore__term_cursor_start(struct convstore_term_cursor *cursor, const void *data, size_t size,
                                 convstore_error *err) {
  cursor->at = data;
  if (size == 0 || *cursor->at != CONVSTORE_SEGMENT_VERSION)
    return corrupt(err, "postings are of no known version");
  cursor->end = cursor->at++ + size;
  return CONVSTORE_OK;
}

int convstore__term_cursor_next(bool *found, struct convstore_term_cursor *cursor, convstore_error *err) {
  *found = cursor->at < cursor->end;
  if (!*found) return CONVSTORE_OK;
  uint64_t n;
  size_t size = *cursor->at++;
  if (size > (size_t)(cursor->end - cursor->at)) return corrupt(err, "a term is cut off");
  cursor->term = (const char *)cursor->at;
  cursor->size = size;
  cursor->at += size;
  if (!convstore__get_varint(&n, &cursor->at, cursor->end) || n > (uint64_t)(cursor->end - cursor->at))
    return corrupt(err, "a term's postings are cut off");
  cursor->postings = cursor->at;
  cursor->postings_end = cursor->at += n;
  return CONVSTORE_OK;
}

/* Moves behind `n` varints. */
static bool skip_places(const unsigned char **at, const unsigned char *end, uint32_t n) {
  const unsigned char *s = *at;
  while (n > 0 && s < end) n -= *s++ < 0x80;
  *at = s;
  return n == 0;
}

int convstore__message_cursor_next(struct convstore_message_cursor *cursor, size_t n_messages,
                                   convstore_error *err) {
  uint64_t head, more = 0;
  if (cursor->at == cursor->end) {
    cursor->message = SIZE_MAX;
    return CONVSTORE_OK;
  }
  if (!convstore__get_varint(&head, &cursor->at, cursor->end) ||
      head / 2 >= n_messages - cursor->next_message)
    return corrupt(err, "a term is in a message that is not there");
  cursor->message = cursor->next_message + (size_t)(head / 2);
  cursor->next_message = cursor->message + 1;
  if (head % 2 && !convstore__get_varint_to(&more, UINT32_MAX - 2, &cursor->at, cursor->end))
    return corrupt(err, "a term is too often in a message");
  cursor->n = head % 2 ? (uint32_t)more + 2 : 1;
  cursor->places = cursor->at;
  if (!skip_places(&cursor->at, cursor->end, cursor->n)) return corrupt(err, "a term's places are cut off");
  return CONVSTORE_OK;
}

uint32_t convstore__next_place(const unsigned char **places) {
  uint32_t place = 0;
  unsigned shift = 0;
  unsigned char byte;
  do {
    byte = *(*places)++;
    if (shift < 32) place |= (uint32_t)(byte & 0x7F) << shift;
    shift += 7;
  } while (byte >= 0x80);
  return place;
}
