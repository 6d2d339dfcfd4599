/*
 * One search: what matches, how good it is, in which order it comes. Knows segments' blobs and the request, no
 * database: both backends feed it, and so give the same hits. Messages that are not indexed yet are built into a
 * segment in memory and added as that.
 *
 * A message matches if each positive unit of the query occurs in it and no negative one does; without a positive
 * unit nothing is found. Its score is
 *
 *   recency * sum over units of weight * n / (n + 1.2 * (0.25 + 0.75 * tokens / 64))
 *
 * n: how often the unit occurs in it (65,535 at most), tokens: how many the message has; weight = round(16 * ln(1 +
 * (N - df + 0.5) / (df + 0.5))), at least 1 and at most 255; N: the messages with any token that were searched,
 * before filters; df: those of them with the unit; recency = 0.5 + 0.5 * 2^(-age / 30 days). Only the first 32
 * positive units weigh; later ones filter. After 256 phrases among the later units, a phrase is taken
 * to occur where all its terms do: a text of thousands of phrases must not keep a processor busy.
 *
 * Scores are integers, a million times this, so that a page begins exactly where the one before it ended; with the
 * same end the first page fixes the weights and the time that ages count from, and the cursor carries them.
 */
#ifndef CONVSTORE_CORE_SEARCH_H
#define CONVSTORE_CORE_SEARCH_H

#include "backend.h"
#include "segment.h"

struct convstore_search;

struct convstore_candidate {
  char conversation_id[CONVSTORE_ID_SIZE];
  int64_t seq;
  int64_t score; /* times a million */
  int64_t created_at_ms;
};

/* Begins the search that call->request asks for, in the result's arena. The call must stay. E_MEMORY. */
int convstore__search_start(struct convstore_search **out, struct convstore_call *call);

/* Nothing can be found: there is no positive unit. */
bool convstore__search_is_empty(const struct convstore_search *search);

/* The buckets of all units' terms, ascending, without doubles. How many. */
size_t convstore__search_buckets(const struct convstore_search *search, const int64_t **out);

/*
 * Searches a segment: its messages, and its postings in the search's buckets; others are ignored, missing ones
 * empty. Nothing is kept of the blobs. E_CORRUPT: a blob is damaged; E_MEMORY.
 */
int convstore__search_add(struct convstore_search *search, const void *messages, size_t messages_size,
                          const struct convstore_postings *postings, size_t n_postings, convstore_error *err);

/* After the last segment: scores what was found and puts it in order. E_MEMORY. */
int convstore__search_rank(struct convstore_search *search, convstore_error *err);

/* What was found and is behind the request's position: score, created_at, conversation_id, seq, all descending. How
 * many. */
size_t convstore__search_candidates(const struct convstore_search *search,
                                    const struct convstore_candidate **out);

/* Fills in the snippet and the score of a candidate's message, from the result's arena; the title is the backend's.
 * E_MEMORY. */
int convstore__search_hit(convstore_hit *out, const struct convstore_search *search,
                          const struct convstore_candidate *candidate, const convstore_message *message,
                          convstore_error *err);

/* The position behind a candidate, for the next page's cursor. */
void convstore__search_position(convstore_position *out, const struct convstore_search *search,
                                const struct convstore_candidate *candidate);

#endif
