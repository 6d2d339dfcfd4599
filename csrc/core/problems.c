/* See problems.h. */
#include "problems.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"

int convstore__problem_add(size_t *capacity, struct convstore_call *call, const convstore_problem *problem) {
  convstore_result *result = call->result;
  if (result->n_problems == *capacity) {
    size_t n = *capacity == 0 ? 16 : *capacity * 2;
    convstore_problem *problems = convstore__arena_alloc(result->memory, n * sizeof *problems);
    if (problems == NULL)
      return convstore_fail(call->err, CONVSTORE_E_MEMORY, "no memory for %zu problems", n);
    if (result->n_problems > 0) memcpy(problems, result->problems, result->n_problems * sizeof *problems);
    result->problems = problems;
    *capacity = n;
  }
  result->problems[result->n_problems++] = *problem;
  return CONVSTORE_OK;
}

static int compare_texts(convstore_text a, convstore_text b) {
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare(const void *left, const void *right) {
  const convstore_problem *a = left;
  const convstore_problem *b = right;
  int order = compare_texts(a->problem, b->problem);
  if (order == 0) order = strcmp(a->conversation_id, b->conversation_id);
  return order != 0 ? order : compare_texts(a->detail, b->detail);
}

void convstore__problems_finish(struct convstore_call *call) {
  static const char word[] = "more";
  static const char detail[] = "there are more problems than these; check again when they are mended";
  convstore_result *result = call->result;
  if (result->n_problems == 0) return;
  qsort(result->problems, result->n_problems, sizeof *result->problems, compare);
  if (result->n_problems <= CONVSTORE_MAX_PROBLEMS) return;
  result->problems[CONVSTORE_MAX_PROBLEMS] =
      (convstore_problem){.problem = {word, sizeof word - 1}, .detail = {detail, sizeof detail - 1}};
  result->n_problems = CONVSTORE_MAX_PROBLEMS + 1;
}
