#include "flow/conduct.h"

#include <string.h>

bool conduct_timed_out(struct conduct *c, uint64_t now_ms) {
  if (c->penalty_until_ms > now_ms || !patience_lost(&c->patience, now_ms)) return false;
  c->penalty_until_ms = now_ms + CONDUCT_PENALTY_MS;
  return true;
}

bool conduct_struck(struct conduct *c, uint64_t now_ms) {
  uint64_t oldest = c->strikes_ms[CONDUCT_STRIKES - 2];
  memmove(c->strikes_ms + 1, c->strikes_ms, sizeof c->strikes_ms - sizeof c->strikes_ms[0]);
  c->strikes_ms[0] = now_ms;
  return oldest && now_ms - oldest < CONDUCT_STRIKES_MS;
}

void conduct_forgive_strikes(struct conduct *c) {
  memset(c->strikes_ms, 0, sizeof c->strikes_ms);
}
