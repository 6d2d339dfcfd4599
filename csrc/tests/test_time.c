/* core/time.c, checked against the C library's calendar where that reaches. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../convstore.h"
#include "check.h"

static const int64_t first_ms = INT64_C(-62167219200000);
static const int64_t last_ms = INT64_C(253402300799999);

static void test_iso8601__known_times(void) {
  static const struct {
    int64_t ms;
    const char *text;
  } cases[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {INT64_C(1769903999123), "2026-01-31T23:59:59.123Z"},
      {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
      {INT64_C(1709251199999), "2024-02-29T23:59:59.999Z"},
      {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
      {INT64_C(-2203977600000), "1900-02-28T00:00:00.000Z"},
      {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
      {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[CONVSTORE_TIME_SIZE];
    CHECK_INT(convstore_iso8601(text, cases[i].ms, NULL), CONVSTORE_OK);
    CHECK_STRING(text, cases[i].text);
  }
}

/* Days from `first` before `end`, at a time that moves through the day. */
static void agrees_with_gmtime(int64_t first, int64_t end, int64_t step) {
  int64_t within = 0;
  for (int64_t day = first; day < end; day += step) {
    within = (within + 37699123) % 86400000;
    time_t seconds = (time_t)(day * 86400 + within / 1000);
    struct tm calendar;
    REQUIRE(gmtime_r(&seconds, &calendar) != NULL);
    char text[CONVSTORE_TIME_SIZE], expected[128];
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", calendar.tm_year + 1900,
             calendar.tm_mon + 1, calendar.tm_mday, calendar.tm_hour, calendar.tm_min, calendar.tm_sec,
             (int)(within % 1000));
    CHECK_INT(convstore_iso8601(text, day * 86400000 + within, NULL), CONVSTORE_OK);
    if (!CHECK_STRING(text, expected)) return;
  }
}

static void test_iso8601__agrees_with_gmtime_on_each_day_of_four_centuries(void) {
  agrees_with_gmtime(-100000, 146097 - 100000, 1); /* after which the calendar repeats itself */
}

static void test_iso8601__agrees_with_gmtime_over_all_years(void) {
  agrees_with_gmtime(first_ms / 86400000, last_ms / 86400000 + 1, 97);
}

static void test_iso8601__refuses_other_years(void) {
  const int64_t times[] = {first_ms - 1, last_ms + 1, INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    char text[CONVSTORE_TIME_SIZE] = "untouched";
    convstore_error err;
    CHECK_INT(convstore_iso8601(text, times[i], &err), CONVSTORE_E_INVALID);
    CHECK_HAS(err.message, "invalid: time ");
    CHECK_STRING(text, "untouched");
  }
}

static const struct check_test tests[] = {
    TEST(test_iso8601__known_times),
    TEST(test_iso8601__agrees_with_gmtime_on_each_day_of_four_centuries),
    TEST(test_iso8601__agrees_with_gmtime_over_all_years),
    TEST(test_iso8601__refuses_other_years),
};
CHECK_MAIN(tests)
