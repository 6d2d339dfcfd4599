/*
 * Searches: the input's first line is a query, each other line a message, in two segments. What is found is compared
 * with a scan of the messages' tokens that knows no index.
 */
#include "../core/fold.h"
#include "../core/query.h"
#include "../core/search.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
  MOST_MESSAGES = 48,
  MOST_TOKENS = 512 /* of one message; the rest is cut off */
};

static const char *const ids[] = {"0190f5a8-0000-7000-8000-000000000001",
                                  "0190f5a8-0000-7000-8000-000000000002"};

struct message {
  convstore_text text;
  const char *conversation_id;
  int64_t seq;
  int64_t created_at_ms;
};

static bool has_unit(const struct convstore_query *query, const struct convstore_unit *unit,
                     convstore_text text) {
  static uint32_t tokens[MOST_TOKENS * 4];
  struct convstore_tokens token;
  size_t n = 0;
  for (convstore__tokens_start(&token, text); convstore__tokens_next(&token); n++) {
    FUZZ_CHECK(n < sizeof tokens / sizeof *tokens);
    uint32_t term = convstore__query_find(query, token.term, token.size);
    tokens[n] = term == UINT32_MAX ? UINT32_MAX : term * 2 + token.glued;
  }
  for (size_t first = 0; first + unit->n <= n; first++) {
    size_t k = 0;
    while (k < unit->n && (k == 0 ? tokens[first] != UINT32_MAX && tokens[first] / 2 == unit->tokens[0] / 2
                                  : tokens[first + k] == unit->tokens[k]))
      k++;
    if (k == unit->n) return true;
  }
  return false;
}

static bool is_hit(const struct convstore_query *query, convstore_text text) {
  for (size_t i = 0; i < query->n_units; i++)
    if (has_unit(query, &query->units[i], text) == query->units[i].negative) return false;
  return query->n_positive > 0;
}

static void add_segment(struct convstore_search *search, const struct message *messages, size_t n,
                        struct convstore_arena *arena) {
  struct convstore_segment_builder *builder = NULL;
  struct convstore_segment segment;
  FUZZ_CHECK(convstore__segment_start(&builder, arena, NULL) == CONVSTORE_OK);
  for (size_t i = 0; i < n; i++)
    FUZZ_CHECK(convstore__segment_add(builder, messages[i].conversation_id, messages[i].seq,
                                      (convstore_role)(i % CONVSTORE_ROLES), messages[i].created_at_ms,
                                      messages[i].text, (convstore_text){NULL, 0}, NULL) == CONVSTORE_OK);
  FUZZ_CHECK(convstore__segment_finish(&segment, builder, NULL) == CONVSTORE_OK);
  FUZZ_CHECK(segment.n_messages == n && segment.n_runs <= n);
  FUZZ_CHECK(convstore__search_add(search, segment.messages, segment.messages_size, segment.postings,
                                   segment.n_postings, NULL) == CONVSTORE_OK);
}

/* Best first; each is one of the messages that hit, and no other is. */
static void check_found(const struct convstore_search *search, const struct convstore_query *query,
                        const struct message *messages, size_t n) {
  const struct convstore_candidate *found = NULL;
  bool is_found[MOST_MESSAGES] = {false};
  size_t n_found = convstore__search_candidates(search, &found);
  for (size_t i = 0; i < n_found; i++) {
    FUZZ_CHECK(i == 0 || found[i - 1].score >= found[i].score);
    size_t k = 0;
    while (k < n && (strcmp(messages[k].conversation_id, found[i].conversation_id) != 0 ||
                     messages[k].seq != found[i].seq))
      k++;
    FUZZ_CHECK(k < n && !is_found[k] && messages[k].created_at_ms == found[i].created_at_ms);
    is_found[k] = true;
  }
  for (size_t k = 0; k < n; k++) FUZZ_CHECK(is_found[k] == is_hit(query, messages[k].text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input input = fuzz_input(data, size);
  struct message messages[MOST_MESSAGES];
  convstore_result result = {.n_messages = 0};
  convstore_error err = {0};
  convstore_request request = CONVSTORE_REQUEST_INIT;
  struct convstore_call call = {.request = &request, .result = &result, .err = &err, .now_ms = 1000};
  struct convstore_search *search = NULL;
  struct convstore_query query;
  size_t n = 0;
  request.operation = CONVSTORE_SEARCH;
  request.text = fuzz_line(&input);
  if (request.text.size > MOST_TOKENS) request.text.size = MOST_TOKENS;
  for (; n < MOST_MESSAGES && input.left > 0; n++) {
    messages[n] = (struct message){fuzz_line(&input), ids[n % 3 == 0], (int64_t)n + 1, (int64_t)(n * 7 % 5)};
    if (messages[n].text.size > MOST_TOKENS) messages[n].text.size = MOST_TOKENS;
  }

  FUZZ_CHECK(convstore__search_start(&search, &call) == CONVSTORE_OK);
  FUZZ_CHECK(convstore__query_parse(&query, request.text, convstore__arena(&result), NULL) == CONVSTORE_OK);
  FUZZ_CHECK(convstore__search_is_empty(search) == (query.n_positive == 0));
  size_t half = n / 2;
  if (half > 0) add_segment(search, messages, half, convstore__arena(&result));
  if (n > half) add_segment(search, messages + half, n - half, convstore__arena(&result));
  FUZZ_CHECK(convstore__search_rank(search, &err) == CONVSTORE_OK);
  check_found(search, &query, messages, n);
  convstore_result_free(&result);
  return 0;
}
