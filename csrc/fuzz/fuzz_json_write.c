/* JSON out: strings and floats, as jansson and strtod read them again. */
#include "../core/json_write.h"
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check_string(convstore_text text, struct convstore_arena *arena) {
  struct convstore_writer writer;
  convstore__write_start(&writer, arena, text.size % 7);
  convstore__write_string(&writer, text);
  convstore_text written = convstore__written(&writer);
  FUZZ_CHECK(written.data != NULL && written.size >= text.size + 2);
  for (size_t i = 0; i < text.size; i++) { /* where a plain run ends there is something to escape */
    size_t n = convstore__json_plain(text.data + i, text.size - i);
    FUZZ_CHECK(n <= text.size - i);
    i += n;
    unsigned char byte = i < text.size ? (unsigned char)text.data[i] : 0;
    FUZZ_CHECK(i == text.size || (byte > 0 && byte < 0x20) || byte == '"' || byte == '\\');
  }
  if (!fuzz_is_utf8(text)) return; /* others refuse that */
  json_t *value = json_loadb(written.data, written.size, JSON_DECODE_ANY, NULL);
  FUZZ_CHECK(json_is_string(value) && json_string_length(value) == text.size);
  FUZZ_CHECK(memcmp(json_string_value(value), text.data, text.size) == 0);
  json_decref(value);
}

static void check_float(double value) {
  char text[CONVSTORE_JSON_FLOAT + 1];
  char *end = NULL;
  if (!isfinite(value)) return;
  size_t size = convstore__json_float(text, value);
  FUZZ_CHECK(size > 2 && size <= CONVSTORE_JSON_FLOAT);
  text[size] = '\0';
  FUZZ_CHECK(strspn(text, "-0123456789.") == size && strchr(text, '.') != NULL);
  double again = strtod(text, &end);
  FUZZ_CHECK(*end == '\0' && again == value && signbit(again) == signbit(value));
  json_t *read = json_loadb(text, size, JSON_DECODE_ANY, NULL);
  FUZZ_CHECK(json_is_real(read) && json_real_value(read) == value);
  json_decref(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  convstore_result result = {.n_messages = 0};
  if (fuzz_byte(&input) == 'f') {
    while (input.left > 0) {
      uint64_t bits = fuzz_number(&input);
      double value;
      memcpy(&value, &bits, sizeof value);
      check_float(value);
      check_float((double)(int64_t)bits / 1000);
    }
  } else {
    char *copy = fuzz_exact((convstore_text){input.at, input.left});
    check_string((convstore_text){copy, input.left}, convstore__arena(&result));
    free(copy);
  }
  convstore_result_free(&result);
  return 0;
}
