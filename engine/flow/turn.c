// turn.c - what a courier does in a turn of its loop: routes new blocks, feeds streams, lets lanes send, minds its timers.
#include "base/clock.h"
#include "base/log.h"
#include "flow/courier_parts.h"

#include <inttypes.h>

enum {
  TICK_US = 5000,
  STAGE_STILL_TICKS = 4,
};

uint64_t courier_now_ms(void) {
  return clock_mono_ms();
}

// ---- timers ----

static uint64_t first_due(const struct courier *c) {
  const struct heap_node *lane = heap_first(&c->lane_timers), *breaker = heap_first(&c->breaker_timers);
  uint64_t due = lane ? lane->due : UINT64_MAX;
  return breaker && breaker->due < due ? breaker->due : due;
}

static void arm(struct courier *c) {
  uint64_t due = first_due(c), now = courier_now_ms();
  if (due == UINT64_MAX) return;
  loop_timer_start(c->loop, &c->timer, due > now ? (due - now) * 1000 : 0);
}

bool courier_set_timer(struct courier *c, struct heap *timers, struct heap_node *node, uint64_t due_ms) {
  if (!heap_set(timers, node, due_ms)) return false;
  if (first_due(c) == due_ms) arm(c);
  return true;
}

void turn_timers_due(struct loop_timer *timer) {
  struct courier *c = (struct courier *)((char *)timer - offsetof(struct courier, timer));
  uint64_t now = c->turn_ms = courier_now_ms();
  struct heap_node *node;
  while ((node = heap_first(&c->breaker_timers)) && node->due <= now) {
    heap_remove(&c->breaker_timers, node);
    stream_breaker_due((struct stream *)((char *)node - offsetof(struct stream, breaker)));
  }
  while ((node = heap_first(&c->lane_timers)) && node->due <= now) {
    heap_remove(&c->lane_timers, node);
    lane_due((struct lane *)((char *)node - offsetof(struct lane, timer)));
  }
  arm(c);
}

// ---- routing ----

struct routing {
  struct courier *courier;
  const struct journal_block *block;
  uint32_t number; // in the stage
};

static void matched(struct router_entry *entry, uint32_t records, void *arg) {
  const struct routing *r = arg;
  struct stream *s = (struct stream *)((char *)entry - offsetof(struct stream, route));
  if (r->block->first >= s->counted) status_add(&s->status->matched, records);
  if (s->line.lost) return; // it comes by itself
  if (s->caught_up && !s->window.count) // nothing has waited until now
    atomic_store(&s->status->settled_ms, r->block->rows[0].received_ms);
  if (s->caught_up && s->next < r->block->first) s->next = r->block->first;
  s->caught_up = false;
  stage_hint(&r->courier->stage, &s->line, r->number);
  if (feed_blocked(s)) feed_fall_behind(s);
  else stream_wake(s);
}

static void match_ahead(struct router_entry *const *entries, size_t count, void *arg) {
  (void)arg;
  struct stream *streams[ROUTER_AHEAD];
  for (size_t i = 0; i < count; i++) streams[i] = (struct stream *)((char *)entries[i] - offsetof(struct stream, route));
  ahead_of_matching(streams, count);
}

// Damage has taken records below `end` that were not routed yet. Whose they were is not known: it concerns all streams in line that
// have not read so far. The others find it themselves.
static void tell_lost(struct courier *c, uint64_t end, uint64_t lost) {
  if (!lost) return;
  log_warn("doing=route error=\"damaged block\" records=%" PRIu64 " before=%" PRIu64, lost, end);
  for (struct list *link = c->all.next; link != &c->all; link = link->next) {
    struct stream *s = list_item(link, struct stream, all_link);
    if (!s->line.lost && s->next < end && !stream_stopped(s)) feed_tell_lost(s, lost);
  }
}

static void route_block(struct courier *c, struct journal_block *block) {
  struct routing routing = {c, block, stage_push(&c->stage, block)};
  tell_lost(c, block->end, block->end - block->first - block->count); // rows of frames that could not be read
  c->routed = block->end;
  router_match(&c->router, block, &(struct router_visit){match_ahead, matched, &routing});
  stage_trim(&c->stage);
}

static void route_fetched(struct journal_fetch *fetch) {
  struct courier *c = (struct courier *)((char *)fetch - offsetof(struct courier, route_fetch));
  c->route_fetching = false;
  shared_blocks_put(c->options.blocks, fetch->sequence, fetch->block);
  uint64_t missing = fetch->block ? fetch->block->end - fetch->block->first - fetch->block->count : 0; // told with the block
  if (fetch->sequence >= journal_first(c->options.journal)) // else retention has taken them
    tell_lost(c, fetch->block ? fetch->block->first : fetch->next, fetch->lost - missing);
  if (fetch->block) route_block(c, fetch->block);
  else c->routed = fetch->next;
  journal_block_unref(fetch->block);
  turn_route(c);
}

// The next block: from memory, or from disk, which one courier reads for all. NULL: it comes later, or not at all.
static struct journal_block *next_to_route(struct courier *c) {
  struct journal *j = c->options.journal;
  struct journal_block *block = journal_recent(j, c->routed);
  if (block) return block;
  enum shared_answer answer = shared_blocks_get(c->options.blocks, c->routed, c->loop, &c->listener.task, &block);
  if (answer != SHARED_READ) return block;
  c->route_fetching = true;
  c->route_fetch = (struct journal_fetch){.loop = c->loop, .sequence = c->routed, .organisation = JOURNAL_ALL, .done = route_fetched};
  journal_fetch(j, &c->route_fetch);
  return NULL;
}

// While nobody asks it need not be told of new blocks.
void turn_skip(struct courier *c) {
  if (!c->open) return;
  bool nobody = list_empty(&c->all);
  if (atomic_load_explicit(&c->listener.off, memory_order_relaxed) != nobody) atomic_store(&c->listener.off, nobody);
  if (nobody) c->routed = journal_head(c->options.journal);
}

void turn_route(struct courier *c) {
  stage_trim(&c->stage);
  turn_skip(c);
  while (c->open && !c->route_fetching && c->routed < journal_head(c->options.journal) && stage_room(&c->stage)) {
    struct journal_block *block = next_to_route(c);
    if (!block) return;
    route_block(c, block);
    journal_block_unref(block);
  }
}

// The stage is full and nobody has read on for a while: those who wait for its first block are slower than all others.
static void leave_laggards_behind(struct courier *c) {
  bool still = !stage_room(&c->stage) && c->stage.moves == c->stage_moves;
  c->stage_moves = c->stage.moves;
  c->stage_still = still ? c->stage_still + 1 : 0;
  if (c->stage_still < STAGE_STILL_TICKS) return;
  c->stage_still = 0;
  for (struct list *link = c->all.next; link != &c->all; link = link->next) {
    struct stream *s = list_item(link, struct stream, all_link);
    if (stage_waits_for_first(&c->stage, &s->line)) feed_fall_behind(s);
  }
}

void turn_new_blocks(struct loop_task *task) {
  struct journal_listener *listener = (struct journal_listener *)((char *)task - offsetof(struct journal_listener, task));
  turn_route((struct courier *)((char *)listener - offsetof(struct courier, listener)));
}

// ---- a turn ----

// When batches fill the memory they may have, streams that can't deliver now keep only their ranges.
static void shed_idle(struct courier *c) {
  if (!budget_exhausted(c->options.budget)) return;
  for (struct list *link = c->all.next; link != &c->all; link = link->next) {
    struct stream *s = list_item(link, struct stream, all_link);
    bool waits = s->breaker_open || (s->failures && !s->sending);
    if (waits && s->held_bytes) stream_shed(s);
  }
}

static void look_ahead(const struct list *turn) {
  struct stream *streams[AHEAD_STREAMS];
  size_t count = 0;
  for (struct list *link = turn->next; link != turn && count < AHEAD_STREAMS; link = link->next)
    streams[count++] = list_item(link, struct stream, ready_link);
  ahead_of_feeding(streams, count);
}

static void feed_ready(struct courier *c) {
  struct list turn, *link;
  list_move(&c->ready, &turn); // those that wake others or themselves come in the next turn
  while (!list_empty(&turn)) {
    look_ahead(&turn);
    for (unsigned n = AHEAD_STREAMS; n && (link = list_pop(&turn)); n--) feed_stream(list_item(link, struct stream, ready_link));
  }
  for (unsigned i = 0; i < pool_places(c->options.pool); i++) feed_commit(c, i);
}

void turn_tick(struct loop_timer *timer) {
  struct courier *c = (struct courier *)((char *)timer - offsetof(struct courier, ticker));
  c->ticking = false;
  sending_tick(c, TICK_US);
  leave_laggards_behind(c);
}

// As many of those that wait as there is room for jobs.
static void end_starving(struct courier *c) {
  for (unsigned i = 0; i < pool_places(c->options.pool); i++) {
    struct courier_worker *w = &c->workers[i];
    struct list *link;
    for (uint32_t n = w->jobs; !w->full && n < COURIER_WORKER_JOBS && (link = list_pop(&w->starved)); n++)
      list_push_back(&c->ready, link);
  }
}

void turn_end(void *arg) {
  struct courier *c = arg;
  if (c->draining) return;
  c->turn_ms = courier_now_ms();
  turn_route(c);
  end_starving(c);
  if (!list_empty(&c->ready)) {
    shed_idle(c);
    feed_ready(c);
    turn_route(c);
  }
  sending_turn(c);
  if (!list_empty(&c->ready) || !list_empty(&c->senders)) loop_post(c->loop, &c->another_turn);
  bool waits = !list_empty(&c->parked_senders) || !stage_room(&c->stage);
  if (waits && !c->ticking) c->ticking = loop_timer_start(c->loop, &c->ticker, TICK_US);
}

void turn_another(struct loop_task *task) {
  (void)task; // that it was posted is enough: the loop does not sleep
}

void turn_ring_room(struct pool_client *client, unsigned worker, void *arg) {
  (void)client;
  struct courier *c = arg;
  c->workers[worker].full = false;
  list_join(&c->ready, &c->workers[worker].starved);
}
