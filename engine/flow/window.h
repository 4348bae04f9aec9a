// window.h - what a stream has read and not yet settled, in order, and so how far it has got.
//
// Every record that a stream reads gets an ordinal, counted from 0 for the life of the process; the window knows its sequence and
// whether it waits to be read (again), is on its way, or is settled. The front leaves as soon as it is settled: the sequence of the
// first that remains is the stream's position, and all below it is done.
//
// Saved as text of bytes (window_save): the position, then the runs of sequences beyond it in which every record of this stream
// is settled. After a restart window_was_settled tells which records need no second delivery. Runs of sequences, and not a bit a
// record, because a block lost in between would shift every bit behind it. A byte of flags follows when one is set.
//
// Of a traced stream the records leave traces in ctx's windows, in order (recall.h). Its front leaves only below the gate: the
// first ordinal whose trace is not yet in hand. Barred records leave none, and are not run for one.
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>

enum window_state {
  WINDOW_UNREAD, // to be read (again): its first result is gone
  WINDOW_READ,   // in a job, a batch or a dead letter on its way to disk
  WINDOW_SETTLED,
};

struct window_run { // settled before a restart: sequences first <= s <= last
  uint64_t first, last;
};

struct window {
  uint64_t *entries; // sequence << 3 | barred << 2 | state, a ring
  uint32_t cap, head, count;
  uint64_t base;     // ordinal of the first entry
  uint32_t unread;   // entries in WINDOW_UNREAD
  bool traced;
  uint64_t gate;     // of a traced one; UINT64_MAX: open
  struct window_run *runs;
  uint32_t run_count, run_next;
};

void window_fini(struct window *w); // zeroed is an empty window
bool window_reserve(struct window *w); // room for one more push; false: out of memory
// The next record read from the journal, as WINDOW_READ (or settled). Its ordinal is window_end before the call; after
// window_reserve.
void window_push(struct window *w, uint64_t sequence, bool settled);
void window_mark(struct window *w, uint64_t ordinal, enum window_state state); // settled ones at the front leave
void window_open(struct window *w, uint64_t gate); // settled ones at the front leave
void window_bar(struct window *w, uint64_t ordinal); // until it is marked as unread
bool window_barred(const struct window *w, uint64_t ordinal);
bool window_holds(const struct window *w, uint64_t ordinal);
enum window_state window_at(const struct window *w, uint64_t ordinal);
uint64_t window_sequence(const struct window *w, uint64_t ordinal);
static inline uint64_t window_end(const struct window *w) {
  return w->base + w->count;
}
// The first unread ordinal at or after `from`, or window_end.
uint64_t window_next_unread(const struct window *w, uint64_t from);
// A settled record is to be read again: one that the window still has, or the one right before all that it has, which comes back to
// its front. False: it is neither, or out of memory.
bool window_take_back(struct window *w, uint64_t ordinal, uint64_t sequence);
// Everything that is on its way is to be read again.
void window_unread_all(struct window *w);

// The position: the first unsettled sequence, or `next` (the first unread one of the journal) when there is none.
uint64_t window_position(const struct window *w, uint64_t next);
bool window_save(const struct window *w, uint64_t next, struct buf *out);
// Reads what window_save wrote, into an empty window. *used: bytes read. False: damaged or out of memory.
bool window_restore(struct window *w, struct slice saved, uint64_t *position, size_t *used);
// Whether this sequence was settled before the restart. Asked in rising order; forgets the runs it has passed.
bool window_was_settled(struct window *w, uint64_t sequence);
