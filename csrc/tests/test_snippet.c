/* core/snippet.c, plain.c: what is shown of a message that was found. */
#include "../core/snippet.h"

#include <stdlib.h>
#include <string.h>

#include "../core/plain.h"
#include "../core/text.h"
#include "check.h"

static convstore_result owner;

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = string ? strlen(string) : 0};
}

/* Lives until the next one. */
static const char *snippet(const char *query_text, convstore_text text) {
  struct convstore_query query;
  convstore_text out = {"", 0};
  convstore_error err = {0};
  convstore_result_free(&owner);
  CHECK(convstore__arena(&owner) != NULL);
  CHECK_INT(convstore__query_parse(&query, text_of(query_text), owner.memory, &err), CONVSTORE_OK);
  CHECK_INT(convstore__snippet(&out, &query, text, owner.memory, &err), CONVSTORE_OK);
  CHECK_INT((int64_t)out.size, (int64_t)strlen(out.data));
  CHECK_INT((int64_t)convstore__utf8_check(out.data, out.size), (int64_t)out.size);
  return out.data;
}

static void test_snippet__marks_and_escapes(void) {
  static const struct {
    const char *query, *text, *snippet;
  } cases[] = {
      {"red", "a red car", "a <b>red</b> car"},
      {"red",
       "RED, r\xC3\xA9"
       "d and re\xCC\x81"
       "d; reddish",
       "<b>RED</b>, <b>r\xC3\xA9"
       "d</b> and <b>re\xCC\x81"
       "d</b>; reddish"},
      {"script", "<script>\"a\" & 'b'</script>",
       "&lt;<b>script</b>&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/<b>script</b>&gt;"},
      {"b", "<b>b</b>", "&lt;<b>b</b>&gt;<b>b</b>&lt;/<b>b</b>&gt;"},
      {"\"big red\"", "a big\n red car, big, red", "a <b>big red</b> car, <b>big, red</b>"},
      {"a&b", "x a&b y", "x <b>a&amp;b</b> y"},
      {"big red \"big red\"", "big red", "<b>big red</b>"},
      {"\"a b\" \"b c\"", "a b c d", "<b>a b c</b> d"},
      {"red -car", "red bus", "<b>red</b> bus"},
      {"red", "  \n\tred \t\n car\n\n", "<b>red</b> car"},
      {"\xE6\x95\xB0\xE6\x8D\xAE", "\xE5\xA4\xA7\xE6\x95\xB0\xE6\x8D\xAE\xE5\xBA\x93",
       "\xE5\xA4\xA7<b>\xE6\x95\xB0\xE6\x8D\xAE</b>\xE5\xBA\x93"},
      {"\xE6\x95\xB0 \xE6\x8D\xAE", "\xE6\x95\xB0\xE6\x8D\xAE", "<b>\xE6\x95\xB0\xE6\x8D\xAE</b>"},
      {"\xE6\xA0\xAA", "\xE3\x8D\xBF!", "<b>\xE3\x8D\xBF</b>!"}, /* one of four in one character */
      {"\xD8\x96\xDC\xB7", "; \xD8\x96\xDC\xB7 ;",
       "; <b>\xD8\x96\xDC\xB7</b> ;"}, /* the second mark comes first */
      {"nothing", "of the query", "of the query"},
      {"x", "", ""},
      {"x", " \n ", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_doing("%s in %s", cases[i].query, cases[i].text);
    CHECK_STRING(snippet(cases[i].query, text_of(cases[i].text)), cases[i].snippet);
  }
  CHECK_STRING(snippet("x", (convstore_text){NULL, 0}), "");
}

/* A long text of words, with `what` put in at word `at`. */
static char *long_text(size_t n_words, size_t at, const char *what) {
  static const char *const words[] = {"lorem ", "ipsum ", "dolor\n", "sit  ", "amet, "};
  char *text = malloc(n_words * 8 + strlen(what) + 2);
  size_t size = 0;
  if (!text) abort();
  for (size_t i = 0; i < n_words; i++) {
    const char *word = i == at ? what : words[i % 5];
    memcpy(text + size, word, strlen(word));
    size += strlen(word);
    if (i == at) text[size++] = ' ';
  }
  text[size] = '\0';
  return text;
}

static size_t count(const char *in, const char *what) {
  size_t n = 0;
  while ((in = strstr(in, what)) != NULL) {
    n++;
    in += strlen(what);
  }
  return n;
}

static void test_snippet__shows_a_part_of_a_long_text(void) {
  static const size_t places[] = {0, 1, 10, 20, 500, 980, 998, 999};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char *text = long_text(1000, places[i], "needle");
    const char *html = snippet("needle", text_of(text));
    size_t size = strlen(html);
    check_doing("needle at word %zu: %s", places[i], html);
    CHECK_INT((int64_t)count(html, "<b>needle</b>"), 1);
    CHECK(size > 120 && size < 200);
    CHECK_INT((int64_t)count(html, "\xE2\x80\xA6"), places[i] <= 1 || places[i] >= 998 ? 1 : 2);
    CHECK_INT((int64_t)count(html, "  "), 0);
    if (strncmp(html, "\xE2\x80\xA6", 3) == 0) /* begins with a whole word */
      CHECK(strchr("lidsan", html[3]) != NULL && (html[3] != 'i' || html[4] == 'p'));
    free(text);
  }
}

static void test_snippet__prefers_the_place_with_most_of_the_query(void) {
  char *text = long_text(3000, 100, "red red red red");
  char *where = strstr(text + 8000, "lorem ipsum");
  REQUIRE(where != NULL);
  memcpy(where, "red,, green", 11);
  CHECK_HAS(snippet("red green", text_of(text)), "<b>red</b>,, <b>green</b>");
  CHECK_HAS(snippet("red", text_of(text)), "<b>red</b> <b>red</b> <b>red</b> <b>red</b>");
  free(text);
}

/* However the window falls, tags are closed, characters are whole, and what is marked is a match. */
static void test_snippet__cuts_no_character_and_no_match(void) {
  static const char *const pieces[] = {
      "red", " ", "green ", "\xE6\x95\xB0", "\xE6\x8D\xAE", "\xF0\x9F\x98\x80", "<", "\n\n"};
  uint32_t state = 5;
  for (int round = 0; round < 3000 / check_stride(); round++) {
    char text[4096];
    size_t size = 0;
    while (size < 3000) {
      state = state * 1664525U + 1013904223U;
      const char *piece = pieces[(state >> 20) % 8];
      memcpy(text + size, piece, strlen(piece));
      size += strlen(piece);
    }
    text[size] = '\0';
    const char *html = snippet("\xE6\x95\xB0\xE6\x8D\xAE \"red green\"", text_of(text));
    check_doing("%s", html);
    CHECK_INT((int64_t)count(html, "<b>"), (int64_t)count(html, "</b>"));
    CHECK_INT((int64_t)count(html, "<"), (int64_t)(2 * count(html, "<b>")));
    for (const char *bold = html; (bold = strstr(bold, "<b>")) != NULL; bold += 3) {
      const char *end = strstr(bold, "</b>");
      CHECK(strncmp(bold + 3, "\xE6\x95\xB0\xE6\x8D\xAE", 6) == 0 || strncmp(bold + 3, "red", 3) == 0);
      CHECK(end != NULL && (strncmp(end - 5, "green", 5) == 0 || strncmp(end - 3, "\xE6\x8D\xAE", 3) == 0));
    }
    if (check_failed()) return;
  }
}

static void test_snippet__takes_long_matches(void) {
  char *text = malloc(100001);
  REQUIRE(text != NULL);
  memset(text, 'x', 100000);
  text[100000] = '\0';
  const char *html = snippet(text, text_of(text)); /* one word */
  CHECK_HAS(html, "<b>xxx");
  CHECK_HAS(html, "x</b>\xE2\x80\xA6");
  CHECK(strlen(html) < 250);
  for (size_t i = 1; i < 100000; i += 2) text[i] = ' ';
  text[50000] = '"';
  html = snippet(text + 50000, text_of(text)); /* a phrase of thousands */
  CHECK_HAS(html, "<b>x x x");
  CHECK_HAS(html, "x</b>\xE2\x80\xA6");
  CHECK(strlen(html) < 250);
  free(text);
}

static void test_snippet__takes_a_text_of_16_mib(void) {
  size_t n = 2400000 / (size_t)check_stride();
  char *text = long_text(n, n - 5, "needle");
  CHECK_HAS(snippet("needle", text_of(text)), "<b>needle</b>");
  free(text);
  size_t size = 16 * 1024 * 1024;
  text = malloc(size);
  REQUIRE(text != NULL);
  memset(text, '\n', size);
  memcpy(text, "red", 3);
  memcpy(text + size - 5, "green", 5);
  CHECK_STRING(snippet("green", (convstore_text){text, size}), "red <b>green</b>");
  free(text);
}

static void test_plain__joins_the_texts_of_parts(void) {
  static const struct {
    const char *content, *parts, *plain;
  } cases[] = {
      {NULL, NULL, NULL},
      {"a b", NULL, "a b"},
      {"", NULL, ""},
      {NULL, "[]", NULL},
      {NULL, "[{\"type\":\"image\"}]", NULL},
      {NULL,
       "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\",\"text\":5},{\"type\":\"text\",\"text\":\"b\"}]",
       "a\nb"},
      {NULL, "[{\"type\":\"text\",\"text\":\"\"}]", ""},
      {NULL, "{\"text\":\"a\"}", NULL},
      {NULL, "[", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    convstore_text out;
    char *owned;
    check_doing("case %zu", i);
    CHECK_INT(convstore__plain(&out, &owned, text_of(cases[i].content), text_of(cases[i].parts), NULL),
              CONVSTORE_OK);
    CHECK((out.data == NULL) == (cases[i].plain == NULL));
    if (out.data && cases[i].plain)
      CHECK(out.size == strlen(cases[i].plain) && memcmp(out.data, cases[i].plain, out.size) == 0);
    free(owned);
  }
}

static const struct check_test tests[] = {
    TEST(test_snippet__marks_and_escapes),
    TEST(test_snippet__shows_a_part_of_a_long_text),
    TEST(test_snippet__prefers_the_place_with_most_of_the_query),
    TEST(test_snippet__cuts_no_character_and_no_match),
    TEST(test_snippet__takes_long_matches),
    TEST(test_snippet__takes_a_text_of_16_mib),
    TEST(test_plain__joins_the_texts_of_parts),
};

int main(int argc, char **argv) {
  int status = check_main(argc, argv, tests, sizeof tests / sizeof *tests);
  convstore_result_free(&owner);
  return status;
}
