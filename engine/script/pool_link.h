// pool_link.h - one client's side of one worker: the two rings, and the jobs under way.
//
// A link outlives the worker's processes: when one ends, the link drains it, ends its jobs as lost and turns
// to the next.
#pragma once
#include "script/announce.h"
#include "script/pool_private.h"

struct pool_link {
  struct pool *pool;
  unsigned worker, client;        // numbers
  unsigned generation;            // of the worker's process, as last asked for
  struct worker_process *process; // NULL: none now
  struct segment_link *words;
  struct ring requests, results;
  bool broken; // the worker sent nonsense and is being killed
  struct announce announce;
  struct pool_job *first, **last; // begun and not ended, oldest first
  uint32_t next_index;            // of the first job's record whose result comes next
  size_t wanted;                  // bytes of room that a begin did not find; 0: none
  struct pool_open {              // the job between begin and commit
    struct pool_job *job;         // NULL: none
    struct message_job *head;
    uint64_t at;      // the ring's position of it
    size_t bytes;     // of its records alone
    uint32_t program; // of its last record
  } open;
};

// What is copied out of rings, shared by a client's links; what it holds is valid during one delivery.
struct pool_reader {
  char *copy;
  size_t copy_cap;
  struct pool_result *results;
  struct pool_output *outputs;
  uint32_t count, output_count;
};
bool pool_reader_init(struct pool_reader *reader);
void pool_reader_fini(struct pool_reader *reader); // takes zeroed

void pool_link_init(struct pool_link *link, struct pool *pool, unsigned worker, unsigned client);
void pool_link_fini(struct pool_link *link); // its jobs end without a call

// Delivers all results that are there, and ends jobs. False when out of memory: to be called again later.
bool pool_link_drain(struct pool_link *link, struct pool_reader *reader);
// Looks whether the worker's process is still the same; if not, does all that follows. False when out of
// memory: as above.
bool pool_link_follow(struct pool_link *link, struct pool_reader *reader);
// Says that the client sleeps, before a last look.
void pool_link_arm(struct pool_link *link);
// Whether there is room for `bytes`; if not, the worker will ring when it has read some.
bool pool_link_has_room(struct pool_link *link, size_t bytes);
void pool_link_condemn(struct pool_link *link); // it sent nonsense
void pool_link_add_job(struct pool_link *link, struct pool_job *job);
