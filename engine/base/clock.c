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

char *clock_iso(int64_t ms, char *out) {
  int64_t second = ms / 1000, milli = ms % 1000;
  if (milli < 0) second--, milli += 1000;
  time_t t = (time_t)second;
  struct tm tm;
  gmtime_r(&t, &tm);
  snprintf(out, CLOCK_ISO_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000,
           (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100,
           (int)milli % 1000);
  return out;
}
