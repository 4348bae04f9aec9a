// journal.h - where records are kept until they are delivered or too old: appended in groups, durable before they are answered,
// read by sequence, for one organisation or all, and dropped by age.
//
// One interface, shaped so that another engine (NATS JetStream) can stand behind it: append, read from a sequence for an
// organisation, trim. `journal_local.c` is the embedded one; its layout on disk:
//
//   DATA/journal/YYYY-MM-DD/SSSSSSSSSSSSSSSS.seg   a segment, named by its first sequence in hex, in the folder of the UTC day
//                                                  it was begun; preallocated and zeroed ahead, so that a sync writes data alone
//   DATA/journal/YYYY-MM-DD/SSSSSSSSSSSSSSSS.idx   which blocks hold which organisation; written when the segment closes,
//                                                  rebuilt from the block tables when lost
//   DATA/journal/next.seg                          the segment that is made ready for when the newest is full
//   DATA/journal/dedupe/...                        sorted runs of recent identities, each with its filter
//   DATA/journal/identity                          the brand all blocks bear (bytes of a record never pass for a block) and the
//                                                  seeds of the identities' hash: secret, made once
//
//   segment = block*   block = block_header | table (zstd) | frame* (zstd)      every block begins at a multiple of 64 bytes
//   A block is one group commit. Its table has one record_header a record, ordered by organisation, then sequence; its frames hold
//   the records' bytes in that order, so a reader of one organisation unpacks only the frames its records are in.
//   CRC-32C over header, table and each frame. A damaged block is found by its CRC, skipped to the next magic, counted, logged.
//   Records of a damaged frame are no duplicates when they are sent again (until a restart, unless their block is read anew then);
//   which records a damaged table had is not known: as long as their identities are, they stay duplicates.
#pragma once
#include "base/err.h"
#include "journal/record.h"
#include "net/loop.h"
#include <stdatomic.h>

struct journal;

enum journal_result {
  JOURNAL_STORED,
  JOURNAL_FULL,   // no room on the disk: nothing was taken; goes away by itself when there is room again
  JOURNAL_FAILED, // a write or sync failed: nothing more is acknowledged until the engine is restarted
};

enum { JOURNAL_COMPRESS_NONE = 0 };

struct journal_options {
  const char *folder;        // DATA/journal
  int64_t retention_ms;      // by day folders: a day goes when all of it is older
  int zstd_level;            // 0: plain; negative levels are the fast ones
  size_t segment_bytes;      // 0: LIMIT_SEGMENT_BYTES
  size_t recent_bytes;       // 0: LIMIT_RECENT_BYTES
  size_t dedupe_bytes;       // 0: LIMIT_DEDUPE_BYTES
  int64_t dedupe_ms;         // 0: 7 days
};

struct journal *journal_open(const struct journal_options *options, struct err *err); // starts its threads
void journal_close(struct journal *journal); // commits what was handed in; takes NULL

// ---- append ----
// One request's records: all of them or none. The caller fills it and keeps it, the headers and the bytes until `done` runs on
// `loop`. Headers' offsets count from `bytes`. The journal may reorder and change `records`.
struct journal_append {
  struct loop *loop;
  struct record_header *records;
  size_t count;
  const char *bytes;
  size_t bytes_len;
  void (*done)(struct journal_append *append);
  // filled for done:
  enum journal_result result;
  size_t accepted, duplicates; // a record is a duplicate when organisation, kind and id were seen within the window
  size_t accepted_of[RECORD_KINDS]; // by kind
  // the journal's:
  struct loop_task task;
  struct journal_append *next;
};
// False: too much is waiting (LIMIT_APPEND_QUEUE_BYTES): try later; nothing was taken and `done` will not run.
bool journal_append(struct journal *journal, struct journal_append *append);
enum journal_result journal_health(const struct journal *journal);

// ---- read ----
// A block in memory: immutable, counted references, any thread. Rows are ordered by organisation, then sequence.
struct journal_block {
  uint64_t first, end;              // sequences first <= s < end; `end` of one block is `first` of the next, save after a loss
  uint32_t count;                   // rows; fewer than end - first when only one organisation's were loaded
  const struct record_header *rows; // offsets count from bytes
  const uint32_t *by_sequence;      // rows' indices in order of sequence
  const char *bytes;
};
void journal_block_ref(struct journal_block *block);
void journal_block_unref(struct journal_block *block); // takes NULL
static inline struct slice journal_block_record(const struct journal_block *b, const struct record_header *row) {
  return slice_make(b->bytes + row->offset, row->length);
}
// The rows of one organisation: *from <= i < *to. `*from` is a guess of where they begin, at once found when it is right.
void journal_block_rows(const struct journal_block *block, int64_t organisation, uint32_t *from, uint32_t *to);

uint64_t journal_head(const struct journal *journal);  // the sequence the next record will get: all below are durable
uint64_t journal_first(const struct journal *journal); // the oldest sequence that is kept (= head when empty)

// The block that holds `sequence` if it is in memory, else NULL. A reference for the caller.
struct journal_block *journal_recent(struct journal *journal, uint64_t sequence);

#define JOURNAL_ALL INT64_MIN // every organisation

// From disk, by a desk thread: the first block at or after `sequence` that has a record of `organisation` (a block in memory is
// given as it is). `done` runs on `loop`. block NULL: there is none below `next`; `next` is where to go on in any case: the
// block's end, or the head as it was. No block and `next` below the head: memory or descriptors were short, try later
// from there. `lost`: sequences in [sequence, next) that retention removed or damage made unreadable.
//
// With `back` the other way, for lists of what is newest: the last block that has a record of `organisation` and `kinds` below
// `sequence`, of which a block from disk may hold these records alone. `next` is where to go on: what is below it has not been
// looked at; none when it is the oldest that is kept. No block and more below: a call looks at so many indexes only, or memory was
// short.
struct journal_fetch {
  struct loop *loop;
  uint64_t sequence;
  int64_t organisation;
  bool back;
  unsigned kinds; // back: a mask
  void (*done)(struct journal_fetch *fetch);
  struct journal_block *block; // a reference for the caller
  uint64_t next;
  uint64_t lost;
  struct loop_task task;
  struct journal_fetch *queued;
};
void journal_fetch(struct journal *journal, struct journal_fetch *fetch);
// Records of an organisation (or all) and a mask of kinds with sequence >= from. Reads tables from disk: for desk threads and start.
uint64_t journal_count(struct journal *journal, int64_t organisation, unsigned kinds, uint64_t from);

// ---- listen ----
// `task` is posted to `loop` whenever new blocks are readable (see journal_head). One task, many posts: it may run once for several.
struct journal_listener {
  struct loop *loop;
  struct loop_task task; // run: the listener's
  atomic_bool off;       // it does not want to know; who clears it looks at the head then
  struct journal_listener *next;
};
void journal_listen(struct journal *journal, struct journal_listener *listener); // before records flow; for the journal's life

// Before a day is removed, on a desk thread: all below `first_kept` goes. May be NULL.
void journal_set_expiring(struct journal *journal, void (*expiring)(uint64_t first_kept, void *arg), void *arg);
void journal_expire(struct journal *journal); // removes what is past retention now; the journal does so by itself every minute

// ---- numbers ----
struct journal_numbers {
  uint64_t records, bytes_on_disk, blocks_damaged, syncs, sync_ns_total, sync_ns_last;
  uint64_t duplicates, dedupe_window_ms; // how far back a duplicate is known
  size_t queued_bytes;
};
void journal_numbers(const struct journal *journal, struct journal_numbers *out);
