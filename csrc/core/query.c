/* What somebody searches for: a text to units. Knows tokens, no messages and no index. Sorting finds the doubles,
 * so that no text makes it slow. */
#include "query.h"

#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "segment.h"

/* A token of the text. */
struct seen {
  const char *data;
  uint8_t size;
  uint8_t bucket;
  bool glued;
  uint32_t number; /* which token of the text it is */
};

struct parser {
  struct convstore_arena *arena;
  const char *s;
  size_t size;
  size_t at;
  struct seen *seen; /* in the first pass NULL: tokens and units are only counted */
  size_t n_seen;
  struct convstore_unit *units; /* n and negative; the tokens lie one after the other in `seen` */
  size_t n_units;
  struct convstore_tokens tokens;
};

static int no_memory(convstore_error *err) {
  return convstore_fail(err, CONVSTORE_E_MEMORY, "there is not enough memory to read the query");
}

/* ---- the text ---- */

/* The bytes of the quotation mark at `at`: ", or U+201C, U+201D, U+201E; 0: there is none. */
static size_t quote_at(const struct parser *parser, size_t at) {
  const char *s = parser->s + at;
  size_t n = parser->size - at;
  if (n >= 1 && *s == '"') return 1;
  return n >= 3 && s[0] == '\xE2' && s[1] == '\x80' && s[2] >= '\x9C' && s[2] <= '\x9E' ? 3 : 0;
}

static size_t space_at(const struct parser *parser, size_t at) {
  return at < parser->size ? convstore__space(parser->s + at, parser->size - at) : 0;
}

/* The tokens of bytes first ... end as a unit. With `minus` a - stands before them, and excludes them if it stands
 * directly before the first one, or before a quotation mark. False: out of memory. */
static bool read_unit(struct parser *parser, size_t first, size_t end, bool minus, bool quoted) {
  struct convstore_tokens *tokens = &parser->tokens;
  bool negative = minus && quoted;
  convstore__tokens_start(tokens, (convstore_text){parser->s + first, end - first});
  while (convstore__tokens_next(tokens)) {
    if (tokens->index == 1 && tokens->start == 0 && minus) negative = true;
    if (parser->seen) {
      char *data = convstore__arena_copy(parser->arena, tokens->term, tokens->size);
      if (!data) return false;
      parser->seen[parser->n_seen] = (struct seen){
          .data = data,
          .size = (uint8_t)tokens->size,
          .bucket = (uint8_t)convstore__term_bucket(tokens->term, tokens->size),
          .glued = tokens->glued,
          .number = (uint32_t)parser->n_seen,
      };
    }
    parser->n_seen++;
  }
  if (tokens->index == 0) return true;
  if (parser->seen)
    parser->units[parser->n_units] = (struct convstore_unit){.negative = negative, .n = tokens->index};
  parser->n_units++;
  return true;
}

/* Marks are marks only where a unit begins: in 27" and say"cheese" they separate, as other punctuation does. */
static bool read_units(struct parser *parser) {
  bool behind_space = true;
  parser->at = parser->n_seen = parser->n_units = 0;
  while (parser->at < parser->size) {
    size_t space = space_at(parser, parser->at);
    if (space > 0) {
      parser->at += space;
      behind_space = true;
      continue;
    }
    bool minus = behind_space && parser->s[parser->at] == '-';
    parser->at += minus;
    size_t quote = quote_at(parser, parser->at);
    size_t first = parser->at += quote;
    while (parser->at < parser->size &&
           (quote ? !quote_at(parser, parser->at) : !space_at(parser, parser->at)))
      parser->at++;
    if (!read_unit(parser, first, parser->at, minus, quote > 0)) return false;
    if (quote) parser->at += quote_at(parser, parser->at);
    behind_space = false;
  }
  return true;
}

/* ---- terms ---- */

static int compare_seen(const void *a, const void *b) {
  const struct seen *x = a, *y = b;
  return convstore__term_order(x->bucket, x->data, x->size, y->bucket, y->data, y->size);
}

/* Fills in the query's terms and, in `tokens`, what the units' tokens are. */
static bool number_terms(struct convstore_query *query, uint32_t *tokens, const struct parser *parser) {
  struct seen *seen = parser->seen;
  qsort(seen, parser->n_seen, sizeof *seen, compare_seen);
  query->terms = convstore__arena_alloc(parser->arena, parser->n_seen * sizeof *query->terms);
  if (!query->terms) return false;
  for (size_t i = 0; i < parser->n_seen; i++) {
    if (i == 0 || compare_seen(&seen[i - 1], &seen[i]) != 0)
      query->terms[query->n_terms++] =
          (struct convstore_query_term){seen[i].data, seen[i].size, seen[i].bucket};
    tokens[seen[i].number] = (uint32_t)(query->n_terms - 1) * 2 + seen[i].glued;
  }
  return true;
}

uint32_t convstore__query_find(const struct convstore_query *query, const char *term, size_t size) {
  unsigned bucket = convstore__term_bucket(term, size);
  size_t low = 0, high = query->n_terms;
  while (low < high) {
    size_t middle = (low + high) / 2;
    const struct convstore_query_term *other = &query->terms[middle];
    int order = convstore__term_order(bucket, term, size, other->bucket, other->data, other->size);
    if (order == 0) return (uint32_t)middle;
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return UINT32_MAX;
}

/* ---- units ---- */

static int compare_content(const struct convstore_unit *x, const struct convstore_unit *y) {
  if (x->negative != y->negative) return x->negative ? 1 : -1;
  if (x->n != y->n) return x->n < y->n ? -1 : 1;
  return memcmp(x->tokens, y->tokens, x->n * sizeof *x->tokens);
}

/* Equal ones in the order of the text: their tokens lie in one block. */
static int compare_units(const void *a, const void *b) {
  const struct convstore_unit *x = a, *y = b;
  int order = compare_content(x, y);
  if (order != 0) return order;
  return x->tokens < y->tokens ? -1 : x->tokens > y->tokens;
}

static int compare_order(const void *a, const void *b) {
  const struct convstore_unit *x = a, *y = b;
  if (x->negative != y->negative) return x->negative ? 1 : -1;
  return x->tokens < y->tokens ? -1 : x->tokens > y->tokens;
}

static void drop_doubles(struct convstore_query *query) {
  struct convstore_unit *units = query->units;
  size_t n = 0;
  qsort(units, query->n_units, sizeof *units, compare_units);
  for (size_t i = 0; i < query->n_units; i++)
    if (n == 0 || compare_content(&units[n - 1], &units[i]) != 0) units[n++] = units[i];
  qsort(units, n, sizeof *units, compare_order);
  query->n_units = n;
  while (query->n_positive < n && !units[query->n_positive].negative) query->n_positive++;
}

/* Token `i` of the unit against one of a text. What stands before the first one does not matter. */
static bool is_token(const struct convstore_unit *unit, size_t i, uint32_t token) {
  return i == 0 ? unit->tokens[0] >> 1 == token >> 1 : unit->tokens[i] == token;
}

/* How many tokens match after one that is `token`, where `matched` < n did before it. */
static size_t advance(const struct convstore_unit *unit, const uint32_t *fallback, size_t matched,
                      uint32_t token) {
  while (matched > 0 && !is_token(unit, matched, token)) matched = fallback[matched];
  return matched + is_token(unit, matched, token);
}

size_t convstore__unit_advance(const struct convstore_unit *unit, size_t matched, uint32_t term, bool glued) {
  if (matched == unit->n) matched = unit->fallback[matched];
  return advance(unit, unit->fallback, matched, term * 2 + glued);
}

static int compare_numbers(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* fallback[i]: how many of its first tokens the unit's tokens 0 ... i - 1 end with, fewer than i. */
static bool prepare_unit(struct convstore_unit *unit, struct convstore_arena *arena) {
  uint32_t *fallback = convstore__arena_alloc(arena, (unit->n + 1) * sizeof *fallback);
  uint32_t *terms = convstore__arena_alloc(arena, unit->n * sizeof *terms);
  if (!fallback || !terms) return false;
  fallback[0] = 0;
  fallback[1] = 0;
  for (size_t i = 1; i < unit->n; i++)
    fallback[i + 1] = (uint32_t)advance(unit, fallback, fallback[i], unit->tokens[i]);
  unit->fallback = fallback;

  for (size_t i = 0; i < unit->n; i++) terms[i] = unit->tokens[i] >> 1;
  qsort(terms, unit->n, sizeof *terms, compare_numbers);
  for (size_t i = 0; i < unit->n; i++)
    if (unit->n_terms == 0 || terms[unit->n_terms - 1] != terms[i]) terms[unit->n_terms++] = terms[i];
  unit->terms = terms;
  return true;
}

int convstore__query_parse(struct convstore_query *out, convstore_text text, struct convstore_arena *arena,
                           convstore_error *err) {
  struct convstore_query query = {0};
  struct parser parser = {.arena = arena, .s = text.data, .size = text.data ? text.size : 0};
  read_units(&parser);
  if (parser.n_units > 0) {
    parser.seen = convstore__arena_alloc(arena, parser.n_seen * sizeof *parser.seen);
    parser.units = convstore__arena_alloc(arena, parser.n_units * sizeof *parser.units);
    uint32_t *tokens = convstore__arena_alloc(arena, parser.n_seen * sizeof *tokens);
    if (!parser.seen || !parser.units || !tokens || !read_units(&parser) ||
        !number_terms(&query, tokens, &parser))
      return no_memory(err);
    query.units = parser.units;
    query.n_units = parser.n_units;
    for (size_t i = 0; i < query.n_units; tokens += query.units[i++].n) query.units[i].tokens = tokens;
    drop_doubles(&query);
    for (size_t i = 0; i < query.n_units; i++) {
      if (!prepare_unit(&query.units[i], arena)) return no_memory(err);
      if (query.units[i].n > query.longest) query.longest = query.units[i].n;
    }
  }
  *out = query;
  return CONVSTORE_OK;
}
