// positions.h - what one write to the store says of streams: their positions, and with each the windows that its records have
// changed up to there, so that both are of one moment after any crash.
//
// Everything is copied: the streams may go before the write has ended. Of a key that many records changed only the last value goes.
#pragma once
#include "base/buf.h"
#include "journal/store.h"
#include <stdbool.h>

struct stream;

struct positions {
  struct buf bytes;   // keys and values
  struct buf places;  // struct positions_place, where they lie
  struct buf changes; // struct store_change
};

void positions_init(struct positions *p);
void positions_fini(struct positions *p); // takes zeroed
void positions_clear(struct positions *p);
// False: out of memory, or no room before the write; nothing was added.
bool positions_add(struct positions *p, struct stream *s);
bool positions_delete(struct positions *p, enum store_table table, struct slice key);
// The changes, until the next call; NULL: out of memory.
struct store_change *positions_changes(struct positions *p, size_t *count);
