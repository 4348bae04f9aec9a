// courier.c - the thread: its parts, its streams, orders from the API, its end.
#include "flow/courier.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REPLAY_RECORDS = 1 << 20 }; // streams further behind at start read on their own

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
    bool traced = s->window.traced;
    window_fini(&s->window);
    s->window.traced = traced;
  }
  s->recall.back = true;
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
  turn_skip(c);
  struct stream *s = stream_new(c, command->definition, command->status, &command->err);
  if (!s) return false;
  s->alarm = command->alarm;
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
    turn_route(c);
    return true;
  }
  struct stream *s = courier_stream(c, command->definition->id);
  if (!s) return err_set(&command->err, "no such stream");
  if (command->order == COURIER_CHANGE) {
    if (!stream_redefine(s, command->definition, &command->err)) return false;
    if (command->redrive) redrive_begin(s);
    else if (command->resume && command->definition->active) stream_resume(s);
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

// ---- life ----

static bool make_parts(struct courier *c, struct err *err) {
  const struct pool_client_events events = {.room = turn_ring_room, .arg = c};
  c->loop = loop_new(err);
  if (!c->loop) return false;
  c->saver = saver_new(c, err);
  c->alerts = alerts_new(c, err);
  c->runner = sink_runner_new(err);
  c->http = http_client_new(c->loop, c->options.egress, err);
  c->client = pool_client_new(c->options.pool, c->loop, &events, err);
  return c->saver && c->alerts && c->runner && c->http && c->client;
}

struct courier *courier_new(const struct courier_options *options, struct err *err) {
  unsigned workers = pool_places(options->pool);
  struct courier *c = mem_zero(1, sizeof *c);
  if (c) c->workers = mem_zero(workers, sizeof *c->workers);
  if (!c || !c->workers) {
    mem_free(c);
    err_set(err, "out of memory");
    return NULL;
  }
  c->options = *options;
  c->fetch_slots = COURIER_FETCHES;
  c->timer.run = turn_timers_due;
  c->ticker.run = turn_tick;
  c->small_requests = (struct allowance){.per_second = SMALL_REQUESTS, .burst = SMALL_REQUESTS / 20};
  c->another_turn.run = turn_another;
  list_init(&c->all);
  list_init(&c->ready);
  list_init(&c->senders);
  list_init(&c->parked_senders);
  list_init(&c->unfetched);
  list_init(&c->probes);
  for (unsigned i = 0; i < workers; i++) list_init(&c->workers[i].starved);
  if (!make_parts(c, err)) {
    courier_free(c);
    return NULL;
  }
  c->routed = journal_head(options->journal);
  c->listener = (struct journal_listener){.loop = c->loop, .task = {.run = turn_new_blocks}};
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

static unsigned requests_out(const struct courier *c) {
  unsigned count = 0;
  for (const struct list *link = c->all.next; link != &c->all; link = link->next)
    count += list_item(link, struct stream, all_link)->sending;
  return count;
}

static void tell_drain(const struct stopping *stopping) {
  const struct courier *c = stopping->courier;
  uint64_t now = courier_now_ms(), left_ms = stopping->deadline_ms > now ? stopping->deadline_ms - now : 0;
  unsigned requests = requests_out(c);
  if (requests)
    log_info("courier=%u doing=drain requests=%u reason=\"draining, at most %" PRIu64 " s: %u request%s under way\"",
             c->options.index, requests, (left_ms + 999) / 1000, requests, requests == 1 ? "" : "s");
}

static void drain(struct loop_timer *timer) {
  struct stopping *stopping = (struct stopping *)((char *)timer - offsetof(struct stopping, timer));
  struct courier *c = stopping->courier;
  bool late = courier_now_ms() >= stopping->deadline_ms;
  if (!requests_out(c)) saver_flush(c->saver);
  if (late || (!requests_out(c) && saver_idle(c->saver) && alerts_idle(c->alerts))) loop_stop(c->loop);
  else loop_timer_start(c->loop, timer, 5000);
}

static void begin_drain(struct loop_task *task) {
  struct stopping *stopping = (struct stopping *)((char *)task - offsetof(struct stopping, task));
  stopping->courier->draining = true;
  tell_drain(stopping);
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
  alerts_free(c->alerts);
  while ((link = list_first(&c->all))) {
    struct stream *s = list_item(link, struct stream, all_link);
    s->jobs = s->letters = 0; // what is under way ends with the parts below
    s->fetching = false;
    stream_remove(s);
  }
  probes_end(c);
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
  harvest_free_jobs(c);
  delivery_free_spares(c);
  loop_free(c->loop);
  mem_free(c->workers);
  mem_free(c);
}
