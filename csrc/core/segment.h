/*
 * A segment of the search index: some hundred messages of one user, of one or many conversations, and where each
 * term occurs in them. Knows tokens, no queries, no ranking and no database.
 *
 * It is built in memory, stored as blobs, and read a bucket at a time: a search reads the `messages` blob and the
 * few buckets that its terms fall into. A segment is never changed; it is made anew.
 *
 * Numbers are the varints of core/varint.h. Messages are counted from 0 in the order in which they were added. A
 * token's place is 2 * its index in the text (1, 2, 3 ...) + 1 where nothing separates it from the token before.
 *
 *   messages:  byte 1 (the version); number of messages; number of runs;
 *              each run: 16 bytes conversation id, first seq, number of messages less 1;
 *              each message: 8 * its number of tokens + role; created_at, zigzag, less that of the message before.
 *   postings:  byte 1 (the version); each term, in the order of their bytes: byte size of the term, the term,
 *              size of what follows; for each message with it: 2 * (its number, less that of the one before, less 1)
 *              + 1 if it occurs more than once, and then how often, less 2; its places, each less the one before.
 *
 * A term's bucket is FNV-1a (32 bits) of its bytes, its halves xored, modulo CONVSTORE_BUCKETS.
 */
#ifndef CONVSTORE_CORE_SEGMENT_H
#define CONVSTORE_CORE_SEGMENT_H

#include "arena.h"

#define CONVSTORE_BUCKETS 128
#define CONVSTORE_SEGMENT_VERSION 1

struct convstore_postings {
  int bucket;
  const void *data;
  size_t size;
};

/* Consecutive messages of a conversation. */
struct convstore_run {
  char conversation_id[CONVSTORE_ID_SIZE];
  int64_t first_seq, last_seq;
};

/* What was built; all of it is the builder's arena's. */
struct convstore_segment {
  struct convstore_run *runs; /* in the order in which they were added */
  size_t n_runs;
  size_t n_messages;
  const void *messages;
  size_t messages_size;
  struct convstore_postings *postings; /* ascending buckets, only those that are not empty */
  size_t n_postings;
};

struct convstore_segment_builder;

/* All that is built comes from `arena`. E_MEMORY, as the next two. */
int convstore__segment_start(struct convstore_segment_builder **out, struct convstore_arena *arena,
                             convstore_error *err);

/*
 * Adds a message. Conversations come in any order, seqs of one ascending; consecutive ones form a run. A message
 * without text (content and parts absent, as of a redacted one) is counted and has no terms. Texts are read during
 * the call only. A builder that has failed is only good for being dropped with its arena.
 */
int convstore__segment_add(struct convstore_segment_builder *builder, const char *conversation_id,
                           int64_t seq, convstore_role role, int64_t created_at_ms, convstore_text content,
                           convstore_text parts, convstore_error *err);

/* Once, after the last message. */
int convstore__segment_finish(struct convstore_segment *out, struct convstore_segment_builder *builder,
                              convstore_error *err);

/* Which bucket holds a term. */
unsigned convstore__term_bucket(const char *term, size_t size);

/* By bucket, then by bytes: the order of terms in a segment. */
int convstore__term_order(unsigned bucket_a, const char *a, size_t size_a, unsigned bucket_b, const char *b,
                          size_t size_b);

#endif
