#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

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

uint64_t clock_thread_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ms(void) {
  return clock_mono_ns() / 1000000u;
}

void clock_set_ms(int64_t ms) {
  atomic_store(&set_ms, ms);
}

struct date {
  int year, month, day;
};

// Of a day counted from 1970-01-01, by eras of 400 years that begin with a March. Not gmtime_r: it opens a file, which a
// confined worker must not.
static struct date date_of(int64_t day) {
  enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 };
  int64_t from = day + DAYS_TO_1970, era = (from >= 0 ? from : from - (ERA_DAYS - 1)) / ERA_DAYS;
  int64_t of_era = from - era * ERA_DAYS;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100), march = (5 * of_year + 2) / 153;
  int month = (int)(march < 10 ? march + 3 : march - 9);
  return (struct date){.year = (int)(year + era * 400) + (month <= 2), .month = month, .day = (int)(of_year - (153 * march + 2) / 5) + 1};
}

static int64_t divide_down(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

char *clock_iso(int64_t ms, char *out) {
  enum { DAY_MS = 86400000 };
  int64_t day = divide_down(ms, DAY_MS);
  int of_day = (int)(ms - day * DAY_MS);
  struct date date = date_of(day);
  snprintf(out, CLOCK_ISO_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (date.year % 10000 + 10000) % 10000, date.month % 100,
           date.day % 100, of_day / 3600000 % 100, of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
  return out;
}
