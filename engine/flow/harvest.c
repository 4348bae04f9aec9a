// harvest.c - what comes back from the workers: outputs into lanes, drops by their reasons, failures as dead letters.
#include "base/mem.h"
#include "flow/courier_parts.h"

#include <stdio.h>

enum { SCRIPT_FAILURES = 100 }; // in a row; then the stream pauses

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

static void dead(struct stream *s, const struct harvest_item *item, const char *why, uint32_t line) {
  struct dead_letter letter = {.ordinal = item->ordinal, .sequence = item->sequence, .settles = true, .reason = why, .line = line};
  lane_record_passed(s, item);
  saver_dead_letter(s, &letter);
  if (++s->script_failures < SCRIPT_FAILURES || stream_stopped(s)) return;
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "the script failed for %d records in a row: %.400s", SCRIPT_FAILURES, why);
  stream_enter(s, STREAM_PAUSED, text);
}

static bool kept(struct stream *s, const struct harvest_item *item, const struct pool_result *r, struct drops *drops) {
  s->script_failures = 0;
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

static void results(struct pool_job *job, uint32_t first, const struct pool_result *rs, uint32_t count) {
  struct harvest_job *h = (struct harvest_job *)job;
  struct stream *s = h->stream;
  struct drops drops = {0};
  s->courier->turn_ms = courier_now_ms();
  lane_expect(s, h->count);
  for (uint32_t i = 0; i < count && h->epoch == s->epoch; i++) {
    const struct harvest_item *item = &h->items[first + i];
    h->seen = first + i + 1;
    if (!window_holds(&s->window, item->ordinal)) continue;
    switch (rs[i].outcome) {
    case SCRIPT_KEPT:
      if (!kept(s, item, &rs[i], &drops)) h->seen = first + i; // shed: this one too is read again
      break;
    case SCRIPT_FILTERED:
      s->script_failures = 0;
      filtered(s, item, rs[i].text, &drops);
      break;
    case SCRIPT_FAILED: case SCRIPT_TIMEOUT: case SCRIPT_MEMORY:
      failed(s, item, &rs[i]);
      break;
    }
  }
  count_drops(s, &drops);
  delivery_offer(s);
}

static void read_rest_again(struct stream *s, struct harvest_job *h) {
  for (uint32_t i = h->seen; i < h->count; i++) stream_again(s, h->items[i].ordinal);
}

// Jobs behind a lost one are lost as well, or must not overtake it: all that is under way is read again.
static void lost(struct stream *s, struct harvest_job *h, uint32_t at, bool guilty, const char *why) {
  if (at > h->seen && at <= h->count) h->seen = at;
  if (guilty && h->seen < h->count && window_holds(&s->window, h->items[h->seen].ordinal)) {
    char text[200];
    snprintf(text, sizeof text, "the script's worker was ended at this record: %s", why);
    dead(s, &h->items[h->seen++], text, 0);
  }
  read_rest_again(s, h);
  s->stale_jobs = s->jobs;
  s->epoch++;
  s->rerun_alone = s->jobs > 0;
}

static void ended(struct pool_job *job, enum pool_end end, uint32_t at, bool guilty, const char *why) {
  struct harvest_job *h = (struct harvest_job *)job;
  struct stream *s = h->stream;
  s->jobs--;
  s->courier->workers[s->worker].jobs--;
  if (h->epoch != s->epoch) {
    if (s->stale_jobs) s->stale_jobs--;
    read_rest_again(s, h);
  } else if (end == POOL_LOST) {
    lost(s, h, at, guilty, why);
  } else {
    s->rerun_alone = false;
  }
  harvest_job_free(h);
  if (!s->removed) {
    lanes_flush(s);
    delivery_offer(s);
    stream_wake(s);
  }
  stream_rest(s);
}

static struct harvest_job **spares(struct courier *c, uint32_t cap) {
  return cap == HARVEST_FEW ? &c->spare_small_jobs : &c->spare_jobs;
}

struct harvest_job *harvest_job_new(struct stream *s, uint64_t records) {
  uint32_t cap = records <= HARVEST_FEW ? HARVEST_FEW : LIMIT_JOB_RECORDS;
  struct harvest_job **spare = spares(s->courier, cap), *h = *spare;
  if (h) *spare = h->spare;
  else h = mem_alloc(sizeof *h + cap * sizeof *h->items);
  if (!h) return NULL;
  h->job = (struct pool_job){.results = results, .ended = ended};
  h->stream = s;
  h->epoch = s->epoch;
  h->cap = cap;
  h->count = h->seen = 0;
  return h;
}

void harvest_job_free(struct harvest_job *h) {
  struct harvest_job **spare = spares(h->stream->courier, h->cap);
  h->spare = *spare;
  *spare = h;
}

void harvest_free_spares(struct harvest_job *spare) {
  while (spare) {
    struct harvest_job *next = spare->spare;
    mem_free(spare);
    spare = next;
  }
}
