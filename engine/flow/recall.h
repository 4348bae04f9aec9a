// recall.h - what a stream's records leave in the windows of ctx: kept here until it is saved with the position, and given back to a
// worker that has lost it or run ahead.
//
// A worker's windows are right as long as it runs the stream's records one after the other. Whenever that ends (a worker is
// replaced, results are dropped, a record is run again), the stream turns back: to the first record that is to be read again, or
// whose trace is not in hand. The worker gets the windows as they were before it (the store's, then the traces kept here), and from
// there on every record is run again in order; of those that need no second delivery only the trace is taken.
//
// A stream is traced (window.h) from its first record on that leaves a trace; one that never does pays nothing.
#pragma once
#include "base/list.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;
struct buf;

struct recall {
  struct list traces;  // by ordinal; zeroed: none
  size_t bytes;        // of them
  bool back;           // it has to turn back before it runs a record
  bool loading;        // the worker is being given the windows
  bool anew;           // nothing of it has gone yet
  bool stored;         // what the store has is with the worker
  unsigned worker, life; // whose windows they are
  uint64_t given;      // traces below have gone to the worker
  uint64_t saved;      // traces below are in the store, and go once it has loaded
  char *after;         // the last key of the store that has gone; NULL: none
  size_t after_len;
};

void recall_fini(struct stream *s);
bool recall_in_order(const struct stream *s); // traced, and with a script: every record is run, in order
void recall_begin(struct stream *s);          // its first trace came: from here on it is traced
// Keeps what one record changed, as pairs (script/windows.h). False: out of memory.
bool recall_keep(struct stream *s, uint64_t ordinal, struct slice pairs);
void recall_open(struct stream *s, uint64_t gate); // the traces of all below are in hand
// Before the stream reads: turns back if it has to. False: not before what is under way has ended.
bool recall_turned(struct stream *s);
// Then: whether the worker has the windows. False: not yet; the stream is woken when to ask again.
bool recall_given(struct stream *s);
bool recall_full(const struct stream *s); // so much waits to be saved that it reads nothing more
bool recall_full_twice(const struct stream *s); // so much that not even what is under way is taken
// Calls `each` for the pairs of all records that are done, in order, until it returns false; so does this, then.
bool recall_each_done(const struct stream *s, bool (*each)(struct slice pairs, void *arg), void *arg);
void recall_saved(struct stream *s, uint64_t base); // what lies below is in the store
