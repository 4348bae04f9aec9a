#include "journal/dedupe.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/dedupe_lost.h"
#include "journal/dedupe_parts.h"
#include "journal/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  SET_KEYS = (1 << 18) / 4 * 3, // a set of 4 MB, as full as it gets
  SET_SHARE = 6,                // a set takes at most this part of the budget
  RUN_SHARE = 6,  // the filter of a merged run too, so that dropping the oldest does not forget nearly all
  SPAN_SHARE = 8, // a merged run covers at most this part of the window
  RETRY_MS = 1000,
  AHEAD = 16, // keys fetched into the cache before they are asked for
};

struct dedupe {
  struct dedupe_options options;
  char folder[PATH_MAX];
  size_t set_keys;
  struct dedupe_merge_limits limits;
  // the writer's:
  struct dedupe_span hot_span;
  struct dedupe_ids put_ids; // of the last put
  uint32_t *undo;            // slots that the last put has filled
  size_t undo_count, undo_cap;
  // under lock: changed by one side while the other may read
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct dedupe_set *hot;
  struct dedupe_parts parts;
  struct dedupe_lost lost;
  uint64_t covered;
  bool stop;
  bool complained; // the thread's: the last write failed, and it was said
  pthread_t thread;
  bool running;
};

static struct dedupe_key key_of(const struct dedupe *d, const struct record_header *h) {
  const uint64_t *seed = d->options.seed;
  uint64_t organisation = (uint64_t)h->organisation, id = (uint64_t)h->id;
  uint64_t high = hash_fold(organisation ^ seed[0], seed[1] + h->kind) ^ id;
  uint64_t low = hash_fold(organisation ^ seed[2], seed[3] + h->kind) ^ id;
  struct dedupe_key key = {hash_fold(high, seed[1] ^ 0xe7037ed1a0b428dbu),
                           hash_fold(low, seed[3] ^ 0xa0761d6478bd642fu)};
  if (!(key.high | key.low)) key.low = 1;
  return key;
}

void dedupe_group_begin(struct dedupe_group *group, struct dedupe_key *keys, bool *duplicate) {
  *group = (struct dedupe_group){.keys = keys, .duplicate = duplicate};
  dedupe_ids_init(&group->ids);
}

void dedupe_group_add(struct dedupe_group *group, const struct dedupe *d,
                      const struct record_header *header) {
  group->keys[group->count++] = key_of(d, header);
  dedupe_ids_add(&group->ids, header->kind, header->id);
}

static struct dedupe_set *new_set(size_t keys) {
  struct dedupe_set *set = mem_alloc(sizeof *set);
  if (set && dedupe_set_init(set, keys)) return set;
  mem_free(set);
  return NULL;
}

static bool room_to_undo(struct dedupe *d, size_t count) {
  if (d->undo_cap >= count) return true;
  uint32_t *grown = mem_grow(d->undo, count * sizeof *grown);
  if (!grown) return false;
  d->undo = grown;
  d->undo_cap = count;
  return true;
}

static void begin_span(struct dedupe *d, uint64_t at) {
  d->hot_span = (struct dedupe_span){.first = at, .end = at};
  dedupe_ids_init(&d->hot_span.ids);
}

// Makes the hot set a part when it has no room for that many more.
static bool room_in_hot(struct dedupe *d, size_t count) {
  if (dedupe_set_room(d->hot) >= count) return true;
  struct dedupe_set *set = new_set(count > d->set_keys ? count : d->set_keys);
  pthread_mutex_lock(&d->lock);
  bool done = set && dedupe_parts_reserve(&d->parts);
  if (done) {
    struct dedupe_set *full = d->hot;
    d->hot = set;
    if (full->count) d->parts.at[d->parts.count++] = (struct dedupe_part){.set = full, .span = d->hot_span};
    if (!full->count) dedupe_part_fini(&(struct dedupe_part){.set = full});
    begin_span(d, d->hot_span.end);
    pthread_cond_signal(&d->wake);
  }
  pthread_mutex_unlock(&d->lock);
  if (!done && set) dedupe_part_fini(&(struct dedupe_part){.set = set});
  return done;
}

// Undone in reverse, an insertion leaves the table as it was before: none that came later is there any more.
static size_t put_hot(struct dedupe *d, const struct dedupe_group *g) {
  struct dedupe_set *hot = d->hot;
  for (size_t i = 0; i < g->count; i++) {
    if (i + AHEAD < g->count) dedupe_set_prefetch(hot, g->keys[i + AHEAD]);
    if (g->duplicate[i]) continue;
    size_t slot = dedupe_set_find(hot, g->keys[i]);
    g->duplicate[i] = hot->slots[slot].high | hot->slots[slot].low;
    if (g->duplicate[i]) continue;
    hot->slots[slot] = g->keys[i];
    d->undo[d->undo_count++] = (uint32_t)slot;
  }
  hot->count += d->undo_count;
  return d->undo_count;
}

// Those that are lost, and in the hot set all the same. How many are new in all.
static size_t pardon_hot(struct dedupe *d, const struct dedupe_group *g) {
  size_t fresh = 0;
  pthread_mutex_lock(&d->lock);
  dedupe_lost_pardon(&d->lost, g);
  pthread_mutex_unlock(&d->lock);
  for (size_t i = 0; i < g->count; i++)
    fresh += !g->duplicate[i];
  return fresh;
}

size_t dedupe_put(struct dedupe *d, const struct dedupe_group *group) {
  if (!room_to_undo(d, group->count) || !room_in_hot(d, group->count)) return SIZE_MAX;
  if (group->count) memset(group->duplicate, 0, group->count * sizeof *group->duplicate);
  d->undo_count = 0;
  d->put_ids = group->ids;
  pthread_mutex_lock(&d->lock);
  dedupe_parts_mark(&d->parts, group);
  bool lost = d->lost.count > 0;
  dedupe_lost_pardon(&d->lost, group);
  pthread_mutex_unlock(&d->lock);
  size_t fresh = put_hot(d, group);
  return lost ? pardon_hot(d, group) : fresh;
}

size_t dedupe_forget(struct dedupe *d, const struct record_header *headers, size_t count) {
  struct dedupe_group group;
  struct dedupe_key *keys = mem_alloc(count * sizeof *keys);
  if (!keys) return 0; // they stay duplicates
  dedupe_group_begin(&group, keys, NULL);
  for (size_t i = 0; i < count; i++)
    dedupe_group_add(&group, d, &headers[i]);
  pthread_mutex_lock(&d->lock);
  size_t forgotten = dedupe_lost_add(&d->lost, &group);
  pthread_mutex_unlock(&d->lock);
  mem_free(keys);
  return forgotten;
}

void dedupe_undo(struct dedupe *d) {
  d->hot->count -= d->undo_count;
  while (d->undo_count)
    d->hot->slots[d->undo[--d->undo_count]] = (struct dedupe_key){0};
  pthread_mutex_lock(&d->lock);
  dedupe_lost_undo(&d->lost);
  pthread_mutex_unlock(&d->lock);
}

void dedupe_settle(struct dedupe *d, uint64_t end, int64_t received_ms) {
  d->undo_count = 0;
  pthread_mutex_lock(&d->lock);
  if (!d->hot_span.oldest_ms) d->hot_span.oldest_ms = received_ms;
  d->hot_span.newest_ms = received_ms;
  d->hot_span.end = end;
  dedupe_ids_join(&d->hot_span.ids, &d->put_ids);
  dedupe_lost_settle(&d->lost);
  pthread_mutex_unlock(&d->lock);
}

uint64_t dedupe_covered(struct dedupe *d) {
  pthread_mutex_lock(&d->lock);
  uint64_t covered = d->covered;
  pthread_mutex_unlock(&d->lock);
  return covered;
}

int64_t dedupe_known_since(struct dedupe *d) {
  pthread_mutex_lock(&d->lock);
  const struct dedupe_span *oldest = d->parts.count ? &d->parts.at[0].span : &d->hot_span;
  int64_t since = oldest->first <= 1 ? INT64_MIN : oldest->oldest_ms;
  pthread_mutex_unlock(&d->lock);
  return since;
}

// ---- the background thread: the only one that takes parts out ----

static size_t first_frozen(const struct dedupe_parts *p) {
  size_t i = 0;
  while (i < p->count && !p->at[i].set)
    i++;
  return i;
}

// Puts a run in the place of `count` parts from `from` on, which it covers.
static void replace(struct dedupe *d, size_t from, size_t count, struct dedupe_run *run) {
  struct dedupe_part old[DEDUPE_MERGE_RUNS];
  pthread_mutex_lock(&d->lock);
  struct dedupe_part *at = &d->parts.at[from];
  memcpy(old, at, count * sizeof *old);
  *at = (struct dedupe_part){.run = run, .span = run->span};
  memmove(at + 1, at + count, (d->parts.count - from - count) * sizeof *at);
  d->parts.count -= count - 1;
  if (run->span.end > d->covered) d->covered = run->span.end;
  pthread_mutex_unlock(&d->lock);
  for (size_t i = 0; i < count; i++) {
    if (old[i].run) unlink(old[i].run->path);
    dedupe_part_fini(&old[i]);
  }
}

static void drop_oldest(struct dedupe *d) {
  pthread_mutex_lock(&d->lock);
  struct dedupe_part old = d->parts.at[0];
  memmove(d->parts.at, d->parts.at + 1, --d->parts.count * sizeof *d->parts.at);
  if (old.span.end > d->covered) d->covered = old.span.end;
  pthread_mutex_unlock(&d->lock);
  if (old.run) unlink(old.run->path);
  dedupe_part_fini(&old);
}

static bool oldest_must_go(struct dedupe *d) {
  pthread_mutex_lock(&d->lock);
  size_t bytes = dedupe_set_bytes(d->hot) + dedupe_parts_bytes(&d->parts);
  bool some = d->parts.count > 0;
  bool old = some && d->parts.at[0].span.newest_ms < clock_ms() - d->options.window_ms;
  pthread_mutex_unlock(&d->lock);
  return some && (old || bytes > d->options.max_bytes);
}

// What there is to do, as copies of the parts: others only add behind them meanwhile.
struct job {
  struct dedupe_part parts[DEDUPE_MERGE_RUNS];
  size_t from, count;
};

static bool next_job(struct dedupe *d, struct job *job) {
  size_t frozen = first_frozen(&d->parts), to;
  *job = (struct job){.from = frozen, .count = 1};
  if (frozen == d->parts.count) {
    if (!dedupe_parts_to_merge(&d->parts, &d->limits, &job->from, &to)) return false;
    job->count = to - job->from;
  }
  memcpy(job->parts, &d->parts.at[job->from], job->count * sizeof *job->parts);
  return true;
}

static bool do_job(struct dedupe *d, const struct job *job) {
  struct err err = {0};
  struct dedupe_run *run =
      job->parts[0].set ? dedupe_parts_write(&job->parts[0], d->folder, d->options.seed[0], &err)
                        : dedupe_parts_merge(job->parts, job->count, d->folder, d->options.seed[0], &err);
  if (run) replace(d, job->from, job->count, run);
  if (!run && !d->complained) log_warn("dedupe=%s doing=write error=\"%s\"", d->folder, err.text);
  d->complained = !run;
  return run != NULL;
}

static void wait_a_while(struct dedupe *d, long ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  pthread_cond_timedwait(&d->wake, &d->lock, &until);
}

static void *work(void *arg) {
  struct dedupe *d = arg;
  thread_name("journal-dedupe");
  thread_low_priority();
  pthread_mutex_lock(&d->lock);
  while (!d->stop) {
    struct job job;
    bool some = next_job(d, &job), done = true;
    pthread_mutex_unlock(&d->lock);
    if (some) done = do_job(d, &job);
    while (oldest_must_go(d))
      drop_oldest(d);
    pthread_mutex_lock(&d->lock);
    if (!d->stop && (!some || !done)) wait_a_while(d, done ? 60 * RETRY_MS : RETRY_MS);
  }
  pthread_mutex_unlock(&d->lock);
  return NULL;
}

static void set_sizes(struct dedupe *d) {
  size_t share = d->options.max_bytes / SET_SHARE / sizeof(struct dedupe_key) * 3 / 4;
  d->set_keys = share < SET_KEYS ? share : SET_KEYS;
  if (d->set_keys < 512) d->set_keys = 512;
  d->limits = (struct dedupe_merge_limits){.least = d->set_keys,
                                           .most = d->options.max_bytes / RUN_SHARE * 8 / DEDUPE_FILTER_BITS,
                                           .span_ms = d->options.window_ms / SPAN_SHARE};
}

// Runs of records the journal does not have (somebody removed them) would turn away their next coming; and
// one window has no holes.
static void forget_useless(struct dedupe *d) {
  struct dedupe_parts *p = &d->parts;
  bool hole = p->count && p->at[p->count - 1].span.end < d->options.replay_from;
  while (p->count && (hole || p->at[p->count - 1].span.end > d->options.head)) {
    unlink(p->at[--p->count].run->path);
    dedupe_part_fini(&p->at[p->count]);
  }
  d->covered = p->count ? p->at[p->count - 1].span.end : d->options.replay_from;
  begin_span(d, d->covered);
}

static bool start(struct dedupe *d) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&d->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  d->running = pthread_create(&d->thread, NULL, work, d) == 0;
  return d->running;
}

struct dedupe *dedupe_open(const struct dedupe_options *options, struct err *err) {
  struct dedupe *d = mem_zero(1, sizeof *d);
  if (!d) {
    err_set(err, "out of memory");
    return NULL;
  }
  d->options = *options;
  pthread_mutex_init(&d->lock, NULL);
  dedupe_lost_init(&d->lost);
  snprintf(d->folder, sizeof d->folder, "%s", options->folder);
  set_sizes(d);
  d->hot = new_set(d->set_keys);
  bool done = d->hot ? true : err_set(err, "out of memory");
  done = done && disk_make_folder(d->folder, err) &&
         dedupe_parts_scan(&d->parts, d->folder, options->seed[0], err);
  forget_useless(d);
  if (done && !start(d)) done = err_set(err, "cannot start a thread");
  if (done) return d;
  dedupe_close(d);
  return NULL;
}

void dedupe_close(struct dedupe *d) {
  if (!d) return;
  if (d->running) {
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->wake);
  }
  dedupe_parts_fini(&d->parts);
  dedupe_lost_fini(&d->lost);
  if (d->hot) dedupe_part_fini(&(struct dedupe_part){.set = d->hot});
  pthread_mutex_destroy(&d->lock);
  mem_free(d->undo);
  mem_free(d);
}
