// dedupe_parts.h - what a journal's identities are kept in, oldest first: runs on disk, then frozen sets that
// wait to become runs.
#pragma once
#include "journal/dedupe_run.h"

struct dedupe_part { // one of the two
  struct dedupe_run *run;
  struct dedupe_set *set;
  struct dedupe_span span;
};

struct dedupe_parts {
  struct dedupe_part *at;
  size_t count, cap;
};

bool dedupe_parts_reserve(struct dedupe_parts *p); // room for one more
void dedupe_parts_fini(struct dedupe_parts *p);
void dedupe_part_fini(struct dedupe_part *part); // closes or frees what it has
static inline size_t dedupe_part_count(const struct dedupe_part *part) {
  return part->run ? part->run->count : part->set->count;
}
size_t dedupe_parts_bytes(const struct dedupe_parts *p); // sets and filters

// Opens the runs of a folder and removes what is unfinished, damaged or covered by a merged one.
bool dedupe_parts_scan(struct dedupe_parts *p, const char *folder, uint64_t brand, struct err *err);

struct dedupe_group { // of records to look up
  size_t count;
  struct dedupe_key *keys; // the caller's
  bool *duplicate;         // the caller's
  struct dedupe_ids ids;
};

// Marks the keys that are in any part.
void dedupe_parts_mark(const struct dedupe_parts *p, const struct dedupe_group *group);

// Which neighbours to merge next: *from <= i < *to; false: none. A pure decision: MERGE_RUNS runs of about
// one size, the newest such, that are not too many keys or too long a time together.
struct dedupe_merge_limits {
  size_t least; // keys of the smallest runs
  size_t most;  // keys of a merged one
  int64_t span_ms;
};
enum { DEDUPE_MERGE_RUNS = 4 };
bool dedupe_parts_to_merge(const struct dedupe_parts *p, const struct dedupe_merge_limits *limits,
                           size_t *from, size_t *to);

// New runs in the folder; the parts stay as they are.
struct dedupe_run *dedupe_parts_write(const struct dedupe_part *frozen, const char *folder, uint64_t brand,
                                      struct err *err);
struct dedupe_run *dedupe_parts_merge(const struct dedupe_part *first, size_t count, const char *folder,
                                      uint64_t brand, struct err *err);
