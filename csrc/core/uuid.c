/*
 * Ids: UUIDs of version 7 (RFC 9562), made here, and those that callers bring.
 *
 * Layout: 48 bits of milliseconds, 12 bits of counter (RFC 9562 section 6.2, method 1), 62 random bits. The
 * first 60 bits only grow within a process. Random bits come from the kernel for each call: a pool that lives
 * longer would be shared by the two sides of a fork.
 */
#include "uuid.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"

enum {
  COUNTER_BITS = 12
};

static const int64_t max_ms = (INT64_C(1) << 48) - 1;

/* The milliseconds and counter of the last id. */
static _Atomic uint64_t last;

static int random_bytes(void *out, size_t size, convstore_error *err) {
  size_t n = 0;
  while (n < size) {
    ssize_t got = getrandom((unsigned char *)out + n, size - n, 0);
    if (got > 0)
      n += (size_t)got;
    else if (got == 0 || errno != EINTR)
      return convstore_fail(err, CONVSTORE_E_INTERNAL, "the system gives no random bytes for an id: %s",
                            got == 0 ? "it returned none" : strerror(errno));
  }
  return CONVSTORE_OK;
}

/*
 * The milliseconds and counter of a new id, above all before it. In a new millisecond the counter starts at
 * `seed`, in its lower half, so that at least 2,048 more fit; where they do not, or the clock went back, it
 * runs on into the milliseconds.
 */
static uint64_t next_time(int64_t now_ms, uint64_t seed) {
  uint64_t now = now_ms < 0 ? 0 : (uint64_t)(now_ms > max_ms ? max_ms : now_ms);
  uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);
  uint64_t next;
  do next = now > before >> COUNTER_BITS ? now << COUNTER_BITS | seed : before + 1;
  while (!atomic_compare_exchange_weak_explicit(&last, &before, next, memory_order_relaxed,
                                                memory_order_relaxed));
  return next;
}

static unsigned hex_value(char digit) {
  return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

void convstore__id_pack(unsigned char out[CONVSTORE_ID_BYTES], const char id[CONVSTORE_ID_SIZE]) {
  for (int i = 0; i < CONVSTORE_ID_BYTES; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id++; /* the dash */
    out[i] = (unsigned char)(hex_value(id[0]) << 4 | hex_value(id[1]));
    id += 2;
  }
}

void convstore__id_unpack(char out[CONVSTORE_ID_SIZE], const unsigned char bytes[CONVSTORE_ID_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  char *to = out;
  for (int i = 0; i < CONVSTORE_ID_BYTES; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = digits[bytes[i] >> 4];
    *to++ = digits[bytes[i] & 15];
  }
  *to = '\0';
}

int convstore__uuid(char out[CONVSTORE_ID_SIZE], struct convstore_noise *noise, convstore_error *err) {
  if (noise->n_left == 0) {
    size_t n = noise->n_ids < CONVSTORE_NOISE_IDS ? noise->n_ids : CONVSTORE_NOISE_IDS;
    int status = random_bytes(noise->bytes, n * CONVSTORE_ID_NOISE, err);
    if (status != CONVSTORE_OK) return status;
    noise->n_ids -= n;
    noise->n_left = n;
  }
  const unsigned char *random = noise->bytes + --noise->n_left * CONVSTORE_ID_NOISE;
  uint64_t seed = ((uint64_t)random[8] << 8 | random[9]) & ((1U << (COUNTER_BITS - 1)) - 1);
  uint64_t time = next_time(convstore__wall_ms(), seed);

  unsigned char bytes[16];
  for (int i = 0; i < 6; i++) bytes[i] = (unsigned char)(time >> (52 - 8 * i));
  bytes[6] = (unsigned char)(0x70 | (time >> 8 & 0x0F)); /* version 7, the counter's upper bits */
  bytes[7] = (unsigned char)time;
  memcpy(bytes + 8, random, 8);
  bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3F)); /* variant 10 */
  convstore__id_unpack(out, bytes);
  return CONVSTORE_OK;
}

int convstore_uuid(char out[CONVSTORE_ID_SIZE], convstore_error *err) {
  struct convstore_noise noise = {.n_ids = 1};
  return convstore__uuid(out, &noise, err);
}

int convstore_id_set(char out[CONVSTORE_ID_SIZE], convstore_text id, const char *field,
                     convstore_error *err) {
  bool good = id.data && id.size == CONVSTORE_ID_SIZE - 1;
  for (size_t i = 0; good && i < id.size; i++) {
    char c = id.data[i];
    if (i == 8 || i == 13 || i == 18 || i == 23)
      good = c == '-';
    else
      good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  }
  if (!good)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "%s must be a UUID: 36 characters, lower-case hex digits with dashes", field);
  memcpy(out, id.data, id.size);
  out[id.size] = '\0';
  return CONVSTORE_OK;
}
