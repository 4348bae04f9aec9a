#include "journal/segment_maker.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
  STEP_BYTES = 1 << 20, // zeros written and synced at a time, so that nobody's sync waits long behind them
  STEP_PAUSE_MS = 2,
  DIRECT_ALIGN = 4096,
  RETRY_MS = 1000,
};

static bool next_path(const struct segment_maker *maker, char *out) {
  return snprintf(out, PATH_MAX, "%s/next.seg", maker->folder) < PATH_MAX;
}

static void pause_ms(long ms) {
  nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

// Past the page cache where the file system can: it would be filled with pages of zeros for nothing.
static int open_direct(const char *path, int fd) {
  int direct = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
  return direct >= 0 ? direct : dup(fd);
}

static bool write_zeros(struct segment_maker *maker, int fd, off_t size, const char *zeros) {
  bool good = true;
  for (off_t at = 0; good && at < size && !atomic_load(&maker->stopping); at += STEP_BYTES) {
    size_t step = size - at < STEP_BYTES ? (size_t)(size - at) : STEP_BYTES;
    bool hurry = atomic_load(&maker->urgent);
    good = disk_write_at(fd, zeros, step, at) && (hurry || disk_sync(fd));
    if (!hurry) pause_ms(STEP_PAUSE_MS);
  }
  return good;
}

static bool fill_with_zeros(struct segment_maker *maker, const char *path, int fd, off_t size) {
  char *memory = mem_zero(1, STEP_BYTES + DIRECT_ALIGN);
  int direct = open_direct(path, fd);
  bool good = true; // without memory or descriptor: slower syncs, no more
  if (memory && direct >= 0) {
    const char *zeros = memory + DIRECT_ALIGN - (uintptr_t)memory % DIRECT_ALIGN;
    good = write_zeros(maker, direct, size, zeros);
  }
  if (direct >= 0) close(direct);
  mem_free(memory);
  return good;
}

static bool make_sized(struct segment_maker *maker, const char *path, off_t size, int *fd) {
  *fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (*fd < 0) return false;
  if (disk_allocate(*fd, 0, size) && fill_with_zeros(maker, path, *fd, size) && disk_sync(*fd)) return true;
  int error = errno;
  close(*fd);
  unlink(path);
  errno = error;
  *fd = -1;
  return false;
}

static void drop(struct segment_maker *maker) {
  close(maker->fd);
  maker->fd = -1;
  maker->state = MAKER_NONE;
}

static off_t larger(off_t a, off_t b) {
  return a > b ? a : b;
}

// Without the lock, which guards only what the attempt's outcome is written to. `least`: the maker's when it
// began; it may have grown since, and then what was made is of no use.
static void make(struct segment_maker *maker, off_t least) {
  char path[PATH_MAX];
  off_t size = (off_t)maker->bytes;
  int fd = -1;
  least = larger(least, size < LIMIT_SEGMENT_LEAST_BYTES ? size : LIMIT_SEGMENT_LEAST_BYTES);
  least = (least + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN;
  size = larger(size, least);
  errno = ENAMETOOLONG;
  bool made = next_path(maker, path);
  while (made && !make_sized(maker, path, size, &fd)) {
    made = errno == ENOSPC && size > least;
    size = larger(size / 2, least);
  }
  int error = errno;
  pthread_mutex_lock(&maker->lock);
  if (!made && maker->state != MAKER_FAILED)
    log_warn("journal=%s doing=make-segment error=\"%s\"", maker->folder, strerror(error));
  maker->state = made ? MAKER_READY : MAKER_FAILED;
  maker->attempts++;
  maker->fd = fd;
  maker->size = size;
  maker->error = error;
  if (made && size < maker->least) drop(maker);
  maker->wanted = maker->state != MAKER_READY;
  if (!maker->wanted && maker->made) maker->made(maker->arg);
  pthread_cond_broadcast(&maker->done);
  pthread_mutex_unlock(&maker->lock);
}

// Finishes one; it comes back when that fails. Called with the lock, which it lets go meanwhile.
static bool tidy_one(struct segment_maker *maker) {
  struct segment *segment = maker->untidy;
  struct err err = {0};
  maker->untidy = segment->next_untidy;
  pthread_mutex_unlock(&maker->lock);
  bool done = segment_finish(segment, &err);
  if (!done && !maker->complained) log_warn("segment=%s doing=finish error=\"%s\"", segment->path, err.text);
  pthread_mutex_lock(&maker->lock);
  maker->complained = !done;
  if (done || maker->stop) {
    segment_unref(segment);
  } else {
    segment->next_untidy = maker->untidy;
    maker->untidy = segment;
  }
  return done;
}

static void wait_a_second(struct segment_maker *maker) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += RETRY_MS / 1000;
  pthread_cond_timedwait(&maker->wake, &maker->lock, &until);
}

static void *work(void *arg) {
  struct segment_maker *maker = arg;
  bool later = false; // the last try failed: no hurry with the next
  thread_name("journal-maker");
  thread_low_priority();
  pthread_mutex_lock(&maker->lock);
  for (;;) {
    bool make_now = maker->wanted && maker->state != MAKER_READY && !maker->stop;
    if (make_now && (!later || atomic_load(&maker->urgent))) {
      off_t least = maker->least;
      pthread_mutex_unlock(&maker->lock);
      make(maker, least);
      pthread_mutex_lock(&maker->lock);
      later = maker->state == MAKER_FAILED;
    } else if (maker->untidy && (!later || maker->stop)) {
      later = !tidy_one(maker);
    } else if (maker->stop) {
      break;
    } else if (later) {
      wait_a_second(maker);
      later = false;
    } else {
      pthread_cond_wait(&maker->wake, &maker->lock);
    }
  }
  pthread_mutex_unlock(&maker->lock);
  return NULL;
}

bool segment_maker_start(struct segment_maker *maker, struct err *err) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&maker->lock, NULL);
  pthread_cond_init(&maker->wake, &monotonic);
  pthread_cond_init(&maker->done, NULL);
  pthread_condattr_destroy(&monotonic);
  maker->fd = -1;
  maker->running = pthread_create(&maker->thread, NULL, work, maker) == 0;
  return maker->running ? true : err_set(err, "cannot start a thread");
}

void segment_maker_stop(struct segment_maker *maker) {
  char path[PATH_MAX];
  if (!maker->running) return;
  pthread_mutex_lock(&maker->lock);
  maker->stop = true;
  atomic_store(&maker->stopping, true);
  pthread_cond_signal(&maker->wake);
  pthread_mutex_unlock(&maker->lock);
  pthread_join(maker->thread, NULL);
  if (maker->fd >= 0) close(maker->fd);
  if (next_path(maker, path)) unlink(path);
  pthread_cond_destroy(&maker->wake);
  pthread_cond_destroy(&maker->done);
  pthread_mutex_destroy(&maker->lock);
  maker->running = false;
}

void segment_maker_want(struct segment_maker *maker, off_t least) {
  pthread_mutex_lock(&maker->lock);
  maker->wanted = true;
  maker->least = least;
  if (maker->state == MAKER_READY && maker->size < least) drop(maker);
  if (maker->state == MAKER_READY && maker->made) maker->made(maker->arg);
  pthread_cond_signal(&maker->wake);
  pthread_mutex_unlock(&maker->lock);
}

void segment_maker_tidy(struct segment_maker *maker, struct segment *segment) {
  segment_ref(segment);
  pthread_mutex_lock(&maker->lock);
  segment->next_untidy = maker->untidy;
  maker->untidy = segment;
  pthread_cond_signal(&maker->wake);
  pthread_mutex_unlock(&maker->lock);
}

// An attempt that was under way before this call may have failed for what is mended now: then one more.
static bool wait_ready(struct segment_maker *maker) {
  uint64_t enough = maker->attempts + 2;
  while (maker->state != MAKER_READY && maker->attempts < enough) {
    maker->wanted = true;
    atomic_store(&maker->urgent, true);
    pthread_cond_signal(&maker->wake);
    pthread_cond_wait(&maker->done, &maker->lock);
  }
  atomic_store(&maker->urgent, false);
  return maker->state == MAKER_READY;
}

bool segment_maker_take(struct segment_maker *maker, off_t least, const char *path, int *fd, off_t *size) {
  char made[PATH_MAX];
  pthread_mutex_lock(&maker->lock);
  maker->least = least;
  bool done = wait_ready(maker);
  errno = maker->error;
  if (done && maker->size < least) {
    done = disk_allocate(maker->fd, 0, least);
    if (done) maker->size = least;
  }
  done = done && next_path(maker, made) && rename(made, path) == 0;
  if (done) {
    *fd = maker->fd;
    *size = maker->size;
    maker->fd = -1;
    maker->state = MAKER_NONE;
    maker->wanted = false;
  }
  pthread_mutex_unlock(&maker->lock);
  return done;
}
