// courier.c - the thread: blocks routed to streams, streams fed in turn, timers, orders from the API.
#include "flow/courier.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
  EXPIRE_WAIT_S = 5,
  SMALL_REQUESTS = 1500, // a second
  TICK_US = 5000,
  STAGE_STILL_TICKS = 4,
  REPLAY_RECORDS = 1 << 20, // streams further behind at start read on their own
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

void courier_set_timer(struct courier *c, struct heap *timers, struct heap_node *node, uint64_t due_ms) {
  if (!heap_set(timers, node, due_ms)) log_error("courier doing=timer error=\"out of memory\"");
  if (first_due(c) == due_ms) arm(c);
}

static void timers_due(struct loop_timer *timer) {
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

static void route_block(struct courier *c, struct journal_block *block) {
  struct routing routing = {c, block, stage_push(&c->stage, block)};
  c->routed = block->end;
  router_match(&c->router, block, matched, &routing);
  stage_trim(&c->stage);
}

static void route(struct courier *c);

static void route_fetched(struct journal_fetch *fetch) {
  struct courier *c = (struct courier *)((char *)fetch - offsetof(struct courier, route_fetch));
  c->route_fetching = false;
  shared_blocks_put(c->options.blocks, fetch->sequence, fetch->block);
  if (fetch->block) route_block(c, fetch->block);
  else c->routed = fetch->next;
  journal_block_unref(fetch->block);
  route(c);
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

static void route(struct courier *c) {
  stage_trim(&c->stage);
  if (c->open && list_empty(&c->all)) c->routed = journal_head(c->options.journal); // nobody asks
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

static void new_blocks(struct loop_task *task) {
  struct journal_listener *listener = (struct journal_listener *)((char *)task - offsetof(struct journal_listener, task));
  route((struct courier *)((char *)listener - offsetof(struct courier, listener)));
}

// ---- a turn ----

// When batches fill the memory they may have, streams that can't deliver now keep only their ranges.
static void shed_idle(struct courier *c) {
  if (!budget_exhausted(c->options.budget)) return;
  for (struct list *link = c->all.next; link != &c->all; link = link->next) {
    struct stream *s = list_item(link, struct stream, all_link);
    if (s->breaker_open && s->held_bytes) stream_shed(s);
  }
}

static void feed_ready(struct courier *c) {
  struct list turn, *link;
  list_move(&c->ready, &turn); // those that wake others or themselves come in the next turn
  while ((link = list_pop(&turn))) feed_stream(list_item(link, struct stream, ready_link));
}

static void send_ready(struct courier *c) {
  struct list turn, *link;
  list_move(&c->senders, &turn);
  while ((link = list_pop(&turn))) {
    struct stream *s = list_item(link, struct stream, send_link);
    s->send_parked = !delivery_send_ready(s);
    if (s->send_parked) list_push_back(&c->parked_senders, &s->send_link);
  }
}

static void unpark(struct courier *c) { // those parked longest first, as many as there will be an allowance for
  struct list *link;
  for (unsigned n = SMALL_REQUESTS / (1000000 / TICK_US) + 1; n && (link = list_pop(&c->parked_senders)); n--)
    list_push_back(&c->senders, link);
}

static void tick(struct loop_timer *timer) {
  struct courier *c = (struct courier *)((char *)timer - offsetof(struct courier, ticker));
  c->ticking = false;
  unpark(c);
  leave_laggards_behind(c);
}

// As many of those that wait as there is room for jobs.
static void end_starving(struct courier *c) {
  for (unsigned i = 0; i < pool_workers(c->options.pool); i++) {
    struct courier_worker *w = &c->workers[i];
    struct list *link;
    for (uint32_t n = w->jobs; !w->full && n < COURIER_WORKER_JOBS && (link = list_pop(&w->starved)); n++)
      list_push_back(&c->ready, link);
  }
}

static void turn_end(void *arg) {
  struct courier *c = arg;
  if (c->draining) return;
  c->turn_ms = courier_now_ms();
  route(c);
  end_starving(c);
  if (!list_empty(&c->ready)) {
    shed_idle(c);
    feed_ready(c);
    route(c);
  }
  if (!list_empty(&c->senders)) send_ready(c);
  if (!list_empty(&c->ready) || !list_empty(&c->senders)) loop_post(c->loop, &c->another_turn);
  bool waits = !list_empty(&c->parked_senders) || !stage_room(&c->stage);
  if (waits && !c->ticking) c->ticking = loop_timer_start(c->loop, &c->ticker, TICK_US);
}

static void nothing(struct loop_task *task) {
  (void)task; // that it was posted is enough: the loop does not sleep
}

static void ring_room(struct pool_client *client, unsigned worker, void *arg) {
  (void)client;
  struct courier *c = arg;
  c->workers[worker].full = false;
  list_join(&c->ready, &c->workers[worker].starved);
}

// ---- orders ----

static uint64_t hash_id(const char *id) {
  return hash_bytes(id, strlen(id), 0);
}

struct stream *courier_stream(const struct courier *c, const char *id) {
  return map_get(&c->streams, hash_id(id));
}

// Before the courier opens, what its streams have not read is routed again for all of them at once.
static void join_line(struct stream *s) {
  struct courier *c = s->courier;
  uint64_t head = journal_head(c->options.journal), oldest = head > REPLAY_RECORDS ? head - REPLAY_RECORDS : 0;
  if (!c->open && s->next >= oldest && s->next < c->routed) c->routed = s->next;
  s->line.lost = s->next < c->routed;
  s->caught_up = !s->line.lost;
}

static bool restore(struct stream *s, struct err *err) {
  struct courier *c = s->courier;
  const char *id = s->outfit->definition->id;
  size_t len, used;
  char *saved = store_get(c->options.store, STORE_POSITIONS, slice_of(id), &len);
  size_t counts = (STATUS_COUNTS + 1) * sizeof(int64_t);
  bool ok = true;
  if (saved) {
    uint64_t position = 0;
    ok = len > counts && status_restore(s->status, slice_make(saved, counts)) &&
         window_restore(&s->window, slice_make(saved + counts, len - counts), &position, &used);
    s->next = position;
  }
  mem_free(saved);
  if (!ok) return err_set(err, "the saved position of stream %s is damaged", id);
  s->counted = journal_head(c->options.journal);
  if (s->next > s->counted) { // or all that comes until then would pass for settled
    log_warn("stream=%s doing=start error=\"its position %" PRIu64 " is behind the journal's end %" PRIu64 ": it goes on from there\"", id,
             s->next, s->counted);
    s->next = s->counted;
    window_fini(&s->window);
  }
  join_line(s);
  if (s->next < s->counted) {
    uint64_t behind = journal_count(c->options.journal, s->outfit->definition->organisation, s->outfit->definition->kinds, s->next);
    atomic_store(&s->status->matched, behind);
    atomic_store(&s->status->settled_ms, clock_ms());
  }
  s->letters_kept = store_count(c->options.store, STORE_DEAD, slice_make(id, strlen(id) + 1));
  return true;
}

static bool add(struct courier *c, struct courier_command *command) {
  struct stream *s = stream_new(c, command->definition, command->status, &command->err);
  if (!s) return false;
  if (!restore(s, &command->err)) {
    stream_remove(s);
    return false;
  }
  if (!map_put(&c->streams, hash_id(command->definition->id), s) || !router_add(&c->router, &s->route)) {
    map_remove(&c->streams, hash_id(command->definition->id));
    stream_remove(s);
    return err_set(&command->err, "out of memory");
  }
  list_push_back(&c->all, &s->all_link);
  bool delivered_before = atomic_load(&s->status->last_delivery_ms) != 0;
  stream_enter(s, !s->outfit->definition->active ? STREAM_INACTIVE : delivered_before ? STREAM_LIVE : STREAM_PENDING, NULL);
  stream_wake(s);
  return true;
}

static bool carry_out(struct courier *c, struct courier_command *command) {
  if (command->order == COURIER_ADD) return add(c, command);
  if (command->order == COURIER_OPEN) {
    c->open = true;
    route(c);
    return true;
  }
  struct stream *s = courier_stream(c, command->definition->id);
  if (!s) return err_set(&command->err, "no such stream");
  if (command->order == COURIER_CHANGE) {
    if (!stream_redefine(s, command->definition, &command->err)) return false;
    if (command->resume && command->definition->active) stream_resume(s);
    return true;
  }
  atomic_store(&s->status->unsettled_read, s->window.count);
  command->undelivered = status_lag(s->status);
  map_remove(&c->streams, hash_id(command->definition->id));
  router_remove(&c->router, &s->route);
  stream_remove(s);
  return true;
}

static void reply(struct loop_task *task) {
  struct courier_command *command = (struct courier_command *)((char *)task - offsetof(struct courier_command, task));
  command->done(command);
}

static void obey(struct loop_task *task) {
  struct courier_command *command = (struct courier_command *)((char *)task - offsetof(struct courier_command, task));
  command->ok = carry_out(command->courier, command);
  command->task.run = reply;
  loop_post(command->reply, &command->task);
}

void courier_command(struct courier *courier, struct courier_command *command) {
  command->courier = courier;
  command->task.run = obey;
  loop_post(courier->loop, &command->task);
}

// ---- retention ----

struct expiry {
  struct courier *courier;
  uint64_t first_kept;
  struct loop_task task;
  atomic_uint refs; // the one who waits, and the task
  sem_t counted;
};

static void expiry_unref(struct expiry *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  sem_destroy(&e->counted);
  mem_free(e);
}

static void expire_stream(struct stream *s, uint64_t first_kept) {
  struct journal *j = s->courier->options.journal;
  const struct definition *d = s->outfit->definition;
  if (s->caught_up || s->next >= first_kept) return;
  uint64_t from = journal_count(j, d->organisation, d->kinds, s->next), kept = journal_count(j, d->organisation, d->kinds, first_kept);
  uint64_t gone = from > kept ? from - kept : 0;
  if (gone) log_warn("stream=%s doing=expire records=%" PRIu64 " reason=\"not delivered within the journal's retention\"", d->id, gone);
  status_count(s->status, COUNT_EXPIRED, gone);
  status_add(&s->status->read, gone);
  s->next = first_kept;
  saver_touch(s);
}

static void expire(struct loop_task *task) {
  struct expiry *e = (struct expiry *)((char *)task - offsetof(struct expiry, task));
  for (struct list *link = e->courier->all.next; link != &e->courier->all; link = link->next)
    expire_stream(list_item(link, struct stream, all_link), e->first_kept);
  sem_post(&e->counted);
  expiry_unref(e);
}

void courier_expire(struct courier *courier, uint64_t first_kept) {
  struct expiry *e = mem_zero(1, sizeof *e);
  struct timespec until;
  if (!e) return; // out of memory: the records go uncounted, as they must go
  e->courier = courier;
  e->first_kept = first_kept;
  e->task.run = expire;
  atomic_init(&e->refs, 2);
  sem_init(&e->counted, 0, 0);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += EXPIRE_WAIT_S;
  loop_post(courier->loop, &e->task);
  while (sem_timedwait(&e->counted, &until) != 0 && errno == EINTR) {}
  expiry_unref(e);
}

// ---- life ----

static bool make_parts(struct courier *c, struct err *err) {
  const struct pool_client_events events = {.room = ring_room, .arg = c};
  c->loop = loop_new(err);
  if (!c->loop) return false;
  c->saver = saver_new(c, err);
  c->runner = sink_runner_new(err);
  c->http = http_client_new(c->loop, c->options.egress, err);
  c->client = pool_client_new(c->options.pool, c->loop, &events, err);
  return c->saver && c->runner && c->http && c->client;
}

struct courier *courier_new(const struct courier_options *options, struct err *err) {
  unsigned workers = pool_workers(options->pool);
  struct courier *c = mem_zero(1, sizeof *c);
  if (c) c->workers = mem_zero(workers, sizeof *c->workers);
  if (!c || !c->workers) {
    mem_free(c);
    err_set(err, "out of memory");
    return NULL;
  }
  c->options = *options;
  c->fetch_slots = COURIER_FETCHES;
  c->timer.run = timers_due;
  c->ticker.run = tick;
  c->small_requests = (struct allowance){.per_second = SMALL_REQUESTS, .burst = SMALL_REQUESTS / 20};
  c->another_turn.run = nothing;
  list_init(&c->all);
  list_init(&c->ready);
  list_init(&c->senders);
  list_init(&c->parked_senders);
  list_init(&c->unfetched);
  for (unsigned i = 0; i < workers; i++) list_init(&c->workers[i].starved);
  if (!make_parts(c, err)) {
    courier_free(c);
    return NULL;
  }
  c->routed = journal_head(options->journal);
  c->listener = (struct journal_listener){.loop = c->loop, .task = {.run = new_blocks}};
  journal_listen(options->journal, &c->listener);
  loop_set_turn_end(c->loop, turn_end, c);
  return c;
}

static void *run(void *arg) {
  struct courier *c = arg;
  char name[16];
  snprintf(name, sizeof name, "courier-%u", c->options.index % 1000);
  pthread_setname_np(pthread_self(), name);
  loop_run(c->loop);
  return NULL;
}

bool courier_start(struct courier *c, struct err *err) {
  if (pthread_create(&c->thread, NULL, run, c) != 0) return err_set(err, "can't start a thread");
  c->started = true;
  return true;
}

struct stopping {
  struct courier *courier;
  struct loop_task task;
  struct loop_timer timer;
  uint64_t deadline_ms;
};

static bool requests_out(const struct courier *c) {
  for (const struct list *link = c->all.next; link != &c->all; link = link->next)
    if (list_item(link, struct stream, all_link)->sending) return true;
  return false;
}

static void drain(struct loop_timer *timer) {
  struct stopping *stopping = (struct stopping *)((char *)timer - offsetof(struct stopping, timer));
  struct courier *c = stopping->courier;
  bool late = courier_now_ms() >= stopping->deadline_ms;
  if (!requests_out(c)) saver_flush(c->saver);
  if (late || (!requests_out(c) && saver_idle(c->saver))) loop_stop(c->loop);
  else loop_timer_start(c->loop, timer, 5000);
}

static void begin_drain(struct loop_task *task) {
  struct stopping *stopping = (struct stopping *)((char *)task - offsetof(struct stopping, task));
  stopping->courier->draining = true;
  stopping->timer.run = drain;
  drain(&stopping->timer);
}

void courier_stop(struct courier *c, uint32_t drain_ms) {
  if (!c->started) return;
  struct stopping stopping = {.courier = c, .task = {.run = begin_drain}, .deadline_ms = courier_now_ms() + drain_ms};
  loop_post(c->loop, &stopping.task);
  pthread_join(c->thread, NULL);
  loop_timer_fini(&stopping.timer);
  c->started = false;
}

void courier_free(struct courier *c) {
  if (!c) return;
  struct list *link;
  while ((link = list_first(&c->all))) {
    struct stream *s = list_item(link, struct stream, all_link);
    s->jobs = s->letters = 0; // what is under way ends with the parts below
    s->fetching = false;
    stream_remove(s);
  }
  pool_client_free(c->client);
  http_client_free(c->http);
  sink_runner_free(c->runner);
  saver_free(c->saver);
  router_fini(&c->router);
  map_fini(&c->streams);
  heap_fini(&c->lane_timers);
  heap_fini(&c->breaker_timers);
  loop_timer_fini(&c->timer);
  loop_timer_fini(&c->ticker);
  stage_clear(&c->stage);
  harvest_free_spares(c->spare_jobs);
  harvest_free_spares(c->spare_small_jobs);
  delivery_free_spares(c);
  loop_free(c->loop);
  mem_free(c->workers);
  mem_free(c);
}
