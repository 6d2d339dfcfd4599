/* core/segment.c, segment_reader.c, segment_check.c: what is built is read again and found whole, and a damaged blob
 * does no harm (to be run under the address sanitizer). */
#include "../core/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/search.h"
#include "../core/segment_check.h"
#include "../core/segment_reader.h"
#include "../core/uuid.h"
#include "check.h"

static const char id_a[] = "00000000-0000-7000-8000-00000000000a";
static const char id_b[] = "ffffffff-ffff-7fff-bfff-ffffffffffff";

static convstore_text text_of(const char *string) {
  return (convstore_text){.data = string, .size = string ? strlen(string) : 0};
}

static void add(struct convstore_segment_builder *builder, const char *id, int64_t seq, int64_t created_at_ms,
                const char *content, const char *parts) {
  convstore_error err = {0};
  CHECK_INT(convstore__segment_add(builder, id, seq, (convstore_role)(seq % CONVSTORE_ROLES), created_at_ms,
                                   text_of(content), text_of(parts), &err),
            CONVSTORE_OK);
}

/* A segment that has something of everything. */
static void build(struct convstore_segment *out, convstore_result *owner) {
  struct convstore_segment_builder *builder;
  convstore_error err = {0};
  CHECK(convstore__arena(owner) != NULL);
  CHECK_INT(convstore__segment_start(&builder, owner->memory, &err), CONVSTORE_OK);
  add(builder, id_a, 1, 1700000000000, "red green red", NULL);
  add(builder, id_a, 2, 1700000000001, NULL, NULL);
  add(builder, id_b, 7, INT64_MIN + 1, NULL,
      "[{\"type\":\"text\",\"text\":\"green\"},{\"type\":\"image\"},{\"type\":\"text\",\"text\":\"red\"}]");
  add(builder, id_b, 8, INT64_MAX, "...", NULL);
  add(builder, id_b, 10, 0, NULL, "no json");
  add(builder, id_a, 3, 5, "red red red red green \xE6\x95\xB0\xE6\x8D\xAE\xE6\x95\xB0\xE6\x8D\xAE", NULL);
  CHECK_INT(convstore__segment_finish(out, builder, &err), CONVSTORE_OK);
}

static void test_segment__is_read_as_it_was_built(void) {
  convstore_result owner = {0};
  struct convstore_segment segment;
  struct convstore_segment_messages messages = {0};
  build(&segment, &owner);
  CHECK_INT((int64_t)segment.n_messages, 6);
  REQUIRE(segment.n_runs == 4);
  CHECK_STRING(segment.runs[0].conversation_id, id_a);
  CHECK_INT(segment.runs[0].first_seq, 1);
  CHECK_INT(segment.runs[0].last_seq, 2);
  CHECK_STRING(segment.runs[1].conversation_id, id_b);
  CHECK_INT(segment.runs[1].last_seq, 8);
  CHECK_INT(segment.runs[3].first_seq, 3);

  CHECK_INT(convstore__read_messages(&messages, segment.messages, segment.messages_size, owner.memory, NULL),
            CONVSTORE_OK);
  REQUIRE(messages.n == 6 && messages.n_runs == 4);
  static const uint32_t n_tokens[] = {3, 0, 2, 0, 0, 9};
  static const int64_t times[] = {1700000000000, 1700000000001, INT64_MIN + 1, INT64_MAX, 0, 5};
  static const int roles[] = {1, 2, 2, 3, 0, 3};
  for (size_t i = 0; i < 6; i++) {
    CHECK_INT(messages.n_tokens[i], n_tokens[i]);
    CHECK_INT(messages.created_at_ms[i], times[i]);
    CHECK_INT(messages.roles[i], roles[i]);
  }
  CHECK_INT((int64_t)messages.n_with_tokens, 3);
  char id[CONVSTORE_ID_SIZE];
  convstore__id_unpack(id, messages.runs[2].id);
  CHECK_STRING(id, id_b);
  CHECK_INT(messages.runs[2].first_seq, 10);
  CHECK_INT((int64_t)messages.runs[2].first, 4);
  convstore_result_free(&owner);
}

static void test_segment__postings_are_sorted_and_complete(void) {
  convstore_result owner = {0};
  struct convstore_segment segment;
  build(&segment, &owner);
  int last = -1;
  size_t n_terms = 0;
  for (size_t i = 0; i < segment.n_postings; i++) {
    struct convstore_term_cursor cursor;
    bool found;
    CHECK(segment.postings[i].bucket > last && segment.postings[i].bucket < CONVSTORE_BUCKETS);
    last = segment.postings[i].bucket;
    CHECK_INT(convstore__term_cursor_start(&cursor, segment.postings[i].data, segment.postings[i].size, NULL),
              CONVSTORE_OK);
    while (convstore__term_cursor_next(&found, &cursor, NULL) == CONVSTORE_OK && found) {
      n_terms++;
      CHECK_INT(convstore__term_bucket(cursor.term, cursor.size), last);
      if (cursor.size != 3 || memcmp(cursor.term, "red", 3) != 0) continue;
      static const size_t where[] = {0, 2, 5};
      static const uint32_t often[] = {2, 1, 4};
      struct convstore_message_cursor at = {.at = cursor.postings, .end = cursor.postings_end};
      for (size_t k = 0; k < 3; k++) {
        CHECK_INT(convstore__message_cursor_next(&at, 6, NULL), CONVSTORE_OK);
        CHECK_INT((int64_t)at.message, (int64_t)where[k]);
        CHECK_INT(at.n, often[k]);
      }
      CHECK_INT(convstore__message_cursor_next(&at, 6, NULL), CONVSTORE_OK);
      CHECK(at.message == SIZE_MAX);
    }
  }
  CHECK_INT((int64_t)n_terms, 4);
  convstore_result_free(&owner);
}

static void test_segment__may_be_empty(void) {
  convstore_result owner = {0};
  struct convstore_segment_builder *builder;
  struct convstore_segment segment;
  struct convstore_segment_messages messages = {0};
  REQUIRE(convstore__arena(&owner) != NULL);
  CHECK_INT(convstore__segment_start(&builder, owner.memory, NULL), CONVSTORE_OK);
  CHECK_INT(convstore__segment_finish(&segment, builder, NULL), CONVSTORE_OK);
  CHECK_INT((int64_t)(segment.n_messages + segment.n_runs + segment.n_postings), 0);
  CHECK_INT(convstore__read_messages(&messages, segment.messages, segment.messages_size, owner.memory, NULL),
            CONVSTORE_OK);
  CHECK_INT((int64_t)messages.n, 0);
  convstore_result_free(&owner);
}

static void test_segment__takes_many_messages_and_terms(void) {
  convstore_result owner = {0};
  struct convstore_segment_builder *builder;
  struct convstore_segment segment;
  REQUIRE(convstore__arena(&owner) != NULL);
  CHECK_INT(convstore__segment_start(&builder, owner.memory, NULL), CONVSTORE_OK);
  for (int64_t i = 0; i < 3000; i++) {
    char text[64];
    snprintf(text, sizeof text, "w%lld v%lld all", (long long)i, (long long)i * 7);
    add(builder, i % 3 ? id_a : id_b, i + 1, i, text, NULL);
  }
  CHECK_INT(convstore__segment_finish(&segment, builder, NULL), CONVSTORE_OK);
  CHECK_INT((int64_t)segment.n_messages, 3000);
  CHECK_INT((int64_t)segment.n_runs, 2000);
  CHECK_INT((int64_t)segment.n_postings, CONVSTORE_BUCKETS);
  convstore_result_free(&owner);
}

/* ---- damage ---- */

/* Searches blobs of which one may be damaged. Each is given in a block of its own size. */
static int search(const void *messages, size_t messages_size, const struct convstore_postings *postings,
                  size_t n) {
  convstore_result result = {0};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  convstore_error err = {0};
  struct convstore_search *found;
  const struct convstore_candidate *candidates;
  request.text = text_of("red \"red green\" \xE6\x95\xB0\xE6\x8D\xAE -blue");
  struct convstore_call call = {.request = &request, .result = &result, .err = &err, .now_ms = 1700000000000};
  int status = convstore__search_start(&found, &call);
  CHECK_INT(status, CONVSTORE_OK);
  if (status == CONVSTORE_OK)
    status = convstore__search_add(found, messages, messages_size, postings, n, &err);
  if (status == CONVSTORE_OK) {
    CHECK_INT(convstore__search_rank(found, &err), CONVSTORE_OK);
    CHECK(convstore__search_candidates(found, &candidates) <= messages_size);
  } else {
    CHECK_INT(status, CONVSTORE_E_CORRUPT);
    CHECK_HAS(err.message, "corrupt: the search index is damaged");
  }
  convstore_result_free(&result);
  return status;
}

/* What a check says of a segment: "" where it is whole. */
static const char *wrong_with(const struct convstore_segment *segment) {
  static struct convstore_segment_check check;
  convstore_result owner = {0};
  convstore_error err = {0};
  check = (struct convstore_segment_check){.n_runs = 0};
  CHECK(convstore__arena(&owner) != NULL);
  CHECK_INT(convstore__segment_check_start(&check, (int64_t)segment->n_messages,
                                           (convstore_text){segment->messages, segment->messages_size},
                                           owner.memory, &err),
            CONVSTORE_OK);
  for (size_t i = segment->n_runs; i > 0; i--) /* in whatever order */
    convstore__segment_check_run(&check, segment->runs[i - 1].conversation_id, segment->runs[i - 1].first_seq,
                                 segment->runs[i - 1].last_seq);
  for (size_t i = 0; i < segment->n_postings; i++)
    convstore__segment_check_postings(&check, segment->postings[i].bucket,
                                      (convstore_text){segment->postings[i].data, segment->postings[i].size});
  bool whole = convstore__segment_check_end(&check);
  CHECK_INT(whole, check.wrong[0] == '\0');
  convstore_result_free(&owner);
  return check.wrong;
}

static void test_check__finds_what_is_missing(void) {
  convstore_result owner = {0};
  struct convstore_segment segment;
  struct convstore_segment changed;
  build(&segment, &owner);
  CHECK_STRING(wrong_with(&segment), "");
  changed = segment;
  changed.n_runs--;
  CHECK_STRING(wrong_with(&changed), "a run of its list of messages is missing");
  changed = segment;
  changed.n_messages++;
  CHECK_HAS(wrong_with(&changed), "another length");
  changed = segment;
  changed.n_postings--; /* the last bucket */
  CHECK_HAS(wrong_with(&changed), "of its messages are not in it");
  segment.runs[1].last_seq++;
  CHECK_STRING(wrong_with(&segment), "a run is not that of its list of messages");
  segment.runs[1].last_seq--;
  segment.postings[0].bucket++;
  CHECK_STRING(wrong_with(&segment), "a term is in another bucket than its own");
  segment.postings[0].bucket--;
  CHECK_STRING(wrong_with(&segment), "");
  convstore_result_free(&owner);
}

/* Tries a blob cut everywhere, and with each bit flipped. */
static void damage(struct convstore_segment *segment, size_t *size, const void **data, bool is_messages) {
  const unsigned char *good = *data;
  const size_t good_size = *size;
  REQUIRE(good_size > 0);
  for (size_t n = 0; n < good_size; n++) {
    unsigned char *copy = malloc(n ? n : 1);
    REQUIRE(copy != NULL);
    memcpy(copy, good, n);
    *data = copy;
    *size = n;
    check_doing("cut to %zu of %zu", n, good_size);
    int status = search(segment->messages, segment->messages_size, segment->postings, segment->n_postings);
    if (n == 0 || is_messages) CHECK_INT(status, CONVSTORE_E_CORRUPT);
    CHECK(wrong_with(segment)[0] != '\0');
    *data = good;
    free(copy);
  }
  unsigned char *copy = malloc(good_size);
  REQUIRE(copy != NULL);
  *data = copy;
  *size = good_size;
  for (size_t i = 0; i < good_size * 8; i++) {
    memcpy(copy, good, good_size);
    copy[i / 8] ^= (unsigned char)(1U << i % 8);
    check_doing("bit %zu of byte %zu", i % 8, i / 8);
    search(segment->messages, segment->messages_size, segment->postings, segment->n_postings);
    (void)wrong_with(segment);
    copy[i / 8] = 0xFF;
    (void)wrong_with(segment);
    search(segment->messages, segment->messages_size, segment->postings, segment->n_postings);
  }
  uint32_t state = 3;
  for (int round = 0; round < 20000 / check_stride(); round++) { /* several bytes at once */
    memcpy(copy, good, good_size);
    for (int i = 0; i < 3; i++) {
      state = state * 1664525U + 1013904223U;
      copy[(state >> 8) % good_size] = (unsigned char)(state >> 24);
    }
    check_doing("round %d", round);
    (void)wrong_with(segment);
    search(segment->messages, segment->messages_size, segment->postings, segment->n_postings);
  }
  *data = good;
  free(copy);
}

static void test_segment__damage_is_refused_or_harmless(void) {
  convstore_result owner = {0};
  struct convstore_segment segment;
  build(&segment, &owner);
  CHECK_INT(search(segment.messages, segment.messages_size, segment.postings, segment.n_postings),
            CONVSTORE_OK);
  damage(&segment, &segment.messages_size, &segment.messages, true);
  for (size_t i = 0; i < segment.n_postings; i++)
    damage(&segment, &segment.postings[i].size, &segment.postings[i].data, false);
  convstore_result_free(&owner);
}

static const struct check_test tests[] = {
    TEST(test_segment__is_read_as_it_was_built),
    TEST(test_segment__postings_are_sorted_and_complete),
    TEST(test_segment__may_be_empty),
    TEST(test_segment__takes_many_messages_and_terms),
    TEST(test_check__finds_what_is_missing),
    TEST(test_segment__damage_is_refused_or_harmless),
};
CHECK_MAIN(tests)
