/*
 * What a failed allocation does to the building of a segment and to a search, at each place where one is made: the
 * call says so, and nothing leaks. The library's calls of malloc come here by the linker's --wrap (see the
 * Makefile).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/search.h"
#include "check.h"

static struct {
  bool armed;
  int64_t failing, n, n_live;
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static bool must_fail(void) {
  return memory.armed && memory.n++ == memory.failing;
}

static void *counted(void *block) {
  memory.n_live += block != NULL;
  return block;
}

void *__wrap_malloc(size_t size) {
  return must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size) {
  return must_fail() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (must_fail()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

void __wrap_free(void *block) {
  memory.n_live -= block != NULL;
  __real_free(block);
}

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
  json_set_alloc_funcs(__wrap_malloc, __wrap_free);
  for (size_t i = 0, n = 0; n + 8 < sizeof long_text; i++)
    n += (size_t)snprintf(long_text + n, sizeof long_text - n, "w%zu ", i);
  int64_t n_live = memory.n_live;
  int status = CONVSTORE_E_MEMORY;
  for (memory.failing = 0; status != CONVSTORE_OK && memory.failing < 100000; memory.failing++) {
    convstore_error err = {0};
    memory.armed = true;
    memory.n = 0;
    status = run(&err);
    memory.armed = false;
    check_doing("allocation %lld: %s", (long long)memory.failing, err.message);
    if (memory.n > memory.failing)
      CHECK_INT(status, CONVSTORE_E_MEMORY);
    else
      CHECK_INT(status, CONVSTORE_OK);
    CHECK_INT(memory.n_live, n_live);
    if (check_failed()) return;
  }
  CHECK(memory.failing > 50);
}

static const struct check_test tests[] = {
    TEST(test_search__survives_each_failed_allocation),
};
CHECK_MAIN(tests)
