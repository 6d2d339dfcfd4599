/*
 * What somebody searches for: a text to units. Knows tokens, no messages and no index.
 *
 * Every text is a valid query. Units stand between white space; "..." is a phrase, whose closing mark may be
 * missing; a `-` directly before a word or phrase excludes it. A unit of several tokens, such as user@example.com,
 * is a phrase as well.
 */
#ifndef CONVSTORE_CORE_QUERY_H
#define CONVSTORE_CORE_QUERY_H

#include "arena.h"

struct convstore_query_term {
  const char *data;
  size_t size;
  unsigned bucket;
};

/* Tokens that must follow each other. */
struct convstore_unit {
  bool negative;
  size_t n; /* of its tokens */
  const uint32_t
      *tokens; /* 2 * the term's number + 1 where the token is glued to the one before; not the first */
  const uint32_t *fallback; /* see convstore__unit_advance */
  size_t n_terms;           /* without doubles */
  const uint32_t *terms;    /* their numbers */
};

struct convstore_query {
  struct convstore_unit *units; /* without doubles; the positive ones first, as they stand in the text */
  size_t n_units, n_positive;
  struct convstore_query_term *terms; /* without doubles, in the order of convstore__term_order */
  size_t n_terms;
  size_t longest; /* tokens of the longest unit */
};

/* All of *out comes from `arena`; nothing is kept of `text`, which is UTF-8. Linear time, but for sorting.
 * E_MEMORY. */
int convstore__query_parse(struct convstore_query *out, convstore_text text, struct convstore_arena *arena,
                           convstore_error *err);

/*
 * How many tokens of the unit end with this one (Knuth, Morris and Pratt), if `matched` of them ended with the one
 * before it in the text; 0 for that begins anew. The unit occurs where the answer is unit->n; the next call takes
 * that as well.
 */
size_t convstore__unit_advance(const struct convstore_unit *unit, size_t matched, uint32_t term, bool glued);

/* The number of a term, or UINT32_MAX. */
uint32_t convstore__query_find(const struct convstore_query *query, const char *term, size_t size);

#endif
