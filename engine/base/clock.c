#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { DAY_MS = 86400000 };

static _Atomic int64_t set_ms;

int64_t clock_ms(void) {
  int64_t fixed = atomic_load_explicit(&set_ms, memory_order_relaxed);
  if (fixed) return fixed;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ms(void) {
  return clock_mono_ns() / 1000000u;
}

void clock_set_ms(int64_t ms) {
  atomic_store(&set_ms, ms);
}

// The date of a day since 1970-01-01 in the Gregorian calendar. Not gmtime_r: it opens /etc/localtime, which
// kills a confined worker. Years are counted from March, so that a leap day is a year's last.
static void date_of(int64_t days, int *year, int *month, int *day) {
  int64_t since = days + 719468, era = (since >= 0 ? since : since - 146096) / 146097; // of 400 years
  int64_t in_era = since - era * 146097;
  int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  int64_t in_year = in_era - (365 * years + years / 4 - years / 100), march = (5 * in_year + 2) / 153;
  *day = (int)(in_year - (153 * march + 2) / 5 + 1);
  *month = (int)(march < 10 ? march + 3 : march - 9);
  *year = (int)(years + era * 400 + (*month <= 2));
}

char *clock_iso(int64_t ms, char *out) {
  int64_t days = ms / DAY_MS, rest = ms % DAY_MS;
  if (rest < 0) days--, rest += DAY_MS;
  int year, month, day, milli = (int)(rest % 1000), second = (int)(rest / 1000);
  date_of(days, &year, &month, &day);
  snprintf(out, CLOCK_ISO_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year % 10000, month % 100, day % 100,
           second / 3600 % 100, second / 60 % 60, second % 60, milli);
  return out;
}
