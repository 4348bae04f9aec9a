// penalty.c - what follows when a stream's script takes too long or ends its worker: ten minutes at the penalty worker; the end.
#include "base/clock.h"
#include "base/log.h"
#include "flow/courier_parts.h"

#include <stdio.h>

// What its worker has of it is read again, at the other one: the worker has put it off, too. Where an organisation has a worker
// of its own, that one becomes slow instead.
void penalty_begin(struct stream *s) {
  uint64_t now = courier_now_ms();
  struct pool *pool = s->courier->options.pool;
  if (s->conduct.penalty_until_ms <= now) s->conduct.penalty_until_ms = now + CONDUCT_PENALTY_MS;
  atomic_store(&s->status->slowed_until_ms, clock_ms() + (int64_t)(s->conduct.penalty_until_ms - now));
  log_warn("stream=%s doing=slow_down minutes=%d reason=\"its script took too long twice within a minute\"",
           s->outfit->definition->id, CONDUCT_PENALTY_MS / 60000);
  if (pool_isolated(pool)) pool_slow_down(pool, s->home);
  else stream_stale_jobs(s);
}

void penalty_timed_out(struct stream *s) {
  if (conduct_timed_out(&s->conduct, courier_now_ms())) penalty_begin(s);
}

void penalty_struck(struct stream *s, const char *why) {
  char text[STATUS_ERROR_BYTES];
  penalty_timed_out(s);
  if (!conduct_struck(&s->conduct, courier_now_ms()) || stream_stopped(s)) return;
  snprintf(text, sizeof text, "the script is disabled: it ended its worker %d times within an hour, the last time it %.100s",
           CONDUCT_STRIKES, why);
  stream_enter(s, STREAM_PAUSED, text);
}

static void come_back(struct stream *s) {
  s->conduct.penalty_until_ms = 0;
  atomic_store(&s->status->slowed_until_ms, 0);
  log_info("stream=%s doing=speed_up reason=\"its script runs as others do again\"", s->outfit->definition->id);
}

// Where it is to work now.
static unsigned right_worker(const struct stream *s) {
  struct pool *pool = s->courier->options.pool;
  bool penalty = s->conduct.penalty_until_ms > courier_now_ms();
  return penalty && !pool_isolated(pool) ? pool_penalty_worker(pool) : s->home;
}

bool penalty_follow(struct stream *s) {
  struct program *program = s->outfit->definition->program;
  if (!s->conduct.penalty_until_ms && s->worker == s->home) return true;
  unsigned to = right_worker(s);
  if (s->worker != to && s->jobs) return false;
  if (s->worker != to && program) pool_forget(s->courier->client, program);
  s->worker = to;
  if (s->conduct.penalty_until_ms <= courier_now_ms()) come_back(s);
  return true;
}

bool penalty_serves(const struct stream *s) {
  return s->worker != s->home;
}
