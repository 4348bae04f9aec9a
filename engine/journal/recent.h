// recent.h - the newest blocks, plain in memory, within a budget; where live streams read.
#pragma once
#include "journal/journal.h"
#include <pthread.h>

struct recent {
  pthread_mutex_t lock;
  struct journal_block **ring; // in order of sequence from `start`; cap is a power of two
  size_t start, count, cap;
  size_t bytes, max_bytes;
};

bool recent_init(struct recent *r, size_t max_bytes, struct err *err);
void recent_fini(struct recent *r);    // takes zeroed
bool recent_reserve(struct recent *r); // so that the next add can't fail; for the adding thread
void recent_add(struct recent *r, struct journal_block *block);         // takes the caller's reference
struct journal_block *recent_find(struct recent *r, uint64_t sequence); // a reference for the caller, or NULL
