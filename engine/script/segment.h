// segment.h - the shared memory of one worker process: its words, and two rings for each client.
//
// One memory file; its pages exist once they are touched. Whatever the engine reads from it may be hostile. A
// worker that has nothing to do sleeps on `bell`; a client sleeps in its loop until its event descriptor is
// written to. Both are done only for one that has said that it sleeps or waits, so under load nobody makes a
// system call. Each flag is exchanged by both sides, which orders it against the rings' words.
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "script/ring.h"
#include "script/script.h"
#include <sys/types.h>

struct segment_link { // of one client; the flags are 0 or 1
  struct ring_words requests, results;
  alignas(64) _Atomic uint32_t client_sleeps; // until there are results
  _Atomic uint32_t client_waits;              // for room in `requests`
  alignas(64) _Atomic uint32_t worker_waits;  // for room in `results`
  _Atomic uint32_t closed;                    // the client is gone: its jobs are nobody's
};

struct segment_beat {    // what the worker is doing
  _Atomic uint64_t call; // goes up when a record begins and when it ends: odd while one runs
  _Atomic uint64_t part; // goes up with each hook of it
  _Atomic uint64_t job;
  _Atomic uint32_t client, index;
};

enum { SEGMENT_AWAKE, SEGMENT_ASLEEP };

struct segment_words {
  uint64_t magic;
  struct script_limits limits;
  pid_t engine;
  uid_t user;   // the worker becomes; 0: it stays who it is
  bool patient; // it runs scripts however often they take too long: what waits for it is of their kind, or their owner's
  alignas(64) _Atomic uint32_t link_count; // clients there have been
  alignas(64) _Atomic uint32_t bell;       // SEGMENT_ASLEEP, or SEGMENT_AWAKE
  alignas(64) _Atomic uint32_t ready;      // the worker is confined and takes jobs
  char reason[256];                        // why it could not be
  alignas(64) struct segment_beat beat;
  struct segment_link links[LIMIT_POOL_CLIENTS];
};

// A new one, by shared_file. -1 with err.
int segment_create(const struct script_limits *limits, struct err *err);
struct segment_words *segment_map(int fd, struct err *err); // NULL unless it is a segment
void segment_unmap(struct segment_words *words);            // takes NULL
size_t segment_memory(int fd);                              // bytes that are really there

bool segment_map_requests(struct ring *ring, struct segment_words *words, int fd, unsigned client);
bool segment_map_results(struct ring *ring, struct segment_words *words, int fd, unsigned client);

void segment_sleep(struct segment_words *words); // the worker's, after bell was set to SEGMENT_ASLEEP
void segment_wake(struct segment_words *words);  // the engine's; a system call only when the worker sleeps
