// patience.h - how often a script may take too long before it is sent to the penalty worker: twice in a minute.
//
// Kept by the worker, so that what waits behind the second time-out goes nowhere slowly, and by the stream's courier,
// which counts across the lives of workers.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PATIENCE_WINDOW_MS = 60000 };

struct patience { // zeroed: nothing has happened
  uint64_t last_ms; // of the clock_mono_ms of the last time-out; 0: none
};

// One more time-out. True: it was the second within the time, and counting begins anew.
static inline bool patience_lost(struct patience *p, uint64_t now_ms) {
  bool lost = p->last_ms && now_ms - p->last_ms < PATIENCE_WINDOW_MS;
  p->last_ms = lost ? 0 : now_ms;
  return lost;
}
