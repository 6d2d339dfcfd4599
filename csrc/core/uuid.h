/* Ids as bytes, where space matters more than a reader. Knows no fields and no errors. */
#ifndef CONVSTORE_CORE_UUID_H
#define CONVSTORE_CORE_UUID_H

#include "../convstore.h"

enum {
  CONVSTORE_ID_BYTES = 16
};

/* The bytes of an id that was checked: lower-case hex digits with dashes. Of other 36 characters some bytes. */
void convstore__id_pack(unsigned char out[CONVSTORE_ID_BYTES], const char id[CONVSTORE_ID_SIZE]);

/* And back. */
void convstore__id_unpack(char out[CONVSTORE_ID_SIZE], const unsigned char bytes[CONVSTORE_ID_BYTES]);

#endif
