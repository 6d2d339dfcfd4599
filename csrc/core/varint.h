/*
 * Numbers in blobs: LEB128, seven bits a byte, the lowest first, the high bit on all but the last; signed ones
 * zigzag. Knows no format. Reading is bounds-checked, since a blob comes from a file that may be damaged.
 */
#ifndef CONVSTORE_CORE_VARINT_H
#define CONVSTORE_CORE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CONVSTORE_VARINT_SIZE = 10 /* bytes of the longest */
};

/* Writes up to CONVSTORE_VARINT_SIZE bytes; how many. */
static inline size_t convstore__put_varint(unsigned char *to, uint64_t value) {
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) to[n++] = (unsigned char)(value | 0x80);
  to[n++] = (unsigned char)value;
  return n;
}

/* Reads one and moves *at behind it. False: it does not end before `end`, or is beyond 64 bits. */
static inline bool convstore__get_varint(uint64_t *out, const unsigned char **at, const unsigned char *end) {
  uint64_t value = 0;
  for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
    unsigned char byte = *(*at)++;
    if (shift == 63 && byte > 1) return false;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *out = value;
      return true;
    }
  }
  return false;
}

/* The same for one that must be at most `max`. */
static inline bool convstore__get_varint_to(uint64_t *out, uint64_t max, const unsigned char **at,
                                            const unsigned char *end) {
  return convstore__get_varint(out, at, end) && *out <= max;
}

static inline uint64_t convstore__zigzag(uint64_t value) {
  return value << 1 ^ (value >> 63 ? UINT64_MAX : 0);
}

static inline uint64_t convstore__unzigzag(uint64_t value) {
  return value >> 1 ^ (value & 1 ? UINT64_MAX : 0);
}

#endif
