// dedupe_ids.h - the range of the record ids of each kind. Most records are newer than all before and have
// higher ids: then no filter needs to be asked.
#pragma once
#include "journal/record.h"

struct dedupe_ids {
  int64_t low[RECORD_KINDS], high[RECORD_KINDS]; // none: low > high
};

static inline void dedupe_ids_init(struct dedupe_ids *ids) {
  for (int kind = 0; kind < RECORD_KINDS; kind++)
    ids->low[kind] = INT64_MAX, ids->high[kind] = INT64_MIN;
}

static inline void dedupe_ids_add(struct dedupe_ids *ids, unsigned kind, int64_t id) {
  kind %= RECORD_KINDS;
  if (id < ids->low[kind]) ids->low[kind] = id;
  if (id > ids->high[kind]) ids->high[kind] = id;
}

static inline void dedupe_ids_join(struct dedupe_ids *ids, const struct dedupe_ids *more) {
  for (int kind = 0; kind < RECORD_KINDS; kind++) {
    if (more->low[kind] < ids->low[kind]) ids->low[kind] = more->low[kind];
    if (more->high[kind] > ids->high[kind]) ids->high[kind] = more->high[kind];
  }
}

// Whether an id may be in both.
static inline bool dedupe_ids_meet(const struct dedupe_ids *a, const struct dedupe_ids *b) {
  for (int kind = 0; kind < RECORD_KINDS; kind++) {
    int64_t low = a->low[kind] > b->low[kind] ? a->low[kind] : b->low[kind];
    int64_t high = a->high[kind] < b->high[kind] ? a->high[kind] : b->high[kind];
    if (low <= high) return true;
  }
  return false;
}
