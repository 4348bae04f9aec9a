// lane.c - the orders of delivery of a stream: which batch an output joins, and which lane may send next.
//
// A lane has at most one request out, and all that is under way of one endpoint is in one lane, so records of an endpoint never
// overtake each other. Endpoints fall into buckets by hash, and buckets to lanes; but while a stream has little to send, a bucket with
// nothing under way goes to whatever lane is filling, so that it makes few, fuller requests. With one record a request each endpoint is a lane of its own, made when
// it has something and freed when it has not.
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/prefetch.h"
#include "flow/courier_parts.h"

enum { EAGER_BYTES = 64 << 10, PATIENCE_MS = 15 }; // while jobs are under way a batch fills up to this, or for so long

struct lane_table {
  struct lane_bucket {
    uint32_t records : 24; // under way; also those a hollow batch waits for
    uint32_t lane : 8;     // where they are
  } buckets[LANE_BUCKETS];
  uint32_t lane_count;
  struct lane *lanes[]; // made when first needed
};

_Static_assert(LIMIT_WINDOW_RECORDS < 1 << 24, "");

static const uint64_t NO_ENDPOINT = (uint64_t)1 << 63;

static bool single(const struct stream *s) {
  return s->outfit->limits.records == 1;
}

// What has no endpoint has no order to keep.
static uint64_t key_of(const struct harvest_item *item) {
  return item->endpoint ? (uint64_t)item->endpoint : item->sequence | NO_ENDPOINT;
}

static uint8_t bucket_of(const struct harvest_item *item) {
  return (uint8_t)(hash_u64(key_of(item)) % LANE_BUCKETS);
}

static struct lane_table *table_new(uint32_t lanes) {
  struct lane_table *table = mem_zero(1, sizeof *table + lanes * sizeof table->lanes[0]);
  if (table) table->lane_count = lanes;
  return table;
}

static struct lane *lane_new(struct stream *s, uint64_t key) {
  struct lane *lane = mem_zero(1, sizeof *lane);
  if (!lane) return NULL;
  lane->stream = s;
  lane->key = key;
  list_init(&lane->batches);
  if (!single(s)) s->table->lanes[key] = lane;
  else if (!map_put(&s->by_endpoint, key, lane)) {
    mem_free(lane);
    return NULL;
  }
  return lane;
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

// Whether a further output may wait in this lane without waiting for an answer first.
static bool filling(const struct stream *s, const struct lane *lane) {
  const struct batch *b = tail_of(lane);
  if (!b || b->sealed || b->hollow || b->attempt || full(b, &s->outfit->limits, 1)) return false;
  bool all_out = s->sending >= s->outfit->definition->in_flight;
  return lane->state == LANE_IDLE || lane->state == LANE_READY || (lane->state == LANE_SENDING && all_out);
}

// The lane for a bucket with nothing under way. With much to send: its own, so that one batch that fails holds up a share of the
// endpoints only. With little: the one that fills, else one at rest, else the one with the least to do.
static struct lane *pick(struct stream *s, uint8_t bucket) {
  struct lane *best = NULL;
  uint32_t own = bucket % s->outfit->definition->in_flight;
  if (s->spread) return s->table->lanes[own] ? s->table->lanes[own] : lane_new(s, own);
  if (s->filling && filling(s, s->filling)) return s->filling;
  for (uint32_t i = 0; i < s->outfit->definition->in_flight; i++) {
    struct lane *lane = s->table->lanes[i];
    if (!lane) {
      lane = lane_new(s, i);
      if (lane) best = lane;
      break;
    }
    if (lane->state == LANE_IDLE && list_empty(&lane->batches)) {
      best = lane;
      break;
    }
    bool waits = lane->state == LANE_BACKOFF;
    if (!best || (waits == (best->state == LANE_BACKOFF) ? lane->held_bytes < best->held_bytes : !waits)) best = lane;
  }
  return s->filling = best;
}

// The lane where records of this bucket are under way, or NULL.
static struct lane *lane_at(const struct stream *s, uint8_t bucket) {
  return s->table && s->table->buckets[bucket].records ? s->table->lanes[s->table->buckets[bucket].lane] : NULL;
}

static struct lane *lane_for(struct stream *s, const struct harvest_item *item, bool *joins) {
  struct lane *lane = single(s) ? map_get(&s->by_endpoint, key_of(item)) : lane_at(s, bucket_of(item));
  *joins = lane != NULL;
  if (lane) return lane;
  if (single(s)) return lane_new(s, key_of(item));
  if (!s->table && !(s->table = table_new(s->outfit->definition->in_flight))) return NULL;
  return pick(s, bucket_of(item));
}

void lane_ahead(const struct stream *s, const struct harvest_item *item) {
  if (s->table) prefetch(&s->table->buckets[bucket_of(item)], 1);
  prefetch(s->filling, sizeof *s->filling);
}

void lane_leave(struct stream *s, const struct batch_item *item) {
  if (item->last && !single(s) && s->table->buckets[item->bucket].records) s->table->buckets[item->bucket].records--;
}

void lane_lighten(struct lane *lane, uint32_t bytes) {
  lane->held_bytes -= bytes;
  lane->stream->held_bytes -= bytes;
}

// The hollow batch that waits for this sequence; it is the lane's first, for what comes behind is not kept hollow.
static struct batch *hollow_for(const struct lane *lane, uint64_t sequence) {
  struct batch *b = head_of(lane);
  return b && b->hollow && sequence <= b->last ? b : NULL;
}

// An output that left with an earlier batch; not the last of its record, for with that the record is settled.
static bool went_before(const struct batch *hollow, const struct batch_output *output) {
  return !output->last && output->sequence == hollow->first && output->number < hollow->first_number;
}

static struct batch *batch_for(struct lane *lane, const struct batch_output *output) {
  struct stream *s = lane->stream;
  struct batch *b = tail_of(lane);
  if (b && !b->sealed && !b->hollow && !b->attempt && !full(b, &s->outfit->limits, output->body.len)) return b;
  b = batch_new(s->courier->options.budget, s->outfit->limits.framing, LIMIT_WINDOW_BYTES + LIMIT_RECORD_BYTES);
  if (b) list_push_back(&lane->batches, &b->link);
  return b;
}

// It goes with what has come, or leaves the lane when that is nothing.
static void end_hollow(struct lane *lane, struct batch *b) {
  b->missing = 0;
  b->hollow = false;
  lane->stream->hollow--;
  if (b->count) return;
  list_remove(&b->link);
  batch_free(b);
}

static void one_less_missing(struct lane *lane, struct batch *b) {
  if (!--b->missing) end_hollow(lane, b);
}

static bool may_go(const struct lane *lane) {
  const struct batch *b = head_of(lane);
  return lane->state == LANE_IDLE && b && b->count && !b->hollow;
}

static void make_ready(struct lane *lane) {
  lane->state = LANE_READY;
  list_push_back(&lane->stream->ready_lanes, &lane->ready_link);
}

static bool more_comes(const struct stream *s) {
  return s->jobs || stream_backlog(s) > LANE_FEW_RECORDS;
}

// Worth waiting for when a job has ended: where jobs of a few records overlap there is always one more.
static bool much_comes(const struct stream *s) {
  return s->records_out + stream_backlog(s) > LANE_FEW_RECORDS;
}

// A batch that would rather wait for more: for the time its sink sets, or while results are on their way.
static bool holds_back(struct lane *lane, const struct batch *b, bool in_haste) {
  struct stream *s = lane->stream;
  const struct sink_limits *limits = &s->outfit->limits;
  if (b->attempt || b->link.next != &lane->batches || full(b, limits, 1)) return false;
  uint64_t now = s->courier->turn_ms;
  if (limits->hold_ms) {
    uint64_t age = (uint64_t)(clock_ms() - b->begun_ms);
    if (age >= limits->hold_ms) return false;
    return courier_set_timer(s->courier, &s->courier->lane_timers, &lane->timer, now + limits->hold_ms - age);
  }
  if (in_haste || b->body_bytes >= EAGER_BYTES || !more_comes(s)) return false;
  if (!s->flush_wanted) s->flush_since_ms = now;
  s->flush_wanted = true;
  return now - s->flush_since_ms < PATIENCE_MS;
}

void lane_offer(struct lane *lane, bool in_haste) {
  if (may_go(lane) && !holds_back(lane, head_of(lane), in_haste)) make_ready(lane);
}

bool lane_small(const struct lane *lane) {
  const struct batch *b = head_of(lane);
  return b && !b->attempt && b->body_bytes < LANE_SMALL_BYTES && !full(b, &lane->stream->outfit->limits, 1);
}

void lane_expect(struct stream *s, uint64_t records) {
  s->spread = records > LANE_FEW_RECORDS || s->held_bytes >= LANE_SMALL_BYTES;
}

bool lane_put(struct stream *s, const struct harvest_item *item, struct batch_output *output) {
  bool joins;
  struct lane *lane = lane_for(s, item, &joins);
  struct batch *hollow = lane && joins ? hollow_for(lane, output->sequence) : NULL, *b = hollow;
  if (hollow && went_before(hollow, output)) return true;
  if (hollow && hollow->count && full(hollow, &s->outfit->limits, output->body.len)) { // a newer script makes more of its records
    end_hollow(lane, hollow);
    b = NULL;
  }
  if (b && !b->count) b->framing = s->outfit->limits.framing; // it may be another by now
  if (!b && lane) b = batch_for(lane, output);
  output->bucket = bucket_of(item);
  if (!b || !batch_add(b, output)) {
    if (!hollow && output->number && !single(s)) s->table->buckets[output->bucket].records--; // its first outputs are there, its last will not be
    return false;
  }
  if (!hollow && !output->number && !single(s)) {
    s->table->buckets[output->bucket].records++;
    s->table->buckets[output->bucket].lane = (uint8_t)lane->key;
  }
  lane->held_bytes += output->body.len;
  s->held_bytes += output->body.len;
  sending_gathered(s, output->body.len);
  if (b->hollow && output->last) one_less_missing(lane, b);
  lane_offer(lane, false);
  return true;
}

void lane_record_passed(struct stream *s, const struct harvest_item *item) {
  if (!s->hollow) return;
  struct lane *lane = single(s) ? map_get(&s->by_endpoint, key_of(item)) : lane_at(s, bucket_of(item));
  struct batch *b = lane ? hollow_for(lane, item->sequence) : NULL;
  if (!b) return;
  if (!single(s)) s->table->buckets[bucket_of(item)].records--;
  one_less_missing(lane, b);
  if (single(s) && list_empty(&lane->batches)) lane_free(lane);
  else lane_offer(lane, false);
}

void lanes_close_gaps(struct stream *s, bool all) {
  struct lane *lane;
  for (size_t i = 0; s->hollow && (lane = lane_each(s, &i));) {
    struct batch *b = head_of(lane);
    if (!b || !b->hollow || (!all && !b->count)) continue;
    end_hollow(lane, b);
    lane_offer(lane, true);
  }
}

void lane_due(struct lane *lane) {
  if (lane->state == LANE_BACKOFF) lane->state = LANE_IDLE;
  lane->patient = false;
  lane_offer(lane, true);
  delivery_offer(lane->stream);
}

void lane_next(struct lane *lane) {
  struct stream *s = lane->stream;
  lane->state = LANE_IDLE;
  if (s->table && !s->held_bytes && !s->hollow && !s->sending) memset(s->table->buckets, 0, sizeof s->table->buckets); // what was lost
  if (list_empty(&lane->batches)) {
    if (single(s)) lane_free(lane);
    return;
  }
  lane_offer(lane, !s->jobs);
}

static void drop(struct lane *lane) {
  if (lane->stream->filling == lane) lane->stream->filling = NULL;
  struct list *link;
  heap_remove(&lane->stream->courier->lane_timers, &lane->timer);
  list_remove(&lane->ready_link);
  while ((link = list_pop(&lane->batches))) batch_free(list_item(link, struct batch, link));
  mem_free(lane);
}

void lane_free(struct lane *lane) {
  struct stream *s = lane->stream;
  if (single(s)) map_remove(&s->by_endpoint, lane->key);
  else s->table->lanes[lane->key] = NULL;
  drop(lane);
}

struct lane *lane_each(struct stream *s, size_t *i) {
  if (single(s)) return map_each(&s->by_endpoint, i);
  while (s->table && *i < s->table->lane_count)
    if (s->table->lanes[(*i)++]) return s->table->lanes[*i - 1];
  return NULL;
}

// What waits on is sent in time even if nothing more comes: a job that is under way ends, and else there is a timer.
void lanes_flush(struct stream *s) {
  if (!s->flush_wanted) return;
  bool waits_on = much_comes(s) && s->courier->turn_ms - s->flush_since_ms < PATIENCE_MS;
  if (waits_on && s->jobs) return;
  if (!waits_on) s->flush_wanted = false;
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) {
    bool timed = waits_on && may_go(lane) &&
                 courier_set_timer(s->courier, &s->courier->lane_timers, &lane->timer, s->flush_since_ms + PATIENCE_MS);
    if (!timed) lane_offer(lane, true);
  }
}

void lanes_release(struct stream *s, bool all) {
  struct lane *lane;
  for (size_t i = 0; (lane = lane_each(s, &i));) {
    if (lane->state != LANE_BACKOFF || (lane->patient && !all)) continue;
    heap_remove(&s->courier->lane_timers, &lane->timer);
    lane->state = LANE_IDLE;
    lane_offer(lane, true);
  }
  delivery_offer(s);
}

static void read_items_again(struct stream *s, const struct batch *b) {
  for (uint32_t i = 0; i < b->count; i++)
    if (b->items[i].last) stream_again(s, b->items[i].ordinal);
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
    lane_lighten(lane, b->body_bytes);
    bool was_hollow = b->hollow;
    if (b->attempt && batch_hollow(b)) {
      s->hollow += !was_hollow;
    } else {
      for (uint32_t i = 0; i < b->count; i++) lane_leave(s, &b->items[i]);
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
  mem_free(s->table);
  s->table = NULL;
  s->filling = NULL;
  list_init(&s->ready_lanes);
  s->hollow = 0;
  s->held_bytes = 0;
}
