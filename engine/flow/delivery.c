// delivery.c - lanes that may send: their first batches as requests that are out, and their end.
#include "flow/delivery.h"
#include "base/mem.h"

// A lane's first batch is about to go out. NULL: out of memory, nothing has changed.
static struct delivery *delivery_new(struct lane *lane) {
  struct courier *c = lane->stream->courier;
  struct delivery *d = c->spare_deliveries;
  if (d) c->spare_deliveries = d->spare;
  else if ((d = mem_zero(1, sizeof *d))) outgoing_init(&d->out);
  else return NULL;
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

void delivery_free(struct delivery *d) {
  struct stream *s = d->lane->stream;
  list_remove(&d->link);
  outfit_unref(d->outfit);
  outgoing_clear(&d->out);
  d->spare = s->courier->spare_deliveries;
  s->courier->spare_deliveries = d;
  s->sending--;
  s->courier->requests--;
}

void delivery_end(struct delivery *d) {
  struct lane *lane = d->lane;
  delivery_free(d);
  lane_next(lane);
}

void delivery_free_spares(struct courier *c) {
  while (c->spare_deliveries) {
    struct delivery *d = c->spare_deliveries;
    c->spare_deliveries = d->spare;
    outgoing_fini(&d->out);
    mem_free(d);
  }
}

static enum outgoing_made make(struct delivery *d, struct err *err) {
  struct batch *b = d->batch;
  struct sink_request request = {0};
  if (!batch_seal(b)) {
    err_set(err, "out of memory");
    return OUTGOING_SHORT;
  }
  batch_name(b, d->lane->stream->outfit->definition->id);
  b->attempt++;
  struct sink_batch view = batch_view(b);
  if (sink_request(d->outfit->binding, &view, &request, err))
    return outgoing_make(&d->out, &request, b->id, buf_slice(&b->bytes), err);
  return request.passing ? OUTGOING_SHORT : OUTGOING_WRONG;
}

// What keeps it from even starting is a failed attempt, unless it would keep every further one from starting as well.
void delivery_start(struct delivery *d) {
  struct err err = {0};
  enum outgoing_made made = make(d, &err);
  if (made == OUTGOING_WRONG) {
    delivery_refused(d, err.text);
    return;
  }
  d->out.send.done = delivery_answered;
  if (made != OUTGOING_MADE || !http_client_send(d->lane->stream->courier->http, &d->out.send, &err)) delivery_failed(d, err.text);
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
  bool may_pause = s->letters + s->dead_in_row >= STREAM_DEAD_IN_A_ROW; // whether it does is known when they are on disk
  return !stream_stopped(s) && !s->breaker_open && !s->awaited && !s->courier->draining && !may_pause && s->sending < most;
}

// False: out of memory; the lane is ready still.
static bool send_lane(struct lane *lane) {
  struct delivery *d = delivery_new(lane);
  if (!d) return false;
  list_remove(&lane->ready_link);
  delivery_start(d);
  return true;
}

bool delivery_send_ready(struct stream *s) {
  while (may_send(s) && !list_empty(&s->ready_lanes)) {
    struct lane *lane = list_item(s->ready_lanes.next, struct lane, ready_link);
    if (s->courier->requests >= LIMIT_REQUESTS) return false;
    if (lane_small(lane) && !sending_may_be_small(s->courier)) return false;
    if (list_empty(&lane->batches)) {
      list_remove(&lane->ready_link);
      lane->state = LANE_IDLE;
    } else if (!send_lane(lane)) return false;
  }
  return true;
}

void delivery_cancel_all(struct stream *s) {
  struct list *link;
  while ((link = list_first(&s->deliveries))) {
    struct delivery *d = list_item(link, struct delivery, link);
    http_client_cancel(s->courier->http, &d->out.send);
    d->lane->state = LANE_IDLE;
    delivery_free(d);
  }
}
