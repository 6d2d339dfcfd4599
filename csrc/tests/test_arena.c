/* core/arena.c: what a result's memory promises. Leaks and overlaps show under the sanitizers and valgrind
 * too. */
#include "../core/arena.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static void test_arena__is_made_on_first_use_and_once(void) {
  convstore_result result = {0};
  struct convstore_arena *arena = convstore__arena(&result);
  REQUIRE(arena != NULL);
  CHECK(result.memory == arena);
  CHECK(convstore__arena(&result) == arena);
  convstore__arena_free(arena);
}

static void test_arena__blocks_are_aligned_and_apart(void) {
  static const size_t sizes[] = {1, 0, 15, 16, 17, 900, 1000, 5, 4096, 70000, 3, 300000, 2, 1 << 20, 1};
  enum {
    ROUNDS = 40
  };
  unsigned char *blocks[ROUNDS * sizeof sizes / sizeof *sizes];
  size_t block_sizes[sizeof blocks / sizeof *blocks];
  size_t n = 0;
  convstore_result result = {0};
  struct convstore_arena *arena = convstore__arena(&result);
  REQUIRE(arena != NULL);
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++, n++) {
      block_sizes[n] = sizes[i];
      blocks[n] = convstore__arena_alloc(arena, sizes[i]);
      REQUIRE(blocks[n] != NULL);
      CHECK((uintptr_t)blocks[n] % _Alignof(max_align_t) == 0);
      memset(blocks[n], (int)(n % 251), sizes[i]);
    }
  }
  for (size_t i = 0; i < n; i++) {
    size_t same = 0;
    while (same < block_sizes[i] && blocks[i][same] == i % 251) same++;
    CHECK_INT((int64_t)same, (int64_t)block_sizes[i]);
  }
  convstore__arena_free(arena);
}

static void test_arena__copies_end_with_nul(void) {
  convstore_result result = {0};
  struct convstore_arena *arena = convstore__arena(&result);
  REQUIRE(arena != NULL);
  for (size_t size = 0; size < 2000; size++) {
    char source[2000];
    memset(source, 'x', sizeof source);
    char *copy = convstore__arena_copy(arena, source, size);
    REQUIRE(copy != NULL);
    CHECK(strlen(copy) == size);
  }
  char *empty = convstore__arena_copy(arena, NULL, 0);
  CHECK_STRING(empty, "");
  convstore__arena_free(arena);
}

static void test_arena__refuses_sizes_that_would_wrap(void) {
  convstore_result result = {0};
  struct convstore_arena *arena = convstore__arena(&result);
  REQUIRE(arena != NULL);
  CHECK(convstore__arena_alloc(arena, SIZE_MAX) == NULL);
  CHECK(convstore__arena_alloc(arena, SIZE_MAX - 15) == NULL);
  CHECK(convstore__arena_copy(arena, "", SIZE_MAX) == NULL);
  CHECK(convstore__arena_alloc(arena, 1) != NULL);
  convstore__arena_free(arena);
}

static void test_arena__free_takes_null(void) {
  convstore__arena_free(NULL);
  convstore_result result = {0};
  convstore_result_free(&result);
  CHECK(result.memory == NULL);
}

static const struct check_test tests[] = {
    TEST(test_arena__is_made_on_first_use_and_once),
    TEST(test_arena__blocks_are_aligned_and_apart),
    TEST(test_arena__copies_end_with_nul),
    TEST(test_arena__refuses_sizes_that_would_wrap),
    TEST(test_arena__free_takes_null),
};
CHECK_MAIN(tests)
