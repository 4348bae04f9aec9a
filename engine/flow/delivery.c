// delivery.c - a lane's first batch as a request; its answer as a verdict; the verdict carried out.
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "flow/courier_parts.h"
#include "flow/gzip.h"
#include "flow/retry.h"
#include "flow/verdict.h"
#include "net/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  HALVE_AFTER = 10,                  // failures of a batch while others of its stream succeed
  AGAIN_MOST = 100,                  // requests that a sink may ask for at once for one batch
  ANSWER_SHOWN = 1024,               // bytes of an answer that a dead letter keeps
  TEXTS_BYTES = 64 << 10,
};
static const int64_t SINGLE_GIVE_UP_MS = 24 * 3600 * 1000LL;

struct delivery { // one request
  struct http_send send; // first
  struct list link;      // in its stream
  struct lane *lane;
  struct batch *batch;
  struct outfit *outfit;
  struct delivery *spare;
  struct buf texts; // URL, method, headers, credentials: copies that live as long as the request
  struct buf packed; // a body of its own: the sink's, or gzip's
  const char *headers[SINK_HEADER_LINES + 5]; // the sink's, three of webhooks, one of gzip, NULL
  uint32_t again;
};

static struct delivery *delivery_new(struct lane *lane) {
  struct courier *c = lane->stream->courier;
  struct delivery *d = c->spare_deliveries;
  if (d) c->spare_deliveries = d->spare;
  else if ((d = mem_zero(1, sizeof *d))) {
    buf_init(&d->texts, TEXTS_BYTES);
    buf_init(&d->packed, LIMIT_WINDOW_BYTES * 2);
  } else return NULL;
  d->lane = lane;
  d->batch = list_item(lane->batches.next, struct batch, link);
  d->outfit = outfit_ref(lane->stream->outfit);
  d->again = 0;
  list_push_back(&lane->stream->deliveries, &d->link);
  lane->stream->sending++;
  c->requests++;
  lane->state = LANE_SENDING;
  return d;
}

static void delivery_free(struct delivery *d) {
  struct stream *s = d->lane->stream;
  list_remove(&d->link);
  outfit_unref(d->outfit);
  d->texts.len = 0;
  buf_fini(&d->packed);
  d->spare = s->courier->spare_deliveries;
  s->courier->spare_deliveries = d;
  s->sending--;
  s->courier->requests--;
}

// ---- the request ----

static const struct sink_item *item(const struct sink_batch *view, uint32_t i, struct sink_item *room) {
  const struct batch *b = view->arg;
  *room = (struct sink_item){batch_item_key(b, i), batch_item_body(b, i)};
  return room;
}

static const char *kind_of(const struct batch *b) {
  for (uint32_t i = 1; i < b->count; i++)
    if (b->items[i].kind != b->items[0].kind) return "mixed";
  return record_kind_name(b->items[0].kind);
}

static struct sink_batch view_of(const struct batch *b) {
  return (struct sink_batch){.id = b->id, .kind = kind_of(b), .attempt = b->attempt, .now_ms = clock_ms(), .record_count = b->count,
                             .item = item, .arg = b, .note = b->has_note ? b->note : NULL};
}

static size_t text_room(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

// Room was reserved for all of them, so nothing moves.
static const char *keep(struct delivery *d, const char *text) {
  if (!text) return NULL;
  char *at = d->texts.at + d->texts.len;
  size_t len = strlen(text) + 1;
  memcpy(at, text, len);
  d->texts.len += len;
  return at;
}

static bool reserve_texts(struct delivery *d, const struct sink_request *r) {
  size_t room = text_room(r->url) + text_room(r->method) + text_room(r->username) + text_room(r->password) + text_room(r->sign) +
                text_room(r->ca) + text_room(r->client_certificate) + text_room(r->client_key) + 512;
  for (size_t i = 0; r->headers[i]; i++) room += text_room(r->headers[i]);
  d->texts.len = 0;
  return buf_reserve(&d->texts, room);
}

static const char *keep_header(struct delivery *d, const char *format, const char *value) {
  char *at = d->texts.at + d->texts.len;
  int len = snprintf(at, 256, format, value);
  d->texts.len += (size_t)(len < 256 ? len : 255) + 1;
  return at;
}

// The headers of Standard Webhooks, over the body as it is before gzip.
static bool add_webhook(struct delivery *d, const struct sink_request *r, size_t *count, struct err *err) {
  char number[24], signature[WEBHOOK_SIGNATURE_BYTES];
  int64_t now = clock_ms() / 1000;
  snprintf(number, sizeof number, "%" PRId64, now);
  d->headers[(*count)++] = keep_header(d, "webhook-id: %s", d->batch->id);
  d->headers[(*count)++] = keep_header(d, "webhook-timestamp: %s", number);
  if (!r->signing_secret) return true;
  if (!webhook_sign(r->signing_secret, r->signing_secret_previous, d->batch->id, now, d->send.body, signature, err)) return false;
  d->headers[(*count)++] = keep_header(d, "webhook-signature: %s", signature);
  return true;
}

// What the sink made lives until its next hook only, so it is copied; gzip makes a copy anyway.
static bool own_body(struct delivery *d, const struct sink_request *r) {
  if (!r->gzip && !r->body.at) return true;
  d->packed.len = 0;
  if (!(r->gzip ? gzip_pack(d->send.body, &d->packed) : buf_append(&d->packed, r->body.at, r->body.len))) return false;
  d->send.body = buf_slice(&d->packed);
  return true;
}

static bool fill_request(struct delivery *d, const struct sink_request *r, struct err *err) {
  if (!reserve_texts(d, r)) return err_set(err, "the request's headers are too long");
  size_t count = 0;
  for (; r->headers[count]; count++) d->headers[count] = keep(d, r->headers[count]);
  d->send.body = r->body.at ? r->body : buf_slice(&d->batch->bytes);
  if (r->webhook && !add_webhook(d, r, &count, err)) return false;
  if (!own_body(d, r)) return err_set(err, "out of memory");
  if (r->gzip) d->headers[count++] = "Content-Encoding: gzip";
  d->headers[count] = NULL;
  d->send.headers = d->headers;
  d->send.url = keep(d, r->url);
  d->send.method = keep(d, r->method);
  d->send.username = keep(d, r->username);
  d->send.password = keep(d, r->password);
  d->send.sign = keep(d, r->sign);
  d->send.ca = keep(d, r->ca);
  d->send.client_certificate = keep(d, r->client_certificate);
  d->send.client_key = keep(d, r->client_key);
  d->send.timeout_ms = r->timeout_ms;
  return true;
}

static void answered(struct http_send *send, const struct http_response *response);

static bool make_request(struct delivery *d, struct err *err) {
  struct batch *b = d->batch;
  struct sink_request request = {0};
  if (!batch_seal(b)) return err_set(err, "out of memory");
  batch_name(b, d->lane->stream->outfit->definition->id);
  b->attempt++;
  struct sink_batch view = view_of(b);
  return sink_request(d->outfit->binding, &view, &request, err) && fill_request(d, &request, err);
}

static void retry(struct delivery *d, const char *why, const struct http_response *response, double seconds);

// A lane's first batch goes out. What keeps it from even starting is treated as a failed attempt.
static void send_lane(struct lane *lane) {
  struct delivery *d = delivery_new(lane);
  struct err err = {0};
  if (!d) { // out of memory: its turn comes again
    lane->state = LANE_IDLE;
    return;
  }
  if (!make_request(d, &err)) {
    char why[STATUS_ERROR_BYTES];
    snprintf(why, sizeof why, "%.450s", err.text);
    struct stream *s = lane->stream;
    delivery_free(d);
    lane_next(lane);
    stream_enter(s, STREAM_PAUSED, why);
    return;
  }
  d->send.done = answered;
  if (!http_client_send(lane->stream->courier->http, &d->send, &err)) retry(d, err.text, NULL, -1);
}

void delivery_offer(struct stream *s) {
  if (s->send_parked && !list_empty(&s->ready_lanes) && !lane_small(list_item(s->ready_lanes.next, struct lane, ready_link))) {
    sending_leave(s); // it has gathered enough meanwhile
  }
  if (!list_empty(&s->ready_lanes) && !list_linked(&s->send_link)) list_push_back(&s->courier->senders, &s->send_link);
}

// Receivers that keep silent hold connections: when many do, each stream makes do with one.
static bool may_send(const struct stream *s) {
  bool one = s->failures >= BREAKER_FAILURES || s->courier->requests >= LIMIT_REQUESTS / 2;
  uint32_t most = one ? 1 : s->outfit->definition->in_flight;
  return !stream_stopped(s) && !s->breaker_open && !s->awaited && !s->courier->draining && s->sending < most;
}

bool delivery_send_ready(struct stream *s) {
  while (may_send(s) && !list_empty(&s->ready_lanes)) {
    struct lane *lane = list_item(s->ready_lanes.next, struct lane, ready_link);
    if (s->courier->requests >= LIMIT_REQUESTS) return false;
    if (lane_small(lane) && !sending_may_be_small(s->courier)) return false;
    list_remove(&lane->ready_link);
    if (list_empty(&lane->batches)) lane->state = LANE_IDLE;
    else send_lane(lane);
  }
  return true;
}

void delivery_cancel_all(struct stream *s) {
  struct list *link;
  while ((link = list_first(&s->deliveries))) {
    struct delivery *d = list_item(link, struct delivery, link);
    http_client_cancel(s->courier->http, &d->send);
    d->lane->state = LANE_IDLE;
    delivery_free(d);
  }
}

// ---- the verdict carried out ----

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

static void finish(struct delivery *d) {
  struct lane *lane = d->lane;
  delivery_free(d);
  lane_next(lane);
}

static void delivered(struct delivery *d, const struct http_response *response) {
  struct stream *s = d->lane->stream;
  settle_items(s, d->batch, 0, d->batch->count);
  atomic_store(&s->status->settled_ms, d->batch->received_ms);
  drop_batch(d->lane);
  stream_succeeded(s, response->status);
  finish(d);
}

static void bury(struct stream *s, const struct batch *b, uint32_t i, const char *why, const struct http_response *response) {
  lane_leave(s, &b->items[i]);
  struct slice answer = response ? response->body : slice_of("");
  if (answer.len > ANSWER_SHOWN) answer.len = ANSWER_SHOWN;
  struct dead_letter letter = {.ordinal = b->items[i].ordinal, .sequence = b->items[i].sequence, .number = b->items[i].number,
                               .settles = b->items[i].last, .reason = why, .http_status = response ? response->status : 0, .answer = answer,
                               .attempts = b->attempt};
  saver_dead_letter(s, &letter);
}

// The batch's two halves take its place in the lane.
static bool halve(struct lane *lane) {
  struct batch *b = list_item(lane->batches.next, struct batch, link);
  struct batch *first = batch_part(b, 0, b->count / 2), *second = batch_part(b, b->count / 2, b->count);
  if (!first || !second) {
    batch_free(first);
    batch_free(second);
    return false;
  }
  list_remove(&b->link);
  list_push_front(&lane->batches, &second->link);
  list_push_front(&lane->batches, &first->link);
  batch_free(b);
  return true;
}

static void reject(struct delivery *d, const char *why, const struct http_response *response) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  if (response->outcome == HTTP_ANSWERED) atomic_store(&s->status->last_http_status, response->status);
  if (d->batch->count > 1) {
    bool outdated = d->outfit != s->outfit;
    if (halve(lane)) finish(d);
    else retry(d, "out of memory", NULL, -1);
    if (outdated) stream_shed(s); // the present version makes its records again
    return;
  }
  bury(s, d->batch, 0, why, response);
  drop_batch(lane);
  finish(d);
}

// Others of the stream get through while this batch does not: something is wrong with the batch.
static bool others_succeed(const struct stream *s, const struct batch *b) {
  return b->first_failure_ms && s->last_success_ms > b->first_failure_ms;
}

static void retry(struct delivery *d, const char *why, const struct http_response *response, double seconds) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  struct batch *b = d->batch;
  int64_t now = clock_ms(), after = response ? response->retry_after_ms : -1;
  if (seconds >= 0) after = (int64_t)(seconds * 1000);
  b->failures++;
  if (!b->first_failure_ms) b->first_failure_ms = now;
  status_count(s->status, COUNT_RETRIES, 1);
  if (others_succeed(s, b) && b->count == 1 && now - b->first_failure_ms >= SINGLE_GIVE_UP_MS) {
    bury(s, b, 0, why, response);
    drop_batch(lane);
    finish(d);
    return;
  }
  uint64_t delay = retry_delay_ms(b->failures, after, rand_u64());
  if (others_succeed(s, b) && b->count > 1 && b->failures >= HALVE_AFTER) halve(lane);
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "%s", why);
  bool outdated = d->outfit != s->outfit;
  delivery_free(d);
  lane->state = LANE_BACKOFF;
  lane->patient = after >= 0;
  courier_set_timer(s->courier, &s->courier->lane_timers, &lane->timer, courier_now_ms() + delay);
  if (outdated) stream_shed(s); // the present version makes it again
  stream_failed(s, text, response && response->outcome == HTTP_ANSWERED ? response->status : 0, delay);
}

static void pause_stream(struct delivery *d, const char *why, const struct http_response *response) {
  struct stream *s = d->lane->stream;
  char text[STATUS_ERROR_BYTES];
  snprintf(text, sizeof text, "%s", why);
  if (response->outcome == HTTP_ANSWERED) atomic_store(&s->status->last_http_status, response->status);
  finish(d);
  stream_enter(s, STREAM_PAUSED, text);
}

static void again(struct delivery *d, const struct sink_verdict *verdict) {
  struct err err = {0};
  snprintf(d->batch->note, sizeof d->batch->note, "%s", verdict->why);
  d->batch->has_note = true;
  if (++d->again > AGAIN_MOST) err_set(&err, "the sink asked for more than %d requests for one batch", AGAIN_MOST);
  if (!err.text[0] && make_request(d, &err) && http_client_send(d->lane->stream->courier->http, &d->send, &err)) return;
  retry(d, err.text, NULL, -1);
}

// Record by record: what is delivered leaves, what is rejected is buried, the rest stays as a batch and is tried again.
static void each(struct delivery *d, const struct sink_verdict *verdicts, const struct http_response *response) {
  struct lane *lane = d->lane;
  struct stream *s = lane->stream;
  struct batch *b = d->batch, *rest = NULL;
  const char *why = "";
  bool ok = true;
  for (uint32_t i = 0; i < b->count && ok; i++) {
    if (verdicts[i].kind == SINK_DELIVERED) settle_items(s, b, i, i + 1);
    else if (verdicts[i].kind == SINK_REJECT) bury(s, b, i, verdicts[i].why, response);
    else {
      why = verdicts[i].why;
      ok = rest ? batch_take(rest, b, i) : (rest = batch_part(b, i, i + 1)) != NULL;
    }
  }
  if (!ok) { // what was settled stays so; all of the batch is sent again
    batch_free(rest);
    retry(d, "out of memory", NULL, -1);
    return;
  }
  if (!rest) {
    atomic_store(&s->status->settled_ms, b->received_ms);
    drop_batch(lane);
    stream_succeeded(s, response->status);
    finish(d);
    return;
  }
  rest->attempt = b->attempt;
  rest->failures = rest->count < b->count ? 0 : b->failures; // it got somewhere
  if (rest->failures) rest->first_failure_ms = b->first_failure_ms;
  memcpy(rest->id, b->id, sizeof rest->id);
  memcpy(rest->note, b->note, sizeof rest->note);
  rest->has_note = b->has_note;
  lane->held_bytes += rest->body_bytes;
  s->held_bytes += rest->body_bytes;
  drop_batch(lane);
  list_push_front(&lane->batches, &rest->link);
  d->batch = rest;
  retry(d, why, response, -1);
}

static void carry_out(struct delivery *d, const struct sink_verdict *verdict, const struct http_response *response) {
  if (verdict->each) {
    each(d, verdict->each, response);
    return;
  }
  switch (verdict->kind) {
  case SINK_DELIVERED: delivered(d, response); break;
  case SINK_RETRY: retry(d, verdict->why, response, verdict->seconds); break;
  case SINK_HALVE: case SINK_REJECT: reject(d, verdict->why, response); break;
  case SINK_PAUSE: pause_stream(d, verdict->why, response); break;
  case SINK_AGAIN: again(d, verdict); break;
  case SINK_DEFAULT: break; // replaced before
  }
}

static void answered(struct http_send *send, const struct http_response *response) {
  struct delivery *d = (struct delivery *)send;
  struct stream *s = d->lane->stream;
  struct sink_verdict verdict = {.kind = SINK_DEFAULT, .seconds = -1};
  struct sink_batch view = view_of(d->batch);
  struct err err = {0};
  if (d->outfit->definition->sink->has_verdict && !sink_verdict(d->outfit->binding, &view, response, &verdict, &err)) {
    verdict = (struct sink_verdict){.kind = SINK_RETRY, .seconds = -1};
    snprintf(verdict.why, sizeof verdict.why, "verdict: %.240s", err.text);
  }
  if (verdict.kind == SINK_DEFAULT && !verdict.each) verdict_default(response, &verdict);
  carry_out(d, &verdict, response);
  if (stream_stopped(s) && s->held_bytes) stream_shed(s); // it stopped while this request was out
  stream_take_awaited(s);
  delivery_offer(s);
  if (!s->caught_up || s->window.unread) stream_wake(s);
}

void delivery_free_spares(struct courier *c) {
  while (c->spare_deliveries) {
    struct delivery *d = c->spare_deliveries;
    c->spare_deliveries = d->spare;
    buf_fini(&d->texts);
    mem_free(d);
  }
}
