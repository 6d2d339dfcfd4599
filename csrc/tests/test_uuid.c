/*
 * core/uuid.c: ids that are unique and grow, whatever the clock, threads and forks do.
 * This program's own getrandom() stands before the C library's, so that the system can be made to fail.
 */
#define _GNU_SOURCE /* syscall() */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../convstore.h"
#include "../core/clock.h"
#include "../core/uuid.h"
#include "check.h"

/* What getrandom() does next: each call takes one and goes on with the next; 0 and beyond the end: the real
 * one. */
static const int *random_script;
enum {
  REAL = 0,
  INTERRUPTED,
  MISSING,
  SHORT,
  EMPTY
};

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
  switch (random_script ? *random_script++ : REAL) {
  case INTERRUPTED:
    errno = EINTR;
    return -1;
  case MISSING:
    errno = ENOSYS;
    return -1;
  case EMPTY:
    return 0;
  case SHORT:
    return syscall(SYS_getrandom, buffer, length > 3 ? 3 : length, flags);
  default:
    if (random_script) random_script = NULL; /* the threads, which have none, only look */
    return syscall(SYS_getrandom, buffer, length, flags);
  }
}

static int64_t clock_ms;

static int64_t clock_stub(void) {
  return clock_ms;
}

/* For tests that set the clock: it starts beyond any id that this process has made so far. */
static int64_t (*take_clock(void))(void) {
  static int64_t start = INT64_C(3000000000000);
  int64_t (*real)(void) = convstore__wall_ms;
  start += 1000000000;
  clock_ms = start;
  convstore__wall_ms = clock_stub;
  return real;
}

typedef char id_text[CONVSTORE_ID_SIZE];

static int compare(const void *a, const void *b) {
  return memcmp(a, b, sizeof(id_text));
}

/* How many of the sorted ids equal their neighbour. */
static size_t count_repeats(id_text *ids, size_t n) {
  size_t repeats = 0;
  qsort(ids, n, sizeof *ids, compare);
  for (size_t i = 1; i < n; i++) repeats += compare(ids[i - 1], ids[i]) == 0;
  return repeats;
}

/* The first 48 bits. */
static int64_t ms_of(const char *id) {
  char digits[13];
  memcpy(digits, id, 8);
  memcpy(digits + 8, id + 9, 4);
  digits[12] = '\0';
  return (int64_t)strtoull(digits, NULL, 16);
}

static void test_uuid__has_the_form_of_version_7(void) {
  for (int i = 0; i < 10000; i++) {
    char id[CONVSTORE_ID_SIZE], copy[CONVSTORE_ID_SIZE];
    CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
    CHECK_INT((int64_t)strlen(id), 36);
    CHECK(id[14] == '7');
    CHECK(strchr("89ab", id[19]) != NULL);
    CHECK_INT(convstore_id_set(copy, (convstore_text){.data = id, .size = 36}, "id", NULL), CONVSTORE_OK);
    CHECK_STRING(copy, id);
  }
}

static void test_uuid__a_million_grow(void) {
  char before[CONVSTORE_ID_SIZE], id[CONVSTORE_ID_SIZE];
  REQUIRE(convstore_uuid(before, NULL) == CONVSTORE_OK);
  for (int i = 0; i < 1000000; i++) {
    REQUIRE(convstore_uuid(id, NULL) == CONVSTORE_OK);
    REQUIRE(strcmp(before, id) < 0);
    memcpy(before, id, sizeof id);
  }
}

static void test_uuid__carries_the_time(void) {
  int64_t (*real)(void) = take_clock();
  char id[CONVSTORE_ID_SIZE];
  CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
  CHECK_INT(ms_of(id), clock_ms);
  convstore__wall_ms = real;
}

/* The counter has 12 bits and starts in the lower half: the first 2,048 ids of a millisecond carry it, and
 * what follows runs on into the next ones. */
static void test_uuid__grows_while_the_clock_stands(void) {
  enum {
    N = 20000
  };
  int64_t (*real)(void) = take_clock();
  char before[CONVSTORE_ID_SIZE] = "", id[CONVSTORE_ID_SIZE];
  for (int i = 0; i < N; i++) {
    CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
    CHECK(strcmp(before, id) < 0);
    if (i <= 2048) CHECK_INT(ms_of(id), clock_ms);
    memcpy(before, id, sizeof id);
  }
  CHECK(ms_of(id) > clock_ms);
  CHECK(ms_of(id) <= clock_ms + N / 4096 + 1);
  convstore__wall_ms = real;
}

static void test_uuid__grows_while_the_clock_goes_back(void) {
  int64_t (*real)(void) = take_clock();
  char before[CONVSTORE_ID_SIZE] = "", id[CONVSTORE_ID_SIZE];
  const int64_t start = clock_ms;
  for (int i = 0; i < 5000; i++) {
    clock_ms = i % 7 == 0 ? start - 3600000 : i % 11 == 0 ? INT64_MIN : start - i;
    CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
    CHECK(strcmp(before, id) < 0);
    memcpy(before, id, sizeof id);
  }
  CHECK(ms_of(id) <= start + 2);
  clock_ms = start + 10; /* and the clock is followed again once it is ahead */
  CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
  CHECK_INT(ms_of(id), clock_ms);
  convstore__wall_ms = real;
}

enum {
  N_THREADS = 8,
  PER_THREAD = 50000
};

static void *make_ids(void *argument) {
  id_text *ids = argument;
  for (int i = 0; i < PER_THREAD; i++) {
    if (convstore_uuid(ids[i], NULL) != CONVSTORE_OK) ids[i][0] = '\0';
  }
  return NULL;
}

static void test_uuid__threads_share_no_id_and_each_sees_growth(void) {
  static id_text ids[N_THREADS * PER_THREAD];
  pthread_t threads[N_THREADS];
  for (int t = 0; t < N_THREADS; t++)
    REQUIRE(pthread_create(&threads[t], NULL, make_ids, ids + t * PER_THREAD) == 0);
  for (int t = 0; t < N_THREADS; t++) pthread_join(threads[t], NULL);
  for (int t = 0; t < N_THREADS; t++) {
    for (int i = 1; i < PER_THREAD; i++)
      CHECK(compare(ids[t * PER_THREAD + i - 1], ids[t * PER_THREAD + i]) < 0);
  }
  /* Not only the ids but their first 60 bits are one thread's alone. */
  for (size_t i = 0; i < N_THREADS * PER_THREAD; i++) memset(ids[i] + 18, 0, sizeof *ids - 18);
  CHECK_INT((int64_t)count_repeats(ids, N_THREADS * PER_THREAD), 0);
}

/* After a fork both sides have the same time and counter, so only fresh random bits keep them apart. */
static void test_uuid__forked_processes_share_no_id(void) {
  enum {
    N = 5000,
    N_CHILDREN = 3
  };
  int64_t (*real)(void) = take_clock(); /* standing still: the worst case */
  static id_text ids[N * (N_CHILDREN + 1)];
  int pipes[N_CHILDREN];
  for (int child = 0; child < N_CHILDREN; child++) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    fflush(stdout);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      for (int i = 0; i < N; i++) {
        char id[CONVSTORE_ID_SIZE];
        if (convstore_uuid(id, NULL) != CONVSTORE_OK) _exit(1);
        if (write(ends[1], id, sizeof id) != (ssize_t)sizeof id) _exit(1);
      }
      _exit(0);
    }
    close(ends[1]);
    pipes[child] = ends[0];
  }
  for (int i = 0; i < N; i++) CHECK_INT(convstore_uuid(ids[i], NULL), CONVSTORE_OK);
  for (int child = 0; child < N_CHILDREN; child++) {
    char *to = ids[N * (child + 1)];
    size_t left = N * sizeof *ids;
    ssize_t got;
    while (left > 0 && (got = read(pipes[child], to, left)) > 0) {
      to += got;
      left -= (size_t)got;
    }
    CHECK_INT((int64_t)left, 0);
    close(pipes[child]);
  }
  for (int child = 0; child < N_CHILDREN; child++) {
    int status = -1;
    wait(&status);
    CHECK_INT(status, 0);
  }
  CHECK_INT((int64_t)count_repeats(ids, N * (N_CHILDREN + 1)), 0);
  convstore__wall_ms = real;
}

/* A call that needs many ids asks the system for the bytes of 25 at once, and no two ids get the same ones. */
static void test_uuid__ids_of_one_call_share_no_bytes(void) {
  enum {
    N = 60
  };
  struct convstore_noise noise = {.n_ids = N};
  id_text ids[N];
  for (int i = 0; i < N; i++) {
    CHECK_INT(convstore__uuid(ids[i], &noise, NULL), CONVSTORE_OK);
    for (int j = 0; j < i; j++) {
      CHECK(strcmp(ids[j], ids[i]) < 0);
      CHECK(strcmp(ids[j] + 19, ids[i] + 19) != 0);
    }
  }
  CHECK(noise.n_ids == 0 && noise.n_left == 0);
}

static void test_uuid__tries_again_after_a_signal_and_a_short_answer(void) {
  static const int script[] = {INTERRUPTED, SHORT, INTERRUPTED, INTERRUPTED, SHORT, REAL};
  char id[CONVSTORE_ID_SIZE];
  random_script = script;
  CHECK_INT(convstore_uuid(id, NULL), CONVSTORE_OK);
  CHECK(random_script == NULL);
  CHECK_INT((int64_t)strlen(id), 36);
}

static void test_uuid__fails_where_the_system_gives_no_random_bytes(void) {
  static const int missing[] = {MISSING, REAL}, late[] = {SHORT, MISSING, REAL}, empty[] = {EMPTY, REAL};
  static const int *const scripts[] = {missing, late, empty};
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
    char id[CONVSTORE_ID_SIZE] = "untouched";
    convstore_error err;
    random_script = scripts[i];
    CHECK_INT(convstore_uuid(id, &err), CONVSTORE_E_INTERNAL);
    CHECK_HAS(err.message, "internal: the system gives no random bytes");
    CHECK_STRING(id, "untouched");
    random_script = NULL;
  }
}

static void test_id_set__takes_any_version_in_lower_case(void) {
  static const char *const ids[] = {
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "0190f5a8-7b3c-7def-8123-456789abcdef",
      "f47ac10b-58cc-4372-a567-0e02b2c3d479",
  };
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    char id[CONVSTORE_ID_SIZE];
    CHECK_INT(convstore_id_set(id, (convstore_text){.data = ids[i], .size = 36}, "id", NULL), CONVSTORE_OK);
    CHECK_STRING(id, ids[i]);
  }
}

static void test_id_set__refuses_everything_else(void) {
  static const char *const ids[] = {
      "",
      "0190F5A8-7b3c-7def-8123-456789abcdef",
      "0190f5a8-7b3c-7def-8123-456789abcde",
      "0190f5a8-7b3c-7def-8123-456789abcdef0",
      "0190f5a8-7b3c-7def-8123-456789abcdeg",
      "0190f5a87b3c-7def-8123-456789abcdef-",
      "{190f5a8-7b3c-7def-8123-456789abcde}",
      "0190f5a8_7b3c_7def_8123_456789abcdef",
      "0190f5a8-7b3c-7def-8123-4567 9abcdef",
      "-190f5a8-7b3c-7def-8123-456789abcdef",
      "0190f5a87b3c7def8123456789abcdef",
  };
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    char id[CONVSTORE_ID_SIZE] = "untouched";
    convstore_error err;
    convstore_text text = {.data = ids[i], .size = strlen(ids[i])};
    check_doing("%s", ids[i]);
    CHECK_INT(convstore_id_set(id, text, "message_id", &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "invalid: message_id must be a UUID");
    CHECK_STRING(id, "untouched");
  }
  char id[CONVSTORE_ID_SIZE];
  CHECK_INT(convstore_id_set(id, (convstore_text){0}, "id", NULL), CONVSTORE_E_INVALID);
  static const char with_nul[] = "0190f5a8-7b3c-7def-8123-456789abcde\0";
  CHECK_INT(convstore_id_set(id, (convstore_text){.data = with_nul, .size = 36}, "id", NULL),
            CONVSTORE_E_INVALID);
}

static const struct check_test tests[] = {
    TEST(test_uuid__has_the_form_of_version_7),
    TEST(test_uuid__a_million_grow),
    TEST(test_uuid__carries_the_time),
    TEST(test_uuid__grows_while_the_clock_stands),
    TEST(test_uuid__grows_while_the_clock_goes_back),
    TEST(test_uuid__threads_share_no_id_and_each_sees_growth),
    TEST(test_uuid__forked_processes_share_no_id),
    TEST(test_uuid__ids_of_one_call_share_no_bytes),
    TEST(test_uuid__tries_again_after_a_signal_and_a_short_answer),
    TEST(test_uuid__fails_where_the_system_gives_no_random_bytes),
    TEST(test_id_set__takes_any_version_in_lower_case),
    TEST(test_id_set__refuses_everything_else),
};
CHECK_MAIN(tests)
