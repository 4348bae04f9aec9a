// allowance.h - how many small things may be done a second: a token bucket.
//
// A request or a job costs much the same with one record in it or with fifty. When there are many streams with little each, small ones
// are held to a rate, so that what waits gathers; whatever has gathered enough goes without asking.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct allowance {
  uint32_t per_second, burst; // set by the owner
  double left;
  uint64_t at_ns; // when `left` was right; 0: never, it is full
};

static inline bool allowance_take(struct allowance *a, uint64_t now_ns) {
  a->left = a->at_ns ? a->left + (double)(now_ns - a->at_ns) * 1e-9 * a->per_second : a->burst;
  if (a->left > a->burst) a->left = a->burst;
  a->at_ns = now_ns;
  if (a->left < 1) return false;
  a->left -= 1;
  return true;
}
