// clock_test.c - dates, against the system's own.
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum { DAY_MS = 86400000 };

static void every_day_of_ten_thousand_years_is_written_right(void **state) {
  // From the year 1 on, each at another time of day; before 1970 as well.
  (void)state;
  char got[CLOCK_ISO_BYTES], expected[64];
  for (int64_t day = -719162; day < 2932896; day += 3) {
    int64_t ms = day * DAY_MS + (day * 7919 % DAY_MS + DAY_MS) % DAY_MS;
    time_t second = (time_t)(ms / 1000 - (ms % 1000 < 0));
    int milli = (int)(ms - (int64_t)second * 1000);
    struct tm tm;
    gmtime_r(&second, &tm);
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, milli);
    assert_string_equal(clock_iso(ms, got), expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_day_of_ten_thousand_years_is_written_right)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
