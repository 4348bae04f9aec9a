#include "script/pool_link.h"
#include "base/log.h"

#include <string.h>

static void clear_jobs(struct pool_link *l) {
  l->first = NULL;
  l->last = &l->first;
  l->next_index = 0;
}

void pool_link_init(struct pool_link *l, struct pool *pool, unsigned worker, unsigned client) {
  *l = (struct pool_link){.pool = pool, .worker = worker, .client = client};
  announce_init(&l->announce);
  clear_jobs(l);
}

void pool_link_add_job(struct pool_link *l, struct pool_job *job) {
  job->next = NULL;
  *l->last = job;
  l->last = &job->next;
}

// ---- a process of the worker ----

static void let_go(struct pool_link *l) {
  ring_unmap(&l->requests);
  ring_unmap(&l->results);
  worker_process_unref(l->process);
  l->process = NULL;
  l->words = NULL;
  l->broken = false;
  announce_fini(&l->announce);
  announce_init(&l->announce);
}

static bool take_hold(struct pool_link *l) {
  l->process = pool_process(l->pool, l->worker, &l->generation);
  if (!l->process) return true;
  l->words = &l->process->words->links[l->client];
  if (segment_map_requests(&l->requests, l->process->words, l->process->memory_fd, l->client) &&
      segment_map_results(&l->results, l->process->words, l->process->memory_fd, l->client))
    return true;
  log_error("worker=%u doing=connect error=\"out of memory\"", l->worker);
  let_go(l);
  l->generation = 0; // none has this number: it is tried again
  return false;
}

void pool_link_condemn(struct pool_link *l) {
  l->broken = true;
  if (atomic_exchange(&l->process->nonsense, true)) return;
  log_error("worker=%u pid=%d doing=kill reason=\"it sent nonsense\"", l->worker, (int)l->process->pid);
  worker_process_kill(l->process);
}

// ---- its end ----

// Whether the dead process was in the middle of this record when it died of it.
static bool is_guilty(const struct pool_link *l, const struct worker_process *dead) {
  const struct segment_beat *beat = &dead->words->beat;
  uint64_t call = atomic_load(&beat->call);
  return dead->blames && !l->broken && l->first && call % 2 == 1 &&
         (!dead->stuck || call == dead->stuck_call) && atomic_load(&beat->client) == l->client &&
         atomic_load(&beat->job) == l->first->number && atomic_load(&beat->index) == l->next_index;
}

static void end_lost(struct pool_link *l, struct pool_job *job, uint32_t at, bool guilty, const char *why) {
  atomic_fetch_sub(&l->pool->workers[l->worker].outstanding, 1);
  job->ended(job, POOL_LOST, at, guilty, why);
}

// The link is with the new process before the first job ends: its owner may begin it again at once.
bool pool_link_follow(struct pool_link *l, struct pool_reader *reader) {
  if (l->generation == atomic_load(&l->pool->workers[l->worker].generation)) return true;
  if (l->process && !pool_link_drain(l, reader)) return false;
  struct worker_process *dead = l->process;
  struct pool_job *job = l->first;
  uint32_t at = l->next_index;
  bool guilty = dead && is_guilty(l, dead);
  if (dead) worker_process_ref(dead);
  let_go(l);
  clear_jobs(l);
  bool held = take_hold(l);
  while (job) {
    struct pool_job *next = job->next;
    end_lost(l, job, at, guilty, dead->why);
    at = 0;
    guilty = false;
    job = next;
  }
  worker_process_unref(dead);
  return held;
}

void pool_link_fini(struct pool_link *l) {
  if (l->words) {
    atomic_store(&l->words->closed, 1);
    segment_wake(l->process->words);
  }
  while (l->first) {
    l->first = l->first->next;
    atomic_fetch_sub(&l->pool->workers[l->worker].outstanding, 1);
  }
  let_go(l);
  announce_fini(&l->announce);
}

// ---- sleeping and waiting ----

void pool_link_arm(struct pool_link *l) {
  if (l->words) atomic_exchange(&l->words->client_sleeps, 1);
}

bool pool_link_has_room(struct pool_link *l, size_t bytes) {
  if (!l->process) pool_want_worker(l->pool, l->worker);
  if (!l->process || l->broken) return false;
  bool room = ring_has_room(&l->requests, bytes);
  if (!room) {
    atomic_exchange(&l->words->client_waits, 1);
    room = ring_has_room(&l->requests, bytes);
  }
  if (l->requests.broken) pool_link_condemn(l);
  return room;
}
