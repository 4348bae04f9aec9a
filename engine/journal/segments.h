// segments.h - all segments of a journal, in order of sequence; few of the closed ones are loaded at a time.
#pragma once
#include "journal/segment.h"

struct segments {
  const char *folder;
  uint64_t brand;
  pthread_mutex_t lock;
  struct segment **at; // a reference each
  size_t count, cap;
  atomic_uint_fast64_t uses;
};

void segments_init(struct segments *s, const char *folder, uint64_t brand);
void segments_fini(struct segments *s);
// Finds the day folders and their segments.
bool segments_scan(struct segments *s, struct err *err);
// Room for one more, so that the next add can't fail.
bool segments_reserve(struct segments *s);
void segments_add(struct segments *s, struct segment *segment);          // takes a reference of its own
void segments_replace_last(struct segments *s, struct segment *segment); // the last one was empty

// The segment that holds `sequence` or, when it is in none, the next one. NULL: none. A reference for the
// caller.
struct segment *segments_find(struct segments *s, uint64_t sequence);
struct segment *segments_after(struct segments *s,
                               const struct segment *segment); // the same for the one behind
struct segment *segments_at(struct segments *s, size_t index); // the same
uint64_t segments_bytes(struct segments *s);

// Locks the segment with its index loaded; unloads others that were not used for long. False (and not
// locked): can't be loaded.
bool segments_lock(struct segments *s, struct segment *segment, struct err *err);
// The newest record's time of receipt; 0: it has none, or can't be read.
int64_t segments_newest_ms(struct segments *s, struct segment *segment);
struct segment *
segments_take_first(struct segments *s); // out of the list, which has one; the caller's reference
bool segments_have_day(struct segments *s, int64_t day);
