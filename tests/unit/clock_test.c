// Proves that a time's text is the C library's, for every kind of day and on both sides of 1970, without
// asking it.
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void expect_same(int64_t ms) {
  int64_t second = ms / 1000 - (ms % 1000 < 0);
  char text[CLOCK_ISO_BYTES], date[CLOCK_ISO_BYTES], expected[3 * CLOCK_ISO_BYTES];
  struct tm tm;
  time_t t = (time_t)second;
  gmtime_r(&t, &tm);
  strftime(date, sizeof date, "%m-%dT%H:%M:%S", &tm);
  snprintf(expected, sizeof expected, "%04d-%s.%03dZ", tm.tm_year + 1900, date, (int)(ms - second * 1000));
  assert_string_equal(clock_iso(ms, text), expected);
}

static void each_day_is_its_date(void **state) {
  (void)state;
  const int64_t day_ms = 86400000, first = -719162, last = 2932896; // 0001-01-01, 9999-12-31
  for (int64_t day = first; day <= last; day += day > -200000 && day < 200000 ? 1 : 17)
    expect_same(day * day_ms + (day & 1 ? day_ms - 1 : 0));
  expect_same(first * day_ms);
  expect_same(last * day_ms + day_ms - 1);
}

static void each_part_of_a_day_is_told(void **state) {
  (void)state;
  for (int64_t ms = -86400000; ms < 86400000; ms += 999983)
    expect_same(ms);
  char text[CLOCK_ISO_BYTES];
  assert_string_equal(clock_iso(1795480433390, text), "2026-11-24T00:33:53.390Z");
  assert_string_equal(clock_iso(-1, text), "1969-12-31T23:59:59.999Z");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_day_is_its_date),
      cmocka_unit_test(each_part_of_a_day_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
