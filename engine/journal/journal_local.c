// journal_local.c - the embedded journal: opens and closes its parts, takes appends, answers what needs no
// disk.
#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "journal/local.h"

#include <stdio.h>
#include <string.h>

#define DEDUPE_WINDOW_MS ((int64_t)7 * DAY_MS)

static void set_options(struct journal *j, const struct journal_options *options) {
  struct journal_options *o = &j->options;
  *o = *options;
  if (!o->segment_bytes) o->segment_bytes = LIMIT_SEGMENT_BYTES;
  if (!o->recent_bytes) o->recent_bytes = LIMIT_RECENT_BYTES;
  if (!o->dedupe_bytes) o->dedupe_bytes = LIMIT_DEDUPE_BYTES;
  if (!o->dedupe_ms) o->dedupe_ms = DEDUPE_WINDOW_MS;
  o->folder = j->folder;
}

// There is a segment with room for what was refused last.
static void room_again(void *arg) {
  struct journal *j = arg;
  enum journal_result full = JOURNAL_FULL;
  atomic_compare_exchange_strong(&j->health, &full, JOURNAL_STORED);
}

static bool open_dedupe(struct journal *j, struct err *err) {
  char folder[PATH_MAX];
  uint64_t head = atomic_load(&j->head), first = atomic_load(&j->first);
  uint64_t from = head > LIMIT_DEDUPE_REPLAY ? head - LIMIT_DEDUPE_REPLAY : 0;
  if (snprintf(folder, sizeof folder, "%s/dedupe", j->folder) >= PATH_MAX)
    return err_set(err, "the folder's name is too long");
  struct dedupe_options options = {.folder = folder,
                                   .max_bytes = j->options.dedupe_bytes,
                                   .window_ms = j->options.dedupe_ms,
                                   .replay_from = from > first ? from : 0,
                                   .head = head};
  memcpy(options.seed, j->identity.dedupe_seed, sizeof options.seed);
  j->dedupe = dedupe_open(&options, err);
  return j->dedupe && recovery_replay(j, dedupe_covered(j->dedupe), err);
}

static void init_locks(struct journal *j) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&j->queue.lock, NULL);
  pthread_cond_init(&j->queue.wake, NULL);
  pthread_cond_init(&j->queue.rolled, NULL);
  pthread_mutex_init(&j->desk.lock, NULL);
  pthread_cond_init(&j->desk.wake, &monotonic);
  pthread_cond_init(&j->desk.expired, NULL);
  pthread_condattr_destroy(&monotonic);
}

static bool open_parts(struct journal *j, struct err *err) {
  if (!recent_init(&j->recent, j->options.recent_bytes, err)) return false;
  j->maker = (struct segment_maker){
      .folder = j->folder, .bytes = j->options.segment_bytes, .made = room_again, .arg = j};
  if (!segment_maker_start(&j->maker, err)) return false;
  if (!recovery_run(j, err)) return false;
  // A journal without a segment gets one while the rest starts; a full disk is no reason not to start.
  const struct segment *newest = j->writer.current;
  if (!newest || newest->used >= newest->size / 2) segment_maker_want(&j->maker, 0);
  return open_dedupe(j, err) && writer_start(j, err) && desk_start(j, err);
}

struct journal *journal_open(const struct journal_options *options, struct err *err) {
  struct journal *j = mem_zero(1, sizeof *j);
  if (!j) {
    err_set(err, "out of memory");
    return NULL;
  }
  size_t len = strlen(options->folder);
  bool fits = len < sizeof j->folder - 64;
  memcpy(j->folder, options->folder, fits ? len : 0);
  set_options(j, options);
  init_locks(j);
  segments_init(&j->segments, j->folder, 0);
  bool opened = fits ? disk_make_folder(j->folder, err) : err_set(err, "the folder's name is too long");
  if (opened && open_parts(j, err)) return j;
  err_prepend(err, "cannot open the journal");
  journal_close(j);
  return NULL;
}

void journal_close(struct journal *j) {
  if (!j) return;
  writer_stop(j);
  desk_stop(j);
  segment_maker_stop(&j->maker);
  dedupe_close(j->dedupe);
  recent_fini(&j->recent);
  segments_fini(&j->segments);
  pthread_mutex_destroy(&j->queue.lock);
  pthread_cond_destroy(&j->queue.wake);
  pthread_cond_destroy(&j->queue.rolled);
  pthread_mutex_destroy(&j->desk.lock);
  pthread_cond_destroy(&j->desk.wake);
  pthread_cond_destroy(&j->desk.expired);
  mem_free(j);
}

// One append always fits an empty queue, however large it is.
bool journal_append(struct journal *j, struct journal_append *append) {
  struct queue *q = &j->queue;
  size_t cost = journal_append_cost(append);
  append->next = NULL;
  pthread_mutex_lock(&q->lock);
  bool taken = q->bytes == 0 || q->bytes + cost <= LIMIT_APPEND_QUEUE_BYTES;
  if (taken) {
    q->bytes += cost;
    if (q->first)
      q->last->next = append;
    else
      q->first = append;
    q->last = append;
    pthread_cond_signal(&q->wake);
  }
  pthread_mutex_unlock(&q->lock);
  return taken;
}

enum journal_result journal_health(const struct journal *j) {
  return atomic_load(&j->health);
}

uint64_t journal_head(const struct journal *j) {
  return atomic_load_explicit(&j->head, memory_order_acquire);
}

uint64_t journal_first(const struct journal *j) {
  return atomic_load_explicit(&j->first, memory_order_acquire);
}

struct journal_block *journal_recent(struct journal *j, uint64_t sequence) {
  return recent_find(&j->recent, sequence);
}

uint64_t journal_count(struct journal *j, int64_t organisation, unsigned kinds, uint64_t from) {
  struct reader *reader = reader_new(j, NULL);
  uint64_t count = reader ? reader_count(reader, organisation, kinds, from) : 0;
  reader_free(reader);
  return count;
}

void journal_listen(struct journal *j, struct journal_listener *listener) {
  listener->next = atomic_load(&j->listeners);
  while (!atomic_compare_exchange_weak(&j->listeners, &listener->next, listener)) {
  }
}

void journal_set_expiring(struct journal *j, void (*expiring)(uint64_t first_kept, void *arg), void *arg) {
  atomic_store(&j->expiring_arg, arg);
  atomic_store(&j->expiring, expiring);
}

void journal_expire(struct journal *j) {
  desk_expire(j);
}

static uint64_t known_window_ms(const struct journal *j) {
  int64_t since = dedupe_known_since(j->dedupe), now_ms = clock_ms();
  int64_t known = since > now_ms - j->options.dedupe_ms ? now_ms - since : j->options.dedupe_ms;
  return known > 0 ? (uint64_t)known : 0;
}

void journal_numbers(const struct journal *j, struct journal_numbers *out) {
  struct journal *inside = (struct journal *)(uintptr_t)j; // its locks
  pthread_mutex_lock(&inside->queue.lock);
  size_t queued = j->queue.bytes;
  pthread_mutex_unlock(&inside->queue.lock);
  *out = (struct journal_numbers){.records = journal_head(j) - journal_first(j),
                                  .bytes_on_disk = segments_bytes(&inside->segments),
                                  .blocks_damaged = atomic_load(&j->damaged),
                                  .syncs = atomic_load(&j->syncs),
                                  .sync_ns_total = atomic_load(&j->sync_ns),
                                  .sync_ns_last = atomic_load(&j->sync_ns_last),
                                  .duplicates = atomic_load(&j->duplicates),
                                  .dedupe_window_ms = known_window_ms(j),
                                  .queued_bytes = queued};
}
