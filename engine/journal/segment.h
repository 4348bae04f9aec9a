// segment.h - one segment file with its index: appended to while it is the newest, read by many, closed and
// indexed behind.
#pragma once
#include "journal/org_index.h"
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum { SEGMENT_DAMAGE_MARKS = 32, DAY_MS = 86400000 };

struct segment {
  atomic_uint refs;
  char path[PATH_MAX]; // ends in .seg
  uint64_t brand;
  uint64_t first;
  int64_t day; // UTC days since 1970
  atomic_uint_fast64_t
      before; // the next segment's first sequence; a block from there on is the rest of a failed write
  atomic_size_t bytes; // on the disk
  // the writer's alone:
  off_t used, size;
  struct segment *next_untidy; // segment_maker's
  // under lock:
  pthread_mutex_t lock;
  int fd; // -1: not open
  struct org_index index;
  bool loaded;   // fd and index are there
  bool growing;  // the newest: stays loaded
  unsigned busy; // readers of fd outside the lock; it stays loaded
  uint64_t last_use;
  uint32_t damage[SEGMENT_DAMAGE_MARKS]; // offsets of blocks already reported
  unsigned damages;
};

// DATA/journal/YYYY-MM-DD into out[PATH_MAX]; false when it does not fit.
bool segment_day_folder(const char *folder, int64_t day, char *out);

struct segment *segment_new(const char *folder, int64_t day, uint64_t first, uint64_t brand, struct err *err);
void segment_index_path(const struct segment *segment, char *out); // its .idx, into out[PATH_MAX]
void segment_ref(struct segment *segment);
void segment_unref(struct segment *segment); // the last one closes; takes NULL

// Opens the file and reads the index, or makes it from the block tables. Caller holds the lock.
bool segment_load(struct segment *segment, struct err *err);
// The contrary; nothing when busy or growing. Caller holds the lock. Returns whether it is unloaded now.
bool segment_unload(struct segment *segment);
// Holds fd open without the lock: between loading (by the same lock) and release.
void segment_hold(struct segment *segment);
void segment_release(struct segment *segment);

// Gives back the unused tail and writes the index file. Any thread but the writer of this segment.
bool segment_finish(struct segment *segment, struct err *err);
// True the first time for this block: then it is to be counted and logged.
bool segment_mark_damage(struct segment *segment, uint32_t offset);
