/*
 * See cursor.h. The form: a byte of version, one of the operation, the position's fields that the operation uses, and
 * a SipHash of 64 bits, all in base64url without padding. Integers are big-endian. It stays as it is from version to
 * version and from process to process: a program may keep a cursor in a button or a link.
 */
#include "cursor.h"

#include <string.h>

#include "arena.h"
#include "uuid.h"

enum {
  VERSION = 1,
  HEAD = 2,
  TAG = 8,
  MOST_BYTES = HEAD + CONVSTORE_MAX_USER_ID + TAG
};

_Static_assert(MOST_BYTES >= HEAD + 5 * 8 + 2 * CONVSTORE_ID_BYTES + 1 + 32 + TAG,
               "the position of a search is no longer than the longest user id");

_Static_assert(sizeof((convstore_position){0}.weights) == 32, "a cursor has room for all weights");

/* What times and seqs may be: exact in a double, and in microseconds still 64 bits. */
static const int64_t max_number = INT64_C(1) << 53;

static void put_be(unsigned char *out, uint64_t value) {
  for (int i = 7; i >= 0; i--) {
    out[i] = (unsigned char)value;
    value >>= 8;
  }
}

static uint64_t get_be(const unsigned char *in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | in[i];
  return value;
}

/* ---- SipHash-2-4, by Aumasson and Bernstein; eprint.iacr.org/2012/351 ------------------------------------------- */

struct sip {
  uint64_t v[4];
  uint64_t word; /* bytes that do not fill one yet, the first lowest */
  size_t size;
};

static uint64_t rotate(uint64_t value, int bits) {
  return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int n) {
  while (n-- > 0) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
  }
}

static struct sip sip_start(uint64_t k0, uint64_t k1) {
  return (struct sip){.v = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                            k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)}};
}

static void sip_word(struct sip *sip) {
  sip->v[3] ^= sip->word;
  sip_rounds(sip->v, 2);
  sip->v[0] ^= sip->word;
  sip->word = 0;
}

static void sip_add(struct sip *sip, const void *data, size_t size) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < size; i++) {
    sip->word |= (uint64_t)bytes[i] << 8 * (sip->size & 7);
    if ((++sip->size & 7) == 0) sip_word(sip);
  }
}

static uint64_t sip_end(struct sip *sip) {
  sip->word |= (uint64_t)sip->size << 56;
  sip_word(sip);
  sip->v[2] ^= 0xff;
  sip_rounds(sip->v, 4);
  return sip->v[0] ^ sip->v[1] ^ sip->v[2] ^ sip->v[3];
}

static void sip_add_integer(struct sip *sip, int64_t value) {
  unsigned char bytes[8];
  put_be(bytes, (uint64_t)value);
  sip_add(sip, bytes, sizeof bytes);
}

/* With its length ahead, so that no two rows of texts look alike; an absent one is not the empty one. */
static void sip_add_text(struct sip *sip, convstore_text text) {
  sip_add_integer(sip, text.data == NULL ? -1 : (int64_t)text.size);
  if (text.data != NULL) sip_add(sip, text.data, text.size);
}

/* ---- what is signed --------------------------------------------------------------------------------------------- */

/* The hash of a cursor's bytes, the user, and all options that choose rows or their order. */
static uint64_t sign(const convstore_request *request, const unsigned char *bytes, size_t size) {
  const char *id = request->conversation_id;
  struct sip sip = sip_start(UINT64_C(0x636f6e7673746f72), UINT64_C(0x1d8e4e27c47d124f));
  sip_add(&sip, bytes, size);
  sip_add_text(&sip, request->user_id);
  sip_add_integer(&sip, request->operation);
  sip_add_integer(&sip, request->roles);
  sip_add_integer(&sip, request->since_ms);
  sip_add_integer(&sip, request->before_ms);
  sip_add_text(&sip, (convstore_text){id, strnlen(id, CONVSTORE_ID_SIZE)});
  sip_add_text(&sip, request->text);
  sip_add_integer(&sip, request->mark_only ? (int64_t)request->mark : -1);
  sip_add_integer(&sip, request->deleted_filter);
  sip_add_integer(&sip, request->by_created);
  return sip_end(&sip);
}

/* ---- base64url, RFC 4648 section 5 ------------------------------------------------------------------------------ */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(char *out, const unsigned char *bytes, size_t size) {
  char *to = out;
  uint32_t bits = 0;
  int n_bits = 0;
  for (size_t i = 0; i < size; i++) {
    bits = bits << 8 | bytes[i];
    for (n_bits += 8; n_bits >= 6; n_bits -= 6) *to++ = digits[bits >> (n_bits - 6) & 63];
  }
  if (n_bits > 0) *to++ = digits[bits << (6 - n_bits) & 63];
  *to = '\0';
  return (size_t)(to - out);
}

/* False: it is not what encode() makes of any bytes, or too long. */
static bool decode(unsigned char out[MOST_BYTES], size_t *size, convstore_text text) {
  uint32_t bits = 0;
  int n_bits = 0;
  *size = 0;
  for (size_t i = 0; i < text.size; i++) {
    const char *digit = text.data[i] == '\0' ? NULL : strchr(digits, text.data[i]);
    if (digit == NULL) return false;
    bits = bits << 6 | (uint32_t)(digit - digits);
    n_bits += 6;
    if (n_bits < 8) continue;
    if (*size == MOST_BYTES) return false;
    n_bits -= 8;
    out[(*size)++] = (unsigned char)(bits >> n_bits);
  }
  return n_bits < 6 && (bits & ((1U << n_bits) - 1)) == 0;
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static unsigned char *put_integer(unsigned char *to, int64_t value) {
  put_be(to, (uint64_t)value);
  return to + 8;
}

static unsigned char *put_id(unsigned char *to, const char id[CONVSTORE_ID_SIZE]) {
  convstore__id_pack(to, id);
  return to + CONVSTORE_ID_BYTES;
}

/* Returns how many bytes it wrote. */
static size_t put_position(unsigned char *out, convstore_operation operation,
                           const convstore_position *position) {
  unsigned char *to = out;
  if (operation == CONVSTORE_USERS) { /* it ends where the cursor does */
    memcpy(out, position->user_id, position->n_user_id);
    return position->n_user_id;
  }
  if (operation == CONVSTORE_SEARCH) to = put_integer(to, position->score);
  to = put_integer(to, position->time_ms);
  if (operation != CONVSTORE_SEARCH) to = put_id(to, position->id);
  if (operation != CONVSTORE_LIST) to = put_id(to, position->conversation_id);
  if (operation == CONVSTORE_SEARCH) {
    to = put_integer(to, position->seq);
    to = put_integer(to, position->now_ms);
    *to++ = (unsigned char)position->n_weights;
    memcpy(to, position->weights, position->n_weights);
    to += position->n_weights;
  }
  return (size_t)(to - out);
}

/* Bytes on their way into a position; `at` is NULL once they did not suffice. */
struct reader {
  const unsigned char *at;
  size_t left;
};

static const unsigned char *take(struct reader *reader, size_t size) {
  const unsigned char *at = reader->at;
  if (at == NULL || reader->left < size) {
    reader->at = NULL;
    return NULL;
  }
  reader->at += size;
  reader->left -= size;
  return at;
}

static int64_t take_integer(struct reader *reader) {
  const unsigned char *bytes = take(reader, 8);
  return bytes != NULL ? (int64_t)get_be(bytes) : 0;
}

static void take_id(char out[CONVSTORE_ID_SIZE], struct reader *reader) {
  const unsigned char *bytes = take(reader, CONVSTORE_ID_BYTES);
  if (bytes != NULL) convstore__id_unpack(out, bytes);
}

static bool is_number(int64_t value) {
  return value >= 0 && value <= max_number;
}

/* False: these are no fields of such a cursor. */
static bool get_position(convstore_position *out, convstore_operation operation, const unsigned char *bytes,
                         size_t size) {
  struct reader reader = {bytes, size};
  if (operation == CONVSTORE_USERS) {
    if (size < 1 || size > sizeof out->user_id) return false;
    memcpy(out->user_id, bytes, size);
    out->n_user_id = size;
    out->set = true;
    return true;
  }
  if (operation == CONVSTORE_SEARCH) out->score = take_integer(&reader);
  out->time_ms = take_integer(&reader);
  if (operation != CONVSTORE_SEARCH) take_id(out->id, &reader);
  if (operation != CONVSTORE_LIST) take_id(out->conversation_id, &reader);
  if (operation == CONVSTORE_SEARCH) {
    out->seq = take_integer(&reader);
    out->now_ms = take_integer(&reader);
    const unsigned char *n = take(&reader, 1);
    out->n_weights = n != NULL ? *n : 0;
    if (out->n_weights > sizeof out->weights) return false;
    const unsigned char *weights = take(&reader, out->n_weights);
    if (weights != NULL) memcpy(out->weights, weights, out->n_weights);
  }
  out->set = true;
  return reader.at != NULL && reader.left == 0 && is_number(out->time_ms) && is_number(out->seq) &&
         is_number(out->now_ms);
}

/* ---- both ways -------------------------------------------------------------------------------------------------- */

/*
 * The place ahead of all rows. A page of messages has but one upper bound, this: nothing that was created before
 * before_ms is behind it, and nothing else is.
 */
static convstore_position first_position(const convstore_request *request) {
  convstore_position first = {.time_ms =
                                  request->operation == CONVSTORE_MESSAGES ? request->before_ms : max_number};
  if (request->operation == CONVSTORE_SEARCH || request->operation == CONVSTORE_USERS) return first;
  static const unsigned char least[CONVSTORE_ID_BYTES] = {0};
  convstore__id_unpack(first.id, least);
  convstore__id_unpack(first.conversation_id, least);
  return first;
}

int convstore__cursor_read(convstore_request *request, convstore_error *err) {
  unsigned char bytes[MOST_BYTES];
  size_t size;
  convstore_position position = {0};
  if (request->cursor.data == NULL) {
    request->position = first_position(request);
    return CONVSTORE_OK;
  }
  if (!decode(bytes, &size, request->cursor) || size < HEAD + TAG || bytes[0] != VERSION)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "cursor is none that a page came with; start again without a cursor");
  size -= TAG;
  if (get_be(bytes + size) != sign(request, bytes, size) || bytes[1] != request->operation ||
      !get_position(&position, request->operation, bytes + HEAD, size - HEAD))
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "cursor was changed, or belongs to another call, user or other options; give the "
                          "options of the first page with it, or start again without a cursor");
  request->position = position;
  return CONVSTORE_OK;
}

int convstore__cursor_write(convstore_text *out, const convstore_request *request,
                            const convstore_position *position, convstore_result *result,
                            convstore_error *err) {
  unsigned char bytes[MOST_BYTES];
  char text[MOST_BYTES * 4 / 3 + 2];
  bytes[0] = VERSION;
  bytes[1] = (unsigned char)request->operation;
  size_t size = HEAD + put_position(bytes + HEAD, request->operation, position);
  put_be(bytes + size, sign(request, bytes, size));
  size_t n = encode(text, bytes, size + TAG);
  struct convstore_arena *arena = convstore__arena(result);
  const char *copy = arena == NULL ? NULL : convstore__arena_copy(arena, text, n);
  if (copy == NULL) return convstore_fail(err, CONVSTORE_E_MEMORY, "no memory for a cursor");
  *out = (convstore_text){copy, n};
  return CONVSTORE_OK;
}
