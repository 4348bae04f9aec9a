// delivery_verdict.c - an answer as a verdict; the verdict carried out.
#include "base/clock.h"
#include "base/rand.h"
#include "flow/delivery.h"
#include "flow/request_times.h"
#include "flow/retry.h"
#include "flow/verdict.h"

#include <stdio.h>
#include <string.h>

enum {
  HALVE_AFTER = 10,    // failures of a batch while others of its stream succeed
  AGAIN_MOST = 100,    // requests that a sink may ask for at once for one batch
  ANSWER_SHOWN = 1024, // bytes of an answer that a dead letter keeps
};
static const int64_t SINGLE_GIVE_UP_MS = 24 * 3600 * 1000LL;

static int status_of(const struct http_response *response) {
  return response && response->outcome == HTTP_ANSWERED ? response->status : 0;
}

static void show_status(struct stream *s, const struct http_response *response) {
  if (status_of(response)) atomic_store(&s->status->last_http_status, response->status);
}

// ---- items that leave ----

// The lane's first batch is done with: out of the lane and gone.
static void drop_batch(struct lane *lane) {
  struct batch *b = list_item(lane->batches.next, struct batch, link);
  lane_lighten(lane, b->body_bytes);
  list_remove(&b->link);
  batch_free(b);
}

static void settle_items(struct stream *s, const struct batch *b, uint32_t from, uint32_t to) {
  uint64_t records = 0;
  for (uint32_t i = from; i < to; i++) {
    lane_leave(s, &b->items[i]);
    if (!b->items[i].last) continue;
    stream_settle(s, b->items[i].ordinal);
    records++;
  }
  status_count(s->status, COUNT_DELIVERED, records);
}

// An item becomes a dead letter. False: out of memory, it is where it was.
static bool bury(struct stream *s, const struct batch *b, uint32_t i, const char *why, const struct http_response *response) {
  struct slice answer = response ? response->body : slice_of("");
  if (answer.len > ANSWER_SHOWN) answer.len = ANSWER_SHOWN;
  struct dead_letter letter = {.ordinal = b->items[i].ordinal, .sequence = b->items[i].sequence, .number = b->items[i].number,
                               .settles = b->items[i].last, .reason = why, .http_status = status_of(response), .answer = answer,
                               .attempts = b->attempt};
  if (!saver_try_dead_letter(s, &letter)) return false;
  lane_leave(s, &b->items[i]);
  return true;
}

// ---- failure ----

// The batch's two halves take its place in the lane. False: out of memory.
static bool halve(struct lane *lane) {
  struct batch *b = list_item(lane->batches.next, struct batch, link);
  struct batch *halves[] = {batch_part(b, 0, b->count / 2), batch_part(b, b->count / 2, b->count)};
  if (!halves[0] || !halves[1]) {
    batch_free(halves[0]);
    batch_free(halves[1]);
    return false;
  }
  list_remove(&b->link);
  for (int i = 1; i >= 0; i--) {
    halves[i]->first_failure_ms = b->first_failure_ms; // their records have failed since then
    halves[i]->doubted_ms = b->doubted_ms;
    list_push_front(&lane->batches, &halves[i]->link);
  }
  batch_free(b);
  return true;
}

// Others of the stream get through while this batch does not: something is wrong with the batch.
static bool others_succeed(const struct stream *s, const struct batch *b) {
  return b->first_failure_ms && s->last_success_ms > b->first_failure_ms;
}

static void count_failure(struct stream *s, struct batch *b, int64_t now) {
  b->failures++;
  b->stuck++;
  if (!b->first_failure_ms) b->first_failure_ms = now;
  if (!b->doubted_ms && others_succeed(s, b)) b->doubted_ms = now;
  status_count(s->status, COUNT_RETRIES, 1);
}

// The time in which nothing got through does not count: it was not this record's fault.
static bool is_given_up(const struct batch *b, int64_t now) {
  return b->count == 1 && b->doubted_ms && now - b->doubted_ms >= SINGLE_GIVE_UP_MS;
}

static void back_off(struct lane *lane, uint64_t delay_ms, bool patient) {
  struct courier *c = lane->stream->courier;
  lane->state = LANE_BACKOFF;
  lane->patient = patient;
  bool set = courier_set_timer(c, &c->lane_timers, &lane->timer, courier_now_ms() + delay_ms);
  if (!set) lane_due(lane); // rather too early than never
}

struct failure {
  const char *why;
  const struct http_response *response; // NULL: none
  int64_t after_ms; // what the receiver or the sink asked for; -1: the engine's own delay
  bool partial;     // something of the batch got through: the receiver lives
};

// The batch is tried again later, as a whole or in halves; a single record not for ever.
static void retry(struct delivery *d, const struct failure *f) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  struct batch *b = d->batch;
  int64_t now = clock_ms();
  count_failure(s, b, now);
  if (is_given_up(b, now) && bury(s, b, 0, f->why, f->response)) {
    drop_batch(lane);
    delivery_end(d);
    return;
  }
  uint64_t delay = retry_delay_ms(b->stuck, f->after_ms, rand_u64());
  if (others_succeed(s, b) && b->count > 1 && b->failures >= HALVE_AFTER) halve(lane);
  bool outdated = d->outfit != s->outfit;
  delivery_free(d);
  back_off(lane, delay, f->after_ms >= 0);
  if (outdated) stream_shed(s); // the present version makes it again
  if (!f->partial) stream_failed(s, f->why, status_of(f->response), delay);
}

void delivery_failed(struct delivery *d, const char *why) {
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "%.450s", why);
  struct failure failure = {.why = text, .after_ms = -1};
  retry(d, &failure);
}

static void pause_stream(struct delivery *d, const char *why, const struct http_response *response) {
  struct stream *s = d->lane->stream;
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "%.450s", why);
  show_status(s, response);
  delivery_end(d);
  if (!stream_stopped(s)) stream_enter(s, STREAM_PAUSED, text); // its owner may have stopped it meanwhile
}

void delivery_refused(struct delivery *d, const char *why) {
  pause_stream(d, why, NULL);
}

// ---- verdicts on a whole batch ----

static void delivered(struct delivery *d, const struct http_response *response) {
  struct stream *s = d->lane->stream;
  settle_items(s, d->batch, 0, d->batch->count);
  atomic_store(&s->status->settled_ms, d->batch->received_ms);
  drop_batch(d->lane);
  stream_succeeded(s, status_of(response));
  delivery_end(d);
}

static void reject(struct delivery *d, const char *why, const struct http_response *response) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  bool outdated = d->outfit != s->outfit, alone = d->batch->count == 1;
  show_status(s, response);
  if (!(alone ? bury(s, d->batch, 0, why, response) : halve(lane))) {
    delivery_failed(d, "out of memory");
    return;
  }
  if (alone) drop_batch(lane);
  delivery_end(d);
  if (!alone && outdated) stream_shed(s); // the present version makes its records again
}

static void again(struct delivery *d, const char *note) {
  char why[80];
  snprintf(d->batch->note, sizeof d->batch->note, "%s", note);
  d->batch->has_note = true;
  if (stream_stopped(d->lane->stream)) { // meanwhile; it goes on with this note when the stream does
    delivery_end(d);
    return;
  }
  if (++d->again <= AGAIN_MOST) {
    delivery_start(d);
    return;
  }
  snprintf(why, sizeof why, "the sink asked for more than %d requests for one batch", AGAIN_MOST);
  delivery_failed(d, why);
}

// ---- record by record ----

struct tally { // of a list of verdicts
  uint32_t delivered, left;
  int64_t after_ms; // the longest that was asked for; -1: none
  bool pauses;
  const char *why; // of the first that stays; of the first that pauses, if one does
};

// The nearest earlier output of the same record that stays.
static struct batch_item *heir_of(struct batch *b, uint32_t i) {
  for (uint32_t k = i; k > 0 && b->items[k - 1].ordinal == b->items[i].ordinal; k--)
    if (!b->items[k - 1].gone) return &b->items[k - 1];
  return NULL;
}

// Delivered or rejected. A record is settled with its last output: when that leaves before another, the other becomes the last.
static void item_leaves(struct stream *s, struct batch *b, uint32_t i, const struct sink_verdict *verdict,
                        const struct http_response *response) {
  struct batch_item *item = &b->items[i], *heir = item->last ? heir_of(b, i) : NULL;
  if (heir) heir->last = true, item->last = false;
  item->gone = verdict->kind == SINK_DELIVERED || bury(s, b, i, verdict->why[0] ? verdict->why : "rejected", response);
  if (verdict->kind == SINK_DELIVERED) settle_items(s, b, i, i + 1);
  if (heir && !item->gone) heir->last = false, item->last = true;
}

static void count_left(struct tally *t, const struct sink_verdict *verdict) {
  int64_t after = verdict->seconds >= 0 ? (int64_t)(verdict->seconds * 1000) : -1;
  bool pauses = verdict->kind == SINK_PAUSE;
  if (!t->left++ || (pauses && !t->pauses)) t->why = verdict->kind == SINK_REJECT ? "out of memory" : verdict->why;
  t->pauses |= pauses;
  if (verdict->kind == SINK_RETRY && after > t->after_ms) t->after_ms = after;
}

static struct tally carry_out_each(struct stream *s, struct batch *b, const struct sink_verdict *verdicts,
                                   const struct http_response *response) {
  struct tally t = {.after_ms = -1};
  for (uint32_t i = 0; i < b->count; i++) {
    if (verdicts[i].kind == SINK_DELIVERED || verdicts[i].kind == SINK_REJECT) item_leaves(s, b, i, &verdicts[i], response);
    t.delivered += verdicts[i].kind == SINK_DELIVERED;
    if (!b->items[i].gone) count_left(&t, &verdicts[i]);
  }
  return t;
}

// What is delivered leaves, what is rejected is buried, the rest stays as a batch: it is tried again, or the stream pauses.
static void each(struct delivery *d, const struct sink_verdict *verdicts, const struct http_response *response) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  struct batch *b = d->batch;
  uint32_t before = b->body_bytes;
  struct tally t = carry_out_each(s, b, verdicts, response);
  char why[STATUS_ERROR_BYTES];
  if (t.why && t.why[0]) snprintf(why, sizeof why, "%s", t.why);
  else verdict_words(response, why, sizeof why);
  if (t.delivered) stream_succeeded(s, status_of(response));
  else show_status(s, response);
  if (!t.left) {
    if (t.delivered) atomic_store(&s->status->settled_ms, b->received_ms);
    drop_batch(lane);
    delivery_end(d);
    return;
  }
  if (t.left < b->count) {
    batch_shrink(b);
    lane_lighten(lane, before - b->body_bytes);
    b->stuck = 0; // it got somewhere
  }
  if (t.pauses) {
    pause_stream(d, why, response);
    return;
  }
  struct failure failure = {.why = why, .response = response, .partial = t.delivered > 0,
                            .after_ms = t.after_ms >= 0 ? t.after_ms : response->retry_after_ms};
  retry(d, &failure);
}

// ---- an answer ----

static void carry_out(struct delivery *d, const struct sink_verdict *verdict, const struct http_response *response) {
  if (verdict->each) {
    each(d, verdict->each, response);
    return;
  }
  struct failure failure = {.why = verdict->why, .response = response,
                            .after_ms = verdict->seconds >= 0 ? (int64_t)(verdict->seconds * 1000) : response->retry_after_ms};
  switch (verdict->kind) {
  case SINK_DELIVERED: delivered(d, response); break;
  case SINK_RETRY: retry(d, &failure); break;
  case SINK_HALVE: case SINK_REJECT: reject(d, verdict->why, response); break;
  case SINK_PAUSE: pause_stream(d, verdict->why, response); break;
  case SINK_AGAIN: again(d, verdict->why); break;
  case SINK_DEFAULT: break; // replaced before
  }
}

// The sink's, or the default.
static void judge(struct delivery *d, const struct http_response *response, struct sink_verdict *out) {
  struct sink_batch view = batch_view(d->batch);
  struct err err = {0};
  *out = (struct sink_verdict){.kind = SINK_DEFAULT, .seconds = -1};
  if (d->outfit->definition->sink->has_verdict && !sink_verdict(d->outfit->binding, &view, response, out, &err)) {
    *out = (struct sink_verdict){.kind = SINK_RETRY, .seconds = -1};
    snprintf(out->why, sizeof out->why, "verdict: %.240s", err.text);
  }
  if (out->each) return;
  if (out->kind == SINK_DEFAULT) verdict_default(response, out);
  else if (!out->why[0] && out->kind != SINK_AGAIN) verdict_words(response, out->why, sizeof out->why);
}

void delivery_answered(struct http_send *send, const struct http_response *response) {
  struct delivery *d = (struct delivery *)send;
  struct stream *s = d->lane->stream;
  struct sink_verdict verdict;
  if (response->outcome == HTTP_ANSWERED) request_times_note(d->outfit->definition->sink->name, response->took_us);
  judge(d, response, &verdict);
  carry_out(d, &verdict, response);
  if (stream_stopped(s) && s->held_bytes) stream_shed(s); // it stopped while this request was out
  stream_take_awaited(s);
  delivery_offer(s);
  if (!s->caught_up || s->window.unread) stream_wake(s);
}
