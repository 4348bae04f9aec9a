// dedupe_lost.h - identities of records that damage has taken from the journal: sets and runs know them still,
// but they are no duplicates when they come again.
#pragma once
#include "journal/dedupe_parts.h"

struct dedupe_lost {
  struct dedupe_lost_key {
    struct dedupe_key key;
    size_t taken; // by the last put: its place in the group, from 1; 0: not come again
  } *at;          // in order of their keys
  size_t count, cap, taken;
  struct dedupe_ids ids; // of all
};

void dedupe_lost_init(struct dedupe_lost *lost);
void dedupe_lost_fini(struct dedupe_lost *lost);

// How many of the group's keys were put in that were not there; those past LIMIT_DEDUPE_LOST, or past memory,
// are left out: they stay duplicates.
size_t dedupe_lost_add(struct dedupe_lost *lost, const struct dedupe_group *group);
// Of a put's keys, the first of each that is lost is no duplicate. To be asked before the new keys go in, and
// again after.
void dedupe_lost_pardon(struct dedupe_lost *lost, const struct dedupe_group *group);
void dedupe_lost_undo(struct dedupe_lost *lost);   // what the last put has taken is lost as before
void dedupe_lost_settle(struct dedupe_lost *lost); // it is in the journal again
