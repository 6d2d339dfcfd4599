/*
 * Whether a stored segment of the search index is whole, judged by what it says of itself. Knows no texts: a message's
 * number of tokens stands in the list of messages, and each of its tokens has one place in the postings, so postings
 * that were lost or changed show without the message being read. Knows no queries and no database.
 */
#ifndef CONVSTORE_CORE_SEGMENT_CHECK_H
#define CONVSTORE_CORE_SEGMENT_CHECK_H

#include "problems.h"
#include "segment_reader.h"

/* Zeroed to begin with, and then used again for one segment after the other. */
struct convstore_segment_check {
  struct convstore_segment_messages messages;
  uint64_t *places; /* of each message, as far as postings were seen */
  size_t room;
  size_t n_runs; /* rows of runs that agree with the list of messages */
  size_t next_run;
  char wrong[128]; /* what is wrong with the segment, the first thing found; "": nothing */
};

/* Begins a segment whose row counts n_messages. What grows comes from `arena`. E_MEMORY. */
int convstore__segment_check_start(struct convstore_segment_check *check, int64_t n_messages,
                                   convstore_text messages, struct convstore_arena *arena,
                                   convstore_error *err);

/* A row of the runs that name the segment, in whatever order. */
void convstore__segment_check_run(struct convstore_segment_check *check, const char *conversation_id,
                                  int64_t first_seq, int64_t last_seq);

/* A row of its postings, in whatever order. */
void convstore__segment_check_postings(struct convstore_segment_check *check, int64_t bucket,
                                       convstore_text postings);

/* Behind the last of both: whether the segment is whole; check->wrong says what is wrong with it. */
bool convstore__segment_check_end(struct convstore_segment_check *check);

/* Adds what is wrong with a segment to the problems of a check; see convstore__problem_add(). */
int convstore__segment_check_tell(const struct convstore_segment_check *check, convstore_text user_id,
                                  const char *conversation_id, int64_t segment_id, size_t *capacity,
                                  struct convstore_call *call);

#endif
