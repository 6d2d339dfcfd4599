/* See json_write.h. */
#include "json_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- spelling -------------------------------------------------------------------------------------------------- */

static bool needs_escape(unsigned char byte) {
  return (byte < 0x20 && byte != 0) || byte == '"' || byte == '\\';
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not zero where a byte of the word is below `limit`, at most 128: no byte is missed, one next to such may be meant. */
static uint64_t has_less(uint64_t word, unsigned limit) {
  return (word - EACH_BYTE(limit)) & ~word & EACH_BYTE(0x80);
}

/* Eight bytes at a time: what is written is mostly long texts with little to escape. */
static bool is_plain(const char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return (has_less(word, 0x20) | has_less(word ^ EACH_BYTE('"'), 1) | has_less(word ^ EACH_BYTE('\\'), 1)) ==
         0;
}

size_t convstore__json_plain(const char *data, size_t size) {
  size_t i = 0;
  for (;;) {
    while (size - i >= sizeof(uint64_t) && is_plain(data + i)) i += sizeof(uint64_t);
    size_t end = size - i >= sizeof(uint64_t) ? i + sizeof(uint64_t) : size;
    for (; i < end; i++)
      if (needs_escape((unsigned char)data[i])) return i;
    if (i == size) return size;
  }
}

size_t convstore__json_escape(char out[CONVSTORE_JSON_ESCAPE], unsigned char byte) {
  static const char shorts[] = {
      ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
  int n = shorts[byte] != '\0' ? snprintf(out, CONVSTORE_JSON_ESCAPE, "\\%c", shorts[byte])
                               : snprintf(out, CONVSTORE_JSON_ESCAPE, "\\u%04x", (unsigned)byte);
  return (size_t)n;
}

/*
 * The fewest decimal digits that give `value` again: "d.ddd" times ten to *exponent, without the point.
 * Returns how many.
 */
static int shortest_digits(char digits[24], int *exponent, double value) {
  char text[48];
  const char *from = text;
  int n = 0;
  /* Of a normal number 15 digits show any shorter form, padded by zeros; a subnormal one may have fewer good digits. */
  for (int after_point = value < DBL_MIN ? 0 : 14; after_point <= 16; after_point++) {
    (void)snprintf(text, sizeof text, "%.*e", after_point, value);
    if (strtod(text, NULL) == value) break;
  }
  for (; *from != 'e'; from++) {
    if (*from >= '0' && *from <= '9') digits[n++] = *from; /* not the point, which the locale may change */
  }
  *exponent = (int)strtol(from + 1, NULL, 10);
  while (n > 1 && digits[n - 1] == '0') n--;
  return n;
}

/* PostgreSQL's jsonb rewrites 1e300 as an integer of 301 digits, and a float must come back as a float. */
size_t convstore__json_float(char out[CONVSTORE_JSON_FLOAT], double value) {
  char digits[24];
  size_t size = 0;
  int exponent;
  int n = shortest_digits(digits, &exponent, fabs(value));
  if (signbit(value)) out[size++] = '-';
  /* One digit for each power of ten, from the first that matters or 1 down to the last that matters or 1/10: at most
   * 17 digits behind "-0." and 323 zeros. */
  for (int power = exponent > 0 ? exponent : 0; power >= exponent - n + 1 || power >= -1; power--) {
    int i = exponent - power;
    if (power == -1) out[size++] = '.';
    out[size++] = i >= 0 && i < n ? digits[i] : '0';
  }
  return size;
}

/* ---- the buffer ------------------------------------------------------------------------------------------------ */

void convstore__write_start(struct convstore_writer *out, struct convstore_arena *arena, size_t expected) {
  *out = (struct convstore_writer){.arena = arena, .capacity = expected};
  out->data = convstore__arena_alloc(arena, expected);
  out->failed = out->data == NULL;
}

/* Makes room for `n` more bytes and the NUL that ends a text. */
static bool reserve(struct convstore_writer *writer, size_t n) {
  if (writer->failed) return false;
  if (writer->capacity - writer->size > n) return true;
  size_t capacity = writer->capacity < 256 ? 256 : writer->capacity;
  while (capacity - writer->size <= n && capacity <= SIZE_MAX / 2) capacity *= 2;
  char *data = capacity - writer->size > n ? convstore__arena_alloc(writer->arena, capacity) : NULL;
  if (data == NULL) {
    writer->failed = true;
    return false;
  }
  memcpy(data, writer->data, writer->size);
  writer->data = data;
  writer->capacity = capacity;
  return true;
}

void convstore__write(struct convstore_writer *writer, const char *data, size_t size) {
  if (size == 0 || !reserve(writer, size)) return;
  memcpy(writer->data + writer->size, data, size);
  writer->size += size;
}

void convstore__write_string(struct convstore_writer *writer, convstore_text text) {
  size_t i = 0;
  CONVSTORE_WRITE(writer, "\"");
  while (i < text.size) {
    char escape[CONVSTORE_JSON_ESCAPE];
    size_t n = convstore__json_plain(text.data + i, text.size - i);
    convstore__write(writer, text.data + i, n);
    i += n;
    if (i < text.size)
      convstore__write(writer, escape, convstore__json_escape(escape, (unsigned char)text.data[i++]));
  }
  CONVSTORE_WRITE(writer, "\"");
}

static void write_number(struct convstore_writer *writer, const json_t *value) {
  char text[CONVSTORE_JSON_FLOAT];
  size_t n = json_is_integer(value)
                 ? (size_t)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value))
                 : convstore__json_float(text, json_real_value(value));
  convstore__write(writer, text, n);
}

static void write_array(struct convstore_writer *writer, const json_t *array) {
  size_t i;
  json_t *element;
  CONVSTORE_WRITE(writer, "[");
  json_array_foreach(array, i, element) {
    if (i > 0) CONVSTORE_WRITE(writer, ",");
    convstore__write_value(writer, element);
  }
  CONVSTORE_WRITE(writer, "]");
}

static void write_object(struct convstore_writer *writer, json_t *object) {
  bool first = true;
  CONVSTORE_WRITE(writer, "{");
  for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
    const char *key = json_object_iter_key(at);
    if (!first) CONVSTORE_WRITE(writer, ",");
    first = false;
    convstore__write_string(writer, (convstore_text){key, strlen(key)});
    CONVSTORE_WRITE(writer, ":");
    convstore__write_value(writer, json_object_iter_value(at));
  }
  CONVSTORE_WRITE(writer, "}");
}

/* The reader has limited the depth, so recursion is safe. */
void convstore__write_value(struct convstore_writer *writer, json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    write_object(writer, value);
    break;
  case JSON_ARRAY:
    write_array(writer, value);
    break;
  case JSON_STRING:
    convstore__write_string(writer, (convstore_text){json_string_value(value), json_string_length(value)});
    break;
  case JSON_INTEGER:
  case JSON_REAL:
    write_number(writer, value);
    break;
  case JSON_TRUE:
    CONVSTORE_WRITE(writer, "true");
    break;
  case JSON_FALSE:
    CONVSTORE_WRITE(writer, "false");
    break;
  case JSON_NULL:
    CONVSTORE_WRITE(writer, "null");
    break;
  }
}

convstore_text convstore__written(const struct convstore_writer *writer) {
  if (writer->failed) return (convstore_text){NULL, 0};
  writer->data[writer->size] = '\0';
  return (convstore_text){writer->data, writer->size};
}
