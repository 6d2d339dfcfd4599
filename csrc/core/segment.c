/*
 * Building a segment of the search index; segment.h has the format. Knows tokens, no queries and no database.
 *
 * Postings are encoded as messages come, a message at a time: what is kept of a token is the byte or two of its
 * place, so that a segment of long messages takes little more memory than its blobs.
 */
#include "segment.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "plain.h"
#include "varint.h"

enum {
  FIRST_TABLE = 1024,
  FIRST_POSTINGS = 16, /* bytes; most terms occur once or twice in a segment */
  FIRST_PLACES = 512,
  FIRST_RUNS = 8
};

#define NONE UINT32_MAX

struct bytes {
  unsigned char *data;
  size_t size, room;
};

struct term {
  uint64_t hash;
  const char *data;
  uint8_t size;
  uint8_t bucket;
  struct bytes postings;
  size_t next_message; /* one more than the last one with it */
  /* In the message at hand: */
  struct term *touched;    /* the term that first occurred before this one */
  uint32_t n, first, last; /* how often it occurs; the ends of its list of places */
};

/* The places of the message at hand; each names the next one of the same term. */
struct place {
  uint32_t place, next;
};

struct places {
  struct place *data;
  uint32_t n, room;
  struct term *touched;
};

struct convstore_segment_builder {
  struct convstore_arena *arena;
  struct term **table; /* open addressing; a power of two */
  size_t n_table, n_terms;
  uint64_t key; /* of the table's hash: so nobody can choose terms that collide */
  struct convstore_run *runs;
  size_t n_runs, room_runs;
  size_t n_messages;
  int64_t created_at_ms; /* of the last message */
  struct bytes messages; /* without the head */
  struct convstore_tokens tokens;
};

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to index messages");
}

/* Room for `size` more bytes, or NULL. What is left behind in the arena is less than what is kept. */
static unsigned char *reserve(struct bytes *bytes, size_t size, struct convstore_arena *arena) {
  if (bytes->room - bytes->size < size) {
    size_t room = (bytes->size + size) * 2;
    unsigned char *data = convstore__arena_alloc(arena, room);
    if (!data) return NULL;
    if (bytes->size > 0) memcpy(data, bytes->data, bytes->size);
    bytes->data = data;
    bytes->room = room;
  }
  return bytes->data + bytes->size;
}

static bool put(struct bytes *bytes, uint64_t value, struct convstore_arena *arena) {
  unsigned char *to = reserve(bytes, CONVSTORE_VARINT_SIZE, arena);
  if (to) bytes->size += convstore__put_varint(to, value);
  return to != NULL;
}

/* ---- terms ---- */

unsigned convstore__term_bucket(const char *term, size_t size) {
  uint32_t hash = 0x811C9DC5U;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)term[i]) * 0x01000193U;
  return (hash >> 16 ^ hash) % CONVSTORE_BUCKETS;
}

int convstore__term_order(unsigned bucket_a, const char *a, size_t size_a, unsigned bucket_b, const char *b,
                          size_t size_b) {
  if (bucket_a != bucket_b) return bucket_a < bucket_b ? -1 : 1;
  int order = memcmp(a, b, size_a < size_b ? size_a : size_b);
  if (order != 0) return order;
  return size_a < size_b ? -1 : size_a > size_b;
}

/* Of the table; eight bytes at a time, with the builder's own key. */
static uint64_t hash_of(const char *term, size_t size, uint64_t key) {
  uint64_t hash = key ^ size;
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = 0;
    memcpy(&word, term + i, size - i < 8 ? size - i : 8);
    hash = (hash ^ word) * (key | 1);
    hash ^= hash >> 29;
  }
  return hash ^ hash >> 32;
}

static bool grow_table(struct convstore_segment_builder *builder) {
  size_t n = builder->n_table * 4;
  struct term **table = convstore__arena_alloc(builder->arena, n * sizeof *table);
  if (!table) return false;
  memset(table, 0, n * sizeof *table);
  for (size_t i = 0; i < builder->n_table; i++) {
    struct term *term = builder->table[i];
    if (!term) continue;
    size_t at = term->hash & (n - 1);
    while (table[at]) at = (at + 1) & (n - 1);
    table[at] = term;
  }
  builder->table = table;
  builder->n_table = n;
  return true;
}

/* The term of the token at hand, a new one if need be. NULL: out of memory. */
static struct term *find_term(struct convstore_segment_builder *builder) {
  const struct convstore_tokens *tokens = &builder->tokens;
  uint64_t hash = hash_of(tokens->term, tokens->size, builder->key);
  size_t at = hash & (builder->n_table - 1);
  for (struct term *term; (term = builder->table[at]) != NULL; at = (at + 1) & (builder->n_table - 1))
    if (term->hash == hash && term->size == tokens->size &&
        memcmp(term->data, tokens->term, tokens->size) == 0)
      return term;

  /* One block: the term, its first postings, its bytes. */
  struct term *term = convstore__arena_alloc(builder->arena, sizeof *term + FIRST_POSTINGS + tokens->size);
  if (!term) return NULL;
  unsigned char *data = (unsigned char *)(term + 1);
  memcpy(data + FIRST_POSTINGS, tokens->term, tokens->size);
  *term = (struct term){
      .hash = hash,
      .data = (const char *)data + FIRST_POSTINGS,
      .size = (uint8_t)tokens->size,
      .bucket = (uint8_t)convstore__term_bucket(tokens->term, tokens->size),
      .postings = {.data = data, .room = FIRST_POSTINGS},
  };
  builder->table[at] = term;
  builder->n_terms++;
  if (builder->n_terms * 2 > builder->n_table && !grow_table(builder)) return NULL;
  return term;
}

/* ---- one message ---- */

static bool note_place(struct places *places, struct term *term, uint32_t place) {
  if (places->n == places->room) {
    uint32_t room = places->room * 2; /* 0 beyond what indexes count */
    struct place *data = room > 0 ? realloc(places->data, room * sizeof *data) : NULL;
    if (!data) return false;
    places->data = data;
    places->room = room;
  }
  uint32_t i = places->n++;
  places->data[i].place = place;
  places->data[i].next = NONE;
  if (term->n++ == 0) {
    term->first = i;
    term->touched = places->touched;
    places->touched = term;
  } else {
    places->data[term->last].next = i;
  }
  term->last = i;
  return true;
}

/* Encodes where each term occurs in the message at hand. */
static bool put_postings(struct convstore_segment_builder *builder, const struct places *places) {
  struct convstore_arena *arena = builder->arena;
  for (struct term *term = places->touched; term; term = term->touched) {
    const struct place *place = &places->data[term->first];
    const uint64_t gap = builder->n_messages - term->next_message;
    uint32_t before = 0;
    bool good = put(&term->postings, gap * 2 + (term->n > 1), arena) &&
                (term->n == 1 || put(&term->postings, term->n - 2, arena));
    while (good && place) {
      good = put(&term->postings, place->place - before, arena);
      before = place->place;
      place = place->next != NONE ? &places->data[place->next] : NULL;
    }
    if (!good) return false;
    term->next_message = builder->n_messages + 1;
    term->n = 0;
  }
  return true;
}

/* Indexes a text; how many tokens it has, or -1: out of memory. */
static int64_t add_text(struct convstore_segment_builder *builder, convstore_text text) {
  struct convstore_tokens *tokens = &builder->tokens;
  struct places places = {.data = calloc(FIRST_PLACES, sizeof *places.data), .room = FIRST_PLACES};
  bool good = places.data != NULL;
  convstore__tokens_start(tokens, text);
  while (good && convstore__tokens_next(tokens)) {
    struct term *term = find_term(builder);
    good = term && note_place(&places, term, tokens->index * 2 + tokens->glued);
  }
  good = good && put_postings(builder, &places);
  free(places.data);
  return good ? (int64_t)tokens->index : -1;
}

static bool add_run(struct convstore_segment_builder *builder, const char *conversation_id, int64_t seq) {
  struct convstore_run *runs = builder->runs;
  if (runs && builder->n_runs > 0) {
    struct convstore_run *last = &runs[builder->n_runs - 1];
    if (last->last_seq + 1 == seq && strcmp(last->conversation_id, conversation_id) == 0) {
      last->last_seq = seq;
      return true;
    }
  }
  if (!runs || builder->n_runs == builder->room_runs) {
    size_t room = runs ? builder->room_runs * 2 : FIRST_RUNS;
    runs = convstore__arena_alloc(builder->arena, room * sizeof *runs);
    if (!runs) return false;
    if (builder->runs) memcpy(runs, builder->runs, builder->n_runs * sizeof *runs);
    builder->runs = runs;
    builder->room_runs = room;
  }
  struct convstore_run *run = &runs[builder->n_runs++];
  memcpy(run->conversation_id, conversation_id, CONVSTORE_ID_SIZE);
  run->first_seq = run->last_seq = seq;
  return true;
}

int convstore__segment_start(struct convstore_segment_builder **out, struct convstore_arena *arena,
                             convstore_error *err) {
  char id[CONVSTORE_ID_SIZE];
  unsigned char key[16];
  int status = convstore_uuid(id, err);
  if (status != CONVSTORE_OK) return status;
  convstore__uuid_pack(key, id);

  struct convstore_segment_builder *builder = convstore__arena_alloc(arena, sizeof *builder);
  struct term **table = convstore__arena_alloc(arena, FIRST_TABLE * sizeof(struct term *));
  if (!builder || !table) return no_memory(err);
  memset(builder, 0, sizeof *builder);
  memset(table, 0, FIRST_TABLE * sizeof(struct term *));
  builder->arena = arena;
  builder->table = table;
  builder->n_table = FIRST_TABLE;
  memcpy(&builder->key, key + 8, sizeof builder->key); /* the random half */
  *out = builder;
  return CONVSTORE_OK;
}

int convstore__segment_add(struct convstore_segment_builder *builder, const char *conversation_id,
                           int64_t seq, convstore_role role, int64_t created_at_ms, convstore_text content,
                           convstore_text parts, convstore_error *err) {
  convstore_text text;
  char *owned;
  int status = convstore__plain(&text, &owned, content, parts, err);
  if (status != CONVSTORE_OK) return status;
  int64_t n_tokens = add_text(builder, text);
  free(owned);
  uint64_t later = (uint64_t)created_at_ms - (uint64_t)builder->created_at_ms;
  if (n_tokens < 0 || !add_run(builder, conversation_id, seq) ||
      !put(&builder->messages, (uint64_t)n_tokens * 8 + (uint64_t)role, builder->arena) ||
      !put(&builder->messages, convstore__zigzag(later), builder->arena))
    return no_memory(err);
  builder->created_at_ms = created_at_ms;
  builder->n_messages++;
  return CONVSTORE_OK;
}

/* ---- blobs ---- */

static int compare_terms(const void *a, const void *b) {
  const struct term *x = *(const struct term *const *)a;
  const struct term *y = *(const struct term *const *)b;
  return convstore__term_order(x->bucket, x->data, x->size, y->bucket, y->data, y->size);
}

/* The terms of a bucket as a blob. */
static bool make_postings(struct convstore_postings *out, struct term *const *terms, size_t n,
                          struct convstore_arena *arena) {
  size_t size = 1;
  for (size_t i = 0; i < n; i++)
    size += terms[i]->postings.size + terms[i]->size + CONVSTORE_VARINT_SIZE + 1U;
  unsigned char *data = convstore__arena_alloc(arena, size);
  if (!data) return false;
  unsigned char *to = data;
  *to++ = CONVSTORE_SEGMENT_VERSION;
  for (size_t i = 0; i < n; i++) {
    const struct term *term = terms[i];
    *to++ = term->size;
    memcpy(to, term->data, term->size);
    to += term->size;
    to += convstore__put_varint(to, term->postings.size);
    memcpy(to, term->postings.data, term->postings.size);
    to += term->postings.size;
  }
  *out = (struct convstore_postings){terms[0]->bucket, data, (size_t)(to - data)};
  return true;
}

static bool make_messages(struct convstore_segment *out, const struct convstore_segment_builder *builder) {
  const size_t run_size = 16 + 2 * CONVSTORE_VARINT_SIZE;
  unsigned char *data = convstore__arena_alloc(
      builder->arena, 1 + 2 * CONVSTORE_VARINT_SIZE + builder->n_runs * run_size + builder->messages.size);
  if (!data) return false;
  unsigned char *to = data;
  *to++ = CONVSTORE_SEGMENT_VERSION;
  to += convstore__put_varint(to, builder->n_messages);
  to += convstore__put_varint(to, builder->n_runs);
  for (size_t i = 0; i < builder->n_runs; i++) {
    const struct convstore_run *run = &builder->runs[i];
    convstore__uuid_pack(to, run->conversation_id);
    to += 16;
    to += convstore__put_varint(to, (uint64_t)run->first_seq);
    to += convstore__put_varint(to, (uint64_t)(run->last_seq - run->first_seq));
  }
  if (builder->messages.size > 0) memcpy(to, builder->messages.data, builder->messages.size);
  to += builder->messages.size;
  out->messages = data;
  out->messages_size = (size_t)(to - data);
  return true;
}

int convstore__segment_finish(struct convstore_segment *out, struct convstore_segment_builder *builder,
                              convstore_error *err) {
  struct term **terms = builder->table; /* the table is not needed any more */
  size_t n = 0;
  for (size_t i = 0; i < builder->n_table; i++)
    if (builder->table[i]) terms[n++] = builder->table[i];
  qsort(terms, n, sizeof(struct term *), compare_terms);

  struct convstore_segment segment = {
      .runs = builder->runs, .n_runs = builder->n_runs, .n_messages = builder->n_messages};
  segment.postings = convstore__arena_alloc(builder->arena, CONVSTORE_BUCKETS * sizeof *segment.postings);
  if (!segment.postings || !make_messages(&segment, builder)) return no_memory(err);
  for (size_t i = 0; i < n;) {
    size_t first = i;
    while (i < n && terms[i]->bucket == terms[first]->bucket) i++;
    struct convstore_postings *postings = &segment.postings[segment.n_postings++];
    if (!make_postings(postings, terms + first, i - first, builder->arena)) return no_memory(err);
  }
  *out = segment;
  return CONVSTORE_OK;
}

/* ---- ids ---- */

static unsigned char hex_value(char digit) {
  return (unsigned char)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

void convstore__uuid_pack(unsigned char out[16], const char *id) {
  for (int i = 0; i < 16; i++, id += 2) {
    if (*id == '-') id++;
    out[i] = (unsigned char)((hex_value(id[0]) << 4 | hex_value(id[1])) & 0xFF);
  }
}

void convstore__uuid_unpack(char out[CONVSTORE_ID_SIZE], const unsigned char bytes[16]) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = digits[bytes[i] >> 4];
    *out++ = digits[bytes[i] & 15];
  }
  *out = '\0';
}
