/*
 * Small values that callers give: times, ids, names of roles and marks, and the words of an error. Times against the
 * C library's calendar.
 */
#include "../core/uuid.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check_time(int64_t time_ms) {
  char text[CONVSTORE_TIME_SIZE], expected[128];
  convstore_error err = {0};
  struct tm tm;
  memset(text, 'x', sizeof text);
  int status = convstore_iso8601(text, time_ms, &err);
  int64_t seconds = time_ms / 1000 - (time_ms % 1000 < 0);
  time_t at = (time_t)seconds;
  bool known = gmtime_r(&at, &tm) != NULL && tm.tm_year >= -1900 && tm.tm_year <= 9999 - 1900;
  FUZZ_CHECK((status == CONVSTORE_OK) == known);
  if (!known) {
    fuzz_check_error(status, &err);
    return;
  }
  (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (int)(time_ms - seconds * 1000));
  FUZZ_CHECK(strcmp(text, expected) == 0);
}

/* Lower-case hex digits in groups of 8, 4, 4, 4 and 12. */
static bool is_id(convstore_text text) {
  if (text.size != 36) return false;
  for (size_t i = 0; i < text.size; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text.data[i] != '-' : !memchr("0123456789abcdef", text.data[i], 16)) return false;
  }
  return true;
}

static void check_id(convstore_text text) {
  char id[CONVSTORE_ID_SIZE] = "untouched", again[CONVSTORE_ID_SIZE];
  unsigned char bytes[CONVSTORE_ID_BYTES];
  convstore_error err = {0};
  int status = convstore_id_set(id, text, "id", &err);
  FUZZ_CHECK((status == CONVSTORE_OK) == is_id(text));
  if (status != CONVSTORE_OK) {
    fuzz_check_error(status, &err);
    FUZZ_CHECK(strcmp(id, "untouched") == 0);
    return;
  }
  FUZZ_CHECK(memcmp(id, text.data, text.size) == 0 && id[36] == '\0');
  convstore__id_pack(bytes, id);
  convstore__id_unpack(again, bytes);
  FUZZ_CHECK(strcmp(id, again) == 0);
}

static void check_names(convstore_text text) {
  convstore_role role = CONVSTORE_ROLES;
  convstore_mark mark = CONVSTORE_MARKS;
  convstore_error err = {0};
  int status = convstore_role_parse(&role, text, &err);
  if (status == CONVSTORE_OK) {
    const char *name = convstore_role_name(role);
    FUZZ_CHECK(strlen(name) == text.size && memcmp(name, text.data, text.size) == 0);
  } else {
    FUZZ_CHECK(role == CONVSTORE_ROLES);
    fuzz_check_error(status, &err);
    FUZZ_CHECK(fuzz_is_utf8((convstore_text){err.message, strlen(err.message)}));
  }
  status = convstore_mark_parse(&mark, text, &err);
  if (status == CONVSTORE_OK) {
    const char *name = convstore_mark_name(mark);
    FUZZ_CHECK(strlen(name) == text.size && memcmp(name, text.data, text.size) == 0);
  } else {
    FUZZ_CHECK(mark == CONVSTORE_MARKS);
    fuzz_check_error(status, &err);
  }
}

/* An error of any length is cut at a whole character, and is one line. */
static void check_error(convstore_text text) {
  convstore_error err;
  if (!fuzz_is_utf8(text)) return;
  FUZZ_CHECK(convstore_fail(&err, CONVSTORE_E_BUSY, "%.*s", (int)text.size, text.data) == CONVSTORE_E_BUSY);
  fuzz_check_error(CONVSTORE_E_BUSY, &err);
  convstore_text message = {err.message, strlen(err.message)};
  FUZZ_CHECK(fuzz_is_utf8(message));
  const size_t n_head = strlen("busy: ");
  size_t n = message.size - n_head;
  for (size_t i = 0; i < n; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    FUZZ_CHECK(err.message[n_head + i] == (byte < 0x20 || byte == 0x7F ? ' ' : text.data[i]));
  }
  FUZZ_CHECK(n == text.size || message.size + 4 >= sizeof err.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  int64_t time_ms;
  uint64_t number;
  char *copy;
  convstore_text text;
  switch (fuzz_byte(&input)) {
  case 't':
    number = fuzz_number(&input);
    memcpy(&time_ms, &number, sizeof time_ms);
    check_time(time_ms);
    check_time(time_ms % INT64_C(500000000000000)); /* most of these are in a year that has four digits */
    break;
  case 'd': /* decimal, for people */
    copy = fuzz_string(fuzz_rest(&input));
    check_time(strtoll(copy, NULL, 10));
    free(copy);
    break;
  case 'i':
    text = fuzz_rest(&input);
    text.data = copy = fuzz_exact(text);
    check_id(text);
    free(copy);
    break;
  default:
    text = fuzz_rest(&input);
    text.data = copy = fuzz_exact(text);
    check_names(text);
    check_error(text);
    free(copy);
  }
  return 0;
}
