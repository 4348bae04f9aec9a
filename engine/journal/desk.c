// desk.c - the threads that read from disk, and once a minute remove what is too old.
#include "base/mem.h"
#include "journal/local.h"
#include "journal/thread.h"

#include <time.h>

enum { EXPIRE_EVERY_S = 60 };

static void fetched(struct loop_task *task) {
  struct journal_fetch *fetch =
      (struct journal_fetch *)(void *)((char *)task - offsetof(struct journal_fetch, task));
  fetch->done(fetch);
}

static void serve(struct reader *reader, struct journal_fetch *fetch) {
  reader_fetch(reader, fetch);
  fetch->task.run = fetched;
  loop_post(fetch->loop, &fetch->task);
}

static bool a_minute_is_over(struct desk *desk) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += EXPIRE_EVERY_S;
  return pthread_cond_timedwait(&desk->wake, &desk->lock, &until) != 0;
}

// One at a time; called with the lock, which it lets go meanwhile.
static void expire(struct journal *j) {
  struct desk *desk = &j->desk;
  uint64_t wanted = desk->expiries_wanted;
  desk->expiring = true;
  pthread_mutex_unlock(&desk->lock);
  retention_expire(j);
  pthread_mutex_lock(&desk->lock);
  desk->expiring = false;
  desk->expiries_done = wanted;
  pthread_cond_broadcast(&desk->expired);
}

struct desk_thread {
  struct journal *journal;
  struct reader *reader;
};

static void *work(void *arg) {
  struct desk_thread thread = *(struct desk_thread *)arg;
  struct desk *desk = &thread.journal->desk;
  mem_free(arg);
  thread_name("journal-desk");
  pthread_mutex_lock(&desk->lock);
  while (!desk->stop || desk->first) {
    struct journal_fetch *fetch = desk->first;
    if (desk->expiries_done < desk->expiries_wanted && !desk->expiring) {
      expire(thread.journal);
    } else if (fetch) {
      desk->first = fetch->queued;
      pthread_mutex_unlock(&desk->lock);
      serve(thread.reader, fetch);
      pthread_mutex_lock(&desk->lock);
    } else if (a_minute_is_over(desk) && desk->expiries_wanted == desk->expiries_done) {
      desk->expiries_wanted++;
    }
  }
  pthread_mutex_unlock(&desk->lock);
  reader_free(thread.reader);
  return NULL;
}

static bool start_one(struct journal *j, struct err *err) {
  struct desk_thread *thread = mem_zero(1, sizeof *thread);
  if (!thread) return err_set(err, "out of memory");
  thread->journal = j;
  thread->reader = reader_new(j, err);
  bool started = thread->reader && pthread_create(&j->desk.threads[j->desk.running], NULL, work, thread) == 0;
  if (started) {
    j->desk.running++;
    return true;
  }
  reader_free(thread->reader);
  mem_free(thread);
  return err_set(err, "cannot start a thread");
}

bool desk_start(struct journal *j, struct err *err) {
  bool started = true;
  for (int i = 0; started && i < DESK_THREADS; i++)
    started = start_one(j, err);
  return started;
}

void desk_stop(struct journal *j) {
  struct desk *desk = &j->desk;
  pthread_mutex_lock(&desk->lock);
  desk->stop = true;
  pthread_cond_broadcast(&desk->wake);
  pthread_mutex_unlock(&desk->lock);
  while (desk->running)
    pthread_join(desk->threads[--desk->running], NULL);
}

void desk_expire(struct journal *j) {
  struct desk *desk = &j->desk;
  pthread_mutex_lock(&desk->lock);
  uint64_t mine = ++desk->expiries_wanted;
  pthread_cond_broadcast(&desk->wake);
  while (desk->expiries_done < mine)
    pthread_cond_wait(&desk->expired, &desk->lock);
  pthread_mutex_unlock(&desk->lock);
}

void journal_fetch(struct journal *j, struct journal_fetch *fetch) {
  struct desk *desk = &j->desk;
  fetch->queued = NULL;
  pthread_mutex_lock(&desk->lock);
  if (desk->first)
    desk->last->queued = fetch;
  else
    desk->first = fetch;
  desk->last = fetch;
  pthread_cond_signal(&desk->wake);
  pthread_mutex_unlock(&desk->lock);
}
