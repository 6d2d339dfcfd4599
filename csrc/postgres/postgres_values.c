/* Encoding parameters and decoding results; see postgres_values.h. Wire formats: PostgreSQL's src/backend/utils/adt. */
#include "postgres_values.h"

#include <string.h>

#include "postgres_error.h"

enum {
  ARRAY_HEADER = 20,
  LENGTH = 4,
  UUID_BYTES = 16
};

/* Microseconds from PostgreSQL's epoch, 2000-01-01, back to ours. */
static const int64_t epoch_us = INT64_C(946684800000000);

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

static void put_be(unsigned char *out, uint64_t value, int n) {
  for (int i = n - 1; i >= 0; i--) {
    out[i] = (unsigned char)value;
    value >>= 8;
  }
}

static uint64_t get_be(const unsigned char *in, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; i++) value = value << 8 | in[i];
  return value;
}

static int64_t to_us(int64_t time_ms) {
  return time_ms * 1000 - epoch_us;
}

static unsigned hex_value(char digit) {
  return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* `id` was checked by the core. */
static void id_bytes(unsigned char out[UUID_BYTES], const char *id) {
  for (int i = 0; i < UUID_BYTES; i++) {
    if (*id == '-') id++;
    out[i] = (unsigned char)(hex_value(id[0]) << 4 | hex_value(id[1]));
    id += 2;
  }
}

/* ---- parameters ------------------------------------------------------------------------------------------------ */

static void add(struct postgres_params *params, enum postgres_type type, const void *value, size_t size,
                int format) {
  int i = params->n++;
  params->types[i] = (Oid)type;
  params->values[i] = value;
  params->lengths[i] = (int)size;
  params->formats[i] = format;
}

void convstore__postgres_add_text(struct postgres_params *params, convstore_text text) {
  add(params, POSTGRES_TEXT, text.data, text.size, 1);
}

void convstore__postgres_add_bytes(struct postgres_params *params, const void *data, size_t size) {
  add(params, POSTGRES_BYTEA, data, size, 1);
}

void convstore__postgres_add_string(struct postgres_params *params, const char *text) {
  add(params, POSTGRES_TEXT, text, 0, 0);
}

void convstore__postgres_add_id(struct postgres_params *params, const char *id) {
  add(params, POSTGRES_UUID, id, 0, 0);
}

static void add_number(struct postgres_params *params, enum postgres_type type, int64_t value) {
  unsigned char *bytes = (unsigned char *)params->numbers[params->n];
  put_be(bytes, (uint64_t)value, 8);
  add(params, type, bytes, 8, 1);
}

void convstore__postgres_add_integer(struct postgres_params *params, int64_t value) {
  if (value == CONVSTORE_ABSENT)
    add(params, POSTGRES_INT8, NULL, 0, 1);
  else
    add_number(params, POSTGRES_INT8, value);
}

void convstore__postgres_add_time(struct postgres_params *params, int64_t time_ms) {
  if (time_ms == CONVSTORE_ABSENT)
    add(params, POSTGRES_TIMESTAMPTZ, NULL, 0, 1);
  else
    add_number(params, POSTGRES_TIMESTAMPTZ, to_us(time_ms));
}

void convstore__postgres_add_conversation(struct postgres_params *params, const struct convstore_call *call) {
  convstore__postgres_add_text(params, call->request->user_id);
  convstore__postgres_add_id(params, call->request->conversation_id);
}

/* ---- arrays ---------------------------------------------------------------------------------------------------- */

int convstore__postgres_array_start(struct postgres_array *out, struct convstore_call *call,
                                    enum postgres_type element, size_t n, size_t n_bytes) {
  size_t capacity = ARRAY_HEADER + n * LENGTH + n_bytes;
  struct convstore_arena *arena = convstore__arena(call->result);
  if (n > INT32_MAX / 64 || n_bytes > INT32_MAX / 2)
    return convstore_fail(call->err, CONVSTORE_E_TOO_LARGE,
                          "these messages have more than one gigabyte; append them in several calls");
  *out = (struct postgres_array){.capacity = capacity};
  if (arena != NULL) out->bytes = convstore__arena_alloc(arena, capacity);
  if (out->bytes == NULL) return convstore__postgres_no_memory(call->err);
  put_be(out->bytes, n > 0 ? 1 : 0, 4); /* dimensions */
  put_be(out->bytes + 4, 1, 4);         /* there may be NULLs */
  put_be(out->bytes + 8, (uint64_t)element, 4);
  put_be(out->bytes + 12, n, 4);
  put_be(out->bytes + 16, 1, 4); /* the first index */
  out->size = n > 0 ? ARRAY_HEADER : 12;
  return CONVSTORE_OK;
}

static unsigned char *add_element(struct postgres_array *array, int64_t size) {
  unsigned char *at = array->bytes + array->size;
  put_be(at, (uint64_t)size, LENGTH);
  array->size += LENGTH + (size < 0 ? 0 : (size_t)size);
  return at + LENGTH;
}

void convstore__postgres_array_text(struct postgres_array *array, convstore_text text) {
  unsigned char *at = add_element(array, text.data == NULL ? -1 : (int64_t)text.size);
  if (text.data != NULL && text.size > 0) memcpy(at, text.data, text.size);
}

void convstore__postgres_array_id(struct postgres_array *array, const char *id) {
  id_bytes(add_element(array, UUID_BYTES), id);
}

void convstore__postgres_array_integer(struct postgres_array *array, int64_t value) {
  put_be(add_element(array, 8), (uint64_t)value, 8);
}

void convstore__postgres_array_time(struct postgres_array *array, int64_t time_ms) {
  convstore__postgres_array_integer(array, to_us(time_ms));
}

void convstore__postgres_add_array(struct postgres_params *params, enum postgres_type type,
                                   const struct postgres_array *array) {
  add(params, type, array->bytes, array->size, 1);
}

/* ---- results --------------------------------------------------------------------------------------------------- */

int convstore__postgres_check_columns(const PGresult *result, const enum postgres_type *types, int n,
                                      convstore_error *err) {
  for (int i = 0; i < n; i++) {
    if (i < PQnfields(result) && PQftype(result, i) == (Oid)types[i] && PQfformat(result, i) == 1) continue;
    return convstore_fail(
        err, CONVSTORE_E_SCHEMA,
        "column %s of a convstore table has an unexpected type; undo what was changed by hand",
        i < PQnfields(result) ? PQfname(result, i) : "(missing)");
  }
  return CONVSTORE_OK;
}

static const unsigned char *bytes_at(const PGresult *result, int row, int column) {
  return (const unsigned char *)PQgetvalue(result, row, column);
}

bool convstore__postgres_is_null(const PGresult *result, int row, int column) {
  return PQgetisnull(result, row, column) != 0;
}

bool convstore__postgres_read_bool(const PGresult *result, int row, int column) {
  return !convstore__postgres_is_null(result, row, column) && bytes_at(result, row, column)[0] != 0;
}

int64_t convstore__postgres_read_integer(const PGresult *result, int row, int column) {
  const unsigned char *bytes = bytes_at(result, row, column);
  if (convstore__postgres_is_null(result, row, column)) return CONVSTORE_ABSENT;
  if (PQgetlength(result, row, column) == 4) return (int32_t)(uint32_t)get_be(bytes, 4);
  return (int64_t)get_be(bytes, 8);
}

int64_t convstore__postgres_read_time(const PGresult *result, int row, int column) {
  int64_t us = convstore__postgres_read_integer(result, row, column);
  if (us == CONVSTORE_ABSENT) return us; /* it is also -infinity, which nobody stores */
  if (us > INT64_MAX - epoch_us) return INT64_MAX / 1000;
  us += epoch_us;
  return us / 1000 - (us % 1000 < 0);
}

void convstore__postgres_read_id(char out[CONVSTORE_ID_SIZE], const PGresult *result, int row, int column) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *bytes = bytes_at(result, row, column);
  char *to = out;
  if (!convstore__postgres_is_null(result, row, column)) {
    for (int i = 0; i < UUID_BYTES; i++) {
      if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
      *to++ = digits[bytes[i] >> 4];
      *to++ = digits[bytes[i] & 15];
    }
  }
  *to = '\0';
}

convstore_text convstore__postgres_peek_text(const PGresult *result, int row, int column) {
  const char *data = PQgetvalue(result, row, column);
  size_t size = (size_t)PQgetlength(result, row, column);
  if (convstore__postgres_is_null(result, row, column)) return (convstore_text){NULL, 0};
  if (PQftype(result, column) == (Oid)POSTGRES_JSONB &&
      size > 0) { /* a byte of version goes ahead of the text */
    data++;
    size--;
  }
  return (convstore_text){data, size};
}

/* Whether a number, as it stands in JSON, is a whole one that 64 bits do not hold. */
static bool is_long_integer(const char *number, size_t size) {
  static const char limit[] = "9223372036854775808";
  const size_t n_limit = sizeof limit - 1;
  bool negative = size > 0 && number[0] == '-';
  if (negative) {
    number++;
    size--;
  }
  if (size < n_limit || strspn(number, "0123456789") < size) return false;
  int order = size > n_limit ? 1 : memcmp(number, limit, n_limit);
  return order > 0 || (order == 0 && !negative);
}

/*
 * Copies what jsonb prints as this library writes JSON: compactly, and with a point in every number that is a float to
 * Lua. jsonb prints 1e300 as 301 digits, which would be an integer to see. Returns the size.
 */
static size_t tidy_json(char *out, const char *at, const char *end) {
  char *to = out;
  bool in_string = false;
  while (at < end) {
    size_t n = 1;
    bool is_number = !in_string && ((*at >= '0' && *at <= '9') || *at == '-');
    if (in_string && *at == '\\') n = 2;
    if (is_number) n = strspn(at, "+-.0123456789eE");
    if (*at == '"') in_string = !in_string;
    if (in_string || *at != ' ') {
      memcpy(to, at, n);
      to += n;
    }
    if (is_number && is_long_integer(at, n)) {
      memcpy(to, ".0", 2);
      to += 2;
    }
    at += n;
  }
  return (size_t)(to - out);
}

static int read_json(convstore_text *out, convstore_text json, struct convstore_call *call) {
  /* ".0" makes numbers of 19 digits and more a tenth longer; dropped blanks only shorten. */
  char *copy = convstore__arena_alloc(call->result->memory, json.size + json.size / 8 + 3);
  if (copy == NULL) return convstore__postgres_no_memory(call->err);
  *out = (convstore_text){copy, tidy_json(copy, json.data, json.data + json.size)};
  copy[out->size] = '\0';
  return CONVSTORE_OK;
}

int convstore__postgres_read_text(convstore_text *out, const PGresult *result, int row, int column,
                                  struct convstore_call *call) {
  *out = convstore__postgres_peek_text(result, row, column);
  if (out->data == NULL) return CONVSTORE_OK;
  if (PQftype(result, column) == (Oid)POSTGRES_JSONB) return read_json(out, *out, call);
  out->data = convstore__arena_copy(call->result->memory, out->data, out->size);
  return out->data != NULL ? CONVSTORE_OK : convstore__postgres_no_memory(call->err);
}
