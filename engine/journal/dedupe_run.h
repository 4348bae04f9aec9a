// dedupe_run.h - a file of identities in order, with a filter that answers most questions about absent ones
// from one cache line.
//
//   FOLDER/FFFFFFFFFFFFFFFF-EEEEEEEEEEEEEEEE.run   of the records with sequences F <= s < E
//   header (4,096 bytes) | filter (lines of 64 bytes) | keys (16 bytes each)
//
// It is mapped: filter and keys are file pages, not memory of ours. Losing a run means to forget, so only the
// header has a CRC: a flipped bit in the rest can make a duplicate pass, and can hardly make a new record
// look like one.
#pragma once
#include "base/err.h"
#include "journal/dedupe_ids.h"
#include "journal/dedupe_set.h"
#include <limits.h>

enum { DEDUPE_LINE_WORDS = 8, DEDUPE_FILTER_BITS = 12 }; // a key

struct dedupe_span {
  uint64_t first, end;          // sequences
  int64_t oldest_ms, newest_ms; // times of receipt
  struct dedupe_ids ids;
};

struct dedupe_run {
  struct dedupe_span span;
  size_t count, lines;
  const uint64_t *filter;
  const struct dedupe_key *keys;
  void *map;
  size_t map_bytes;
  char path[PATH_MAX];
};

struct dedupe_run *dedupe_run_open(const char *path, uint64_t brand, struct err *err);
void dedupe_run_close(struct dedupe_run *run);                                       // takes NULL
bool dedupe_run_path(const char *folder, const struct dedupe_span *span, char *out); // into out[PATH_MAX]
static inline size_t dedupe_run_filter_bytes(const struct dedupe_run *run) {
  return run->lines * DEDUPE_LINE_WORDS * sizeof(uint64_t);
}

// Writes a new run of keys put in order, then opens it.
struct dedupe_writer {
  int fd;
  struct dedupe_span span;
  uint64_t brand;
  char path[PATH_MAX], unfinished[PATH_MAX];
  size_t count, lines, room; // room: keys promised
  uint64_t *filter;
  struct dedupe_key *keys; // not written yet
  size_t waiting;
  bool failed;
};
bool dedupe_writer_init(struct dedupe_writer *w, const char *folder, const struct dedupe_span *span,
                        uint64_t brand, size_t room, struct err *err);
void dedupe_writer_put(struct dedupe_writer *w, struct dedupe_key key);
struct dedupe_run *dedupe_writer_finish(struct dedupe_writer *w, struct err *err); // durable when it is there
void dedupe_writer_fini(struct dedupe_writer *w); // takes zeroed; removes what is unfinished

// A key's line lies where the key lies among the keys, so that a run is written from one end to the other.
static inline size_t dedupe_filter_line(size_t lines, struct dedupe_key key) {
  return (size_t)((key.high >> 32) * lines >> 32) * DEDUPE_LINE_WORDS;
}
static inline const uint64_t *dedupe_run_line(const struct dedupe_run *run, struct dedupe_key key) {
  return run->filter + dedupe_filter_line(run->lines, key);
}
// Three bits in each of two words of the line.
static inline uint64_t dedupe_filter_word(struct dedupe_key key, int which) {
  return key.low >> 3 * which & (DEDUPE_LINE_WORDS - 1);
}
static inline uint64_t dedupe_filter_bits(struct dedupe_key key, int which) {
  uint64_t bits = key.low >> (6 + 18 * which);
  return (uint64_t)1 << (bits & 63) | (uint64_t)1 << (bits >> 6 & 63) | (uint64_t)1 << (bits >> 12 & 63);
}
static inline bool dedupe_run_may_have(const struct dedupe_run *run, struct dedupe_key key) {
  const uint64_t *line = dedupe_run_line(run, key);
  uint64_t missing = dedupe_filter_bits(key, 0) & ~line[dedupe_filter_word(key, 0)];
  missing |= dedupe_filter_bits(key, 1) & ~line[dedupe_filter_word(key, 1)];
  return !missing;
}
bool dedupe_run_has(const struct dedupe_run *run,
                    struct dedupe_key key); // may_have said yes: whether it does
