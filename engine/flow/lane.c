// lane.c - the orders of delivery of a stream: which batch an output joins, and which lane may send next.
//
// A record goes to a lane by hash of its endpoint; with one record a request each endpoint is a lane of its own, made when it has
// something and freed when it has not. A lane has at most one request out, so records of an endpoint never overtake each other.
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "flow/courier_parts.h"

enum { EAGER_BYTES = 64 << 10, PATIENCE_MS = 4 }; // while jobs are under way a batch fills up to this, or for so long

static const uint64_t NO_ENDPOINT = (uint64_t)1 << 63;

static bool single(const struct stream *s) {
  return s->outfit->limits.records == 1;
}

static uint64_t key_of(const struct stream *s, int64_t endpoint, uint64_t sequence) {
  uint64_t key = endpoint ? (uint64_t)endpoint : sequence | NO_ENDPOINT; // without an endpoint there is no order to keep
  return single(s) ? key : hash_u64(key) % s->outfit->definition->in_flight;
}

struct lane *lane_find(struct stream *s, int64_t endpoint, uint64_t sequence) {
  uint64_t key = key_of(s, endpoint, sequence);
  return single(s) ? map_get(&s->by_endpoint, key) : s->lanes[key];
}

static struct lane *lane_new(struct stream *s, uint64_t key) {
  struct lane *lane = mem_zero(1, sizeof *lane);
  if (!lane) return NULL;
  lane->stream = s;
  lane->key = key;
  list_init(&lane->batches);
  if (!single(s)) s->lanes[key] = lane;
  else if (!map_put(&s->by_endpoint, key, lane)) {
    mem_free(lane);
    return NULL;
  }
  return lane;
}

struct lane *lane_of(struct stream *s, int64_t endpoint, uint64_t sequence) {
  struct lane *lane = lane_find(s, endpoint, sequence);
  return lane ? lane : lane_new(s, key_of(s, endpoint, sequence));
}

static struct batch *head_of(const struct lane *lane) {
  return list_empty(&lane->batches) ? NULL : list_item(lane->batches.next, struct batch, link);
}

static struct batch *tail_of(const struct lane *lane) {
  return list_empty(&lane->batches) ? NULL : list_item(lane->batches.prev, struct batch, link);
}

static bool full(const struct batch *b, const struct sink_limits *limits, size_t more) {
  return b->count >= limits->records || b->body_bytes + more > limits->bytes;
}

// The hollow batch that waits for this sequence; it is the lane's first, for what comes behind is not kept hollow.
static struct batch *hollow_for(const struct lane *lane, uint64_t sequence) {
  struct batch *b = head_of(lane);
  return b && b->hollow && sequence <= b->last ? b : NULL;
}

static struct batch *batch_for(struct lane *lane, const struct batch_output *output) {
  struct stream *s = lane->stream;
  struct batch *b = hollow_for(lane, output->sequence);
  if (b) return b;
  b = tail_of(lane);
  if (b && !b->sealed && !b->hollow && !b->attempt && !full(b, &s->outfit->limits, output->body.len)) return b;
  b = batch_new(s->courier->options.budget, s->outfit->limits.framing, LIMIT_WINDOW_BYTES + LIMIT_RECORD_BYTES);
  if (b) list_push_back(&lane->batches, &b->link);
  return b;
}

static void one_less_missing(struct lane *lane, struct batch *b) {
  if (--b->missing) return;
  b->hollow = false;
  lane->stream->hollow--;
  if (b->count) return;
  list_remove(&b->link);
  batch_free(b);
}

static bool may_go(const struct lane *lane) {
  const struct batch *b = head_of(lane);
  return lane->state == LANE_IDLE && b && b->count && !b->hollow;
}

static void make_ready(struct lane *lane) {
  lane->state = LANE_READY;
  list_push_back(&lane->stream->ready_lanes, &lane->ready_link);
}

void lane_offer(struct lane *lane, bool in_haste) {
  struct stream *s = lane->stream;
  if (!may_go(lane)) return;
  const struct batch *b = head_of(lane);
  const struct sink_limits *limits = &s->outfit->limits;
  bool whole = b->attempt || b->link.next != &lane->batches || full(b, limits, 1);
  if (!whole && limits->hold_ms) { // this sink wants large batches: wait for its time
    uint64_t now = courier_now_ms(), age = (uint64_t)(clock_ms() - b->begun_ms);
    if (age < limits->hold_ms) {
      courier_set_timer(s->courier, &s->courier->lane_timers, &lane->timer, now + limits->hold_ms - age);
      return;
    }
  } else if (!whole && !in_haste && b->body_bytes < EAGER_BYTES && s->jobs) {
    if (!s->flush_wanted) s->flush_since_ms = courier_now_ms();
    s->flush_wanted = true;
    if (courier_now_ms() - s->flush_since_ms < PATIENCE_MS) return;
  }
  make_ready(lane);
}

bool lane_add(struct lane *lane, const struct batch_output *output) {
  struct batch *b = batch_for(lane, output);
  if (!b || !batch_add(b, output)) return false;
  lane->stream->held_bytes += output->body.len;
  if (b->hollow && output->last) one_less_missing(lane, b);
  lane_offer(lane, false);
  return true;
}

void lane_record_passed(struct lane *lane, uint64_t sequence) {
  struct batch *b = hollow_for(lane, sequence);
  if (!b) return;
  one_less_missing(lane, b);
  lane_offer(lane, false);
}

void lane_due(struct lane *lane) {
  if (lane->state == LANE_BACKOFF) lane->state = LANE_IDLE;
  lane->patient = false;
  lane_offer(lane, true);
  delivery_send_ready(lane->stream);
}

void lane_next(struct lane *lane) {
  struct stream *s = lane->stream;
  lane->state = LANE_IDLE;
  if (list_empty(&lane->batches)) {
    if (single(s)) lane_free(lane);
    return;
  }
  lane_offer(lane, !s->jobs);
}

static void drop(struct lane *lane) {
  struct list *link;
  heap_remove(&lane->stream->courier->lane_timers, &lane->timer);
  list_remove(&lane->ready_link);
  while ((link = list_pop(&lane->batches))) batch_free(list_item(link, struct batch, link));
  mem_free(lane);
}

void lane_free(struct lane *lane) {
  struct stream *s = lane->stream;
  if (single(s)) map_remove(&s->by_endpoint, lane->key);
  else s->lanes[lane->key] = NULL;
  drop(lane);
}

struct lane *lane_each(struct stream *s, size_t *i) {
  if (single(s)) return map_each(&s->by_endpoint, i);
  while (*i < LIMIT_IN_FLIGHT)
    if (s->lanes[(*i)++]) return s->lanes[*i - 1];
  return NULL;
}

void lanes_flush(struct stream *s) {
  if (!s->flush_wanted || (s->jobs && courier_now_ms() - s->flush_since_ms < PATIENCE_MS)) return;
  s->flush_wanted = false;
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) lane_offer(lane, true);
}

void lanes_release(struct stream *s, bool all) {
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) {
    if (lane->state != LANE_BACKOFF || (lane->patient && !all)) continue;
    heap_remove(&s->courier->lane_timers, &lane->timer);
    lane->state = LANE_IDLE;
    lane_offer(lane, true);
  }
}

static void read_items_again(struct stream *s, const struct batch *b) {
  for (uint32_t i = 0; i < b->count; i++)
    if (b->items[i].last) stream_again(s, b->items[i].ordinal);
  s->held_bytes -= b->body_bytes;
}

// What has not been tried is dropped, what waits for its next attempt turns hollow; what is out stays.
static void shed(struct lane *lane) {
  struct stream *s = lane->stream;
  struct list *next, *link = lane->batches.next;
  if (lane->state == LANE_SENDING) link = link->next;
  for (; link != &lane->batches; link = next) {
    struct batch *b = list_item(link, struct batch, link);
    next = link->next;
    read_items_again(s, b);
    if (b->attempt || b->hollow) {
      s->hollow += !b->hollow;
      batch_hollow(b);
    } else {
      list_remove(&b->link);
      batch_free(b);
    }
  }
  if (lane->state != LANE_READY) return;
  list_remove(&lane->ready_link);
  lane->state = LANE_IDLE;
}

void lanes_shed(struct stream *s) {
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) shed(lane);
}

void lanes_free(struct stream *s) {
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) drop(lane);
  map_fini(&s->by_endpoint);
  memset(s->lanes, 0, sizeof s->lanes);
  list_init(&s->ready_lanes);
  s->hollow = 0;
  s->held_bytes = 0;
}
