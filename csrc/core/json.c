/*
 * JSON: the values are jansson's, the reader is ours. Knows no Lua and no tables.
 *
 * Not json_loadb(), because jansson 2.14 ignores failed allocations while it reads a token longer than 15
 * bytes (load.c, lex_save): on a full memory "01234567890123456" came back without a digit, other texts wrote
 * beyond a block or ended the process by an assertion. What is read here is stored again by merges, so that
 * cannot stand. The reader accepts what json_loadb() with JSON_DECODE_ANY accepts, up to
 * CONVSTORE_MAX_JSON_DEPTH and without a NUL behind the value; test_json.c and fuzz_json.c compare them.
 */
#include "json.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct reader {
  const char *start;
  const char *at; /* the next byte */
  const char *end;
  int depth; /* tables open around it */
  int max_depth;
  bool long_integers_are_reals;
  const char *field;
  convstore_error *err;
  int status; /* why a function returned NULL */
};

static json_t *read_value(struct reader *reader);
static json_t *make_real(struct reader *reader, const char *first);

/* Each failure is recorded once, by one of these, and handed up as NULL or false. */
static void *bad(struct reader *reader, const char *what) {
  reader->status = convstore_fail(reader->err, CONVSTORE_E_INVALID, "%s is no JSON: %s at byte %zu",
                                  reader->field, what, (size_t)(reader->at - reader->start) + 1);
  return NULL;
}

static void *no_memory(struct reader *reader) {
  reader->status =
      convstore_fail(reader->err, CONVSTORE_E_MEMORY, "there is not enough memory to read %s", reader->field);
  return NULL;
}

/* The next byte, or NUL at the end: a NUL in the text is no token either. */
static char peek(const struct reader *reader) {
  return reader->at < reader->end ? *reader->at : '\0';
}

static char peek_token(struct reader *reader) {
  while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n' || peek(reader) == '\r')
    reader->at++;
  return peek(reader);
}

static bool skip(struct reader *reader, char c) {
  if (peek(reader) != c) return false;
  reader->at++;
  return true;
}

static bool skip_digits(struct reader *reader) {
  const char *first = reader->at;
  while (peek(reader) >= '0' && peek(reader) <= '9') reader->at++;
  return reader->at > first;
}

static json_t *read_word(struct reader *reader, const char *word, json_t *value) {
  size_t size = strlen(word);
  if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
    return bad(reader, "invalid token");
  reader->at += size;
  return value;
}

/* The number at first ... reader->at, which is well-formed and an integer. */
static json_t *make_integer(struct reader *reader, const char *first) {
  bool negative = *first == '-';
  const uint64_t limit = (uint64_t)INT64_MAX + negative;
  uint64_t value = 0;
  for (const char *c = first + negative; c < reader->at; c++) {
    uint64_t digit = (uint64_t)(*c - '0');
    if (value > (limit - digit) / 10) {
      if (reader->long_integers_are_reals) return make_real(reader, first);
      reader->at = first;
      return bad(reader, "an integer beyond 64 bits");
    }
    value = value * 10 + digit;
  }
  /* The smallest integer has no positive twin. */
  json_t *integer = json_integer(negative && value > 0 ? -(json_int_t)(value - 1) - 1 : (json_int_t)value);
  return integer ? integer : no_memory(reader);
}

/* The same for one with a fraction or an exponent. */
static json_t *make_real(struct reader *reader, const char *first) {
  char buffer[400]; /* the largest double in plain digits is 309 of them */
  size_t size = (size_t)(reader->at - first);
  char *copy = size < sizeof buffer ? buffer : malloc(size + 1);
  if (!copy) return no_memory(reader);
  memcpy(copy, first, size);
  copy[size] = '\0';
  char *point = strchr(copy, '.');
  if (point) /* strtod wants the locale's, and the host program may have set one */
    *point = *localeconv()->decimal_point;
  double value = strtod(copy, NULL);
  if (copy != buffer) free(copy);

  if (isinf(value)) {
    reader->at = first;
    return bad(reader, "a number beyond the range of a double");
  }
  json_t *real = json_real(value);
  return real ? real : no_memory(reader);
}

static json_t *read_number(struct reader *reader) {
  const char *first = reader->at;
  skip(reader, '-');
  if (!skip(reader, '0') && !skip_digits(reader)) return bad(reader, "a digit is missing");
  bool real = false;
  if (skip(reader, '.')) {
    real = true;
    if (!skip_digits(reader)) return bad(reader, "a digit is missing");
  }
  if (skip(reader, 'e') || skip(reader, 'E')) {
    real = true;
    if (!skip(reader, '+')) skip(reader, '-');
    if (!skip_digits(reader)) return bad(reader, "a digit is missing");
  }
  return real ? make_real(reader, first) : make_integer(reader, first);
}

/* Four hex digits at `s`, or -1. */
static int32_t hex4(const char *s, const char *end) {
  static const char digits[] = "0123456789abcdefABCDEF";
  int32_t value = 0;
  if (end - s < 4) return -1;
  for (int i = 0; i < 4; i++) {
    const char *found = memchr(digits, s[i], sizeof digits - 1);
    if (!found) return -1;
    int32_t digit = (int32_t)(found - digits);
    value = value * 16 + (digit < 16 ? digit : digit - 6);
  }
  return value;
}

static char *put_utf8(char *to, int32_t code) {
  if (code < 0x80) {
    *to++ = (char)code;
  } else if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
    *to++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *to++ = (char)(0xE0 | code >> 12);
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
  } else {
    *to++ = (char)(0xF0 | code >> 18);
    *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
  }
  return to;
}

/* The character of the \u at reader->at, which is moved behind it; -1 after a failure. */
static int32_t read_u(struct reader *reader) {
  int32_t code = hex4(reader->at + 2, reader->end);
  if (code < 0) {
    bad(reader, "invalid escape");
    return -1;
  }
  if (code == 0) { /* no database of ours could give it back */
    bad(reader, "\\u0000 is not allowed");
    return -1;
  }
  size_t size = 6;
  if (code >= 0xD800 && code <= 0xDFFF) {
    const char *second = reader->at + 6;
    int32_t low = -1;
    if (reader->end - second >= 6 && second[0] == '\\' && second[1] == 'u')
      low = hex4(second + 2, reader->end);
    if (code > 0xDBFF || low < 0xDC00 || low > 0xDFFF) {
      bad(reader, "half a surrogate pair");
      return -1;
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    size = 12;
  }
  reader->at += size;
  return code;
}

/* Decodes the string's rest, from reader->at to its closing quote, to `to`, which has room for it: no escape
 * is shorter than what it stands for. Returns the end, or NULL after a failure. */
static char *decode(struct reader *reader, const char *closing, char *to) {
  static const char escapes[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  while (reader->at < closing) {
    if (*reader->at != '\\') {
      *to++ = *reader->at++;
    } else if (reader->at[1] == 'u') {
      int32_t code = read_u(reader);
      if (code < 0) return NULL;
      to = put_utf8(to, code);
    } else {
      const char *escape = memchr(escapes, reader->at[1], sizeof escapes - 1);
      if (!escape) return bad(reader, "invalid escape");
      *to++ = meanings[escape - escapes];
      reader->at += 2;
    }
  }
  return to;
}

/* The string at reader->at. *text borrows from the reader's text or, if it had escapes, from *owned: free(). */
static bool read_string(struct reader *reader, convstore_text *text, char **owned) {
  const char *first = ++reader->at;
  bool escaped = false;
  const char *c = first;
  for (; c < reader->end && *c != '"'; c++) {
    if ((unsigned char)*c < 0x20) {
      reader->at = c;
      bad(reader, "a control character in a string");
      return false;
    }
    if (*c == '\\') {
      escaped = true;
      if (c + 1 < reader->end) c++; /* what follows is no closing quote */
    }
  }
  if (c >= reader->end) {
    reader->at = reader->end;
    bad(reader, "premature end");
    return false;
  }
  size_t size = (size_t)(c - first);
  size_t n_good = convstore__utf8_check(first, size);
  if (n_good < size) {
    reader->at = first + n_good;
    bad(reader, "invalid UTF-8");
    return false;
  }
  *text = (convstore_text){.data = first, .size = size};
  if (escaped) {
    *owned = malloc(size);
    if (!*owned) {
      no_memory(reader);
      return false;
    }
    const char *end = decode(reader, c, *owned);
    if (!end) return false;
    *text = (convstore_text){.data = *owned, .size = (size_t)(end - *owned)};
  }
  reader->at = c + 1;
  return true;
}

static json_t *read_text(struct reader *reader) {
  convstore_text text;
  char *owned = NULL;
  json_t *value = NULL;
  if (read_string(reader, &text, &owned)) {
    value = json_stringn_nocheck(text.data, text.size);
    if (!value) no_memory(reader);
  }
  free(owned);
  return value;
}

static bool read_member(struct reader *reader, json_t *object) {
  convstore_text key;
  char *owned = NULL;
  bool done = false;
  if (!read_string(reader, &key, &owned)) goto done;
  if (peek_token(reader) != ':') {
    bad(reader, "':' expected");
    goto done;
  }
  reader->at++;
  json_t *value = read_value(reader);
  if (!value) goto done;
  if (json_object_setn_new_nocheck(object, key.data, key.size, value) != 0) /* owns value even then */
    no_memory(reader);
  else
    done = true;
done:
  free(owned);
  return done;
}

static bool read_element(struct reader *reader, json_t *array) {
  json_t *value = read_value(reader);
  if (!value) return false;
  if (json_array_append_new(array, value) != 0) { /* owns value even then */
    no_memory(reader);
    return false;
  }
  return true;
}

/* The array or object at reader->at. */
static json_t *read_table(struct reader *reader, bool is_object) {
  if (reader->depth == reader->max_depth) {
    reader->status = convstore_fail(reader->err, CONVSTORE_E_INVALID, "%s is nested deeper than %d levels",
                                    reader->field, reader->max_depth);
    return NULL;
  }
  json_t *table = is_object ? json_object() : json_array();
  if (!table) return no_memory(reader);
  const char closing = is_object ? '}' : ']';
  reader->at++;
  reader->depth++;
  if (peek_token(reader) != closing) {
    do {
      if (is_object && peek_token(reader) != '"') {
        bad(reader, "a string expected");
        goto failed;
      }
      if (is_object ? !read_member(reader, table) : !read_element(reader, table)) goto failed;
      peek_token(reader);
    } while (skip(reader, ','));
    if (peek(reader) != closing) {
      bad(reader, is_object ? "',' or '}' expected" : "',' or ']' expected");
      goto failed;
    }
  }
  reader->at++;
  reader->depth--;
  return table;

failed:
  json_decref(table);
  return NULL;
}

static json_t *read_value(struct reader *reader) {
  switch (peek_token(reader)) {
  case '{':
    return read_table(reader, true);
  case '[':
    return read_table(reader, false);
  case '"':
    return read_text(reader);
  case 't':
    return read_word(reader, "true", json_true());
  case 'f':
    return read_word(reader, "false", json_false());
  case 'n':
    return read_word(reader, "null", json_null());
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return read_number(reader);
  default:
    return bad(reader, reader->at < reader->end ? "invalid token" : "premature end");
  }
}

static int parse(json_t **out, convstore_text text, int max_depth, bool long_integers_are_reals,
                 const char *field, convstore_error *err) {
  if (!text.data) text = (convstore_text){.data = "", .size = 0};
  struct reader reader = {.start = text.data,
                          .at = text.data,
                          .end = text.data + text.size,
                          .max_depth = max_depth,
                          .long_integers_are_reals = long_integers_are_reals,
                          .field = field,
                          .err = err};
  json_t *value = read_value(&reader);
  if (!value) return reader.status;
  peek_token(&reader);
  if (reader.at < reader.end) {
    json_decref(value);
    bad(&reader, "something behind the value");
    return reader.status;
  }
  *out = value;
  return CONVSTORE_OK;
}

int convstore__json_parse(json_t **out, convstore_text text, const char *field, convstore_error *err) {
  return parse(out, text, CONVSTORE_MAX_JSON_DEPTH, false, field, err);
}

int convstore__json_parse_lenient(json_t **out, convstore_text text, const char *field,
                                  convstore_error *err) {
  return parse(out, text, CONVSTORE_MAX_JSON_DEPTH, true, field, err);
}

int convstore__json_parse_own(json_t **out, convstore_text text, const char *field, convstore_error *err) {
  return parse(out, text, CONVSTORE_MAX_JSON_DEPTH + CONVSTORE_JSON_AROUND, false, field, err);
}

int convstore__json_equal(bool *equal, convstore_text a, convstore_text b, convstore_error *err) {
  convstore_error why = {0};
  json_t *value_a = NULL;
  json_t *value_b = NULL;
  int status = convstore__json_parse(&value_a, a, "one value", &why);
  if (status == CONVSTORE_OK) status = convstore__json_parse(&value_b, b, "the other", &why);
  bool both = status == CONVSTORE_OK;
  if (both || status == CONVSTORE_E_INVALID) {
    *equal = both && json_equal(value_a, value_b);
    status = CONVSTORE_OK;
  } else if (err) {
    *err = why;
  }
  json_decref(value_b);
  json_decref(value_a);
  return status;
}
