/*
 * core/query.c: which units a text has. Each is written as its terms, "a b" separated, "a|b" glued, in [...], with a -
 * before those that exclude.
 */
#include "../core/query.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static char shown[1024];

static void append(const char *data, size_t size) {
  size_t n = strlen(shown);
  if (n + size >= sizeof shown) return;
  memcpy(shown + n, data, size);
  shown[n + size] = '\0';
}

static const char *show(const struct convstore_query *query) {
  shown[0] = '\0';
  for (size_t i = 0; i < query->n_units; i++) {
    const struct convstore_unit *unit = &query->units[i];
    CHECK(unit->negative == (i >= query->n_positive));
    append(unit->negative ? "-[" : "[", unit->negative ? 2 : 1);
    for (size_t j = 0; j < unit->n; j++) {
      const struct convstore_query_term *term = &query->terms[unit->tokens[j] / 2];
      if (j > 0) append(unit->tokens[j] % 2 ? "|" : " ", 1);
      append(term->data, term->size);
    }
    append("]", 1);
  }
  return shown;
}

static void test_query__reads_units(void) {
  static const struct {
    const char *text, *units;
  } cases[] = {
      {"", ""},
      {" \t\xE3\x80\x80 ", ""},
      {"Hello World", "[hello][world]"},
      {"a\xE3\x80\x80"
       "b\xC2\xA0"
       "c",
       "[a][b][c]"}, /* ideographic and no-break space */
      {"\"hello world\" x", "[hello world][x]"},
      {"\xE2\x80\x9Chello world\xE2\x80\x9D", "[hello world]"},
      {"\xE2\x80\x9Ehello world\xE2\x80\x9C y", "[hello world][y]"},
      {"\"hello world", "[hello world]"},
      {"\"", ""},
      {"\"\" a \"...\"", "[a]"},
      {"\"a b\"c", "[a b][c]"},
      {"27\" monitor", "[27][monitor]"},
      {"a -b", "[a]-[b]"},
      {"-b a", "[a]-[b]"},
      {"a -\"b c\" d", "[a][d]-[b c]"},
      {"a -\"b c", "[a]-[b c]"},
      {"--a", "[a]"},
      {"- a", "[a]"},
      {"a -", "[a]"},
      {"-.5", "[5]"},
      {"->x", "[x]"},
      {"a-b", "[a b]"},
      {"\"a\"-b", "[a][b]"},
      {"-a", "-[a]"},
      {"don't user@example.com", "[don t][user example com]"},
      {"\xE6\x95\xB0\xE6\x8D\xAE gpt4\xE7\xBC\x96", "[\xE6\x95\xB0|\xE6\x8D\xAE][gpt4|\xE7\xBC\x96]"},
      {"a A \"a\" \xC3\xA1", "[a]"},
      {"b a b -a -A", "[b][a]-[a]"},
      {"\"a b\" a-b a.b", "[a b]"},
      {"AND OR NOT NEAR(a, b)* ^x title:y", "[and][or][not][near a][b][x][title y]"},
      {"'; DROP TABLE x; --", "[drop][table][x]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore_result result = {0};
    struct convstore_query query;
    convstore_error err = {0};
    check_doing("%s", cases[i].text);
    convstore_text text = {cases[i].text, strlen(cases[i].text)};
    REQUIRE(convstore__arena(&result) != NULL);
    CHECK_INT(convstore__query_parse(&query, text, result.memory, &err), CONVSTORE_OK);
    CHECK_STRING(show(&query), cases[i].units);
    convstore_result_free(&result);
  }
}

/* How many units 100 kB of a pattern have; it would take minutes if anything were quadratic. */
static size_t count_units(const char *pattern, size_t *longest) {
  enum {
    SIZE = 100000
  };
  static char text[SIZE];
  convstore_result result = {0};
  struct convstore_query query = {0};
  size_t n = strlen(pattern);
  for (size_t i = 0; i < SIZE; i++) text[i] = pattern[i % n];
  check_doing("%s ...", pattern);
  CHECK(convstore__arena(&result) != NULL);
  convstore_text all = {text, SIZE - SIZE % n};
  CHECK_INT(convstore__query_parse(&query, all, result.memory, NULL), CONVSTORE_OK);
  *longest = query.longest;
  convstore_result_free(&result);
  return query.n_units;
}

static void test_query__takes_long_texts(void) {
  static const struct {
    const char *pattern;
    size_t n_units, longest;
  } cases[] = {
      {"a", 1, 1},
      {"-", 0, 0},
      {"\"", 0, 0},
      {"a ", 1, 1},
      {"a-", 1, 50000},
      {"\"a\" ", 1, 1},
      {"-a ", 1, 1},
      {"-\"", 0, 0},
      {".", 0, 0},
      {"a.b.a.c.", 1, 50000},
      {"\xE4\xB8\x80", 1, 33333},
      {"\xCC\x81", 0, 0},
      {"(", 0, 0},
      {"\xE0\xA4\xBC\xE0\xA5\x8D", 1, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t longest = 0;
    CHECK_INT((int64_t)count_units(cases[i].pattern, &longest), (int64_t)cases[i].n_units);
    CHECK_INT((int64_t)longest, (int64_t)cases[i].longest);
  }
}

static void test_query__takes_many_different_units(void) {
  char *text = malloc(200000);
  size_t size = 0;
  REQUIRE(text != NULL);
  for (int i = 0; i < 17576; i++) {
    text[size++] = (char)('a' + i % 26);
    text[size++] = (char)('a' + i / 26 % 26);
    text[size++] = (char)('a' + i / 676);
    text[size++] = ' ';
  }
  convstore_result result = {0};
  struct convstore_query query;
  REQUIRE(convstore__arena(&result) != NULL);
  CHECK_INT(convstore__query_parse(&query, (convstore_text){text, size}, result.memory, NULL), CONVSTORE_OK);
  CHECK_INT((int64_t)query.n_units, 17576);
  CHECK_INT((int64_t)query.n_terms, 17576);
  CHECK(query.units[0].tokens[0] / 2 == convstore__query_find(&query, "aaa", 3));
  CHECK(convstore__query_find(&query, "aaaa", 4) == UINT32_MAX);
  convstore_result_free(&result);
  free(text);
}

static uint32_t state = 7;

static uint32_t random_below(uint32_t n) {
  state = state * 1664525U + 1013904223U;
  return (state >> 16) % n;
}

/* A text of n tokens out of two, glued or not; its tokens as a unit has them. */
static size_t make_text(char *text, uint32_t *tokens, size_t n) {
  size_t size = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t which = random_below(2), glued = i > 0 && random_below(3) > 0;
    if (i > 0 && !glued) text[size++] = '.';
    memcpy(text + size, which ? "\xE4\xB8\x81" : "\xE4\xB8\x80", 3);
    size += 3;
    tokens[i] = which * 2 + glued;
  }
  return size;
}

/* In texts of few terms, where a phrase overlaps itself, against trying each place. */
static void test_query__finds_each_place_of_a_phrase(void) {
  for (int round = 0; round < 20000 / check_stride(); round++) {
    char phrase[64], text[256];
    uint32_t wanted[8], tokens[40];
    size_t n_wanted = 1 + random_below(6), n = random_below(40), matched = 0;
    size_t size = make_text(phrase, wanted, n_wanted);
    make_text(text, tokens, n);
    convstore_result result = {0};
    struct convstore_query query;
    REQUIRE(convstore__arena(&result) != NULL);
    CHECK_INT(convstore__query_parse(&query, (convstore_text){phrase, size}, result.memory, NULL),
              CONVSTORE_OK);
    REQUIRE(query.n_units == 1 && query.units[0].n == n_wanted);
    uint32_t numbers[2] = {convstore__query_find(&query, "\xE4\xB8\x80", 3),
                           convstore__query_find(&query, "\xE4\xB8\x81", 3)};
    for (size_t i = 0; i < n; i++) {
      matched = convstore__unit_advance(&query.units[0], matched, numbers[tokens[i] / 2], tokens[i] % 2);
      bool expected = i + 1 >= n_wanted;
      for (size_t j = 0; expected && j < n_wanted; j++) {
        uint32_t token = tokens[i + 1 - n_wanted + j];
        expected = j > 0 ? token == wanted[j] : token / 2 == wanted[j] / 2;
      }
      CHECK((matched == n_wanted) == expected);
    }
    convstore_result_free(&result);
  }
}

static const struct check_test tests[] = {
    TEST(test_query__reads_units),
    TEST(test_query__takes_long_texts),
    TEST(test_query__takes_many_different_units),
    TEST(test_query__finds_each_place_of_a_phrase),
};
CHECK_MAIN(tests)
