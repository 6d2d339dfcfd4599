/*
 * What a failed allocation does to the building of a segment and to a search, at each place where one is made: the
 * call says so, and nothing leaks.
 */
#include <stdio.h>
#include <string.h>

#include "../core/search.h"
#include "check.h"
#include "failing_memory.h"

static char long_text[40000];

/* Builds a segment, searches it and shows a hit. */
static int run(convstore_error *err) {
  static const char id[] = "01890000-0000-7000-8000-000000000001";
  static const char parts[] =
      "[{\"type\":\"text\",\"text\":\"w1 w2 w3\"},{\"type\":\"text\",\"text\":\"w1\"}]";
  convstore_result built = {0}, result = {0};
  struct convstore_segment_builder *builder = NULL;
  struct convstore_segment segment;
  struct convstore_search *search = NULL;
  const struct convstore_candidate *found;
  convstore_hit hit;
  convstore_request request = CONVSTORE_REQUEST_INIT;
  request.text = (convstore_text){"w1 \"w2 w3\" -nothing", 19};
  struct convstore_call call = {.request = &request, .result = &result, .err = err};
  const convstore_text text = {long_text, strlen(long_text)}, in_parts = {parts, sizeof parts - 1};
  const convstore_text none = {NULL, 0};
  const convstore_message message = {.parts = in_parts};

  int status = CONVSTORE_E_MEMORY;
  if (convstore__arena(&built)) status = convstore__segment_start(&builder, built.memory, err);
  for (int64_t i = 0; i < 40 && status == CONVSTORE_OK; i++)
    status = convstore__segment_add(builder, id, i * 2 + 1, CONVSTORE_ROLE_USER, i, i % 20 ? none : text,
                                    i % 20 ? in_parts : none, err);
  if (status == CONVSTORE_OK) status = convstore__segment_finish(&segment, builder, err);
  if (status == CONVSTORE_OK) status = convstore__search_start(&search, &call);
  if (status == CONVSTORE_OK)
    status = convstore__search_add(search, segment.messages, segment.messages_size, segment.postings,
                                   segment.n_postings, err);
  if (status == CONVSTORE_OK) status = convstore__search_rank(search, err);
  if (status == CONVSTORE_OK) {
    CHECK_INT((int64_t)convstore__search_candidates(search, &found), 40);
    status = convstore__search_hit(&hit, search, &found[0], &message, err);
    if (status == CONVSTORE_OK) CHECK_STRING(hit.snippet.data, "<b>w1</b> <b>w2 w3</b> <b>w1</b>");
  }
  convstore_result_free(&built);
  convstore_result_free(&result);
  return status;
}

static void test_search__survives_each_failed_allocation(void) {
  REQUIRE(memory_take());
  for (size_t i = 0, n = 0; n + 8 < sizeof long_text; i++)
    n += (size_t)snprintf(long_text + n, sizeof long_text - n, "w%zu ", i);
  int64_t n_live = memory_live().blocks;
  int64_t failing = 0;
  int status = CONVSTORE_E_MEMORY;
  for (; status != CONVSTORE_OK && failing < 100000; failing++) {
    convstore_error err = {0};
    memory_arm(failing, 1);
    status = run(&err);
    memory_disarm();
    check_doing("allocation %lld: %s", (long long)failing, err.message);
    CHECK_INT(status, memory_has_failed() ? CONVSTORE_E_MEMORY : CONVSTORE_OK);
    CHECK_INT(memory_live().blocks, n_live);
    if (check_failed()) return;
  }
  CHECK(failing > 50);
}

static const struct check_test tests[] = {
    TEST(test_search__survives_each_failed_allocation),
};
CHECK_MAIN(tests)
