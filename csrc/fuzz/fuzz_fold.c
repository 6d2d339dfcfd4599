/*
 * Tokens: their bounds and order; that a space separates, that a term is its own only token, and that canonically
 * equal texts have equal terms, as utf8proc makes them.
 */
#include "../core/fold.h"
#include "../core/text.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

/* Hashed terms are made of what is not shown any more. */
static bool is_whole(const struct convstore_tokens *tokens) {
  return !tokens->overlong;
}

static void check_token(const struct convstore_tokens *tokens, size_t end_before, size_t index, size_t size) {
  FUZZ_CHECK(tokens->index == index);
  FUZZ_CHECK(tokens->size > 0 && tokens->size <= CONVSTORE_TERM_SIZE);
  FUZZ_CHECK(tokens->start < tokens->end && tokens->end <= size);
  /* One character may give two tokens, which then share its bytes. */
  FUZZ_CHECK(tokens->end >= end_before);
  FUZZ_CHECK(fuzz_is_utf8((convstore_text){tokens->term, tokens->size}));
  FUZZ_CHECK(!tokens->glued || index > 1);
}

/* The terms of both texts are the same, one after the other. */
static void check_same_terms(convstore_text a, convstore_text b) {
  struct convstore_tokens of_a, of_b;
  convstore__tokens_start(&of_a, a);
  convstore__tokens_start(&of_b, b);
  for (;;) {
    bool more_a = convstore__tokens_next(&of_a), more_b = convstore__tokens_next(&of_b);
    FUZZ_CHECK(more_a == more_b);
    if (!more_a) return;
    FUZZ_CHECK(of_a.size == of_b.size && memcmp(of_a.term, of_b.term, of_a.size) == 0);
    FUZZ_CHECK(of_a.glued == of_b.glued);
  }
}

/* A longer run of marks than the queue holds is not put in order. */
static bool has_many_marks(convstore_text text) {
  size_t n = 0;
  for (size_t i = 0; i < text.size;) {
    utf8proc_int32_t code = -1;
    i += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text.data + i, (utf8proc_ssize_t)(text.size - i),
                                  &code);
    n = utf8proc_get_property(code)->combining_class > 0 ? n + 1 : 0;
    if (n > 8) return true;
  }
  return false;
}

static void check_normalized(convstore_text text) {
  if (!fuzz_is_utf8(text) || has_many_marks(text)) return;
  char *string = fuzz_string(text);
  char *composed = (char *)utf8proc_NFC((const utf8proc_uint8_t *)string);
  char *decomposed = (char *)utf8proc_NFD((const utf8proc_uint8_t *)string);
  FUZZ_CHECK(composed != NULL && decomposed != NULL);
  check_same_terms(text, (convstore_text){composed, strlen(composed)});
  check_same_terms(text, (convstore_text){decomposed, strlen(decomposed)});
  free(composed);
  free(decomposed);
  free(string);
}

/* The tokens of "left right" are those of left and then those of right. */
static void check_space(convstore_text text) {
  const char *space = memchr(text.data, ' ', text.size);
  if (!space) return;
  const convstore_text sides[] = {{text.data, (size_t)(space - text.data)},
                                  {space + 1, (size_t)(text.data + text.size - space) - 1}};
  struct convstore_tokens whole, side;
  convstore__tokens_start(&whole, text);
  for (int i = 0; i < 2; i++) {
    convstore__tokens_start(&side, sides[i]);
    while (convstore__tokens_next(&side)) {
      FUZZ_CHECK(convstore__tokens_next(&whole));
      FUZZ_CHECK(whole.size == side.size && memcmp(whole.term, side.term, side.size) == 0);
      FUZZ_CHECK(whole.glued == side.glued);
    }
  }
  FUZZ_CHECK(!convstore__tokens_next(&whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  convstore_text text = fuzz_rest(&input);
  char *copy = fuzz_exact(text);
  struct convstore_tokens tokens;
  text.data = copy;
  size_t n = 0, end = 0;
  for (convstore__tokens_start(&tokens, text); convstore__tokens_next(&tokens); end = tokens.end) {
    check_token(&tokens, end, ++n, text.size);
    if (!is_whole(&tokens)) continue;
    struct convstore_tokens own;
    convstore__tokens_start(&own, (convstore_text){tokens.term, tokens.size});
    FUZZ_CHECK(convstore__tokens_next(&own));
    FUZZ_CHECK(own.size == tokens.size && memcmp(own.term, tokens.term, own.size) == 0);
    FUZZ_CHECK(!convstore__tokens_next(&own));
  }
  for (size_t i = 0; i < text.size; i++) {
    size_t space = convstore__space(text.data + i, text.size - i);
    FUZZ_CHECK(space <= text.size - i);
    FUZZ_CHECK(space == 0 || fuzz_is_utf8((convstore_text){text.data + i, space}));
  }
  check_space(text);
  check_normalized(text);
  free(copy);
  return 0;
}
