// stop.h - when to give up: a deadline, or somebody pressed Ctrl-C.
#pragma once
#include "base/clock.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

extern volatile sig_atomic_t stop_asked;

static inline bool stop_due(uint64_t deadline_ns) {
  return stop_asked || clock_mono_ns() >= deadline_ns;
}
