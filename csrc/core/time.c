/* Times as text. UTC by arithmetic alone: no time zone, no locale, no limit of the C library's own. */
#include "../convstore.h"

enum {
  MS_PER_DAY = 86400000
};

/* `width` decimal digits of `value` at `to`. */
static char *put(char *to, int64_t value, int width) {
  for (int i = width - 1; i >= 0; i--) {
    to[i] = (char)('0' + value % 10);
    value /= 10;
  }
  return to + width;
}

/* The date of a day counted from 1970-01-01, proleptic Gregorian, by Howard Hinnant's civil_from_days: years
 * begin in March, so that the leap day is a year's last, and repeat in eras of 400 years. */
static void date(int64_t day, int64_t *year, int64_t *month, int64_t *day_of_month) {
  day += 719468; /* from 0000-03-01 */
  int64_t era = (day >= 0 ? day : day - 146096) / 146097;
  int64_t day_of_era = day - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t from_march = (5 * day_of_year + 2) / 153;
  *day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
  *month = from_march < 10 ? from_march + 3 : from_march - 9;
  *year = year_of_era + era * 400 + (*month <= 2);
}

int convstore_iso8601(char out[CONVSTORE_TIME_SIZE], int64_t time_ms, convstore_error *err) {
  static const int64_t first_ms = INT64_C(-62167219200000); /* 0000-01-01T00:00:00.000Z */
  static const int64_t last_ms = INT64_C(253402300799999);  /* 9999-12-31T23:59:59.999Z */
  if (time_ms < first_ms || time_ms > last_ms)
    return convstore_fail(err, CONVSTORE_E_INVALID,
                          "time must be milliseconds since 1970-01-01 within the years 0000 to 9999");
  int64_t ms = time_ms % MS_PER_DAY;
  if (ms < 0) ms += MS_PER_DAY;
  int64_t year, month, day;
  date((time_ms - ms) / MS_PER_DAY, &year, &month, &day);

  char *to = put(out, year, 4);
  *to++ = '-';
  to = put(to, month, 2);
  *to++ = '-';
  to = put(to, day, 2);
  *to++ = 'T';
  to = put(to, ms / 3600000, 2);
  *to++ = ':';
  to = put(to, ms / 60000 % 60, 2);
  *to++ = ':';
  to = put(to, ms / 1000 % 60, 2);
  *to++ = '.';
  to = put(to, ms % 1000, 3);
  *to++ = 'Z';
  *to = '\0';
  return CONVSTORE_OK;
}
