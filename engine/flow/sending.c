// sending.c - whose requests go out in a turn.
//
// A request costs much the same with one record in it or with fifty. With thousands of streams that have little each, small requests are
// rationed while there is more to read, so that what waits gathers; the streams they are of are parked. They go at once when their batch
// has grown, when the parked have gathered more than COURIER_PARKED_BYTES (those that waited longest first), and when there is nothing
// else to do.
#include "base/clock.h"
#include "flow/courier_parts.h"

enum {
  FREE_IN_A_TURN = 32,  // parked streams that send because there is nothing else to do, before the loop looks again
  FREE_REQUESTS = 256,  // out already, with which none more goes for that reason: receivers set the pace then
};

static void park(struct stream *s) {
  struct courier *c = s->courier;
  s->send_parked = true;
  s->parked_bytes = s->held_bytes;
  c->parked_bytes += s->parked_bytes;
  list_push_back(&c->parked_senders, &s->send_link);
}

void sending_leave(struct stream *s) {
  list_remove(&s->send_link);
  if (!s->send_parked) return;
  s->send_parked = false;
  s->courier->parked_bytes -= s->parked_bytes;
}

void sending_gathered(struct stream *s, size_t bytes) {
  if (!s->send_parked) return;
  s->parked_bytes += bytes;
  s->courier->parked_bytes += bytes;
}

bool sending_may_be_small(struct courier *c) {
  return c->sending_freely || allowance_take(&c->small_requests, clock_mono_ns());
}

static struct stream *longest_parked(const struct courier *c) {
  return list_empty(&c->parked_senders) ? NULL : list_item(c->parked_senders.next, struct stream, send_link);
}

// False: it did not get all out.
static bool send_all(struct stream *s) {
  sending_leave(s);
  if (delivery_send_ready(s)) return true;
  park(s);
  return false;
}

static void send_overflow(struct courier *c) {
  struct stream *s;
  while (c->parked_bytes > COURIER_PARKED_BYTES && (s = longest_parked(c)) && send_all(s)) {}
}

static bool has_more_to_read(const struct courier *c) {
  bool more = !list_empty(&c->ready) || c->routed < journal_head(c->options.journal);
  for (unsigned i = 0; i < pool_places(c->options.pool); i++) more = more || c->workers[i].jobs > 0 || !list_empty(&c->workers[i].starved);
  return more;
}

static void send_in_leisure(struct courier *c) {
  struct stream *s;
  for (unsigned n = 0; n < FREE_IN_A_TURN && c->requests < FREE_REQUESTS && (s = longest_parked(c)); n++)
    if (!send_all(s)) return;
}

void sending_turn(struct courier *c) {
  struct list turn, *link;
  list_move(&c->senders, &turn);
  while ((link = list_first(&turn))) send_all(list_item(link, struct stream, send_link));
  if (list_empty(&c->parked_senders)) return;
  c->sending_freely = true;
  send_overflow(c);
  if (!has_more_to_read(c)) send_in_leisure(c);
  c->sending_freely = false;
}

void sending_tick(struct courier *c, uint32_t tick_us) { // those parked longest, as many as there will be an allowance for
  struct stream *s;
  for (unsigned n = SMALL_REQUESTS / (1000000 / tick_us) + 1; n && (s = longest_parked(c)); n--) {
    sending_leave(s);
    list_push_back(&c->senders, &s->send_link);
  }
}
