#include "flow/retry.h"

enum { FIRST_MS = 1000, MOST_MS = 5 * 60 * 1000, AFTER_MOST_MS = 60 * 60 * 1000 };

uint64_t retry_delay_ms(uint32_t attempt, int64_t retry_after_ms, uint64_t random) {
  if (retry_after_ms >= 0) return (uint64_t)(retry_after_ms < AFTER_MOST_MS ? retry_after_ms : AFTER_MOST_MS);
  uint64_t most = attempt > 9 ? MOST_MS : (uint64_t)FIRST_MS << (attempt ? attempt - 1 : 0);
  if (most > MOST_MS) most = MOST_MS;
  return random % (most + 1);
}
