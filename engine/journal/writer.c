// writer.c - the writer thread: takes what is queued, makes it one block, writes, syncs, publishes, answers.
#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/log.h"
#include "journal/block_memory.h"
#include "journal/local.h"
#include "journal/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void take_group(struct queue *q, struct gather_group *group) {
  *group = (struct gather_group){0};
  while (q->first && (!group->appends || group->bytes + q->first->bytes_len <= LIMIT_BLOCK_BYTES)) {
    struct journal_append *append = q->first;
    q->first = append->next;
    append->next = NULL;
    if (group->last) group->last->next = append;
    if (!group->last) group->first = append;
    group->last = append;
    group->appends++;
    group->records += append->count;
    group->bytes += append->bytes_len;
  }
  if (!q->first) q->last = NULL;
}

static void answered(struct loop_task *task) {
  struct journal_append *append =
      (struct journal_append *)(void *)((char *)task - offsetof(struct journal_append, task));
  append->done(append);
}

// The room first: who is answered may hand in the next one at once.
static void release(struct queue *q, const struct gather_group *group) {
  size_t bytes = 0;
  for (const struct journal_append *a = group->first; a; a = a->next)
    bytes += journal_append_cost(a);
  pthread_mutex_lock(&q->lock);
  q->bytes -= bytes;
  pthread_mutex_unlock(&q->lock);
}

static void answer(struct journal *j, struct gather_group *group, enum journal_result result) {
  release(&j->queue, group);
  for (struct journal_append *a = group->first, *next; a; a = next) {
    next = a->next;
    if (result != JOURNAL_STORED) {
      a->accepted = a->duplicates = 0;
      memset(a->accepted_of, 0, sizeof a->accepted_of);
    }
    if (a->duplicates) atomic_fetch_add(&j->duplicates, a->duplicates);
    a->result = result;
    a->task.run = answered;
    loop_post(a->loop, &a->task);
  }
}

// ---- segments ----

// The new segment takes the place of the current one, which closes; an empty one disappears.
static void succeed(struct journal *j, struct segment *next) {
  struct segment *old = j->writer.current;
  next->loaded = next->growing = true;
  atomic_store(&next->bytes, (size_t)next->size);
  if (old && old->used == 0) {
    segments_replace_last(&j->segments, next);
    if (strcmp(old->path, next->path) != 0) unlink(old->path);
  } else {
    segments_add(&j->segments, next);
    if (old) segment_maker_tidy(&j->maker, old);
  }
  segment_unref(old);
  segment_ref(next);
  j->writer.current = next;
}

static bool folder_of(const struct segment *segment, char *out) {
  strcpy(out, segment->path);
  *strrchr(out, '/') = 0;
  return true;
}

// A new segment in the folder of that day: with room for `least` bytes or, when that is 0, an empty file that
// only marks where the sequences go on. A sync of names that fails is as bad as one of data: what is written
// there might be gone after a crash.
static enum journal_result begin_segment(struct journal *j, int64_t day, off_t least) {
  struct err err = {0};
  char folder[PATH_MAX];
  enum journal_result result = JOURNAL_FULL;
  struct segment *next = segment_new(j->folder, day, atomic_load(&j->head), j->identity.brand, &err);
  bool made =
      next && segments_reserve(&j->segments) && folder_of(next, folder) && disk_make_folder(folder, &err);
  if (made && least == 0) next->fd = open(next->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (made)
    made = least ? segment_maker_take(&j->maker, least, next->path, &next->fd, &next->size) : next->fd >= 0;
  if (made) result = disk_sync_folder(folder) ? JOURNAL_STORED : JOURNAL_FAILED;
  if (result == JOURNAL_STORED) succeed(j, next);
  if (result == JOURNAL_FAILED) log_error("journal=%s doing=sync error=\"%s\"", folder, strerror(errno));
  segment_unref(next);
  return result;
}

static bool has_room(const struct segment *segment, size_t len) {
  return segment && segment->used + (off_t)len <= segment->size;
}

// A segment with room for the block. On a full disk yesterday's will do.
static enum journal_result place(struct journal *j, size_t len, int64_t now_ms) {
  struct segment *current = j->writer.current;
  int64_t day = now_ms / DAY_MS;
  if (has_room(current, len) && (current->day == day || current->used == 0)) return JOURNAL_STORED;
  enum journal_result result = begin_segment(j, day, (off_t)len);
  return result == JOURNAL_FULL && has_room(current, len) ? JOURNAL_STORED : result;
}

// ---- one group ----

// The block and zeros up to the end of its last page, as far as the segment goes.
static size_t bytes_to_write(const struct segment *segment, size_t len) {
  off_t end = segment->used + (off_t)len, page = (end + BLOCK_PAGE - 1) / BLOCK_PAGE * BLOCK_PAGE;
  return (size_t)((page < segment->size ? page : segment->size) - segment->used);
}

static enum journal_result write_block(struct journal *j) {
  struct writer *w = &j->writer;
  struct segment *segment = w->current;
  if (!disk_write_at(segment->fd, w->encoder.at, bytes_to_write(segment, w->encoder.len), segment->used)) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    log_warn("segment=%s doing=write error=\"%s\"", segment->path, strerror(errno));
    segment->size =
        segment
            ->used; // what got there must not be followed by more; it is cut off when the segment is finished
    return full ? JOURNAL_FULL : JOURNAL_FAILED;
  }
  uint64_t start = clock_mono_ns();
  if (!disk_sync(segment->fd)) {
    log_error(
        "segment=%s doing=sync error=\"%s\" reason=\"nothing is acknowledged until the engine is restarted\"",
        segment->path, strerror(errno));
    return JOURNAL_FAILED;
  }
  uint64_t took = clock_mono_ns() - start;
  atomic_fetch_add(&j->syncs, 1);
  atomic_fetch_add(&j->sync_ns, took);
  atomic_store(&j->sync_ns_last, took);
  return JOURNAL_STORED;
}

static void publish(struct journal *j, struct journal_block *block) {
  struct segment *segment = j->writer.current;
  struct block_header header;
  memcpy(&header, j->writer.encoder.at, sizeof header);
  uint64_t end = block->end;
  pthread_mutex_lock(&segment->lock);
  org_index_add(&segment->index, &header, block->rows, (uint32_t)segment->used);
  pthread_mutex_unlock(&segment->lock);
  off_t before = segment->used, half = segment->size / 2;
  segment->used += (off_t)header.bytes;
  j->writer.skipped = 0;
  recent_add(&j->recent, block);
  atomic_store(&j->head, end);
  for (struct journal_listener *l = atomic_load(&j->listeners); l; l = l->next)
    if (!atomic_load(&l->off)) loop_post(l->loop, &l->task);
  if (before <= half && segment->used > half) segment_maker_want(&j->maker, 0);
}

static bool room_to_publish(struct journal *j, size_t rows) {
  struct segment *segment = j->writer.current;
  pthread_mutex_lock(&segment->lock);
  bool room = org_index_reserve(&segment->index, rows);
  pthread_mutex_unlock(&segment->lock);
  return room && recent_reserve(&j->recent);
}

static enum journal_result place_and_write(struct journal *j, size_t rows, int64_t now_ms) {
  enum journal_result result = place(j, j->writer.encoder.len, now_ms);
  if (result == JOURNAL_STORED && !room_to_publish(j, rows)) result = JOURNAL_FULL;
  return result == JOURNAL_STORED ? write_block(j) : result;
}

// Takes the block's reference in any case. A segment that turned out to have no room after all gives way to
// the next one.
static enum journal_result store(struct journal *j, struct journal_block *block, int64_t now_ms) {
  struct writer *w = &j->writer;
  enum journal_result result = JOURNAL_FULL;
  bool encoded = block_encode(&w->encoder, block, j->identity.brand, w->skipped);
  for (int tries = 0; encoded && result == JOURNAL_FULL && tries < 2; tries++)
    result = place_and_write(j, block->count, now_ms);
  if (result == JOURNAL_STORED)
    publish(j, block);
  else
    journal_block_unref(block);
  return result;
}

// States: STORED and FULL come and go; FAILED stays.
static void set_health(struct journal *j, enum journal_result result) {
  enum journal_result before = atomic_exchange(&j->health, result);
  if (before == result) return;
  if (result == JOURNAL_FULL) log_warn("journal=%s doing=append error=\"no room on the disk\"", j->folder);
  if (result == JOURNAL_STORED) log_info("journal=%s doing=append reason=\"there is room again\"", j->folder);
}

static void commit(struct journal *j, struct gather_group *group) {
  struct journal_block *block = NULL;
  int64_t now_ms = clock_ms();
  uint64_t first = atomic_load(&j->head);
  enum journal_result result = atomic_load(&j->health);
  if (result != JOURNAL_FAILED) {
    bool gathered = gather(&j->writer.gather, group, j->dedupe, first, now_ms, &block);
    result = gathered ? JOURNAL_STORED : JOURNAL_FULL;
  }
  if (block) {
    uint64_t end = block->end;
    result = store(j, block, now_ms);
    if (result == JOURNAL_STORED)
      dedupe_settle(j->dedupe, end, now_ms);
    else
      dedupe_undo(j->dedupe);
    set_health(j, result);
    if (result == JOURNAL_FULL)
      segment_maker_want(&j->maker, (off_t)j->writer.encoder.len); // its success is what ends the state
  }
  answer(j, group, result);
}

// ---- the thread ----

static void roll(struct journal *j) {
  struct segment *current = j->writer.current;
  int64_t today = clock_ms() / DAY_MS;
  bool done = current && (current->day == today || begin_segment(j, today, 0) == JOURNAL_STORED);
  pthread_mutex_lock(&j->queue.lock);
  j->queue.roll = false;
  j->queue.roll_done = done;
  pthread_cond_broadcast(&j->queue.rolled);
  pthread_mutex_unlock(&j->queue.lock);
}

static void *work(void *arg) {
  struct journal *j = arg;
  struct queue *q = &j->queue;
  thread_name("journal-writer");
  for (;;) {
    struct gather_group group;
    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->stop && !q->roll)
      pthread_cond_wait(&q->wake, &q->lock);
    bool rolling = q->roll, end = q->stop && !q->first && !q->roll;
    take_group(q, &group);
    pthread_mutex_unlock(&q->lock);
    if (group.first) commit(j, &group);
    if (rolling) roll(j);
    if (end) return NULL;
  }
}

bool writer_start(struct journal *j, struct err *err) {
  if (!block_encoder_init(&j->writer.encoder, j->options.zstd_level, err)) return false;
  j->writer.running = pthread_create(&j->writer.thread, NULL, work, j) == 0;
  return j->writer.running ? true : err_set(err, "cannot start a thread");
}

void writer_stop(struct journal *j) {
  if (j->writer.running) {
    pthread_mutex_lock(&j->queue.lock);
    j->queue.stop = true;
    pthread_cond_signal(&j->queue.wake);
    pthread_mutex_unlock(&j->queue.lock);
    pthread_join(j->writer.thread, NULL);
    j->writer.running = false;
  }
  block_encoder_fini(&j->writer.encoder);
  gather_fini(&j->writer.gather);
  segment_unref(j->writer.current);
  j->writer.current = NULL;
}

bool writer_roll(struct journal *j) {
  pthread_mutex_lock(&j->queue.lock);
  j->queue.roll_done = false;
  j->queue.roll = !j->queue.stop;
  pthread_cond_signal(&j->queue.wake);
  while (j->queue.roll)
    pthread_cond_wait(&j->queue.rolled, &j->queue.lock);
  bool done = j->queue.roll_done;
  pthread_mutex_unlock(&j->queue.lock);
  return done;
}
