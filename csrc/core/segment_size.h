/*
 * How much of what is not indexed makes a segment of the search index. The same for all databases.
 *
 * Searches read up to MIN as it is, each time: a segment costs some 130 rows whatever its size, so small ones are not
 * worth it. From MIN on the search that finds so much writes it, in parts of at most MAX, each a short transaction of
 * its own (some 15 ms of work), so a call that is killed or runs out of time loses at most one part.
 */
#ifndef CONVSTORE_CORE_SEGMENT_SIZE_H
#define CONVSTORE_CORE_SEGMENT_SIZE_H

#include <stdbool.h>
#include <stddef.h>

enum {
  CONVSTORE_SEGMENT_MIN = 256, /* messages, or conversations that were looked at in vain */
  CONVSTORE_SEGMENT_MAX = 512,
  CONVSTORE_SEGMENT_MIN_BYTES = 262144, /* of texts */
  CONVSTORE_SEGMENT_MAX_BYTES = 1048576
};

static inline bool convstore__is_worth_a_segment(size_t n_messages, size_t n_conversations, size_t n_bytes) {
  return n_messages >= CONVSTORE_SEGMENT_MIN || n_conversations >= CONVSTORE_SEGMENT_MIN ||
         n_bytes >= CONVSTORE_SEGMENT_MIN_BYTES;
}

#endif
