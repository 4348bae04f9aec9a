#include "script/sliding.h"

#include <string.h>

static int64_t step_of(int64_t at_ms, int64_t span_ms) {
  int64_t scaled = at_ms * SLIDING_EXACT, step = scaled / span_ms;
  return step - (scaled < step * span_ms);
}

static void drop_old(struct sliding_entry *entries, uint32_t *count, int64_t last_dropped_ms) {
  uint32_t old = 0;
  while (old < *count && entries[old].at_ms <= last_dropped_ms)
    old++;
  if (!old) return;
  *count -= old;
  memmove(entries, entries + old, *count * sizeof *entries);
}

// How many entries are not later than `at_ms`: most records come in order, so it looks from behind.
static uint32_t place_of(const struct sliding_entry *entries, uint32_t count, int64_t at_ms) {
  while (count && entries[count - 1].at_ms > at_ms)
    count--;
  return count;
}

static void insert(struct sliding_entry *entries, uint32_t *count, uint32_t place, int64_t at_ms,
                   double value) {
  memmove(entries + place + 1, entries + place, (*count - place) * sizeof *entries);
  entries[place] = (struct sliding_entry){at_ms, value};
  ++*count;
}

static void join_steps(struct sliding_entry *entries, uint32_t *count, int64_t span_ms) {
  uint32_t kept = 0;
  int64_t last = 0;
  for (uint32_t i = 0; i < *count; i++) {
    int64_t step = step_of(entries[i].at_ms, span_ms);
    if (kept && step == last) {
      entries[kept - 1].value += entries[i].value;
    } else {
      entries[kept++] = entries[i];
    }
    last = step;
  }
  *count = kept;
}

// Adds to an entry of the same step, beside `place`. False: there is none.
static bool join_neighbour(struct sliding_entry *entries, uint32_t count, uint32_t place, int64_t span_ms,
                           int64_t at_ms, double value) {
  int64_t step = step_of(at_ms, span_ms);
  if (place > 0 && step_of(entries[place - 1].at_ms, span_ms) == step) {
    entries[place - 1].value += value;
    return true;
  }
  if (place == count || step_of(entries[place].at_ms, span_ms) != step) return false;
  entries[place].at_ms = at_ms;
  entries[place].value += value;
  return true;
}

static void put(struct sliding_entry *entries, uint32_t *count, int64_t span_ms, int64_t at_ms,
                double value) {
  uint32_t place = place_of(entries, *count, at_ms);
  if (place > 0 && entries[place - 1].at_ms == at_ms) {
    entries[place - 1].value += value;
  } else if (*count < SLIDING_EXACT) {
    insert(entries, count, place, at_ms, value);
  } else if (!join_neighbour(entries, *count, place, span_ms, at_ms, value)) {
    join_steps(entries, count, span_ms);
    insert(entries, count, place_of(entries, *count, at_ms), at_ms, value);
  }
}

// In four lanes, always the same ones, so that the additions need not wait for each other.
static double sum(const struct sliding_entry *entries, uint32_t count) {
  double lanes[4] = {0};
  uint32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    lanes[0] += entries[i].value;
    lanes[1] += entries[i + 1].value;
    lanes[2] += entries[i + 2].value;
    lanes[3] += entries[i + 3].value;
  }
  for (; i < count; i++)
    lanes[0] += entries[i].value;
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

double sliding_add(struct sliding_entry *entries, uint32_t *count, int64_t span_ms, int64_t now_ms,
                   double value) {
  int64_t newest_ms = *count && entries[*count - 1].at_ms > now_ms ? entries[*count - 1].at_ms : now_ms;
  if (now_ms <= newest_ms - span_ms) return 0;
  drop_old(entries, count, newest_ms - span_ms);
  put(entries, count, span_ms, now_ms, value);
  return sum(entries, place_of(entries, *count, now_ms));
}
