// feed.c - from the journal into a stream: what is to be read again first, then what is new, as jobs for a worker or straight into lanes.
#include "base/clock.h"
#include "base/log.h"
#include "flow/courier_parts.h"

#include <inttypes.h>
#include <stdio.h>

enum { STRAIGHT_RECORDS = 2048, STRAIGHT_BYTES = 1 << 20, MEMORY_AGAIN_MS = 100 };

struct found { // a record that may be read now
  const struct record_header *row;
  struct slice bytes;
  uint64_t ordinal;
  bool again;
  bool silent; // for its trace alone
};

// A walk along the stream's own rows of one block.
struct reading {
  struct stream *s;
  struct journal_block *block;
  bool referenced; // ours to give back
  uint32_t i, end;
  bool by_sequence;
};

static void reading_close(struct reading *r) {
  if (r->referenced) journal_block_unref(r->block);
  r->block = NULL;
  r->referenced = false;
}

static const struct record_header *row_at(const struct reading *r, uint32_t i) {
  return &r->block->rows[r->by_sequence ? r->block->by_sequence[i] : i];
}

static void reading_seek(struct reading *r, uint64_t sequence) {
  int64_t organisation = r->s->outfit->definition->organisation;
  r->by_sequence = organisation == JOURNAL_ALL;
  uint32_t from = 0, to = r->block->count;
  if (!r->by_sequence) { // streams read in the order they were matched in: where the last one's rows end
    uint32_t *guess = &r->s->courier->rows_end;
    from = *guess;
    journal_block_rows(r->block, organisation, &from, &to);
    *guess = to;
  }
  r->end = to;
  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    if (row_at(r, middle)->sequence < sequence) from = middle + 1;
    else to = middle;
  }
  r->i = from;
}

static bool covers(const struct journal_block *block, uint64_t sequence) {
  return block && block->first <= sequence && sequence < block->end;
}

void feed_drop_block(struct stream *s) {
  if (!s->block) return;
  struct courier *c = s->courier;
  journal_block_unref(s->block);
  s->block = NULL;
  c->fetch_slots++;
  struct list *waits = list_pop(&c->unfetched);
  if (waits) list_push_back(&c->ready, waits);
}

void feed_tell_lost(struct stream *s, uint64_t lost) {
  char text[100];
  snprintf(text, sizeof text, "a damaged block of the journal: up to %" PRIu64 " records are lost", lost);
  status_set_error(s->status, text);
  if (s->outfit->definition->organisation == JOURNAL_ALL) status_count(s->status, COUNT_EXPIRED, lost);
}

// Damage has taken records that this stream has not read. What is read again is counted one by one, a block that was begun has been
// counted, and what retention removed is told by courier_expire. Whose the lost ones were is known only when all are wanted.
static void tell_lost(struct stream *s, const struct journal_fetch *fetch) {
  bool begun = fetch->block && fetch->block->first < fetch->sequence;
  if (!fetch->lost || begun || fetch->sequence != s->next || fetch->sequence < journal_first(s->courier->options.journal)) return;
  log_warn("stream=%s doing=read error=\"damaged block\" records=%" PRIu64, s->outfit->definition->id, fetch->lost);
  feed_tell_lost(s, fetch->lost);
}

static void fetched(struct journal_fetch *fetch) {
  struct stream *s = (struct stream *)((char *)fetch - offsetof(struct stream, fetch));
  s->fetching = false;
  s->block = fetch->block;
  tell_lost(s, fetch);
  uint64_t found = fetch->block ? fetch->block->first : fetch->next;
  s->lost_from = fetch->sequence;
  s->lost_to = found;
  if (!fetch->block) { // give the slot back by the one way that wakes who waits for it
    s->courier->fetch_slots++;
    struct list *waits = list_pop(&s->courier->unfetched);
    if (waits) list_push_back(&s->courier->ready, waits);
  }
  if (fetch->sequence == s->next && found > s->next) s->next = found;
  if (s->removed) feed_drop_block(s);
  else stream_wake(s);
  stream_rest(s);
}

static void fetch(struct stream *s, uint64_t sequence) {
  struct courier *c = s->courier;
  feed_drop_block(s);
  if (!c->fetch_slots) {
    list_remove(&s->ready_link);
    list_push_back(&c->unfetched, &s->ready_link);
    return;
  }
  c->fetch_slots--;
  s->fetching = true;
  s->fetch = (struct journal_fetch){
      .loop = c->loop, .sequence = sequence, .organisation = s->outfit->definition->organisation, .done = fetched};
  journal_fetch(c->options.journal, &s->fetch);
}

// Brings the reading to the block of `sequence`. False: it has to come from disk first (or is gone).
static bool reading_open(struct reading *r, uint64_t sequence) {
  struct stream *s = r->s;
  if (covers(r->block, sequence)) return true;
  reading_close(r);
  if (covers(s->block, sequence)) r->block = s->block;
  else r->block = stage_find(&s->courier->stage, sequence);
  if (!r->block) {
    r->block = journal_recent(s->courier->options.journal, sequence);
    r->referenced = r->block != NULL;
  }
  if (r->block) reading_seek(r, sequence);
  return r->block != NULL;
}

// Whether it has read what it has to read (again).
static bool behind(const struct stream *s) {
  return recall_in_order(s) ? s->cursor < window_end(&s->window) : s->window.unread > 0;
}

static uint64_t next_again(struct stream *s) {
  if (!recall_in_order(s)) return window_next_unread(&s->window, s->cursor);
  uint64_t ordinal = s->cursor;
  while (ordinal < window_end(&s->window) && window_barred(&s->window, ordinal)) ordinal++;
  return ordinal;
}

// A record that was to be read again is no longer kept.
static void give_up(struct stream *s, uint64_t ordinal) {
  bool silent = window_at(&s->window, ordinal) != WINDOW_UNREAD;
  if (s->window.traced) window_bar(&s->window, ordinal);
  if (silent) return;
  status_count(s->status, COUNT_EXPIRED, 1);
  stream_settle(s, ordinal);
}

static bool find_again(struct reading *r, struct found *out) {
  struct stream *s = r->s;
  for (;;) {
    uint64_t ordinal = next_again(s);
    s->cursor = ordinal;
    if (ordinal == window_end(&s->window)) return false;
    uint64_t sequence = window_sequence(&s->window, ordinal);
    if (!reading_open(r, sequence)) {
      if (sequence < s->lost_from || sequence >= s->lost_to) return fetch(s, sequence), false;
      give_up(s, ordinal);
      continue;
    }
    if (r->i >= r->end || row_at(r, r->i)->sequence != sequence) reading_seek(r, sequence);
    if (r->i < r->end && row_at(r, r->i)->sequence == sequence) {
      *out = (struct found){row_at(r, r->i), journal_block_record(r->block, row_at(r, r->i)), ordinal, true,
                            window_at(&s->window, ordinal) != WINDOW_UNREAD};
      return true;
    }
    give_up(s, ordinal);
  }
}

static bool wanted(struct stream *s, const struct record_header *row) {
  return s->outfit->definition->kinds >> row->kind & 1;
}

// Settled before a restart, or of a kind that the sink does not take: in the window at once, as settled.
// In order the first is run for its trace.
static bool pass_over(struct stream *s, const struct record_header *row, bool *settled_before) {
  bool settled = *settled_before = window_was_settled(&s->window, row->sequence), order = recall_in_order(s);
  if ((!settled || order) && s->outfit->definition->sink->accepts >> row->kind & 1) return false;
  window_push(&s->window, row->sequence, true);
  if (order) {
    if (s->window.count) window_bar(&s->window, window_end(&s->window) - 1);
    s->cursor = window_end(&s->window);
  }
  if (!settled) status_count_filtered(s->status, slice_of("sink"), 1);
  status_add(&s->status->read, 1);
  s->next = row->sequence + 1;
  saver_touch(s);
  return true;
}

// Goes through the rows of the open block. False: there is no more in it (or no memory, with `fits` false).
static bool find_in_block(struct reading *r, struct found *out, bool *fits) {
  struct stream *s = r->s;
  if (r->i < r->end && row_at(r, r->i)->sequence < s->next) reading_seek(r, s->next);
  for (; r->i < r->end; r->i++) {
    const struct record_header *row = row_at(r, r->i);
    if (!wanted(s, row)) continue;
    if (!(*fits = window_reserve(&s->window))) return stream_later(s, MEMORY_AGAIN_MS), false;
    bool settled;
    if (pass_over(s, row, &settled)) continue;
    *out = (struct found){row, journal_block_record(r->block, row), window_end(&s->window), false, settled};
    return true;
  }
  return false;
}

// In line: the staged blocks that the router has hinted at, one after the other.
static bool find_staged(struct reading *r, struct found *out) {
  struct stream *s = r->s;
  struct journal_block *block;
  bool fits = true;
  while ((block = stage_next(&s->courier->stage, &s->line))) {
    if (r->block != block) {
      reading_close(r);
      r->block = block;
      reading_seek(r, s->next);
    }
    if (find_in_block(r, out, &fits)) return true;
    if (!fits) return false;
    if (s->next < block->end) s->next = block->end;
    r->block = NULL;
    stage_done(&s->courier->stage, &s->line);
  }
  s->caught_up = true;
  atomic_store(&s->status->matched, atomic_load(&s->status->read));
  return false;
}

// Out of line: block by block from memory or disk, until it has what the courier has routed.
static bool find_alone(struct reading *r, struct found *out) {
  struct stream *s = r->s;
  bool fits = true;
  while (s->next < s->courier->routed) {
    if (!reading_open(r, s->next)) return fetch(s, s->next), false;
    if (find_in_block(r, out, &fits)) return true;
    if (!fits) return false;
    s->next = r->block->end;
  }
  s->line.lost = false;
  return find_staged(r, out);
}

void feed_fall_behind(struct stream *s) {
  feed_drop_block(s);
  if (s->caught_up && s->next < s->courier->routed) s->next = s->courier->routed;
  stage_fall_behind(&s->courier->stage, &s->line);
  s->caught_up = false;
}

static bool find(struct reading *r, struct found *out) {
  if (r->s->fetching) return false;
  if (behind(r->s)) {
    if (find_again(r, out)) return true;
    if (behind(r->s) || r->s->fetching) return false;
  }
  return r->s->line.lost ? find_alone(r, out) : find_staged(r, out);
}

// The found record is on its way now.
static void take(struct reading *r, const struct found *f) {
  struct stream *s = r->s;
  r->i++;
  if (f->again) {
    if (!f->silent) window_mark(&s->window, f->ordinal, WINDOW_READ);
    s->cursor = f->ordinal + 1;
    return;
  }
  window_push(&s->window, f->row->sequence, f->silent);
  if (s->window.traced) s->cursor = window_end(&s->window);
  status_add(&s->status->read, 1);
  s->next = f->row->sequence + 1;
}

static struct harvest_item item_of(const struct found *f) {
  return (struct harvest_item){.ordinal = f->ordinal,
                               .sequence = f->row->sequence,
                               .id = f->row->id,
                               .endpoint = f->row->endpoint,
                               .received_ms = f->row->received_ms,
                               .kind = f->row->kind,
                               .silent = f->silent};
}

static bool room_in_window(const struct stream *s) {
  if (s->letters >= LIMIT_LETTERS || s->alerts.count >= LIMIT_ALERTS) return false;
  if (s->window.count >= LIMIT_WINDOW_RECORDS && !behind(s)) return false;
  if (recall_full(s)) return false;
  if (s->held_bytes >= LIMIT_WINDOW_BYTES) return false;
  return !budget_exhausted(s->courier->options.budget) || (!s->held_bytes && !s->jobs && !s->alerts.count);
}

// Once full, a stream reads nothing new until a good part has settled: reading on for each record that settles would fetch a block
// from disk for each.
static void mark_choked(struct stream *s) {
  if (s->window.count >= LIMIT_WINDOW_RECORDS || s->held_bytes >= LIMIT_WINDOW_BYTES) s->choked = true;
  else if (s->window.count <= LIMIT_WINDOW_RECORDS / 4 * 3 && s->held_bytes <= LIMIT_WINDOW_BYTES / 4 * 3) s->choked = false;
}

static bool may_read(const struct stream *s) {
  if (s->choked && !behind(s)) return false;
  if (stream_stopped(s) || s->removed || s->courier->draining) return false;
  if (s->fetching || s->stale_jobs || s->breaker_open) return false;
  if (s->rerun_alone && s->jobs) return false;
  return s->records_out < (penalty_serves(s) ? STREAM_PENALTY_RECORDS_OUT : STREAM_RECORDS_OUT) && room_in_window(s);
}

static void starve(struct stream *s) {
  list_remove(&s->ready_link);
  list_push_back(&s->courier->workers[s->worker].starved, &s->ready_link);
}

void feed_commit(struct courier *c, unsigned worker) {
  struct courier_worker *w = &c->workers[worker];
  if (!w->open) return;
  pool_commit(c->client, worker);
  w->open = NULL;
}

// The job that is open for its worker, or a new one. NULL: no room, or no memory.
static struct harvest_job *begin_job(struct stream *s, const struct found *f) {
  struct courier *c = s->courier;
  struct courier_worker *w = &c->workers[s->worker];
  if (w->open) return w->open;
  if (w->jobs >= COURIER_WORKER_JOBS) return starve(s), NULL;
  struct harvest_job *job = harvest_job_new(c, s->worker);
  if (!job) return stream_later(s, MEMORY_AGAIN_MS), NULL;
  if (!pool_begin(c->client, s->worker, s->outfit->definition->program, &job->job, f->bytes.len)) {
    harvest_job_drop(job);
    w->full = true;
    return starve(s), NULL;
  }
  w->jobs++;
  return w->open = job;
}

// Adds the found record to the open job, or to the next one when that is full.
static bool feed_record(struct stream *s, const struct found *f) {
  struct program *program = s->outfit->definition->program;
  struct harvest_job *job = begin_job(s, f);
  if (!job) return false;
  if (!pool_add(s->courier->client, s->worker, program, f->row, f->bytes)) {
    feed_commit(s->courier, s->worker);
    job = begin_job(s, f);
    if (!job || !pool_add(s->courier->client, s->worker, program, f->row, f->bytes)) return false;
  }
  struct harvest_item item = item_of(f);
  harvest_job_add(job, s, &item);
  return true;
}

static void feed_jobs(struct stream *s) {
  struct reading r = {.s = s};
  struct found f;
  while (may_read(s) && find(&r, &f) && feed_record(s, &f)) take(&r, &f);
  reading_close(&r);
}

static void feed_straight(struct stream *s) {
  struct reading r = {.s = s};
  struct found f;
  size_t bytes = 0;
  uint32_t count = 0;
  lane_expect(s, stream_backlog(s));
  while (count < STRAIGHT_RECORDS && bytes < STRAIGHT_BYTES && may_read(s) && find(&r, &f)) {
    struct harvest_item item = item_of(&f);
    take(&r, &f);
    if (!harvest_output(s, &item, f.bytes, slice_of(""), 0, true)) {
      stream_again(s, item.ordinal);
      break;
    }
    bytes += f.bytes.len;
    count++;
  }
  reading_close(&r);
  if (count == STRAIGHT_RECORDS || bytes >= STRAIGHT_BYTES) stream_wake(s); // others first, then this one again
  else lanes_flush(s);
  delivery_offer(s);
}

bool feed_blocked(const struct stream *s) {
  return stream_stopped(s) || s->breaker_open || s->choked || !room_in_window(s);
}

// Without a script nothing leaves a trace; with nothing under way all traces up to here are in hand.
static void open_gate(struct stream *s) {
  if (!recall_in_order(s)) recall_open(s, UINT64_MAX);
  else if (!s->jobs && !s->recall.back) recall_open(s, s->cursor);
}

void feed_stream(struct stream *s) {
  bool order = recall_in_order(s);
  mark_choked(s);
  if (s->window.traced) open_gate(s);
  if (penalty_follow(s) && (!order || recall_turned(s)) && may_read(s) && (!order || recall_given(s))) {
    if (s->outfit->definition->program) feed_jobs(s);
    else feed_straight(s);
  }
  if (s->hollow && !s->jobs && !s->fetching && (!s->window.unread || !room_in_window(s))) {
    lanes_close_gaps(s, !s->window.unread);
    delivery_offer(s);
  }
  if (s->window.traced) open_gate(s);
  atomic_store(&s->status->unsettled_read, s->window.count);
  mark_choked(s);
  if (feed_blocked(s)) feed_fall_behind(s);
  else if (s->block && !s->fetching && !behind(s) && !covers(s->block, s->next)) feed_drop_block(s);
}
