#include "net/work_desk.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

struct work_desk {
  pthread_t thread;
  pthread_mutex_t lock; // of what follows
  pthread_cond_t wake;
  struct work *first, **last;
  bool stop;
};

static void run_done(struct loop_task *task) {
  struct work *work = (struct work *)((char *)task - offsetof(struct work, task));
  work->done(work);
}

// NULL: the desk is closed and nothing waits.
static struct work *take(struct work_desk *desk) {
  pthread_mutex_lock(&desk->lock);
  while (!desk->first && !desk->stop)
    pthread_cond_wait(&desk->wake, &desk->lock);
  struct work *work = desk->first;
  if (work) desk->first = work->next;
  if (!desk->first) desk->last = &desk->first;
  pthread_mutex_unlock(&desk->lock);
  return work;
}

static void *serve(void *arg) {
  struct work_desk *desk = arg;
  for (struct work *work; (work = take(desk));) {
    work->run(work);
    loop_post(work->loop, &work->task);
  }
  return NULL;
}

// Signals are for the engine's main thread.
static int start(struct work_desk *desk) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&desk->thread, NULL, serve, desk);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

struct work_desk *work_desk_new(struct err *err) {
  struct work_desk *desk = mem_zero(1, sizeof *desk);
  if (!desk) {
    err_set(err, "out of memory");
    return NULL;
  }
  desk->last = &desk->first;
  pthread_mutex_init(&desk->lock, NULL);
  pthread_cond_init(&desk->wake, NULL);
  errno = start(desk);
  if (!errno) return desk;
  err_set_errno(err, "can't start a thread");
  pthread_cond_destroy(&desk->wake);
  pthread_mutex_destroy(&desk->lock);
  mem_free(desk);
  return NULL;
}

void work_desk_free(struct work_desk *desk) {
  if (!desk) return;
  pthread_mutex_lock(&desk->lock);
  desk->stop = true;
  pthread_cond_signal(&desk->wake);
  pthread_mutex_unlock(&desk->lock);
  pthread_join(desk->thread, NULL);
  pthread_cond_destroy(&desk->wake);
  pthread_mutex_destroy(&desk->lock);
  mem_free(desk);
}

void work_desk_do(struct work_desk *desk, struct work *work) {
  work->next = NULL;
  work->task.run = run_done;
  pthread_mutex_lock(&desk->lock);
  *desk->last = work;
  desk->last = &work->next;
  pthread_cond_signal(&desk->wake);
  pthread_mutex_unlock(&desk->lock);
}
