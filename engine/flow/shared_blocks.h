// shared_blocks.h - blocks that one courier has read from disk, for the other couriers, who need them at about the same time.
#pragma once
#include "base/err.h"
#include "journal/journal.h"
#include "net/loop.h"

struct shared_blocks;

struct shared_blocks *shared_blocks_new(unsigned couriers, struct err *err);
void shared_blocks_free(struct shared_blocks *shared); // takes NULL
// The calls below: any courier's thread.

enum shared_answer {
  SHARED_HERE,   // *block holds the sequence; a reference for the caller
  SHARED_COMING, // another courier is reading it: `waiter` is posted to `loop` when it is there
  SHARED_READ,   // read it yourself, then call shared_blocks_put
};
enum shared_answer shared_blocks_get(struct shared_blocks *shared, uint64_t sequence, struct loop *loop, struct loop_task *waiter,
                                     struct journal_block **block);
// What the read that SHARED_READ asked for has brought (NULL: nothing); those who wait are told.
void shared_blocks_put(struct shared_blocks *shared, uint64_t sequence, struct journal_block *block);
