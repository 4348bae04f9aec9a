// conduct.h - how a stream's script behaves: how often it took too long, or ended its worker, and what it has earned by that.
#pragma once
#include "script/patience.h"

enum {
  CONDUCT_PENALTY_MS = 600000, // at the penalty worker, after two time-outs in a minute
  CONDUCT_STRIKES = 3,         // in an hour: the script is disabled
  CONDUCT_STRIKES_MS = 3600000,
};

struct conduct { // zeroed: nothing is known of it; times as by clock_mono_ms
  struct patience patience;
  uint64_t penalty_until_ms;                // 0: none
  uint64_t strikes_ms[CONDUCT_STRIKES - 1]; // the last ones, the newest first; 0: none
};

// A time-out. True: its penalty begins.
bool conduct_timed_out(struct conduct *conduct, uint64_t now_ms);
// It has ended its worker. True: once too often.
bool conduct_struck(struct conduct *conduct, uint64_t now_ms);
void conduct_forgive_strikes(struct conduct *conduct);
