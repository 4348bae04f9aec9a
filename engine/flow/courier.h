// courier.h - a thread that owns a share of the streams: routes, reads, batches, sends, retries.
#pragma once
#include "base/err.h"
#include "flow/budget.h"
#include "flow/definition.h"
#include "flow/shared_blocks.h"
#include "flow/status.h"
#include "journal/journal.h"
#include "journal/store.h"
#include "net/egress.h"
#include "script/pool.h"

struct courier;

struct courier_options {
  struct journal *journal;
  struct store *store;
  struct pool *pool;
  struct budget *budget;
  struct shared_blocks *blocks; // between all couriers
  const struct egress *egress;
  unsigned index; // of the couriers, from 0
};

struct courier *courier_new(const struct courier_options *options, struct err *err);
bool courier_start(struct courier *courier, struct err *err); // its thread
// Lets requests under way end, for at most this long, saves positions, ends the thread.
void courier_stop(struct courier *courier, uint32_t drain_ms);
void courier_free(struct courier *courier); // after courier_stop, or without start; takes NULL

// All records below `first_kept` are about to be removed: streams that have not read them count them as expired and go on behind
// them. Waits until that is done (at most a few seconds: a courier that has stopped counts nothing). Not from the courier's thread.
void courier_expire(struct courier *courier, uint64_t first_kept);

// A stream's script failed so often that it was paused: posted to `loop`, where someone may know a better version. Kept by its owner
// until the stream is removed.
struct stream_alarm {
  struct loop *loop;
  struct loop_task task;
  char version[DEFINITION_VERSION_BYTES]; // the one that failed; written before the task is posted
};

enum courier_order {
  COURIER_ADD,
  COURIER_CHANGE,
  COURIER_REMOVE,
  COURIER_OPEN, // no stream: those that the store had are all added, so it begins to route
};

// One order about one stream, from any thread. Kept by the caller until `done` runs on `reply`. ADD and CHANGE take references of
// definition and status for themselves.
struct courier_command {
  enum courier_order order;
  struct definition *definition; // ADD, CHANGE; for REMOVE any version of it
  struct status *status;         // ADD
  struct stream_alarm *alarm;    // ADD; NULL: nobody hears it
  bool resume;                   // CHANGE: activate was asked for
  bool redrive;                  // CHANGE: and the records that its script failed for are to be run again
  struct loop *reply;
  void (*done)(struct courier_command *command);
  bool ok;
  struct err err;
  uint64_t undelivered;          // REMOVE: records that were matched and not settled
  struct courier *courier;
  struct loop_task task;
};
void courier_command(struct courier *courier, struct courier_command *command);
