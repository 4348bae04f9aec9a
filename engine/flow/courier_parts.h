// courier_parts.h - what the modules around a stream share of their courier; for flow/ alone.
#pragma once
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "flow/alerts.h"
#include "flow/allowance.h"
#include "flow/courier.h"
#include "flow/router.h"
#include "flow/stage.h"
#include "flow/stream.h"
#include "net/http_client.h"
#include "net/loop.h"

enum {
  COURIER_FETCHES = 8,      // blocks read from disk at once, or held
  COURIER_WORKER_JOBS = 32, // in a worker's ring: enough to keep it busy; streams that wait meanwhile gather larger jobs
  SMALL_REQUESTS = 500,     // a second, of a courier that has more to read: past it small batches wait and gather
  COURIER_PARKED_BYTES = 24 << 20, // so much of them
};

struct saver;
struct delivery;

struct courier {
  struct courier_options options;
  struct loop *loop;
  pthread_t thread;
  bool started;
  struct pool_client *client;
  struct http_client *http;
  struct sink_runner *runner;
  struct router router;
  struct map streams;      // by hash of the id
  struct list all;
  struct list ready;       // streams that may read
  struct list senders;     // streams with lanes that may send
  struct list parked_senders; // those whose small requests wait for an allowance
  struct allowance small_requests;
  size_t parked_bytes;     // that those hold
  bool sending_freely;     // small requests need no allowance for the moment
  struct courier_worker {  // one a worker
    struct list starved;   // streams that wait for room in its ring, or for their turn
    struct harvest_job *open; // what this turn's streams have for it; NULL: nothing yet
    uint32_t jobs;         // in its ring
    bool full;             // the ring has no room
  } *workers;
  struct list unfetched;   // streams that wait for a fetch slot
  uint64_t routed;         // all blocks below have been routed
  bool open;               // its first streams are there: it routes
  struct stage stage;
  uint32_t rows_end;       // of the block, where the stream that was fed last had its last row: a guess for the next one
  uint64_t stage_moves;    // as the last tick saw them
  unsigned stage_still;    // ticks without a move while the stage is full
  struct journal_listener listener;
  struct journal_fetch route_fetch; // a block that had left memory before it was routed
  bool route_fetching;
  uint32_t fetch_slots;    // left
  struct heap lane_timers, breaker_timers; // by clock_mono_ms
  struct loop_timer timer;
  struct loop_task another_turn;
  struct loop_timer ticker; // while senders are parked or the stage is full
  bool ticking;
  struct harvest_job *spare_jobs, *jobs_made;
  uint64_t turn_ms;        // courier_now_ms when this turn's work began: for what need not be exact
  struct delivery *spare_deliveries;
  uint32_t requests;       // that are out
  struct list probes;      // that are out
  uint32_t probing;        // how many
  struct saver *saver;
  struct alerts *alerts;
  bool draining;
};

// ---- probe.c ----
void probes_end(struct courier *c); // those that are out are told so

// ---- turn.c ----
void turn_route(struct courier *c);              // as many new blocks as the stage has room for
void turn_skip(struct courier *c);               // without streams: all that there is
void turn_new_blocks(struct loop_task *task);    // the listener's: the journal has new ones
void turn_end(void *courier);                    // after all events of a turn: feed and send
void turn_another(struct loop_task *task);       // posted so that the loop does not sleep
void turn_timers_due(struct loop_timer *timer);
void turn_tick(struct loop_timer *timer);
void turn_ring_room(struct pool_client *client, unsigned worker, void *courier);
uint64_t courier_now_ms(void);
struct stream *courier_stream(const struct courier *courier, const char *id); // NULL: it has none of this id
// False: out of memory; whoever waits for it does without.
bool courier_set_timer(struct courier *c, struct heap *timers, struct heap_node *node, uint64_t due_ms);

void delivery_free_spares(struct courier *courier);

struct saver *saver_new(struct courier *courier, struct err *err);
void saver_free(struct saver *saver);
void saver_flush(struct saver *saver); // everything dirty goes to the store now
bool saver_idle(const struct saver *saver);
