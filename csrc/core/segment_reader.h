/*
 * Reading the blobs of a segment (see segment.h). Knows no queries. Nothing is believed: a blob comes from a file
 * that may be damaged, so every number is checked before it is used, and E_CORRUPT says that one was wrong.
 */
#ifndef CONVSTORE_CORE_SEGMENT_READER_H
#define CONVSTORE_CORE_SEGMENT_READER_H

#include "segment.h"

struct convstore_segment_run {
  unsigned char id[16];
  int64_t first_seq;
  size_t first; /* number of its first message in the segment */
};

/* The messages of a segment; zeroed to begin with, and then used again for the next segment. */
struct convstore_segment_messages {
  size_t n;
  size_t n_with_tokens;
  uint32_t *n_tokens;
  uint8_t *roles;
  int64_t *created_at_ms;
  struct convstore_segment_run *runs; /* of n_runs, ascending in `first` */
  size_t n_runs;
  size_t room, room_runs;
};

/* E_CORRUPT, E_MEMORY */
int convstore__read_messages(struct convstore_segment_messages *out, const void *data, size_t size,
                             struct convstore_arena *arena, convstore_error *err);

/* The terms of a postings blob, one after the other. Starts at `data`, NULL for none. */
struct convstore_term_cursor {
  const unsigned char *at, *end;
  const char *term;
  size_t size;
  const unsigned char *postings, *postings_end; /* of this term */
};

int convstore__term_cursor_start(struct convstore_term_cursor *cursor, const void *data, size_t size,
                                 convstore_error *err);
/* Goes to the next term; *found tells whether there is one. */
int convstore__term_cursor_next(bool *found, struct convstore_term_cursor *cursor, convstore_error *err);

/* The messages that a term occurs in. Started by setting at and end, and next_message to 0. */
struct convstore_message_cursor {
  const unsigned char *at, *end;
  size_t next_message;         /* one more than the last one */
  size_t message;              /* SIZE_MAX: there are no more */
  uint32_t n;                  /* how often it occurs there */
  const unsigned char *places; /* for convstore__next_place(), n times */
};

/* Goes to the next message, which is less than n_messages. */
int convstore__message_cursor_next(struct convstore_message_cursor *cursor, size_t n_messages,
                                   convstore_error *err);

/* The difference to the next place; its bytes have been checked by convstore__message_cursor_next(). */
uint32_t convstore__next_place(const unsigned char **places);

#endif
