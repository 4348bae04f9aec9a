// pool.h - the script workers as the engine sees them: processes started, watched, killed and replaced; jobs out, results back.
//
// Each courier has a client, used on its loop's thread alone; between each client and each worker lie two shared-memory rings
// (ring.h), one a direction. A job is a run of records, each with its program. A worker that dies or is stuck is replaced within
// milliseconds; its jobs end as lost, with the record it was at, and the courier reads those records again without it.
//
// All that comes out of a ring is copied once, then checked: lengths, counts, indices. A worker that sends nonsense is killed.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "journal/record.h"
#include "net/loop.h"
#include "script/program.h"
#include "script/script.h"
#include <sys/types.h>

struct pool;
struct pool_client;

enum { POOL_WORKERS = 256 };

struct pool_options {
  unsigned workers;       // 0: one a core; at most POOL_WORKERS
  bool isolated;          // a worker an organisation, started on demand, POOL_WORKERS of them; `workers` does not count
  struct script_limits limits;
  const char *executable; // NULL: /proc/self/exe; started as `sluice worker`
};

struct pool *pool_new(const struct pool_options *options, struct err *err); // starts workers and the watch thread
void pool_free(struct pool *pool); // after its clients; ends the workers; takes NULL
unsigned pool_workers(const struct pool *pool);
// One more worker, of low priority, for scripts that take too long: started with its first job. Its number is the one behind the
// others', so there are pool_places workers in all.
unsigned pool_penalty_worker(const struct pool *pool);
unsigned pool_places(const struct pool *pool);
bool pool_isolated(const struct pool *pool);
// The worker for a stream of this organisation, until pool_leave: by `hash`, or where they are isolated the organisation's own (past
// POOL_WORKERS organisations, one that it shares). Any thread.
unsigned pool_join(struct pool *pool, int64_t organisation, uint64_t hash);
void pool_leave(struct pool *pool, unsigned worker);
void pool_slow_down(struct pool *pool, unsigned worker); // the lowest priority, until its process ends
pid_t pool_worker_pid(struct pool *pool, unsigned worker); // 0: it is just being replaced

struct pool_client_events {
  // A worker's ring has room again after pool_begin said no. Called from the loop, never from inside pool_begin.
  void (*room)(struct pool_client *client, unsigned worker, void *arg);
  void *arg;
};
// A pool has at most LIMIT_POOL_CLIENTS in its life.
struct pool_client *pool_client_new(struct pool *pool, struct loop *loop, const struct pool_client_events *events, struct err *err);
void pool_client_free(struct pool_client *client); // its jobs end without a call; not from inside one; takes NULL

struct pool_output {
  struct slice body; // one JSON value
  struct slice key;  // len 0: none
};
struct pool_result { // of one record; valid during the call
  enum script_outcome outcome;
  uint32_t line;
  struct slice text; // reason or message
  struct slice log;  // what the script logged: lines, without a break behind the last
  struct slice windows;              // changed cells as pairs (windows.h), in order; empty: none
  const struct script_alert *alerts; // what the alert hook raised
  uint32_t alert_count;
  struct slice alert_error;          // the alert hook failed: message; the record went on
  uint32_t alert_line;
  const struct pool_output *outputs;
  uint32_t output_count;
  uint64_t spent_ns; // with the last record of a program in a row: the time these took; else 0
};

enum pool_end {
  POOL_DONE,
  POOL_LOST, // the worker died: results came for records below `at`; `at` is the record it was running when `guilty`
};

struct pool_job { // the caller's, until `ended`
  // Results in order of the records, in one or more parts: records first <= i < first + count.
  void (*results)(struct pool_job *job, uint32_t first, const struct pool_result *results, uint32_t count);
  // Last call for this job; jobs of one worker end in the order they were begun. `why`: "timed out", "crashed (signal 11)".
  void (*ended)(struct pool_job *job, enum pool_end end, uint32_t at, bool guilty, const char *why);
  uint32_t count;          // records added
  uint64_t number;         // the pool's
  struct pool_job *next;   // the pool's
};

// A job for `worker` (0 <= worker < pool_places): begin, add records until false, commit; one job a worker is open at a time, and
// the loop does not run meanwhile. False from begin: no room now; `room` will be called. False from add: this one did not fit
// (records, bytes or ring), or the worker must be told of its program first: it begins the next job. The first record always fits
// after a begin for its program and size.
bool pool_begin(struct pool_client *client, unsigned worker, const struct program *program, struct pool_job *job,
                size_t first_record_bytes);
bool pool_add(struct pool_client *client, unsigned worker, const struct program *program, const struct record_header *header,
              struct slice bytes);
void pool_commit(struct pool_client *client, unsigned worker); // with at least one record
void pool_forget(struct pool_client *client, struct program *program); // workers may drop it

// Compiles a script in a throw-away worker, LIMIT_CHECKS at a time, others queue. `done` runs on the loop; when the pool is freed
// first, it does not run. The caller fills the first part and keeps all of it, the source too, until then. Any thread.
struct pool_check {
  struct loop *loop;
  const char *name;
  struct slice source;
  enum script_role role;
  void (*done)(struct pool_check *check);

  bool ok;
  struct err err;            // "name:line: what is wrong"
  struct script_facts facts; // when ok
  struct loop_task task;   // the pool's
  struct pool_check *next; // the pool's
};
void pool_check(struct pool *pool, struct pool_check *check);

struct pool_numbers {
  uint64_t kills, restarts; // workers killed for being stuck; workers started after the first
  uint64_t memory_bytes;    // rings
};
void pool_numbers(struct pool *pool, struct pool_numbers *out);
