/* See check.h. Output is flushed before each test, so that a crash still shows where it was. */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_PRINTED = 10
}; /* failures of one test: a loop that goes wrong goes wrong often */

static const char *running;
static char doing[256];
static int n_failures;

static bool failure(const char *file, int line) {
  n_failures++;
  if (n_failures > MAX_PRINTED) return false;
  printf("%s:%d: %s%s%s: ", file, line, running, *doing ? ", " : "", doing);
  return true;
}

bool check_true(bool held, const char *expression, const char *file, int line) {
  if (!held && failure(file, line)) printf("%s does not hold\n", expression);
  return held;
}

bool check_int(int64_t got, int64_t expected, const char *expression, const char *file, int line) {
  if (got != expected && failure(file, line))
    printf("%s is %" PRId64 ", not %" PRId64 "\n", expression, got, expected);
  return got == expected;
}

static const char *shown(const char *string) {
  return string ? string : "(null)";
}

bool check_string(const char *got, const char *expected, const char *expression, const char *file, int line) {
  bool held = got && expected ? strcmp(got, expected) == 0 : got == expected;
  if (!held && failure(file, line))
    printf("%s is \"%s\", not \"%s\"\n", expression, shown(got), shown(expected));
  return held;
}

bool check_has(const char *got, const char *part, const char *expression, const char *file, int line) {
  bool held = got && strstr(got, part);
  if (!held && failure(file, line)) printf("%s is \"%s\", without \"%s\"\n", expression, shown(got), part);
  return held;
}

void check_doing(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(doing, sizeof doing, format, arguments);
  va_end(arguments);
}

bool check_failed(void) {
  return n_failures > 0;
}

int check_stride(void) {
  const char *preload = getenv("LD_PRELOAD"); /* how valgrind gets into a program */
  return preload && strstr(preload, "vgpreload") ? 37 : 1;
}

int check_fault_stride(void) {
  return check_stride() > 1 ? check_stride() : getenv("CONVSTORE_TEST_EVERY_FAULT") ? 1 : 8;
}

int check_main(int argc, char **argv, const struct check_test *tests, size_t n_tests) {
  int n_passed = 0, n_failed = 0;
  for (size_t i = 0; i < n_tests; i++) {
    if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
    running = tests[i].name;
    doing[0] = '\0';
    n_failures = 0;
    fflush(stdout);
    tests[i].run();
    if (n_failures > MAX_PRINTED) printf("%s: %d failures in all\n", running, n_failures);
    if (n_failures > 0)
      n_failed++;
    else
      n_passed++;
  }
  printf("%d passed, %d failed\n", n_passed, n_failed);
  return n_failed > 0;
}
