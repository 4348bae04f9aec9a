// request_times.h - how long requests took to be answered, by sink: noted by all couriers, read by the metrics, without a lock.
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST_BUCKETS = 15 };
extern const uint32_t request_bucket_us[REQUEST_BUCKETS]; // upper bounds, inclusive: 1 ms to 60 s

struct request_times { // of one sink, kept as long as the process, as counters are
  struct request_times *next;
  _Atomic uint64_t buckets[REQUEST_BUCKETS + 1]; // each request in one of them; the last: longer ones
  _Atomic uint64_t sum_us;
  char sink[]; // its name
};

void request_times_note(const char *sink, uint64_t took_us); // out of memory: goes uncounted
const struct request_times *request_times_first(void); // the newest sink; NULL: none had a request answered
