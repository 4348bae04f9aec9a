// dedupe_run.h - a file of identities in order, with a filter that answers most questions about absent ones from one cache line.
//
//   FOLDER/FFFFFFFFFFFFFFFF-EEEEEEEEEEEEEEEE.run   of the records with sequences F <= s < E
//   header (4,096 bytes) | filter (lines of 64 bytes) | keys (16 bytes each)
//
// It is mapped: filter and keys are file pages, not memory of ours. Losing a run means to forget, so only the header has a CRC: a
// flipped bit in the rest can make a duplicate pass, and can hardly make a new record look like one.
#pragma once
#include "base/err.h"
#include "journal/dedupe_set.h"
#include <limits.h>

enum { DEDUPE_LINE_WORDS = 8, DEDUPE_FILTER_BITS = 12 }; // a key

struct dedupe_span {
  uint64_t first, end;            // sequences
  int64_t oldest_ms, newest_ms; // times of receipt
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
void dedupe_run_close(struct dedupe_run *run); // takes NULL
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
bool dedupe_writer_init(struct dedupe_writer *w, const char *folder, const struct dedupe_span *span, uint64_t brand, size_t room,
                        struct err *err);
void dedupe_writer_put(struct dedupe_writer *w, struct dedupe_key key);
struct dedupe_run *dedupe_writer_finish(struct dedupe_writer *w, struct err *err); // durable when it is there
void dedupe_writer_fini(struct dedupe_writer *w);                                  // takes zeroed; removes what is unfinished

static inline const uint64_t *dedupe_run_line(const struct dedupe_run *run, struct dedupe_key key) {
  return run->filter + ((key.low >> 32) * run->lines >> 32) * DEDUPE_LINE_WORDS;
}
// Six bits of a line of 512.
static inline uint64_t dedupe_filter_bits(struct dedupe_key key) {
  return (key.low << 32 ^ key.high) * 0x9e3779b97f4a7c15u;
}
static inline bool dedupe_run_may_have(const struct dedupe_run *run, struct dedupe_key key) {
  const uint64_t *line = dedupe_run_line(run, key);
  uint64_t bits = dedupe_filter_bits(key);
  for (int i = 0; i < 6; i++, bits >>= 9)
    if (!(line[bits >> 6 & 7] >> (bits & 63) & 1)) return false;
  return true;
}
bool dedupe_run_has(const struct dedupe_run *run, struct dedupe_key key);
