// stream.h - a stream at work in its courier: what it has read, its lanes, and how its receiver does.
//
// Everything here belongs to the courier's thread. The modules that share it, in the order of the road:
//   feed.c      reads records from the journal into jobs (or straight into lanes)
//   harvest.c   takes the workers' results into lanes, reasons and dead letters
//   alerts.c    what alert hooks raised, into the journal
//   lane.c      which batch an output joins, and which lane may send
//   delivery.c  request, answer, verdict, retry
//   stream.c    life: states, breaker, pause, memory given back
//   penalty.c   what a script has earned that takes too long, or ends its worker
//   saver.c     positions and dead letters to the store
//   positions.c what is saved of a stream, in one piece
//   recall.c    what its records leave in windows
#pragma once
#include "base/heap.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "flow/allowance.h"
#include "flow/batch.h"
#include "flow/conduct.h"
#include "flow/definition.h"
#include "flow/recall.h"
#include "flow/router.h"
#include "flow/stage.h"
#include "flow/status.h"
#include "flow/window.h"
#include "journal/journal.h"
#include "script/pool.h"

struct courier;
struct stream;

enum { STREAM_RECORDS_OUT = 2 * LIMIT_JOB_RECORDS, STREAM_PENALTY_RECORDS_OUT = 16, BREAKER_FAILURES = 5, STREAM_DEAD_IN_A_ROW = 100, STREAM_SCRIPT_FAILURES = 100, STREAM_LOG_LINES = 10, LANE_BUCKETS = 128, LANE_SMALL_BYTES = 16 << 10, LANE_FEW_RECORDS = 32 };

// What a batch is made and sent with: one version of definition, script, sink and settings. Counted by its courier's thread.
struct outfit {
  uint32_t refs;
  struct definition *definition;
  struct sink_binding *binding;
  struct sink_limits limits;
  bool worked; // its script has, with a record
};

enum lane_state {
  LANE_IDLE,    // fills; goes when there is something
  LANE_READY,   // in the stream's list of lanes that may send
  LANE_SENDING, // its first batch is out
  LANE_BACKOFF, // its first batch waits for its time
};

struct lane { // one order of delivery
  struct stream *stream;
  uint64_t key; // its index; in single mode its endpoint
  enum lane_state state;
  size_t held_bytes;
  struct list batches;
  struct list ready_link;
  struct heap_node timer;
  bool patient; // waits for the receiver's Retry-After
};

struct stream { // what every record needs comes first
  struct courier *courier;
  struct outfit *outfit;
  struct status *status;
  struct router_entry route;
  struct list ready_link;      // among the courier's streams that may read
  struct list send_link;       // among those that may send
  struct stage_line line;      // its place among the courier's staged blocks
  uint64_t next;         // sequence of the journal to read next
  uint64_t counted;      // its status counts as matched what lies before this, whatever is routed again
  unsigned worker, home; // that runs its script now; among those for everybody
  bool caught_up;        // has read all that the courier has routed
  bool fetching;         // a read from disk is under way
  bool choked;           // the window is full, or has been and is not yet empty enough
  bool stopped;          // as its state says: neither reads nor sends
  bool removed;          // waits for what is under way, then is freed
  bool breaker_open;
  bool rerun_alone;      // a worker was lost in the middle: one job at a time until it is past
  bool spread;           // there is much to send: endpoints keep to lanes of their own
  bool send_parked;      // its small requests wait for an allowance
  bool flush_wanted;     // lanes have something that waits for a little more
  struct window window;
  uint32_t jobs, stale_jobs; // under way, its parts of them; those whose results will be read again instead
  uint32_t records_out;      // in jobs
  uint32_t epoch;            // jobs of an older one are stale
  uint32_t sending;
  uint32_t hollow;           // hollow batches
  uint32_t letters;          // dead letters on their way to disk
  struct map alerts;         // on their way into the journal, by their record's ordinal (alerts.h)
  uint32_t script_failures;  // records in a row
  size_t held_bytes;         // of bodies in lanes
  size_t parked_bytes;       // of these, as its courier counts them while it is parked
  struct lane_table *table;  // its lanes, and which holds what of which endpoints; NULL: nothing yet
  struct lane *filling;      // where outputs without a lane go while there is little to send; NULL: to be picked
  struct list ready_lanes;
  struct list dirty_link;
  uint64_t flush_since_ms;

  struct map by_endpoint;  // lanes in single mode
  struct list deliveries;  // requests that are out
  struct list all_link;
  struct outfit *awaited;  // a change of lanes' shape waits until no request is out; NULL: none
  uint64_t cursor;         // ordinal to look from for what is to be read again
  struct journal_block *block; // what a fetch brought; holds one of the courier's slots
  struct journal_fetch fetch;
  uint64_t lost_from, lost_to; // sequences the last fetch found to be gone
  uint32_t failures;           // requests failed in a row
  uint32_t dead_in_row;
  int64_t last_success_ms, first_failure_ms;
  struct heap_node breaker; // in the courier's timers while no request may go
  uint64_t letters_kept;    // dead letters on disk
  struct allowance log_lines;
  struct failed_row { // records that its script failed for, without one in between that went well
    uint32_t count;
    struct failed_record {
      uint64_t ordinal, sequence;
    } records[STREAM_SCRIPT_FAILURES];
  } *row;                      // NULL: none, or no memory for it
  bool redriving;              // these are to be read again once no letter is on its way
  struct stream_alarm *alarm;  // of its script; NULL: nobody hears it
  struct conduct conduct;      // its script's
  struct recall recall;        // of its windows
};

enum { STREAM_MATCH_BYTES = offsetof(struct stream, jobs), STREAM_HOT_BYTES = offsetof(struct stream, by_endpoint) };

// ---- stream.c ----
struct stream *stream_new(struct courier *courier, struct definition *definition, struct status *status, struct err *err);
void stream_remove(struct stream *s);        // its requests are cancelled; freed once nothing under way names it
void stream_rest(struct stream *s);          // something under way ended: frees a removed stream when it was the last
void stream_enter(struct stream *s, enum stream_state state, const char *why); // the only writer of the state
enum stream_state stream_state(const struct stream *s);
bool stream_stopped(const struct stream *s); // paused, error or inactive: neither reads nor sends
void stream_resume(struct stream *s);        // activate: from the position on
// A new version takes over between two batches. False: its settings can't be used; the old goes on.
bool stream_redefine(struct stream *s, struct definition *definition, struct err *err);
void stream_take_awaited(struct stream *s);  // the version that waited takes over, if it may by now
void stream_stale_jobs(struct stream *s); // all that is under way is read again
void stream_shed(struct stream *s);          // gives back all memory of batches that are not out; they are made again
void stream_settle(struct stream *s, uint64_t ordinal);
void stream_again(struct stream *s, uint64_t ordinal); // this record is to be read again
void stream_wake(struct stream *s);          // it may be able to read
uint64_t stream_backlog(const struct stream *s); // records that have been routed and not read
void stream_failed(struct stream *s, const char *why, int http_status, uint64_t delay_ms);
void stream_succeeded(struct stream *s, int http_status);
void stream_later(struct stream *s, uint64_t delay_ms); // memory or the store is short: it neither reads nor sends for so long
void stream_breaker_due(struct stream *s);
void stream_dead_letter_counted(struct stream *s, const char *why, uint32_t line); // one more is on disk; line 0: not of a script
struct outfit *outfit_ref(struct outfit *o);
void outfit_unref(struct outfit *o); // takes NULL

// ---- feed.c ----
void feed_stream(struct stream *s); // reads as much as may be read now
void feed_commit(struct courier *c, unsigned worker); // what the streams fed so far have for the worker goes to it
void feed_drop_block(struct stream *s);
void feed_tell_lost(struct stream *s, uint64_t lost); // so many records that it may have wanted can't be read any more
void feed_fall_behind(struct stream *s); // out of line: it reads on its own until it has caught up
bool feed_blocked(const struct stream *s); // it can't read, and not for a moment only

// ---- harvest.c ----
struct harvest_item { // a record in a job
  uint64_t ordinal, sequence;
  int64_t id, endpoint, received_ms;
  uint8_t kind;
  bool silent; // run again for its trace alone
};
struct harvest_part { // a stream's records in a job, in a row
  struct stream *stream;
  uint32_t epoch;        // the stream's, when it began
  uint32_t first, count; // of the job's records
  uint32_t seen;         // of these, how many have had their result
};
struct harvest_job { // what many streams have for one worker travels together
  struct pool_job job; // first
  struct courier *courier;
  struct harvest_job *spare, *made_before;
  unsigned worker;
  uint32_t part_count, count;
  uint32_t now; // the part whose results come next
  struct harvest_part parts[LIMIT_JOB_RECORDS];
  struct harvest_item items[LIMIT_JOB_RECORDS];
};
struct harvest_job *harvest_job_new(struct courier *courier, unsigned worker); // NULL: out of memory
void harvest_job_add(struct harvest_job *job, struct stream *s, const struct harvest_item *item);
void harvest_job_drop(struct harvest_job *job); // never begun, or ended
void harvest_free_jobs(struct courier *courier); // all that were ever made
// Puts one output in its lane; false: out of memory, and the stream has shed.
bool harvest_output(struct stream *s, const struct harvest_item *item, struct slice body, struct slice key, uint32_t number, bool last);

// ---- ahead.c ----
// Asks the processor for the memory of those whose turn comes soon (prefetch.h), some at a time.
enum { AHEAD_STREAMS = 16 };
void ahead_of_matching(struct stream *const *streams, size_t count); // routing
void ahead_of_feeding(struct stream *const *streams, size_t count);  // reading
void ahead_of_results(const struct harvest_job *job, uint32_t from, uint32_t to); // outputs into lanes, of these parts

// ---- redrive.c ----
void redrive_note(struct stream *s, const struct harvest_item *item); // its script failed for it, too
void redrive_forget(struct stream *s);                                // it worked
// The records of the row are run again by the version that is there now, their letters go; then the stream resumes.
void redrive_begin(struct stream *s);
void redrive_go_on(struct stream *s); // a letter has ended: perhaps it was the last

// ---- penalty.c ----
void penalty_timed_out(struct stream *s);               // a record took too long
void penalty_struck(struct stream *s, const char *why); // a record ended its worker
void penalty_begin(struct stream *s);                   // its worker has lost its patience
// Before it reads: it goes where it belongs by now. False: not before what is under way has ended.
bool penalty_follow(struct stream *s);
bool penalty_serves(const struct stream *s); // the penalty worker runs its script

// ---- lane.c ----
void lane_ahead(const struct stream *s, const struct harvest_item *item); // prefetches what lane_put will look at
// Puts an output where its endpoint's records are, or in a lane that fills. Sets output->bucket. False: out of memory.
bool lane_put(struct stream *s, const struct harvest_item *item, struct batch_output *output);
void lane_expect(struct stream *s, uint64_t records); // so many are about to come
void lane_record_passed(struct stream *s, const struct harvest_item *item); // it had no output: a hollow batch may wait for it
void lane_leave(struct stream *s, const struct batch_item *item); // with the last output of a record, the record leaves its lane
void lane_lighten(struct lane *lane, uint32_t bytes);             // so many bytes of bodies have left
bool lane_small(const struct lane *lane);                         // its first batch would make a small request
void lane_due(struct lane *lane);                                           // its timer came
void lane_next(struct lane *lane);   // after its first batch has left: the next may go, or the lane rests
void lane_offer(struct lane *lane, bool in_haste); // makes it ready if its first batch may go now
void lane_free(struct lane *lane);
void lanes_flush(struct stream *s); // what waited for more goes now, unless more is coming at once
void lanes_shed(struct stream *s);
// What hollow batches wait for is no longer kept (`all`), or there is no room for it: they go with what has come, and what comes
// later goes behind them. Without `all` those that have nothing wait on.
void lanes_close_gaps(struct stream *s, bool all);
void lanes_free(struct stream *s);
void lanes_release(struct stream *s, bool all); // lanes in back-off go at once; without `all` not those with a Retry-After
struct lane *lane_each(struct stream *s, size_t *i);

// ---- sending.c ----
void sending_turn(struct courier *c);
void sending_tick(struct courier *c, uint32_t tick_us);
void sending_leave(struct stream *s); // it has nothing to send, or may send now: out of its courier's list
void sending_gathered(struct stream *s, size_t bytes); // so much more waits with it
bool sending_may_be_small(struct courier *c); // a small request may go

// ---- delivery.c ----
void delivery_offer(struct stream *s); // its ready lanes send when the courier's turn ends
bool delivery_send_ready(struct stream *s); // as many lanes as may send; false: one waits for the courier's allowance, or for memory
void delivery_cancel_all(struct stream *s); // requests that are out end unheard

// ---- saver.c ----
void saver_touch(struct stream *s); // its position is to be saved soon
struct dead_letter {
  uint64_t ordinal, sequence;
  uint32_t number;     // of its record's outputs, from 0
  bool settles;        // with it its record is settled
  const char *reason;  // words
  uint32_t line;       // of the script; 0: none
  int http_status;     // 0: none
  struct slice answer; // beginning of the receiver's answer
  uint32_t attempts;
};
enum { LETTER_KEY_BYTES = DEFINITION_ID_BYTES + 13 };
struct slice saver_letter_key(char out[LETTER_KEY_BYTES], const char *id, uint64_t sequence, uint32_t number);
bool saver_position(struct stream *s, struct buf *out); // as the store keeps it; false: out of memory
void saver_letter_begun(struct stream *s);              // a write is out that the courier's end waits for
void saver_letter_ended(struct stream *s);
void saver_dead_letter(struct stream *s, const struct dead_letter *letter);
// False: out of memory, nothing was done. (saver_dead_letter has the record read again then.)
bool saver_try_dead_letter(struct stream *s, const struct dead_letter *letter);
