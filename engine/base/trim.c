#include "base/trim.h"
#include "base/limits.h"
#include "base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>

struct trim {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t ending;
  bool ended;
};

bool trim_now(size_t more_than) {
  struct mallinfo2 heap = mallinfo2();
  return heap.fordblks > more_than && malloc_trim(0);
}

static bool wait_or_end(struct trim *trim) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += LIMIT_TRIM_S;
  pthread_mutex_lock(&trim->lock);
  while (!trim->ended && pthread_cond_timedwait(&trim->ending, &trim->lock, &until) == 0) continue;
  bool ended = trim->ended;
  pthread_mutex_unlock(&trim->lock);
  return !ended;
}

static void *run(void *arg) {
  pthread_setname_np(pthread_self(), "trim");
  while (wait_or_end(arg)) trim_now(LIMIT_FREE_BYTES);
  return NULL;
}

static void fini(struct trim *trim) {
  pthread_cond_destroy(&trim->ending);
  pthread_mutex_destroy(&trim->lock);
  mem_free(trim);
}

struct trim *trim_start(struct err *err) {
  pthread_condattr_t monotonic;
  struct trim *trim = mem_zero(1, sizeof *trim);
  if (!trim) {
    err_set(err, "out of memory");
    return NULL;
  }
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&trim->ending, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&trim->lock, NULL);
  if (pthread_create(&trim->thread, NULL, run, trim) == 0) return trim;
  err_set(err, "can't start a thread");
  fini(trim);
  return NULL;
}

void trim_stop(struct trim *trim) {
  if (!trim) return;
  pthread_mutex_lock(&trim->lock);
  trim->ended = true;
  pthread_cond_signal(&trim->ending);
  pthread_mutex_unlock(&trim->lock);
  pthread_join(trim->thread, NULL);
  fini(trim);
}
