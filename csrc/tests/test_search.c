/*
 * core/search.c, match.c: what a search finds, against a matcher that tries everything. The texts are random, of
 * Latin and Chinese words, punctuation and emoji, and lie in random segments.
 */
#include "../core/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/fold.h"
#include "check.h"

enum {
  DOCUMENTS = 60,
  SEGMENTS = 4,
  TOKENS = 200,
  CONVERSATIONS = 3
};

static const int64_t now_ms = INT64_C(1750000000000);
static const int64_t day_ms = 24 * 60 * 60 * 1000;

static const char *const ids[CONVERSATIONS] = {
    "01890000-0000-7000-8000-000000000001",
    "01890000-0000-7000-8000-00000000000a",
    "01890000-0000-7000-9000-000000000000",
};

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 33) % n;
}

struct token {
  char term[CONVSTORE_TERM_SIZE + 1];
  bool glued;
};

struct document {
  size_t conversation;
  int64_t seq;
  convstore_role role;
  int64_t created_at_ms;
  char text[2048];
  size_t n_tokens;
  struct token tokens[TOKENS];
};

static struct document documents[DOCUMENTS];

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = strlen(string)};
}

static size_t tokenize(struct token *out, size_t max, convstore_text text) {
  struct convstore_tokens tokens;
  size_t n = 0;
  convstore__tokens_start(&tokens, text);
  while (convstore__tokens_next(&tokens) && n < max) {
    memcpy(out[n].term, tokens.term, tokens.size);
    out[n].term[tokens.size] = '\0';
    out[n++].glued = tokens.glued;
  }
  return n;
}

/* ---- random texts and queries ---- */

static const char *const words[] = {
    "red",          "Red",          "gre\xC3\xA9n", "green",
    "blue",         "don't",        "x86",          "a",
    "\xE6\x95\xB0", "\xE6\x8D\xAE", "\xE5\xBA\x93", "\xE6\x95\xB0\xE6\x8D\xAE",
    "\xED\x95\x98", "\xE3\x81\x8B", "\xE3\x81\x8C", "\xEF\xBC\xA1",
    "stra\xC3\x9F", "STRASS",
};
static const char *const gaps[] = {
    " ", " ", " ", "", "", ", ", "\n", "\xEF\xBC\x8C", "\xF0\x9F\x98\x80", "-", "\xE2\x80\x8B"};

#define ONE_OF(list) (list)[random_below(sizeof(list) / sizeof *(list))]

static void append(char *to, size_t size, const char *what) {
  size_t n = strlen(to), n_what = strlen(what);
  if (n + n_what < size) memcpy(to + n, what, n_what + 1);
}

static void make_document(struct document *document, int64_t seq) {
  *document = (struct document){
      .conversation = random_below(CONVERSATIONS),
      .seq = seq,
      .role = (convstore_role)random_below(CONVSTORE_ROLES),
      .created_at_ms = now_ms - (int64_t)random_below(8) * 20 * day_ms + day_ms,
  };
  uint32_t n = random_below(4) == 0 ? random_below(3) : random_below(60);
  for (uint32_t i = 0; i < n; i++) {
    append(document->text, sizeof document->text, ONE_OF(words));
    append(document->text, sizeof document->text, ONE_OF(gaps));
  }
  document->n_tokens = tokenize(document->tokens, TOKENS, text_of(document->text));
}

struct wanted {
  bool negative;
  size_t n;
  struct token tokens[16];
};

static bool is_same(const struct wanted *a, const struct wanted *b) {
  if (a->negative != b->negative || a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++)
    if (strcmp(a->tokens[i].term, b->tokens[i].term) != 0 || a->tokens[i].glued != b->tokens[i].glued)
      return false;
  return true;
}

/* A query and what it means. Doubles and empty units are left out, as the query does. */
static size_t make_query(char *text, size_t size, struct wanted *wanted) {
  size_t n = 0;
  text[0] = '\0';
  for (uint32_t i = 1 + random_below(4); i > 0; i--) {
    char unit[128] = "";
    bool quoted = random_below(3) == 0;
    struct wanted *one = &wanted[n];
    memset(one, 0, sizeof *one);
    one->negative = random_below(6) == 0;
    for (uint32_t j = quoted ? 1 + random_below(3) : 1 + random_below(2) / 2; j > 0; j--) {
      append(unit, sizeof unit, ONE_OF(words));
      if (j > 1) append(unit, sizeof unit, random_below(2) ? " " : ".");
    }
    one->n = tokenize(one->tokens, 16, text_of(unit));
    append(text, size, one->negative ? "-" : "");
    append(text, size, quoted ? "\"" : "");
    append(text, size, unit);
    append(text, size, quoted ? "\" " : "  ");
    bool is_double = false;
    for (size_t j = 0; j < n; j++) is_double = is_double || is_same(&wanted[j], one);
    n += !is_double;
  }
  return n;
}

/* ---- the naive matcher ---- */

static size_t occurrences(const struct document *document, const struct wanted *wanted) {
  size_t n = 0;
  for (size_t i = 0; i + wanted->n <= document->n_tokens; i++) {
    bool same = true;
    for (size_t j = 0; same && j < wanted->n; j++)
      same = strcmp(document->tokens[i + j].term, wanted->tokens[j].term) == 0 &&
             (j == 0 || document->tokens[i + j].glued == wanted->tokens[j].glued);
    n += same;
  }
  return n;
}

static bool passes(const struct document *document, const convstore_request *request) {
  return (request->roles == 0 || request->roles >> document->role & 1) &&
         (request->since_ms == CONVSTORE_ABSENT || document->created_at_ms >= request->since_ms) &&
         (request->before_ms == CONVSTORE_ABSENT || document->created_at_ms < request->before_ms) &&
         (request->conversation_id[0] == '\0' ||
          strcmp(ids[document->conversation], request->conversation_id) == 0);
}

static int compare(const void *a, const void *b) {
  const struct convstore_candidate *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? 1 : -1;
  if (x->created_at_ms != y->created_at_ms) return x->created_at_ms < y->created_at_ms ? 1 : -1;
  int order = strcmp(y->conversation_id, x->conversation_id);
  if (order != 0) return order;
  return x->seq < y->seq ? 1 : -1;
}

static size_t find_naively(struct convstore_candidate *out, const struct wanted *wanted, size_t n_wanted,
                           const convstore_request *request) {
  double weights[8];
  size_t n = 0, n_positive = 0, n_documents = 0;
  for (size_t i = 0; i < DOCUMENTS; i++) n_documents += documents[i].n_tokens > 0;
  for (size_t u = 0; u < n_wanted; u++) {
    size_t df = 0;
    for (size_t i = 0; i < DOCUMENTS; i++) df += occurrences(&documents[i], &wanted[u]) > 0;
    weights[u] = round(16 * log(1 + ((double)(n_documents - df) + 0.5) / ((double)df + 0.5)));
    weights[u] = weights[u] < 1 ? 1 : weights[u] > 255 ? 255 : weights[u];
    n_positive += !wanted[u].negative;
  }
  for (size_t i = 0; i < DOCUMENTS && n_positive > 0; i++) {
    const struct document *document = &documents[i];
    double sum = 0;
    bool matches = passes(document, request);
    for (size_t u = 0; matches && u < n_wanted; u++) {
      double tf = (double)occurrences(document, &wanted[u]);
      matches = (tf > 0) != wanted[u].negative;
      if (!wanted[u].negative)
        sum += weights[u] * (tf / (tf + 1.2 * (0.25 + 0.75 * (double)document->n_tokens / 64.0)));
    }
    if (!matches) continue;
    double age = (double)(now_ms - document->created_at_ms);
    double recency = 0.5 + 0.5 * exp2(-(age > 0 ? age : 0) / (30.0 * (double)day_ms));
    struct convstore_candidate *candidate = &out[n++];
    *candidate = (struct convstore_candidate){.seq = document->seq,
                                              .score = llround(recency * sum * 1e6),
                                              .created_at_ms = document->created_at_ms};
    memcpy(candidate->conversation_id, ids[document->conversation], CONVSTORE_ID_SIZE);
  }
  qsort(out, n, sizeof *out, compare);
  return n;
}

/* ---- the search ---- */

static struct convstore_segment segments[SEGMENTS];
static convstore_result segments_owner;

static void build_segments(const struct document *from, size_t n) {
  struct convstore_segment_builder *builders[SEGMENTS];
  convstore_result_free(&segments_owner);
  REQUIRE(convstore__arena(&segments_owner) != NULL);
  for (size_t i = 0; i < SEGMENTS; i++)
    CHECK_INT(convstore__segment_start(&builders[i], segments_owner.memory, NULL), CONVSTORE_OK);
  for (size_t i = 0; i < n; i++) {
    const struct document *document = &from[i];
    convstore_text content = document->text[0] ? text_of(document->text) : (convstore_text){NULL, 0};
    CHECK_INT(convstore__segment_add(builders[random_below(SEGMENTS)], ids[document->conversation],
                                     document->seq, document->role, document->created_at_ms, content,
                                     (convstore_text){NULL, 0}, NULL),
              CONVSTORE_OK);
  }
  for (size_t i = 0; i < SEGMENTS; i++)
    CHECK_INT(convstore__segment_finish(&segments[i], builders[i], NULL), CONVSTORE_OK);
}

struct searching {
  convstore_result result;
  convstore_error err;
  struct convstore_call call;
  struct convstore_search *search;
  const struct convstore_candidate *found;
  size_t n;
};

static void run(struct searching *out, convstore_request *request) {
  *out = (struct searching){.found = NULL};
  out->call =
      (struct convstore_call){.request = request, .result = &out->result, .err = &out->err, .now_ms = now_ms};
  CHECK_INT(convstore__search_start(&out->search, &out->call), CONVSTORE_OK);
  for (size_t i = 0; i < SEGMENTS; i++)
    CHECK_INT(convstore__search_add(out->search, segments[i].messages, segments[i].messages_size,
                                    segments[i].postings, segments[i].n_postings, &out->err),
              CONVSTORE_OK);
  CHECK_INT(convstore__search_rank(out->search, &out->err), CONVSTORE_OK);
  out->n = convstore__search_candidates(out->search, &out->found);
}

static void check_same(const struct convstore_candidate *found, size_t n,
                       const struct convstore_candidate *expected, size_t n_expected) {
  CHECK_INT((int64_t)n, (int64_t)n_expected);
  for (size_t i = 0; i < n && i < n_expected; i++) {
    CHECK_STRING(found[i].conversation_id, expected[i].conversation_id);
    CHECK_INT(found[i].seq, expected[i].seq);
    CHECK_INT(found[i].score, expected[i].score);
    CHECK_INT(found[i].created_at_ms, expected[i].created_at_ms);
  }
}

static void make_filters(convstore_request *request) {
  if (random_below(4) == 0) request->roles = 1 + random_below(31);
  if (random_below(4) == 0) request->since_ms = documents[random_below(DOCUMENTS)].created_at_ms;
  if (random_below(4) == 0) request->before_ms = documents[random_below(DOCUMENTS)].created_at_ms;
  if (random_below(4) == 0)
    memcpy(request->conversation_id, ids[random_below(CONVERSATIONS)], CONVSTORE_ID_SIZE);
}

static void test_search__finds_what_a_naive_matcher_finds(void) {
  size_t n_found = 0;
  for (int round = 0; round < 40 / check_stride() + 1; round++) {
    for (size_t i = 0; i < DOCUMENTS; i++) make_document(&documents[i], (int64_t)i + 1);
    build_segments(documents, DOCUMENTS);
    for (int k = 0; k < 50; k++) {
      char text[512];
      struct wanted wanted[8];
      struct convstore_candidate expected[DOCUMENTS];
      convstore_request request = CONVSTORE_REQUEST_INIT;
      size_t n_wanted = make_query(text, sizeof text, wanted);
      request.text = text_of(text);
      make_filters(&request);
      size_t n = find_naively(expected, wanted, n_wanted, &request);
      struct searching first;
      check_doing("round %d: %s", round, text);
      run(&first, &request);
      check_same(first.found, first.n, expected, n);
      n_found += n;
      if (n > 0) { /* the next page, when more has come and the clock went on */
        size_t at = random_below((uint32_t)n);
        convstore__search_position(&request.position, first.search, &first.found[at]);
        struct searching next;
        run(&next, &request);
        check_same(next.found, next.n, expected + at + 1, n - at - 1);
        convstore_result_free(&next.result);
      }
      convstore_result_free(&first.result);
      if (check_failed()) return;
    }
  }
  CHECK(n_found > 300);
  convstore_result_free(&segments_owner);
}

/* What the first page fixed is taken, whatever else is found by now. */
static void test_search__pages_keep_their_weights_and_time(void) {
  for (size_t i = 0; i < DOCUMENTS; i++) make_document(&documents[i], (int64_t)i + 1);
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.text = text_of("red");
  build_segments(documents, DOCUMENTS);
  struct searching first, next;
  run(&first, &request);
  REQUIRE(first.n > 3);
  convstore__search_position(&request.position, first.search, &first.found[1]);
  CHECK(request.position.set);
  CHECK_INT(request.position.now_ms, now_ms);
  CHECK_INT((int64_t)request.position.n_weights, 1);
  CHECK_INT(request.position.score, first.found[1].score);
  struct document some[DOCUMENTS]; /* without many that do not have the word: its weight would be another */
  size_t n = 0;
  for (size_t i = 0; i < DOCUMENTS; i++)
    if (strstr(documents[i].text, "red") || strstr(documents[i].text, "Red")) some[n++] = documents[i];
  build_segments(some, n);
  run(&next, &request);
  check_same(next.found, next.n, first.found + 2, first.n - 2);
  convstore_result_free(&first.result);
  convstore_result_free(&next.result);
  convstore_result_free(&segments_owner);
}

/* Chinese has no spaces: a word is found exactly where its characters stand side by side. */
static void test_search__finds_words_inside_chinese_text(void) {
  static const char *const characters[] = {"\xE6\x95\xB0", "\xE6\x8D\xAE", "\xE5\xBA\x93", "\xE4\xB8\x96",
                                           "\xE5\xA5\xBD", "\xE7\xBC\x96", "\xE7\xA8\x8B", "\xE4\xB8\xAD"};
  for (size_t i = 0; i < DOCUMENTS; i++) {
    documents[i] = (struct document){.seq = (int64_t)i + 1, .created_at_ms = now_ms};
    for (uint32_t n = random_below(40); n > 0; n--) {
      append(documents[i].text, sizeof documents[i].text, ONE_OF(characters));
      if (random_below(4) == 0)
        append(documents[i].text, sizeof documents[i].text, random_below(2) ? "\xEF\xBC\x8C" : " ");
    }
  }
  build_segments(documents, DOCUMENTS);
  for (int k = 0; k < 500 / check_stride(); k++) {
    char word[16] = "";
    bool found[DOCUMENTS + 1] = {false};
    append(word, sizeof word, ONE_OF(characters));
    append(word, sizeof word, ONE_OF(characters));
    if (random_below(2)) append(word, sizeof word, ONE_OF(characters));
    convstore_request request = CONVSTORE_REQUEST_INIT;
    request.text = text_of(word);
    struct searching searching;
    check_doing("%s", word);
    run(&searching, &request);
    for (size_t i = 0; i < searching.n; i++) found[searching.found[i].seq] = true;
    for (size_t i = 0; i < DOCUMENTS; i++)
      CHECK((strstr(documents[i].text, word) != NULL) == found[documents[i].seq]);
    convstore_result_free(&searching.result);
  }
  convstore_result_free(&segments_owner);
}

static void test_search__without_a_positive_unit_is_empty(void) {
  static const char *const texts[] = {"", "...", "-red", "-\"red green\" -blue", "\xF0\x9F\x98\x80"};
  for (size_t i = 0; i < DOCUMENTS; i++) make_document(&documents[i], (int64_t)i + 1);
  build_segments(documents, DOCUMENTS);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    convstore_request request = CONVSTORE_REQUEST_INIT;
    request.text = text_of(texts[i]);
    struct searching searching;
    check_doing("%s", texts[i]);
    run(&searching, &request);
    CHECK(convstore__search_is_empty(searching.search));
    CHECK_INT((int64_t)searching.n, 0);
    convstore_result_free(&searching.result);
  }
  convstore_result_free(&segments_owner);
}

static void test_search__names_the_buckets_of_all_terms(void) {
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.text = text_of("red \"green blue\" -x86 red");
  struct searching searching;
  const int64_t *buckets;
  memset(segments, 0, sizeof segments);
  build_segments(NULL, 0);
  run(&searching, &request);
  size_t n = convstore__search_buckets(searching.search, &buckets);
  static const char *const terms[] = {"red", "green", "blue", "x86"};
  for (size_t i = 1; i < n; i++) CHECK(buckets[i - 1] < buckets[i]);
  for (size_t i = 0; i < 4; i++) {
    bool found = false;
    for (size_t j = 0; j < n; j++)
      found = found || buckets[j] == convstore__term_bucket(terms[i], strlen(terms[i]));
    CHECK(found);
  }
  CHECK(n <= 4);
  convstore_result_free(&searching.result);
  convstore_result_free(&segments_owner);
}

/* More units than weigh: the others filter. And a query of a hundred kilobytes, most of which occurs. */
static void test_search__takes_many_units(void) {
  enum {
    UNITS = 12000
  };
  char *text = malloc(UNITS * 8 + 8);
  size_t size = 0;
  REQUIRE(text != NULL);
  for (int i = 0; i < UNITS; i++) size += (size_t)snprintf(text + size, 9, i % 3 ? "w%d " : "w%d.q ", i);
  struct convstore_segment_builder *builder;
  convstore_result_free(&segments_owner);
  REQUIRE(convstore__arena(&segments_owner) != NULL);
  CHECK_INT(convstore__segment_start(&builder, segments_owner.memory, NULL), CONVSTORE_OK);
  for (int64_t seq = 1; seq <= 6; seq++) /* the first one lacks the last word */
    CHECK_INT(convstore__segment_add(builder, ids[0], seq, CONVSTORE_ROLE_USER, now_ms,
                                     (convstore_text){text, seq == 1 ? size - 7 : size},
                                     (convstore_text){NULL, 0}, NULL),
              CONVSTORE_OK);
  memset(segments, 0, sizeof segments);
  CHECK_INT(convstore__segment_finish(&segments[0], builder, NULL), CONVSTORE_OK);
  for (size_t i = 1; i < SEGMENTS; i++) segments[i] = segments[0];

  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.text = (convstore_text){text, size};
  struct searching searching;
  run(&searching, &request);
  CHECK_INT((int64_t)searching.n, 5 * SEGMENTS);
  convstore__search_position(&request.position, searching.search, &searching.found[0]);
  CHECK_INT((int64_t)request.position.n_weights, 32);
  convstore_result_free(&searching.result);

  memcpy(text + size, "-w5", 3);
  request = (convstore_request)CONVSTORE_REQUEST_INIT;
  request.text = (convstore_text){text, size + 3};
  run(&searching, &request);
  CHECK_INT((int64_t)searching.n, 0);
  convstore_result_free(&searching.result);
  convstore_result_free(&segments_owner);
  free(text);
}

/* A phrase and a text of one word over and over: each try of each place would take minutes. */
static void test_search__takes_phrases_that_overlap_themselves(void) {
  enum {
    SIZE = 1000000
  };
  char *text = malloc(SIZE);
  REQUIRE(text != NULL);
  for (size_t i = 0; i < SIZE; i++) text[i] = i % 2 ? '.' : 'a';
  struct convstore_segment_builder *builder;
  REQUIRE(convstore__arena(&segments_owner) != NULL);
  CHECK_INT(convstore__segment_start(&builder, segments_owner.memory, NULL), CONVSTORE_OK);
  CHECK_INT(convstore__segment_add(builder, ids[0], 1, CONVSTORE_ROLE_USER, now_ms,
                                   (convstore_text){text, SIZE}, (convstore_text){NULL, 0}, NULL),
            CONVSTORE_OK);
  CHECK_INT(convstore__segment_finish(&segments[0], builder, NULL), CONVSTORE_OK);
  for (size_t i = 1; i < SEGMENTS; i++) segments[i] = segments[0];
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.text = (convstore_text){text, 100000};
  struct searching searching;
  run(&searching, &request);
  CHECK_INT((int64_t)searching.n, SEGMENTS);
  convstore_hit hit;
  convstore_message message = {.content = {text, SIZE}};
  CHECK_INT(convstore__search_hit(&hit, searching.search, searching.found, &message, NULL), CONVSTORE_OK);
  CHECK_HAS(hit.snippet.data, "<b>a.a.a");
  CHECK_HAS(hit.snippet.data, "</b>\xE2\x80\xA6");
  convstore_result_free(&searching.result);
  convstore_result_free(&segments_owner);
  free(text);
}

static const struct check_test tests[] = {
    TEST(test_search__finds_what_a_naive_matcher_finds),
    TEST(test_search__pages_keep_their_weights_and_time),
    TEST(test_search__finds_words_inside_chinese_text),
    TEST(test_search__without_a_positive_unit_is_empty),
    TEST(test_search__names_the_buckets_of_all_terms),
    TEST(test_search__takes_many_units),
    TEST(test_search__takes_phrases_that_overlap_themselves),
};
CHECK_MAIN(tests)
