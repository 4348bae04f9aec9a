// sliding.h - one sliding total over record time: what was added in the last span, exact to 64 entries, then
// in steps of span/64.
//
// Entries stand in order of time, one a millisecond. Records may come out of order: an entry goes to its
// place, and the total is that of the time it was added at: (now - span, now]. What is older than the newest
// entry by a span or more is dropped, so an entry that comes that late adds nothing and its total is 0. When
// there are more than 64 entries, those in one step (a stretch of span/64, counted from 1970) become one at
// the time of the oldest: nothing older than the span is ever counted, and what was joined may leave up to
// span/64 early (and the newest time is known to a step only). A key with little traffic is exact again by
// itself. The result depends on the entries alone, to the last bit.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sliding_entry {
  int64_t at_ms;
  double value;
};

enum { SLIDING_EXACT = 64, SLIDING_ENTRIES = 65 }; // a span touches at most 65 steps

#define SLIDING_MOST_MS ((int64_t)1 << 52) // times are within this and its negative

// Returns the total. Room for one more entry behind `count` is the caller's to see to, unless there are
// SLIDING_ENTRIES.
double sliding_add(struct sliding_entry *entries, uint32_t *count, int64_t span_ms, int64_t now_ms,
                   double value);
