/*
 * What every C test uses: checks that go on after a failure, and a table of tests.
 * A test program ends with check_main(), whose last line is `N passed, N failed`, for tests, not for checks.
 */
#ifndef CONVSTORE_TESTS_CHECK_H
#define CONVSTORE_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_test {
  const char *name;
  void (*run)(void);
};

#define TEST(function)                                                                                       \
  { #function, function }

/* Each returns whether it held. Use REQUIRE where the rest of a test makes no sense without it. */
#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(got, expected) check_int((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_STRING(got, expected) check_string((got), (expected), #got, __FILE__, __LINE__)
/* The string contains `part`. */
#define CHECK_HAS(got, part) check_has((got), (part), #got, __FILE__, __LINE__)
#define REQUIRE(condition)                                                                                   \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      check_true(false, #condition, __FILE__, __LINE__);                                                     \
      return;                                                                                                \
    }                                                                                                        \
  } while (0)

bool check_true(bool held, const char *expression, const char *file, int line);
bool check_int(int64_t got, int64_t expected, const char *expression, const char *file, int line);
bool check_string(const char *got, const char *expected, const char *expression, const char *file, int line);
bool check_has(const char *got, const char *part, const char *expression, const char *file, int line);

/* What the test is doing, printed with its failures: for loops. printf-like; "" for nothing. */
void check_doing(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Whether the running test has failed so far. */
bool check_failed(void);

/* 1, or more under valgrind, where everything takes thirty times the time: what a long loop multiplies its
 * step by. */
int check_stride(void);
/* The same for loops that let each allocation or system call fail in turn. Some tens of thousands of runs: so every
 * eighth, unless the environment has CONVSTORE_TEST_EVERY_FAULT, as it has in CI. */
int check_fault_stride(void);

/* Runs those tests whose name contains argv[1], or all. Returns the program's exit status. */
int check_main(int argc, char **argv, const struct check_test *tests, size_t n_tests);

#define CHECK_MAIN(tests)                                                                                    \
  int main(int argc, char **argv) {                                                                          \
    return check_main(argc, argv, tests, sizeof(tests) / sizeof *(tests));                                   \
  }

#endif
