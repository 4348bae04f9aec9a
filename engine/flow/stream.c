// stream.c - the life of a stream: states, success and failure, the breaker, memory given back, a new definition.
#include "flow/stream.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/hash.h"
#include "flow/courier_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t GIVE_UP_MS = 3 * 24 * 3600 * 1000LL;

// ---- outfits ----

struct outfit *outfit_ref(struct outfit *o) {
  o->refs++;
  return o;
}

void outfit_unref(struct outfit *o) {
  if (!o || --o->refs) return;
  sink_unbind(o->binding);
  definition_unref(o->definition);
  mem_free(o);
}

static struct outfit *outfit_new(struct courier *c, struct definition *definition, struct err *err) {
  struct outfit *o = mem_zero(1, sizeof *o);
  if (!o) return err_set(err, "out of memory"), NULL;
  o->refs = 1;
  o->binding = sink_bind(c->runner, definition->sink, definition->settings, err);
  if (!o->binding) {
    mem_free(o);
    return NULL;
  }
  definition_ref(definition);
  o->definition = definition;
  o->limits = *sink_binding_limits(o->binding);
  if (o->limits.bytes > LIMIT_WINDOW_BYTES) o->limits.bytes = LIMIT_WINDOW_BYTES; // more than that a stream never holds
  return o;
}

// ---- states ----

enum stream_state stream_state(const struct stream *s) {
  return atomic_load_explicit(&s->status->state, memory_order_relaxed);
}

static bool stops(enum stream_state state) {
  return state == STREAM_PAUSED || state == STREAM_ERROR || state == STREAM_INACTIVE;
}

bool stream_stopped(const struct stream *s) {
  return s->stopped;
}

void stream_enter(struct stream *s, enum stream_state state, const char *why) {
  enum stream_state was = stream_state(s);
  if (why) status_set_error(s->status, why);
  if (was == state) return;
  status_set_state(s->status, state);
  s->stopped = stops(state);
  if (stops(state) || stops(was))
    log_line(state == STREAM_PAUSED || state == STREAM_ERROR ? LOG_WARN : LOG_INFO, "stream=%s sink=%s doing=%s was=%s%s",
             s->outfit->definition->id, s->outfit->definition->sink->name, stream_state_name(state), stream_state_name(was),
             log_field("reason", why ? why : ""));
  if (stream_stopped(s)) {
    stream_shed(s);
    feed_fall_behind(s);
  }
}

static enum stream_state working_state(const struct stream *s) {
  return atomic_load(&s->status->last_delivery_ms) ? STREAM_LIVE : STREAM_PENDING;
}

static void close_breaker(struct stream *s) {
  s->breaker_open = false;
  heap_remove(&s->courier->breaker_timers, &s->breaker);
}

void stream_resume(struct stream *s) {
  s->failures = s->dead_in_row = s->script_failures = 0;
  s->first_failure_ms = 0;
  conduct_forgive_strikes(&s->conduct);
  close_breaker(s);
  status_set_error(s->status, NULL);
  stream_enter(s, working_state(s), NULL);
  lanes_release(s, true);
  stream_wake(s);
}

void stream_succeeded(struct stream *s, int http_status) {
  bool was_broken = s->failures >= BREAKER_FAILURES;
  if (s->failures || s->dead_in_row) status_set_error(s->status, NULL);
  s->failures = s->dead_in_row = 0;
  s->first_failure_ms = 0;
  s->last_success_ms = clock_ms();
  atomic_store(&s->status->last_http_status, http_status);
  atomic_store(&s->status->last_delivery_ms, s->last_success_ms);
  close_breaker(s);
  if (!stream_stopped(s)) stream_enter(s, STREAM_LIVE, NULL);
  if (was_broken) lanes_release(s, false);
}

void stream_failed(struct stream *s, const char *why, int http_status, uint64_t delay_ms) {
  int64_t now = clock_ms();
  if (!s->failures) s->first_failure_ms = now;
  s->failures++;
  if (http_status) atomic_store(&s->status->last_http_status, http_status);
  if (stream_stopped(s)) return;
  if (now - s->first_failure_ms >= GIVE_UP_MS) {
    stream_enter(s, STREAM_ERROR, why);
    return;
  }
  stream_enter(s, STREAM_RETRYING, why);
  if (s->failures < BREAKER_FAILURES) return;
  if (s->failures == BREAKER_FAILURES)
    log_warn("stream=%s sink=%s doing=retry failures=%u%s", s->outfit->definition->id, s->outfit->definition->sink->name,
             s->failures, log_field("error", why));
  s->breaker_open = courier_set_timer(s->courier, &s->courier->breaker_timers, &s->breaker, courier_now_ms() + delay_ms);
  feed_fall_behind(s);
  if (budget_exhausted(s->courier->options.budget)) stream_shed(s);
}

void stream_later(struct stream *s, uint64_t delay_ms) {
  if (s->breaker_open) return; // it waits already
  s->breaker_open = courier_set_timer(s->courier, &s->courier->breaker_timers, &s->breaker, courier_now_ms() + delay_ms);
  if (!s->breaker_open) stream_wake(s);
}

void stream_breaker_due(struct stream *s) {
  s->breaker_open = false;
  stream_wake(s);
  delivery_offer(s);
}

// ---- records ----

void stream_wake(struct stream *s) {
  if (!s->removed && !list_linked(&s->ready_link)) list_push_back(&s->courier->ready, &s->ready_link);
}

uint64_t stream_backlog(const struct stream *s) {
  uint64_t matched = atomic_load_explicit(&s->status->matched, memory_order_relaxed);
  uint64_t read = atomic_load_explicit(&s->status->read, memory_order_relaxed);
  return s->window.unread + (matched > read ? matched - read : 0);
}

void stream_settle(struct stream *s, uint64_t ordinal) {
  if (!window_holds(&s->window, ordinal)) return;
  if (s->alerts.count && alerts_hold(s, ordinal)) return;
  window_mark(&s->window, ordinal, WINDOW_SETTLED);
  atomic_store_explicit(&s->status->unsettled_read, s->window.count, memory_order_relaxed);
  saver_touch(s);
}

void stream_again(struct stream *s, uint64_t ordinal) {
  if (!window_holds(&s->window, ordinal) || window_at(&s->window, ordinal) != WINDOW_READ) return;
  window_mark(&s->window, ordinal, WINDOW_UNREAD);
  if (ordinal >= s->cursor) return;
  s->cursor = ordinal;
  s->recall.back = true;
}

// Results of jobs under way would overtake what is read again: they are read again as well.
void stream_stale_jobs(struct stream *s) {
  s->stale_jobs = s->jobs;
  s->epoch++;
  s->recall.back = true;
}

void stream_shed(struct stream *s) {
  stream_stale_jobs(s);
  lanes_shed(s);
  stream_wake(s);
}

// ---- beginning, change, end ----

struct stream *stream_new(struct courier *courier, struct definition *definition, struct status *status, struct err *err) {
  struct stream *s = mem_zero(1, sizeof *s);
  struct outfit *outfit = s ? outfit_new(courier, definition, err) : NULL;
  if (!outfit) {
    mem_free(s);
    err_set(err, "out of memory");
    return NULL;
  }
  s->courier = courier;
  s->outfit = outfit;
  s->worker = s->home =
      pool_join(courier->options.pool, definition->organisation, hash_bytes(definition->id, strlen(definition->id), 1));
  s->route = (struct router_entry){.organisation = definition->organisation, .kinds = definition->kinds};
  s->next = definition->start;
  s->line.lost = true; // until it has caught up
  s->log_lines = (struct allowance){.per_second = STREAM_LOG_LINES, .burst = 10 * STREAM_LOG_LINES};
  status_ref(status);
  s->status = status;
  list_init(&s->ready_lanes);
  list_init(&s->deliveries);
  return s;
}

static void forget_program(struct stream *s) {
  if (s->outfit->definition->program) pool_forget(s->courier->client, s->outfit->definition->program);
}

void stream_remove(struct stream *s) {
  delivery_cancel_all(s);
  s->removed = true;
  close_breaker(s);
  feed_fall_behind(s);
  lanes_free(s);
  stream_stale_jobs(s);
  list_remove(&s->ready_link);
  sending_leave(s);
  list_remove(&s->dirty_link);
  list_remove(&s->all_link);
  stream_rest(s);
}

void stream_rest(struct stream *s) {
  if (!s->removed || s->jobs || s->fetching || s->letters || s->alerts.count) return;
  forget_program(s);
  pool_leave(s->courier->options.pool, s->home);
  recall_fini(s);
  window_fini(&s->window);
  outfit_unref(s->outfit);
  outfit_unref(s->awaited);
  status_unref(s->status);
  redrive_forget(s);
  mem_free(s);
}

static bool same_lanes(const struct outfit *a, const struct outfit *b) {
  return a->definition->in_flight == b->definition->in_flight && (a->limits.records == 1) == (b->limits.records == 1);
}

static void take_over(struct stream *s, struct outfit *outfit) {
  stream_stale_jobs(s);
  if (same_lanes(s->outfit, outfit)) {
    lanes_shed(s);
  } else {
    lanes_free(s);
    window_unread_all(&s->window);
    alerts_keep_settled(s);
    s->cursor = s->window.base;
  }
  if (s->outfit->definition->program != outfit->definition->program) {
    forget_program(s);
    s->conduct = (struct conduct){0};
  }
  if (strcmp(s->outfit->definition->script_version, outfit->definition->script_version) != 0) s->script_failures = 0;
  else outfit->worked = s->outfit->worked;
  outfit_unref(s->outfit);
  s->outfit = outfit;
}

static void follow_active(struct stream *s) {
  bool active = s->outfit->definition->active;
  if (!active) stream_enter(s, STREAM_INACTIVE, NULL);
  else if (stream_state(s) == STREAM_INACTIVE) stream_resume(s);
}

void stream_take_awaited(struct stream *s) {
  struct outfit *outfit = s->awaited;
  if (!outfit || (s->sending && !same_lanes(s->outfit, outfit))) return;
  s->awaited = NULL;
  take_over(s, outfit);
  follow_active(s);
  stream_wake(s);
}

bool stream_redefine(struct stream *s, struct definition *definition, struct err *err) {
  struct outfit *outfit = outfit_new(s->courier, definition, err);
  if (!outfit) return false;
  outfit_unref(s->awaited);
  s->awaited = outfit;
  stream_take_awaited(s);
  return true;
}

// Until the next success the status tells of it: a stream that buries all it is given must not look healthy.
static void tell_dead_letter(struct stream *s, const char *why, uint32_t line) {
  char text[STATUS_ERROR_BYTES];
  if (line) snprintf(text, sizeof text, "line %" PRIu32 ": %s", line, why);
  else snprintf(text, sizeof text, "%s", why);
  status_set_error(s->status, text);
}

void stream_dead_letter_counted(struct stream *s, const char *why, uint32_t line) {
  status_count(s->status, COUNT_DEAD, 1);
  s->letters_kept++;
  if (stream_stopped(s)) return;
  char text[STATUS_ERROR_BYTES];
  tell_dead_letter(s, why, line);
  if (s->letters_kept >= LIMIT_DEAD_LETTERS)
    snprintf(text, sizeof text, "%d dead letters are kept: redrive or drop some", LIMIT_DEAD_LETTERS);
  else if (++s->dead_in_row >= STREAM_DEAD_IN_A_ROW)
    snprintf(text, sizeof text, "%d dead letters in a row: %.400s", STREAM_DEAD_IN_A_ROW, why);
  else return;
  stream_enter(s, STREAM_PAUSED, text);
}
