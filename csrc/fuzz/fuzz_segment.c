/*
 * Blobs of the search index, as a damaged file may hold them: a search of them says what is wrong or finds something,
 * and stays within them. Varints are read as they were written.
 * The input: 'b', a byte of size, so many bytes of messages, and postings; or 'v' and numbers.
 */
#include "../core/search.h"
#include "../core/segment_reader.h"
#include "../core/varint.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_varint(uint64_t number) {
  unsigned char bytes[CONVSTORE_VARINT_SIZE];
  uint64_t again = 0;
  size_t n = convstore__put_varint(bytes, number);
  FUZZ_CHECK(n >= 1 && n <= sizeof bytes);
  for (size_t short_of = 0; short_of < n; short_of++) {
    const unsigned char *at = bytes;
    FUZZ_CHECK(!convstore__get_varint(&again, &at, bytes + short_of));
  }
  const unsigned char *at = bytes;
  FUZZ_CHECK(convstore__get_varint(&again, &at, bytes + n) && again == number && at == bytes + n);
  FUZZ_CHECK(convstore__unzigzag(convstore__zigzag(number)) == number);
  at = bytes;
  FUZZ_CHECK(number == 0 || !convstore__get_varint_to(&again, number - 1, &at, bytes + n));
}

static void check_status(int status, const convstore_error *err) {
  if (status == CONVSTORE_OK) return;
  FUZZ_CHECK(status == CONVSTORE_E_CORRUPT);
  fuzz_check_error(status, err);
}

static void read_messages(convstore_text blob, struct convstore_arena *arena) {
  struct convstore_segment_messages messages = {.n = 0};
  convstore_error err = {0};
  int status = convstore__read_messages(&messages, blob.data, blob.size, arena, &err);
  check_status(status, &err);
  if (status != CONVSTORE_OK) return;
  size_t n_with_tokens = 0;
  FUZZ_CHECK(messages.n <= blob.size / 2 && messages.n_runs <= messages.n);
  for (size_t i = 0; i < messages.n; i++) {
    FUZZ_CHECK(messages.roles[i] < CONVSTORE_ROLES);
    n_with_tokens += messages.n_tokens[i] > 0;
  }
  FUZZ_CHECK(n_with_tokens == messages.n_with_tokens);
  for (size_t i = 0; i < messages.n_runs; i++) {
    FUZZ_CHECK(messages.runs[i].first_seq >= 0 && messages.runs[i].first < messages.n);
    FUZZ_CHECK(i == 0 ? messages.runs[i].first == 0 : messages.runs[i].first > messages.runs[i - 1].first);
  }
}

static void read_postings(convstore_text blob) {
  struct convstore_term_cursor terms;
  convstore_error err = {0};
  bool found = true;
  const unsigned char *start = (const unsigned char *)blob.data;
  int status = convstore__term_cursor_start(&terms, blob.data, blob.size, &err);
  while (status == CONVSTORE_OK && found) {
    status = convstore__term_cursor_next(&found, &terms, &err);
    if (status != CONVSTORE_OK || !found) break;
    FUZZ_CHECK(terms.postings >= start && terms.postings_end <= start + blob.size);
    FUZZ_CHECK(terms.postings <= terms.postings_end);
    struct convstore_message_cursor messages = {.at = terms.postings, .end = terms.postings_end};
    size_t before = 0;
    while ((status = convstore__message_cursor_next(&messages, 512, &err)) == CONVSTORE_OK &&
           messages.message != SIZE_MAX) {
      FUZZ_CHECK(messages.message < 512 && messages.message >= before && messages.n >= 1);
      before = messages.message + 1;
      const unsigned char *places = messages.places;
      for (uint32_t i = 0; i < messages.n; i++) (void)convstore__next_place(&places);
      FUZZ_CHECK(places == messages.at);
    }
  }
  check_status(status, &err);
}

static void search(convstore_text messages, convstore_text postings) {
  convstore_result result = {.n_messages = 0};
  convstore_error err = {0};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  struct convstore_call call = {.request = &request, .result = &result, .err = &err, .now_ms = 1000};
  struct convstore_search *found = NULL;
  struct convstore_postings parts[8];
  const int64_t *buckets = NULL;
  request.operation = CONVSTORE_SEARCH;
  request.text = (convstore_text){"a \"a b\" -c", 10};
  FUZZ_CHECK(convstore__search_start(&found, &call) == CONVSTORE_OK);
  size_t n = convstore__search_buckets(found, &buckets);
  FUZZ_CHECK(n > 0 && n <= sizeof parts / sizeof *parts);
  for (size_t i = 0; i < n; i++)
    parts[i] = (struct convstore_postings){(int)buckets[i], postings.data, postings.size};
  int status = convstore__search_add(found, messages.data, messages.size, parts, n, &err);
  check_status(status, &err);
  if (status == CONVSTORE_OK) {
    const struct convstore_candidate *candidates = NULL;
    FUZZ_CHECK(convstore__search_rank(found, &err) == CONVSTORE_OK);
    size_t n_found = convstore__search_candidates(found, &candidates);
    for (size_t i = 1; i < n_found; i++) FUZZ_CHECK(candidates[i - 1].score >= candidates[i].score);
  }
  read_messages(messages, convstore__arena(&result));
  convstore_result_free(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  if (fuzz_byte(&input) == 'v') {
    while (input.left > 0) check_varint(fuzz_number(&input));
    return 0;
  }
  size_t n = fuzz_byte(&input);
  convstore_text messages = {input.at, n < input.left ? n : input.left};
  convstore_text postings = {input.at + messages.size, input.left - messages.size};
  char *messages_copy = fuzz_exact(messages), *postings_copy = fuzz_exact(postings);
  messages.data = messages_copy;
  postings.data = postings_copy;
  search(messages, postings);
  read_postings(postings);
  free(postings_copy);
  free(messages_copy);
  return 0;
}
