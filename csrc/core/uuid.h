/* Ids made in numbers, and as bytes where space matters more than a reader. Knows no fields. */
#ifndef CONVSTORE_CORE_UUID_H
#define CONVSTORE_CORE_UUID_H

#include "../convstore.h"

enum {
  CONVSTORE_ID_BYTES = 16,
  CONVSTORE_ID_NOISE = 10, /* random bytes of an id: eight for itself, two for the counter's start */
  CONVSTORE_NOISE_IDS = 25 /* the kernel gives up to 256 bytes at once, whole or not at all */
};

/* Random bytes for the ids of one call, on its stack. They must not outlive it: a fork would share them. */
struct convstore_noise {
  size_t n_ids;  /* how many more will be wanted, at least 1 */
  size_t n_left; /* for how many there are bytes; 0 at first */
  unsigned char bytes[CONVSTORE_NOISE_IDS * CONVSTORE_ID_NOISE];
};

/* convstore_uuid() with the bytes of a call. E_INTERNAL where the system gives none. */
int convstore__uuid(char out[CONVSTORE_ID_SIZE], struct convstore_noise *noise, convstore_error *err);

/* The bytes of an id that was checked: lower-case hex digits with dashes. Of other 36 characters some bytes. */
void convstore__id_pack(unsigned char out[CONVSTORE_ID_BYTES], const char id[CONVSTORE_ID_SIZE]);

/* And back. */
void convstore__id_unpack(char out[CONVSTORE_ID_SIZE], const unsigned char bytes[CONVSTORE_ID_BYTES]);

#endif
