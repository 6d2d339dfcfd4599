/* core/fold.c: which tokens a text has. Terms are written side by side: "a b" separated, "a|b" glued. */
#include "../core/fold.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static char shown[4096];

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static void append(const char *data, size_t size) {
  size_t n = strlen(shown);
  if (n + size >= sizeof shown) return;
  memcpy(shown + n, data, size);
  shown[n + size] = '\0';
}

static const char *show(convstore_text text) {
  struct convstore_tokens tokens;
  uint32_t n = 0;
  size_t end = 0;
  shown[0] = '\0';
  convstore__tokens_start(&tokens, text);
  while (convstore__tokens_next(&tokens)) {
    if (n++ > 0) append(tokens.glued ? "|" : " ", 1);
    append(tokens.term, tokens.size);
    CHECK_INT(tokens.index, n);
    CHECK(tokens.size > 0 && tokens.size <= CONVSTORE_TERM_SIZE);
    CHECK(tokens.start < tokens.end && tokens.end <= text.size && tokens.end >= end);
    end = tokens.end;
  }
  CHECK(!convstore__tokens_next(&tokens));
  return shown;
}

struct fold_case {
  const char *text, *tokens;
};

static void check_cases(const struct fold_case *cases, size_t n) {
  for (size_t i = 0; i < n; i++) {
    check_doing("%s", cases[i].text);
    CHECK_STRING(show(text_of(cases[i].text)), cases[i].tokens);
  }
}

#define CHECK_CASES(cases) check_cases((cases), sizeof(cases) / sizeof *(cases))

static void test_fold__separates_words(void) {
  static const struct fold_case cases[] = {
      {"", ""},
      {"  \t\n", ""},
      {"...!?", ""},
      {"Hello, World", "hello world"},
      {"don't", "don t"},
      {"user@example.com", "user example com"},
      {"snake_case x86-64", "snake case x86 64"},
      {"a\xC2\xAD"
       "b",
       "ab"}, /* soft hyphen */
      {"a\xE2\x80\x8B"
       "b",
       "ab"}, /* zero width space */
      {"\xF0\x9F\x98\x80 ok \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBDyes", "ok yes"},
      {"3.14 1\xEF\xB8\x8F\xE2\x83\xA3", "3 14 1"},
      {"a\x01"
       "b",
       "a b"},
  };
  CHECK_CASES(cases);
}

static void test_fold__ignores_case_accents_and_width(void) {
  static const struct fold_case cases[] = {
      {"\xC3\x89 e\xCC\x81 E", "e e e"},
      {"Stra\xC3\x9F"
       "e STRASSE STRA\xE1\xBA\x9E"
       "E",
       "strasse strasse strasse"},
      {"\xEF\xBC\xA1\xEF\xBC\xA2\xEF\xBC\xA3\xEF\xBC\x91", "abc1"},
      {"\xC4\xB0stanbul \xC4\xB1", "istanbul i"},
      {"\xC3\x98re \xC5\x81\xC3\xB3"
       "d\xC5\xBA \xC4\x90\xC3\xA0 \xC4\xA6\xC5\xA6",
       "ore lodz da ht"},
      {"\xC3\x86on \xC5\x93uvre", "aeon oeuvre"},
      {"Vi\xE1\xBB\x87t Nam", "viet nam"},
      {"\xCE\x9F\xCE\x94\xCE\xA5\xCE\xA3\xCE\xA3\xCE\x95\xCE\x8E\xCF\x82",
       "\xCE\xBF\xCE\xB4\xCF\x85\xCF\x83\xCF\x83\xCE\xB5\xCF\x85\xCF\x83"}, /* Odysseus, final sigma */
      {"\xD0\x81\xD0\x96 \xD1\x91\xD0\xB6",
       "\xD0\xB5\xD0\xB6 \xD0\xB5\xD0\xB6"}, /* yo is e with a diaeresis */
      {"\xEF\xAC\x81n \xE2\x84\x96 x\xC2\xB2", "fin no x2"},
      {"\xC2\xBD", "1 2"},
      {"\xF0\x9D\x90\x80", "a"}, /* mathematical bold A */
  };
  CHECK_CASES(cases);
}

static void test_fold__drops_points_and_keeps_vowel_signs(void) {
  static const struct fold_case cases[] = {
      {"\xD7\xA9\xD7\x81\xD6\xB8\xD7\x9C\xD7\x95\xD6\xB9\xD7\x9D",
       "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D"}, /* shalom */
      {"\xD9\x85\xD9\x8F\xD8\xAD\xD9\x8E\xD9\x85\xD9\x91\xD9\x8E\xD8\xAF",
       "\xD9\x85\xD8\xAD\xD9\x85\xD8\xAF"},
      {"\xD8\xA3", "\xD8\xA7"}, /* alef with hamza */
      {"\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80",
       "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80"}, /* Hindi, one word */
      {"\xE0\xA4\xA9", "\xE0\xA4\xA8\xE0\xA4\xBC"},                                 /* na with nukta */
  };
  CHECK_CASES(cases);
}

static void test_fold__takes_characters_of_scripts_without_spaces_alone(void) {
  static const struct fold_case cases[] = {
      {"\xE6\x95\xB0\xE6\x8D\xAE\xE5\xBA\x93", "\xE6\x95\xB0|\xE6\x8D\xAE|\xE5\xBA\x93"},
      {"\xE5\xA5\xBD\xEF\xBC\x8C\xE4\xB8\x96", "\xE5\xA5\xBD \xE4\xB8\x96"},
      {"gpt4\xE7\xBC\x96\xE7\xA8\x8B", "gpt4|\xE7\xBC\x96|\xE7\xA8\x8B"},
      {"\xE7\xBC\x96gpt4", "\xE7\xBC\x96|gpt4"},
      {"\xE3\x81\x8B\xE3\x81\x8C", "\xE3\x81\x8B|\xE3\x81\x8B\xE3\x82\x99"}, /* ka, ga */
      {"\xE3\x81\x8B\xE3\x82\x99", "\xE3\x81\x8B\xE3\x82\x99"},              /* ga of two characters */
      {"\xEF\xBD\xB6\xEF\xBE\x9E\xEF\xBD\xB0", "\xE3\x82\xAB\xE3\x82\x99|\xE3\x83\xBC"}, /* half-width */
      {"\xEF\xA4\x80", "\xE8\xB1\x88"},                                        /* a compatibility ideograph */
      {"\xE3\x8D\xBF", "\xE6\xA0\xAA|\xE5\xBC\x8F|\xE4\xBC\x9A|\xE7\xA4\xBE"}, /* four in one */
      {"\xED\x95\x98\xED\x95\x99", "\xED\x95\x98|\xED\x95\x99"},
      {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xA8", "\xED\x95\x99"}, /* the second of three letters */
      {"\xED\x95\x98\xE1\x86\xA8", "\xED\x95\x99"},             /* of a syllable and a letter */
      {"\xE3\x85\x8B\xE3\x85\x8B", "\xE1\x84\x8F|\xE1\x84\x8F"},
      {"\xE0\xB8\x81\xE0\xB8\xB5\xE0\xB8\x81",
       "\xE0\xB8\x81\xE0\xB8\xB5|\xE0\xB8\x81"}, /* Thai, a vowel sign */
      {"\xF0\xA0\x80\x80\xE4\xB8\x80", "\xF0\xA0\x80\x80|\xE4\xB8\x80"},
  };
  CHECK_CASES(cases);
}

/* Canonically equal texts have equal terms. */
static void test_fold__puts_marks_in_order(void) {
  char first[256];
  const char *a = show(text_of("\xE0\xA4\x95\xE0\xA4\xBC\xE0\xA5\x8D")); /* nukta (7), virama (9) */
  memcpy(first, a, strlen(a) + 1);
  CHECK_STRING(show(text_of("\xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xBC")), first);
}

static void test_fold__tells_where_tokens_are(void) {
  struct convstore_tokens tokens;
  const char *text = " Cafe\xCC\x81! \xC3\x89t\xC3\xA9";
  convstore__tokens_start(&tokens, text_of(text));
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.start, 1);
  CHECK_INT((int64_t)tokens.end, 7); /* with the accent, which is no part of the term */
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.start, 9);
  CHECK_INT((int64_t)tokens.end, (int64_t)strlen(text));
}

/* Put in order, the first mark of the text is not the first of the term. */
static void test_fold__tells_where_marks_in_another_order_are(void) {
  struct convstore_tokens tokens;
  convstore__tokens_start(&tokens, text_of("; \xD8\x96\xDC\xB7 ;a\xD8\x96\xDC\xB7 b"));
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.start, 2);
  CHECK_INT((int64_t)tokens.end, 6);
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.start, 8);
  CHECK_INT((int64_t)tokens.end, 13);
}

static void test_fold__cuts_long_terms_and_tells_them_apart(void) {
  enum {
    SIZE = 16 * 1024 * 1024
  };
  struct convstore_tokens tokens;
  char *text = malloc(SIZE);
  char first[CONVSTORE_TERM_SIZE];
  REQUIRE(text != NULL);
  memset(text, 'x', SIZE);
  convstore__tokens_start(&tokens, (convstore_text){text, 64});
  CHECK(convstore__tokens_next(&tokens));
  CHECK(tokens.size == 64 && memcmp(tokens.term, text, 64) == 0);

  convstore__tokens_start(&tokens, (convstore_text){text, SIZE});
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.size, 64);
  CHECK_INT((int64_t)tokens.end, SIZE);
  CHECK(memcmp(tokens.term, text, 48) == 0 && tokens.term[48] != 'x');
  memcpy(first, tokens.term, sizeof first);
  CHECK(!convstore__tokens_next(&tokens));
  text[SIZE - 1] = 'y';
  convstore__tokens_start(&tokens, (convstore_text){text, SIZE});
  CHECK(convstore__tokens_next(&tokens));
  CHECK(memcmp(tokens.term, first, sizeof first) != 0);

  for (size_t i = 0; i < 99; i += 3) memcpy(text + i, "\xE0\xA4\x95", 3); /* cut at a character */
  convstore__tokens_start(&tokens, (convstore_text){text, 99});
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.size, 64);
  free(text);
}

static void test_fold__takes_any_number_of_tokens(void) {
  enum {
    N = 5000000
  };
  struct convstore_tokens tokens;
  char *text = malloc(3 * N);
  uint32_t n = 0;
  REQUIRE(text != NULL);
  for (size_t i = 0; i < N; i++) memcpy(text + 3 * i, i % 2 ? "\xE4\xB8\x80" : "a b", 3);
  convstore__tokens_start(&tokens, (convstore_text){text, 3 * N / (size_t)check_stride()});
  while (convstore__tokens_next(&tokens)) n++;
  CHECK(n >= N / (uint32_t)check_stride());
  free(text);
}

/* Reads no byte beyond the text (for the sanitizer), and ends, whatever the bytes are. */
static void test_fold__survives_any_bytes(void) {
  uint32_t state = 1;
  for (int round = 0; round < 20000 / check_stride(); round++) {
    size_t size = (state >> 8) % 40;
    unsigned char *text = malloc(size ? size : 1);
    REQUIRE(text != NULL);
    for (size_t i = 0; i < size; i++) {
      state = state * 1664525U + 1013904223U;
      static const unsigned char likely[] = {0xE0, 0xB8, 0xCC, 0x81, 0xE1, 0x84,
                                             0x92, 0x85, 0xA1, 0xEF, 0xB7, 0xBA};
      text[i] = state >> 30 ? likely[(state >> 16) % sizeof likely] : (unsigned char)(state >> 16);
    }
    show((convstore_text){(char *)text, size});
    free(text);
  }
}

/* Many marks on one letter, more than are put in order. */
static void test_fold__survives_many_marks(void) {
  char text[3 * 4000 + 1];
  text[0] = 'a';
  for (size_t i = 0; i < 4000; i++) memcpy(text + 1 + 3 * i, i % 2 ? "\xE0\xA5\x8D" : "\xE0\xA4\xBC", 3);
  struct convstore_tokens tokens;
  convstore__tokens_start(&tokens, (convstore_text){text, sizeof text});
  CHECK(convstore__tokens_next(&tokens));
  CHECK_INT((int64_t)tokens.end, (int64_t)sizeof text);
  CHECK(!convstore__tokens_next(&tokens));
}

static const struct check_test tests[] = {
    TEST(test_fold__separates_words),
    TEST(test_fold__ignores_case_accents_and_width),
    TEST(test_fold__drops_points_and_keeps_vowel_signs),
    TEST(test_fold__takes_characters_of_scripts_without_spaces_alone),
    TEST(test_fold__puts_marks_in_order),
    TEST(test_fold__tells_where_tokens_are),
    TEST(test_fold__tells_where_marks_in_another_order_are),
    TEST(test_fold__cuts_long_terms_and_tells_them_apart),
    TEST(test_fold__takes_any_number_of_tokens),
    TEST(test_fold__survives_any_bytes),
    TEST(test_fold__survives_many_marks),
};
CHECK_MAIN(tests)
