// worker_process.h - one life of a worker: the process, its shared memory, and how it ended.
//
// Counted: the pool holds a reference while it lives, each client until it has drained what the worker left
// behind.
#pragma once
#include "base/err.h"
#include "script/segment.h"
#include <stdatomic.h>
#include <stdbool.h>

// A worker's descriptors: the standard three on /dev/null, its shared memory, and one to wake each client by.
enum { WORKER_FD_MEMORY = 3, WORKER_FD_BELLS = 4, WORKER_FDS = WORKER_FD_BELLS + LIMIT_POOL_CLIENTS };

struct worker_process {
  pid_t pid;
  int pidfd; // readable once it has ended
  int memory_fd;
  struct segment_words *words;
  atomic_uint refs;
  atomic_bool nonsense; // killed because of what it sent
  bool resting;         // ended because nobody had work for it
  bool stuck;           // killed because a call, number `stuck_call`, did not end
  uint64_t stuck_call;
  // Known after worker_process_reap:
  char why[64];       // "timed out", "crashed (signal 11)"
  bool blames;        // the record that was running, if one was, is the cause
  uint64_t oom_kills; // that the kernel had done when it started
};

struct worker_start {
  const char *executable;
  const char *mode; // NULL, or a second argument
  const int *fds;   // become WORKER_FD_MEMORY and what follows; each above WORKER_FDS
  unsigned fd_count;
};
// A process of our binary with an empty environment and no descriptors but these. Reaped by whoever started
// it; it ends when the thread that called this ends. Its pid, or -1 with err; *pidfd is the caller's.
pid_t worker_start(const struct worker_start *start, int *pidfd, struct err *err);
uint64_t worker_cpu_ns(pid_t pid); // processor time of one not yet reaped: the kernel's word, not its own

struct worker_wish {
  const char *executable; // NULL: our own
  struct script_limits limits;
  const int *bells; // LIMIT_POOL_CLIENTS event descriptors
  uid_t user;       // that it becomes; 0: it stays who it is
  bool patient;     // as in segment.h
  bool slow;        // of low priority
};
struct worker_process *worker_process_new(const struct worker_wish *wish, struct err *err); // NULL with err
void worker_process_ref(struct worker_process *process);
void worker_process_unref(
    struct worker_process *process);                      // takes NULL; the last one only after it was reaped
void worker_process_kill(struct worker_process *process); // any thread with a reference
void worker_process_slow(struct worker_process *process); // of the lowest priority from now on
void worker_process_reap(struct worker_process *process); // waits for its end
