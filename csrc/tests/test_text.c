/* core/text.c: UTF-8, checked against a plain decoder written from RFC 3629's table. */
#include "../core/text.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

/* The length of the sequence at `s` by RFC 3629 section 4, row by row; 0: bad. */
static size_t reference(const unsigned char *s, size_t n) {
  static const struct {
    size_t length;
    unsigned char low[4], high[4];
  } rows[] = {
      {1, {0x01}, {0x7F}},
      {2, {0xC2, 0x80}, {0xDF, 0xBF}},
      {3, {0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}},
      {3, {0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}},
      {3, {0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}},
      {3, {0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}},
      {4, {0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}},
      {4, {0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}},
      {4, {0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}},
  };
  for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
    size_t i = 0;
    while (i < rows[row].length && i < n && s[i] >= rows[row].low[i] && s[i] <= rows[row].high[i]) i++;
    if (i == rows[row].length) return i;
  }
  return 0;
}

static size_t reference_check(const unsigned char *s, size_t size) {
  size_t i = 0;
  while (i < size) {
    size_t length = reference(s + i, size - i);
    if (length == 0) break;
    i += length;
  }
  return i;
}

static size_t check(const unsigned char *s, size_t size) {
  return convstore__utf8_check((const char *)s, size);
}

/* Every sequence that begins with a lead byte or with the last stray one; what begins with ASCII is a shorter
 * one. */
static void test_utf8_check__agrees_on_every_sequence_of_three_bytes(void) {
  for (unsigned code = 0xBF0000; code < 1U << 24; code += (unsigned)check_stride()) {
    const unsigned char s[3] = {(unsigned char)(code >> 16), (unsigned char)(code >> 8), (unsigned char)code};
    if (check(s, 3) != reference_check(s, 3)) {
      check_doing("%02x %02x %02x", s[0], s[1], s[2]);
      CHECK_INT((int64_t)check(s, 3), (int64_t)reference_check(s, 3));
    }
  }
}

static void test_utf8_check__agrees_on_sequences_of_four_bytes(void) {
  static const unsigned char edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC0, 0xF0, 0xFF};
  const size_t n_edges = sizeof edges;
  for (unsigned first = 0; first < 256; first++) {
    for (unsigned second = 0; second < 256; second += (unsigned)check_stride()) {
      for (size_t i = 0; i < n_edges * n_edges; i++) {
        const unsigned char s[4] = {(unsigned char)first, (unsigned char)second, edges[i / n_edges],
                                    edges[i % n_edges]};
        check_doing("%02x %02x %02x %02x", s[0], s[1], s[2], s[3]);
        if (!CHECK_INT((int64_t)check(s, 4), (int64_t)reference_check(s, 4))) return;
      }
    }
  }
}

/* The fast path sees words, so each bad byte must be found at each place of a word, and whatever surrounds
 * it. */
static void test_utf8_check__finds_a_bad_byte_at_each_place(void) {
  static const char *const fillings[] = {"a", "\xC3\xA9", "a\xE4\xBD\xA0", "\xF0\x9F\x98\x80zz"};
  static const unsigned char bad[] = {0x00, 0x80, 0xBF, 0xC0, 0xC1, 0xF5, 0xFF};
  for (size_t f = 0; f < sizeof fillings / sizeof *fillings; f++) {
    for (size_t length = 0; length <= 40; length++) {
      unsigned char text[256];
      size_t size = 0;
      for (size_t i = 0; i < length; i++) {
        memcpy(text + size, fillings[f], strlen(fillings[f]));
        size += strlen(fillings[f]);
      }
      CHECK_INT((int64_t)check(text, size), (int64_t)size);
      for (size_t at = 0; at < size; at++) {
        unsigned char damaged[256];
        memcpy(damaged, text, size);
        for (size_t b = 0; b < sizeof bad; b++) {
          damaged[at] = bad[b];
          check_doing("filling %zu, %zu bytes, %02x at %zu", f, size, bad[b], at);
          CHECK_INT((int64_t)check(damaged, size), (int64_t)reference_check(damaged, size));
        }
      }
    }
  }
}

static void test_utf8_check__reads_no_byte_too_many(void) {
  for (size_t size = 0; size < 32; size++) { /* in a block of its own, for the sanitizer */
    unsigned char *text = malloc(size ? size : 1);
    REQUIRE(text != NULL);
    memset(text, 'x', size);
    CHECK_INT((int64_t)check(text, size), (int64_t)size);
    if (size > 0) {
      text[size - 1] = 0xF0;
      CHECK_INT((int64_t)check(text, size), (int64_t)size - 1);
    }
    free(text);
  }
  CHECK_INT((int64_t)convstore__utf8_check(NULL, 0), 0);
}

#define BAD "\xEF\xBF\xBD"

static void test_utf8_replace__gives_one_character_for_each_bad_byte(void) {
  static const struct {
    const char *from;
    size_t size;
    const char *to;
  } cases[] = {
      {"\xFF", 1, BAD},
      {"a\xE2\x82", 3, "a" BAD BAD},            /* truncated at the end */
      {"\xE2\x82z", 3, BAD BAD "z"},            /* truncated in the middle */
      {"\xF0\x9F\x98", 3, BAD BAD BAD},         /* one byte short */
      {"\xC0\x80", 2, BAD BAD},                 /* overlong */
      {"\xED\xA0\x80", 3, BAD BAD BAD},         /* surrogate */
      {"\xF4\x90\x80\x80", 4, BAD BAD BAD BAD}, /* beyond U+10FFFF */
      {"x\0y", 3, "x" BAD "y"},
      {"\xC3\xA9\xA9\xC3\xA9", 5, "\xC3\xA9" BAD "\xC3\xA9"},
      {"0123456789abcdef\x80"
       "0123456789abcdef",
       33, "0123456789abcdef" BAD "0123456789abcdef"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore_result result = {0};
    convstore_text text = {.data = cases[i].from, .size = cases[i].size};
    check_doing("case %zu", i);
    REQUIRE(convstore__arena(&result) != NULL);
    CHECK_INT(convstore__utf8_replace(&text, result.memory), CONVSTORE_OK);
    CHECK_STRING(text.data, cases[i].to);
    CHECK_INT((int64_t)text.size, (int64_t)strlen(cases[i].to));
    convstore__arena_free(result.memory);
  }
}

static void test_utf8_replace__leaves_good_and_absent_text_alone(void) {
  convstore_result result = {0};
  REQUIRE(convstore__arena(&result) != NULL);
  static const char good[] = "gr\xC3\xBC\xC3\x9F dich";
  convstore_text text = {.data = good, .size = sizeof good - 1};
  CHECK_INT(convstore__utf8_replace(&text, result.memory), CONVSTORE_OK);
  CHECK(text.data == good && text.size == sizeof good - 1);
  convstore_text absent = {0};
  CHECK_INT(convstore__utf8_replace(&absent, result.memory), CONVSTORE_OK);
  CHECK(absent.data == NULL && absent.size == 0);
  convstore__arena_free(result.memory);
}

static void test_utf8_cut__ends_at_a_whole_character(void) {
  static const char text[] = "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80z"; /* 1, 2, 3, 4, 1 bytes */
  static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
  for (size_t limit = 0; limit < sizeof ends / sizeof *ends; limit++)
    CHECK_INT((int64_t)convstore__utf8_cut(text, sizeof text - 1, limit), (int64_t)ends[limit]);
}

static const struct check_test tests[] = {
    TEST(test_utf8_check__agrees_on_every_sequence_of_three_bytes),
    TEST(test_utf8_check__agrees_on_sequences_of_four_bytes),
    TEST(test_utf8_check__finds_a_bad_byte_at_each_place),
    TEST(test_utf8_check__reads_no_byte_too_many),
    TEST(test_utf8_replace__gives_one_character_for_each_bad_byte),
    TEST(test_utf8_replace__leaves_good_and_absent_text_alone),
    TEST(test_utf8_cut__ends_at_a_whole_character),
};
CHECK_MAIN(tests)
