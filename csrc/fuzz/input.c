/* See fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

_Noreturn void fuzz_failed(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
  abort();
}

struct fuzz_input fuzz_input(const uint8_t *data, size_t size) {
  return (struct fuzz_input){size > 0 ? (const char *)data : "", size};
}

unsigned fuzz_byte(struct fuzz_input *input) {
  if (input->left == 0) return 0;
  input->left--;
  return (unsigned char)*input->at++;
}

uint64_t fuzz_number(struct fuzz_input *input) {
  uint64_t number = 0;
  for (unsigned shift = 0; shift < 64; shift += 8) number |= (uint64_t)fuzz_byte(input) << shift;
  return number;
}

convstore_text fuzz_line(struct fuzz_input *input) {
  const char *end = memchr(input->at, '\n', input->left);
  if (!end) return fuzz_rest(input);
  convstore_text line = {input->at, (size_t)(end - input->at)};
  input->at = end + 1;
  input->left -= line.size + 1;
  return line;
}

convstore_text fuzz_rest(struct fuzz_input *input) {
  convstore_text rest = {input->at, input->left};
  input->at += input->left;
  input->left = 0;
  return rest;
}

char *fuzz_string(convstore_text text) {
  char *copy = malloc(text.size + 1);
  FUZZ_CHECK(copy != NULL);
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  return copy;
}

char *fuzz_exact(convstore_text text) {
  char *copy = malloc(text.size > 0 ? text.size : 1);
  FUZZ_CHECK(copy != NULL);
  memcpy(copy, text.data, text.size);
  return copy;
}

void fuzz_check_error(int status, const convstore_error *err) {
  const char *name = convstore_status_name(status);
  size_t size = strnlen(err->message, sizeof err->message);
  FUZZ_CHECK(status < 0 && status != CONVSTORE_E_INTERNAL && status != CONVSTORE_E_MEMORY);
  FUZZ_CHECK(err->status == status && size < sizeof err->message);
  FUZZ_CHECK(strncmp(err->message, name, strlen(name)) == 0 && err->message[strlen(name)] == ':');
}

bool fuzz_is_utf8(convstore_text text) {
  const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)text.data;
  for (size_t i = 0; i < text.size;) {
    utf8proc_int32_t code = -1;
    size_t left = text.size - i;
    utf8proc_ssize_t n = utf8proc_iterate(s + i, left > 4 ? 4 : (utf8proc_ssize_t)left, &code);
    if (n <= 0 || code <= 0) return false;
    i += (size_t)n;
  }
  return true;
}
