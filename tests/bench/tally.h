// tally.h - what has been posted and what has arrived, in memory that the poster and the sink's process
// share.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TALLY_BUCKETS = 64 * 16 }; // 16 to a power of two: a latency is known to 6 %

struct tally {
  // Written by the sink alone.
  atomic_uint_least64_t requests, bytes;
  atomic_uint_least64_t records;   // different ones
  atomic_uint_least64_t repeats;   // arrived before: at least once is no more than that
  atomic_uint_least64_t strays;    // with a serial that nobody posted
  atomic_uint_least64_t last_ns;   // the monotonic clock when the last record arrived
  uint64_t buckets[TALLY_BUCKETS]; // latencies in nanoseconds, from post to arrival
  uint64_t longest_ns;
  // Written by the poster before the record leaves.
  uint64_t limit;     // serials are below this
  uint64_t sent_ns[]; // by serial; behind them, a bit a serial: seen by the sink
};

// Shared with children forked later; NULL when there is no memory for so many records.
struct tally *tally_new(uint64_t limit);
void tally_free(struct tally *tally); // takes NULL
// The sink: the record with this serial is here.
void tally_arrived(struct tally *tally, uint64_t serial, uint64_t now_ns);
// The latency that `share` (0 to 1) of the records stay below, in milliseconds.
double tally_latency_ms(const struct tally *tally, double share);
