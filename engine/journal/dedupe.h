// dedupe.h - which records were seen lately: organisation, kind and id, as far back as time and memory allow.
//
// The newest identities are in a hash set. A full set is frozen and written, by a thread of its own, as a
// sorted run (dedupe_run.h) that is mapped with its filter; runs are merged so that few need to be asked. The
// oldest go first when the budget or the window is passed.
#pragma once
#include "journal/dedupe_parts.h"
#include "journal/record.h"

struct dedupe;

struct dedupe_options {
  const char *folder; // is made
  uint64_t seed[4];   // secret, the same at every start
  size_t max_bytes;   // sets and filters
  int64_t window_ms;
  uint64_t replay_from,
      head; // the journal can replay sequences replay_from <= s < head; runs beyond are removed
};

struct dedupe *dedupe_open(const struct dedupe_options *options, struct err *err); // starts its thread
void dedupe_close(struct dedupe *dedupe); // writes down nothing: what no run covers is replayed; takes NULL

// A group is begun empty, with room for its keys and marks.
void dedupe_group_begin(struct dedupe_group *group, struct dedupe_key *keys, bool *duplicate);
void dedupe_group_add(struct dedupe_group *group, const struct dedupe *dedupe,
                      const struct record_header *header);

// All below are for the writer's thread alone (and, before it runs, the one that opens).
// Marks duplicates in the group, of what was seen and of each other, and puts in the rest. Returns how many
// are new; SIZE_MAX: out of memory, nothing was put in.
size_t dedupe_put(struct dedupe *dedupe, const struct dedupe_group *group);
void dedupe_undo(struct dedupe *dedupe); // takes out what the last put has put in
// The last put's records are in the journal, which ends at `end` now; received_ms is theirs.
void dedupe_settle(struct dedupe *dedupe, uint64_t end, int64_t received_ms);

// Damage has taken these records: until they come again, or the next start, they are no duplicates. How many
// are so newly; any thread.
size_t dedupe_forget(struct dedupe *dedupe, const struct record_header *headers, size_t count);

uint64_t dedupe_covered(
    struct dedupe *dedupe); // all sequences below are in runs on disk or beyond the window; any thread
// Since when all identities are known (milliseconds since 1970); INT64_MIN: none was forgotten. Any thread.
int64_t dedupe_known_since(struct dedupe *dedupe);
