// local.h - the embedded journal's insides, shared by journal_local.c, writer.c, desk.c and retention.c.
#pragma once
#include "journal/block_encoder.h"
#include "journal/dedupe.h"
#include "journal/gather.h"
#include "journal/journal.h"
#include "journal/recent.h"
#include "journal/segment_maker.h"
#include "journal/segments.h"

enum { DESK_THREADS = 2 };

struct queue { // of what was handed in and not yet taken by the writer
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct journal_append *first, *last;
  size_t bytes;    // of these and of the group being written
  bool stop, roll; // roll: close the newest segment, for its day is to be removed
  bool roll_done;  // how that went
  pthread_cond_t rolled;
};

struct writer { // the writer thread's alone
  pthread_t thread;
  bool running;
  struct block_encoder encoder;
  struct gather gather;
  struct segment *current; // NULL: none yet
  uint32_t skipped;        // sequences before the next block that no record has
};

struct desk {
  pthread_t threads[DESK_THREADS];
  int running;
  pthread_mutex_t lock;
  pthread_cond_t wake, expired;
  struct journal_fetch *first, *last;
  uint64_t expiries_wanted, expiries_done;
  bool expiring, stop;
};

struct identity { // a file of the journal folder, made once
  uint64_t brand;
  uint64_t dedupe_seed[4];
};

struct journal {
  char folder[PATH_MAX];
  struct journal_options options;
  struct identity identity;
  struct segments segments;
  struct segment_maker maker;
  struct recent recent;
  struct dedupe *dedupe;
  struct queue queue;
  struct writer writer;
  struct desk desk;
  struct journal_listener *_Atomic listeners;
  atomic_uint_fast64_t head, first;
  uint64_t void_from, void_end; // sequences of a block torn by the last stop; no record has them
  _Atomic enum journal_result health;
  atomic_uint_fast64_t damaged, syncs, sync_ns, sync_ns_last, duplicates;
  void (*_Atomic expiring)(uint64_t first_kept, void *arg);
  void *_Atomic expiring_arg;
};

// What an append counts for in the queue.
static inline size_t journal_append_cost(const struct journal_append *append) {
  return append->bytes_len + append->count * sizeof *append->records;
}

// writer.c: the thread that makes what is queued durable, a group at a time.
bool writer_start(struct journal *journal, struct err *err);
void writer_stop(struct journal *journal); // after all that is queued
bool writer_roll(struct journal *journal); // closes the newest segment and begins one today; false: could not

// desk.c: the threads that read from disk.
bool desk_start(struct journal *journal, struct err *err);
void desk_stop(struct journal *journal); // after all that is queued
void desk_expire(
    struct journal *journal); // has one run retention_expire; returns when it did; not from a desk thread

// reader.c: finding and loading blocks.
struct reader;
struct reader *reader_new(struct journal *journal, struct err *err);
void reader_free(struct reader *reader); // takes NULL
void reader_fetch(struct reader *reader, struct journal_fetch *fetch);
uint64_t reader_count(struct reader *reader, int64_t organisation, unsigned kinds, uint64_t from);

// recovery.c: what is on the disk, at start.
bool recovery_run(struct journal *journal, struct err *err);
bool recovery_replay(struct journal *journal, uint64_t from, struct err *err); // identities into dedupe

// retention.c
void retention_expire(struct journal *journal);
