// harvest.c - what comes back from the workers: outputs into lanes, drops by their reasons, failures as dead letters.
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"

#include <inttypes.h>
#include <stdio.h>

bool harvest_output(struct stream *s, const struct harvest_item *item, struct slice body, struct slice key, uint32_t number,
                    bool last) {
  struct batch_output output = {.ordinal = item->ordinal, .sequence = item->sequence, .id = item->id,
                                .received_ms = item->received_ms, .body = body, .key = key, .number = number,
                                .kind = item->kind, .last = last};
  if (lane_put(s, item, &output)) return true;
  stream_shed(s); // out of memory: the journal still has all of it
  return false;
}

// Drops for one reason often come in a row: they are counted together.
struct drops {
  struct slice reason;
  uint64_t count;
};

static void count_drops(struct stream *s, struct drops *drops) {
  if (drops->count) status_count_filtered(s->status, drops->reason, drops->count);
  drops->count = 0;
}

static void filtered(struct stream *s, const struct harvest_item *item, struct slice reason, struct drops *drops) {
  if (!slice_equal(reason, drops->reason)) count_drops(s, drops);
  drops->reason = reason;
  drops->count++;
  lane_record_passed(s, item);
  stream_settle(s, item->ordinal);
}

static void worked(struct stream *s) {
  s->script_failures = 0;
  if (s->row) redrive_forget(s);
  if (s->outfit->worked) return;
  s->outfit->worked = true;
  s->outfit->definition->script_fails = false;
}

// Whoever hears it may know a version that works.
static void raise_alarm(struct stream *s) {
  if (!s->alarm) return;
  memcpy(s->alarm->version, s->outfit->definition->script_version, sizeof s->alarm->version);
  loop_post(s->alarm->loop, &s->alarm->task);
}

static void dead(struct stream *s, const struct harvest_item *item, const char *why, uint32_t line) {
  struct dead_letter letter = {.ordinal = item->ordinal, .sequence = item->sequence, .settles = true, .reason = why, .line = line};
  lane_record_passed(s, item);
  saver_dead_letter(s, &letter);
  if (!s->outfit->worked) s->outfit->definition->script_fails = true;
  s->script_failures++;
  redrive_note(s, item);
  if (s->script_failures < STREAM_SCRIPT_FAILURES || stream_stopped(s)) return;
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "the script failed for %d records in a row: %.400s", STREAM_SCRIPT_FAILURES, why);
  stream_enter(s, STREAM_PAUSED, text);
  raise_alarm(s);
}

static bool kept(struct stream *s, const struct harvest_item *item, const struct pool_result *r, struct drops *drops) {
  worked(s);
  for (uint32_t i = 0; i < r->output_count; i++)
    if (!harvest_output(s, item, r->outputs[i].body, r->outputs[i].key, i, i + 1 == r->output_count)) return false;
  if (!r->output_count) filtered(s, item, slice_of("map"), drops);
  return true;
}

static void failed(struct stream *s, const struct harvest_item *item, const struct pool_result *r) {
  char why[STATUS_ERROR_BYTES];
  snprintf(why, sizeof why, "%.*s", (int)(r->text.len < sizeof why ? r->text.len : sizeof why - 1), r->text.at);
  dead(s, item, why, r->line);
}

// What a script logs, a line each; so many a second, of a stream.
static void said(struct stream *s, const struct harvest_item *item, struct slice log) {
  for (const char *line = log.at, *end = log.at + log.len; line < end && allowance_take(&s->log_lines, clock_mono_ns());) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    if (!stop) stop = end;
    char text[LIMIT_SCRIPT_LOG_BYTES + 1];
    snprintf(text, sizeof text, "%.*s", (int)(stop - line), line);
    log_info("stream=%s record=%" PRId64 " doing=log%s", s->outfit->definition->id, item->id, log_field("text", text));
    line = stop + 1;
  }
}

static bool failed_now(const struct pool_result *r) {
  return r->outcome == SCRIPT_FAILED || r->outcome == SCRIPT_TIMEOUT || r->outcome == SCRIPT_MEMORY;
}

// Takes what the record left in windows. False: all that is under way is read again.
static bool traced(struct stream *s, const struct harvest_item *item, const struct pool_result *r) {
  if (r->outcome == SCRIPT_PUT_OFF) {
    penalty_begin(s);
    stream_stale_jobs(s);
    return false;
  }
  if (recall_full_twice(s)) return stream_stale_jobs(s), false;
  if (!recall_keep(s, item->ordinal, r->windows)) return stream_shed(s), false;
  if (failed_now(r)) window_bar(&s->window, item->ordinal);
  recall_open(s, item->ordinal + 1);
  return true;
}

// Whoever leaves a trace for the first time is read again, as are those that its worker ran after it.
static void look_for_trace(struct stream *s, const struct pool_result *rs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (rs[i].windows.len) {
      recall_begin(s);
      return;
    }
}

// Results for the part's records from `from` on (counted in the job).
static void take_results(struct harvest_part *part, const struct harvest_item *items, uint32_t from, uint32_t to,
                         const struct pool_result *rs) {
  struct stream *s = part->stream;
  struct drops drops = {0};
  if (!s->window.traced) look_for_trace(s, rs, to - from);
  lane_expect(s, part->count);
  for (uint32_t i = from; i < to && part->epoch == s->epoch; i++, rs++) {
    const struct harvest_item *item = &items[i];
    part->seen = i + 1 - part->first;
    if (rs->log.len && !item->silent) said(s, item, rs->log);
    if (rs->spent_ns) status_add(&s->status->script_ns, rs->spent_ns);
    if (!window_holds(&s->window, item->ordinal)) continue;
    if (s->window.traced && !traced(s, item, rs)) {
      part->seen--; // it is read again
      break;
    }
    if (item->silent) continue;
    if ((rs->alert_count | rs->alert_error.len) && !alerts_take(s, item, rs)) {
      part->seen--; // shed: it is read again
      break;
    }
    switch (rs->outcome) {
    case SCRIPT_KEPT:
      if (!kept(s, item, rs, &drops)) part->seen--; // shed: this one too is read again
      break;
    case SCRIPT_FILTERED:
      worked(s);
      filtered(s, item, rs->text, &drops);
      break;
    case SCRIPT_FAILED: case SCRIPT_TIMEOUT: case SCRIPT_MEMORY:
      failed(s, item, rs);
      if (rs->outcome == SCRIPT_TIMEOUT) penalty_timed_out(s);
      break;
    case SCRIPT_PUT_OFF:
      part->seen--;
      penalty_begin(s);
      break;
    }
  }
  count_drops(s, &drops);
  delivery_offer(s);
}

// Returns the part that it did not look at any more.
static uint32_t look_ahead(const struct harvest_job *h, uint32_t end) {
  uint32_t to = h->now;
  while (to < h->part_count && to < h->now + AHEAD_STREAMS && h->parts[to].first < end) to++;
  ahead_of_results(h, h->now, to);
  return to;
}

static void results(struct pool_job *job, uint32_t first, const struct pool_result *rs, uint32_t count) {
  struct harvest_job *h = (struct harvest_job *)job;
  uint32_t end = first + count;
  h->courier->turn_ms = courier_now_ms();
  for (uint32_t looked = h->now; first < end;) {
    if (h->now == looked) looked = look_ahead(h, end);
    struct harvest_part *part = &h->parts[h->now];
    uint32_t behind = part->first + part->count, to = end < behind ? end : behind;
    take_results(part, h->items, first, to, rs);
    rs += to - first;
    first = to;
    if (to == behind) h->now++;
  }
}

static void read_rest_again(const struct harvest_job *h, const struct harvest_part *part) {
  for (uint32_t i = part->seen; i < part->count; i++)
    if (!h->items[part->first + i].silent) stream_again(part->stream, h->items[part->first + i].ordinal);
}

// Jobs behind a lost one are lost as well, or must not overtake it: all that is under way is read again. `at`: the record of the
// part that the worker was running, when it is one of these and `guilty`.
static void lost(const struct harvest_job *h, struct harvest_part *part, uint32_t at, bool guilty, const char *why) {
  struct stream *s = part->stream;
  const struct harvest_item *item = &h->items[part->first + part->seen];
  if (guilty && at == part->first + part->seen && part->seen < part->count && window_holds(&s->window, item->ordinal)) {
    char text[200];
    snprintf(text, sizeof text, "the script's worker was ended at this record: %s", why);
    window_bar(&s->window, item->ordinal);
    if (!item->silent) {
      dead(s, item, text, 0);
      penalty_struck(s, why);
    }
    part->seen++;
  }
  read_rest_again(h, part);
  stream_stale_jobs(s);
  s->rerun_alone = s->jobs > 0;
}

static void part_ended(const struct harvest_job *h, struct harvest_part *part, enum pool_end end, uint32_t at, bool guilty,
                       const char *why) {
  struct stream *s = part->stream;
  s->jobs--;
  s->records_out -= part->count;
  if (part->epoch != s->epoch) {
    if (s->stale_jobs) s->stale_jobs--;
    read_rest_again(h, part);
  } else if (end == POOL_LOST) {
    lost(h, part, at, guilty, why);
  } else {
    s->rerun_alone = false;
  }
  if (!s->removed) {
    lanes_flush(s);
    delivery_offer(s);
    stream_wake(s);
  }
  stream_rest(s);
}

static void ended(struct pool_job *job, enum pool_end end, uint32_t at, bool guilty, const char *why) {
  struct harvest_job *h = (struct harvest_job *)job;
  h->courier->workers[h->worker].jobs--;
  for (uint32_t i = 0; i < h->part_count; i++) part_ended(h, &h->parts[i], end, at, guilty, why);
  harvest_job_drop(h);
}

struct harvest_job *harvest_job_new(struct courier *c, unsigned worker) {
  struct harvest_job *h = c->spare_jobs;
  if (h) {
    c->spare_jobs = h->spare;
  } else {
    if (!(h = mem_alloc(sizeof *h))) return NULL;
    h->made_before = c->jobs_made;
    c->jobs_made = h;
  }
  h->job = (struct pool_job){.results = results, .ended = ended};
  h->courier = c;
  h->worker = worker;
  h->part_count = h->count = h->now = 0;
  return h;
}

void harvest_job_add(struct harvest_job *h, struct stream *s, const struct harvest_item *item) {
  struct harvest_part *part = h->part_count ? &h->parts[h->part_count - 1] : NULL;
  if (!part || part->stream != s || part->epoch != s->epoch) {
    part = &h->parts[h->part_count++];
    *part = (struct harvest_part){.stream = s, .epoch = s->epoch, .first = h->count};
    s->jobs++;
  }
  part->count++;
  s->records_out++;
  h->items[h->count++] = *item;
}

void harvest_job_drop(struct harvest_job *h) {
  h->spare = h->courier->spare_jobs;
  h->courier->spare_jobs = h;
}

void harvest_free_jobs(struct courier *c) {
  struct harvest_job *h;
  while ((h = c->jobs_made)) {
    c->jobs_made = h->made_before;
    mem_free(h);
  }
}
