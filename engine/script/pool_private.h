// pool_private.h - what the files that implement pool.h share: the pool, its workers, its checks.
#pragma once
#include "script/pool.h"
#include "script/worker_process.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct pool_worker {
  struct worker_process *process; // under the pool's lock; NULL: none could be started yet
  atomic_uint generation;         // goes up whenever `process` changes
  atomic_uint outstanding;        // jobs begun and not ended
  atomic_bool wanted;             // there is to be a process
  int64_t organisation;           // whose it is, under the lock
  atomic_uint streams;            // that have joined, changed under the lock
  // The watch thread's own:
  struct pool_look {  // at one of the beat's words
    uint64_t seen;    // as last seen to change
    uint64_t cpu_ns;  // the process's time then
    uint64_t same_ms; // for which it was seen to be the same
  } call, part;
  uint64_t start_again_ms; // when process is NULL
  uint64_t idle_ms;        // since when it has no job; 0: it has one
};

struct pool_checks { // of pool_check.c; the queue under the pool's lock, the rest the watch thread's own
  struct pool_check *first, **last;
  struct check_run {
    struct pool_check *check; // NULL: free
    struct check_sheet *sheet;
    int sheet_fd, pidfd;
    pid_t pid;
    uint64_t begun_ms, deadline_ms;
  } runs[LIMIT_CHECKS];
  struct check_known {
    unsigned char digest[32];
    struct script_facts facts;
    bool used;
  } known[LIMIT_CHECKS_KNOWN];
  unsigned next_known;
};

struct pool_trials { // of pool_trial.c; as above
  struct pool_trial *first, **last;
  struct trial_run {
    struct pool_trial *trial; // NULL: free
    struct trial_sheet *sheet;
    int sheet_fd, pidfd;
    pid_t pid;
    uint64_t begun_ms;
    uint32_t seen_loaded, seen_done; // as last seen to change, and when
    uint64_t seen_ms, seen_cpu_ms;
  } runs[LIMIT_TRIALS];
};

struct pool {
  char *executable; // NULL: our own
  struct script_limits limits;
  unsigned worker_count; // with the penalty worker, which is the last
  bool users;            // each worker becomes a user of its own
  bool isolated;         // a worker an organisation
  struct pool_worker *workers;
  int bells[LIMIT_POOL_CLIENTS]; // wake a client each: written by workers and by the watch thread
  atomic_uint clients;           // places given away
  struct pool_checks checks;
  struct pool_trials trials;
  atomic_ulong kills, restarts;

  pthread_mutex_t lock;
  pthread_cond_t started;
  enum { POOL_STARTING, POOL_STARTED, POOL_FAILED } state; // under the lock
  struct err start_err;
  pthread_t watch;
  bool watch_runs;
  int watch_fd;             // event descriptor that wakes the watch thread
  atomic_uint watch_sleeps; // it does not look at calls until woken
  atomic_bool stop;
};

void pool_wake_watch(struct pool *pool);
// Somebody has work for a worker that has no process: it gets one, if it was not being replaced anyway.
void pool_want_worker(struct pool *pool, unsigned worker);
bool pool_is_patient(const struct pool *pool, unsigned worker); // never puts a script off
// The user for the n-th of our processes; 0: they stay who they are.
uid_t pool_user(const struct pool *pool, unsigned n);
// A job begins: the watch thread must look from now on.
void pool_job_begins(struct pool *pool, unsigned worker);
// The worker's present process with a reference, or NULL; *generation goes with it. The process learns how
// many clients there are.
struct worker_process *pool_process(struct pool *pool, unsigned worker, unsigned *generation);
// Words out of shared memory, for people: what is no UTF-8 or can't be seen becomes '?'.
void pool_clean(char *text, size_t len);
void pool_clean_lines(char *text, size_t len); // the same, but for line ends

// ---- the watch thread's part of pool_check.c ----
void pool_checks_init(struct pool *pool);
void pool_checks_fini(struct pool *pool);  // kills what still runs
void pool_checks_start(struct pool *pool); // those that wait, as places are free
// What to wait for: at most LIMIT_CHECKS descriptors, and when to look in any case.
nfds_t pool_checks_fds(const struct pool *pool, struct pollfd *fds, uint64_t *deadline_ms);
void pool_checks_end(struct pool *pool); // those whose process ended or is too late

// ---- the watch thread's part of pool_trial.c, in the same way ----
void pool_trials_init(struct pool *pool);
void pool_trials_fini(struct pool *pool);
void pool_trials_start(struct pool *pool);
nfds_t pool_trials_fds(const struct pool *pool, struct pollfd *fds, uint64_t *deadline_ms); // LIMIT_TRIALS
void pool_trials_end(struct pool *pool);
