/*
 * Which messages of a segment hold the units of a query. Knows no ranking and no database. Its memory is used again
 * for each segment.
 */
#ifndef CONVSTORE_CORE_MATCH_H
#define CONVSTORE_CORE_MATCH_H

#include "query.h"
#include "segment_reader.h"

/* A place of one of a phrase's terms in the message at hand. */
struct convstore_match_place {
  uint32_t place;
  uint32_t left; /* how many more places the term has */
  uint32_t term;
  const unsigned char *places;
};

struct convstore_match {
  const struct convstore_query *query;
  struct convstore_segment_messages messages;
  struct convstore_message_cursor *found;   /* each term's start; where it is not there, its end as well */
  struct convstore_message_cursor *cursors; /* of a unit */
  struct convstore_match_place *heap;
};

int convstore__match_start(struct convstore_match *out, const struct convstore_query *query,
                           struct convstore_arena *arena, convstore_error *err);

/* Reads a segment's messages and finds the query's terms in its postings, whose blobs must stay until the next
 * segment. E_CORRUPT, E_MEMORY. */
int convstore__match_segment(struct convstore_match *match, const void *messages, size_t messages_size,
                             const struct convstore_postings *postings, size_t n_postings,
                             struct convstore_arena *arena, convstore_error *err);

/* Whether all of a unit's terms are in the segment: if not, the unit is nowhere in it. */
bool convstore__match_may(const struct convstore_match *match, const struct convstore_unit *unit);

/*
 * counts[i]: how often the unit occurs in message i, up to UINT16_MAX; all of them zero at first. *n: how many messages
 * have it. Phrases are not looked for in messages where `alive` is 0, unless that is NULL; `loosely`, they are taken to
 * occur once where all their terms do. E_CORRUPT.
 */
int convstore__match_unit(size_t *n, uint16_t *counts, const struct convstore_match *match,
                          const struct convstore_unit *unit, const uint8_t *alive, bool loosely,
                          convstore_error *err);

#endif
