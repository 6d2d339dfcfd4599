/* UTF-8: what is good, what replaces what is not, and where a text may be cut; against utf8proc's opinion. */
#include "../core/text.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

static size_t character(const char *s, size_t left) {
  utf8proc_int32_t code = -1;
  utf8proc_ssize_t n =
      utf8proc_iterate((const utf8proc_uint8_t *)s, left > 4 ? 4 : (utf8proc_ssize_t)left, &code);
  return n > 0 && code > 0 ? (size_t)n : 0;
}

/* The same replacement, one character at a time. */
static void check_replaced(convstore_text text, convstore_text replaced) {
  size_t at = 0;
  for (size_t i = 0; i < text.size;) {
    size_t n = character(text.data + i, text.size - i);
    const char *expected = n > 0 ? text.data + i : "\xEF\xBF\xBD";
    size_t size = n > 0 ? n : 3;
    FUZZ_CHECK(at + size <= replaced.size && memcmp(replaced.data + at, expected, size) == 0);
    at += size;
    i += n > 0 ? n : 1;
  }
  FUZZ_CHECK(at == replaced.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  size_t limit = fuzz_byte(&input);
  char *copy = fuzz_exact((convstore_text){input.at, input.left});
  convstore_text text = {copy, input.left};
  convstore_result result = {.n_messages = 0};

  size_t good = convstore__utf8_check(text.data, text.size), expected = 0;
  for (size_t n; expected < text.size && (n = character(text.data + expected, text.size - expected)) > 0;)
    expected += n;
  FUZZ_CHECK(good == expected);
  FUZZ_CHECK((good == text.size) == fuzz_is_utf8(text));

  convstore_text replaced = text;
  FUZZ_CHECK(convstore__utf8_replace(&replaced, convstore__arena(&result)) == CONVSTORE_OK);
  FUZZ_CHECK(fuzz_is_utf8(replaced));
  FUZZ_CHECK((replaced.data == text.data) == (good == text.size));
  check_replaced(text, replaced);

  size_t cut = convstore__utf8_cut(replaced.data, replaced.size, limit);
  FUZZ_CHECK(cut <= limit && cut <= replaced.size);
  FUZZ_CHECK(fuzz_is_utf8((convstore_text){replaced.data, cut}));
  FUZZ_CHECK(cut == replaced.size || cut + character(replaced.data + cut, replaced.size - cut) > limit);

  convstore_result_free(&result);
  free(copy);
  return 0;
}
