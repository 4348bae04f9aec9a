// pool_support.h - a pool with one client on a loop, and jobs that note what became of them.
#pragma once
#include "base/mem.h"
#include "script/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
  struct loop *loop;
  struct pool *pool;
  struct pool_client *client;
  unsigned rooms; // calls of `room`
  bool (*done)(struct fixture *f);
  struct loop_timer late;
  bool is_late;
};

static void room_again(struct pool_client *client, unsigned worker, void *arg) {
  (void)client, (void)worker;
  ((struct fixture *)arg)->rooms++;
}

static void fixture_open_with(struct fixture *f, const struct pool_options *options) {
  struct err err = {0};
  *f = (struct fixture){0};
  f->loop = loop_new(&err);
  f->pool = pool_new(options, &err);
  assert_string_equal(err.text, "");
  struct pool_client_events events = {.room = room_again, .arg = f};
  f->client = pool_client_new(f->pool, f->loop, &events, &err);
  assert_string_equal(err.text, "");
}

static inline void fixture_open(struct fixture *f, const char *executable, unsigned workers) {
  struct pool_options options = {.workers = workers, .executable = executable};
  fixture_open_with(f, &options);
}

static void fixture_close(struct fixture *f) {
  pool_client_free(f->client);
  pool_free(f->pool);
  loop_timer_fini(&f->late);
  loop_free(f->loop);
}

static void turn_end(void *arg) {
  struct fixture *f = arg;
  if (f->is_late || f->done(f)) loop_stop(f->loop);
}

static void too_late(struct loop_timer *timer) {
  struct fixture *f = (struct fixture *)((char *)timer - offsetof(struct fixture, late));
  f->is_late = true;
}

// Runs the loop until it is done.
static void run_until(struct fixture *f, bool (*done)(struct fixture *f)) {
  if (done(f)) return;
  f->done = done;
  f->late.run = too_late;
  loop_timer_start(f->loop, &f->late, 60 * 1000000);
  loop_set_turn_end(f->loop, turn_end, f);
  loop_run(f->loop);
  loop_timer_stop(&f->late);
  assert_false(f->is_late);
}

struct run {           // a job
  struct pool_job job; // first
  uint64_t first_id;   // its records have ids from here on
  size_t record_bytes;
  void (*check)(struct run *run, uint32_t index, const struct pool_result *result);
  uint32_t results;
  enum script_outcome outcome; // of the last result
  char text[400];
  uint32_t line;
  bool out_of_order;

  bool ended, guilty;
  enum pool_end end;
  uint32_t at;
  char why[64];
};

static unsigned runs_open; // begun and not ended

static void note_results(struct pool_job *job, uint32_t first, const struct pool_result *results,
                         uint32_t count) {
  struct run *run = (struct run *)job;
  run->out_of_order |= first != run->results || count == 0 || run->ended;
  for (uint32_t i = 0; i < count; i++) {
    if (run->check) run->check(run, first + i, &results[i]);
    run->outcome = results[i].outcome;
    run->line = results[i].line;
    snprintf(run->text, sizeof run->text, "%.*s", (int)results[i].text.len, results[i].text.at);
  }
  run->results += count;
}

static void note_end(struct pool_job *job, enum pool_end end, uint32_t at, bool guilty, const char *why) {
  struct run *run = (struct run *)job;
  run->ended = true;
  run->end = end;
  run->at = at;
  run->guilty = guilty;
  snprintf(run->why, sizeof run->why, "%s", why);
  runs_open--;
}

static inline bool has_room(struct fixture *f) { // once
  bool had = f->rooms > 0;
  f->rooms = 0;
  return had;
}

static inline bool all_ended(struct fixture *f) {
  (void)f;
  return runs_open == 0;
}

// A record with this id, padded to `bytes` where that is more.
static size_t write_record(char *out, size_t room, uint64_t id, size_t bytes) {
  int len =
      snprintf(out, room, "{\"id\":%llu,\"event_type\":{\"id\":5},\"organisation\":{\"id\":7},\"pad\":\"",
               (unsigned long long)id);
  size_t at = (size_t)len;
  while (at + 2 < bytes)
    out[at++] = 'x';
  out[at++] = '"';
  out[at++] = '}';
  return at;
}

// False: pool_begin said no. Else `count` records are on their way.
static inline bool run_begin(struct fixture *f, unsigned worker, struct program *program, struct run *run,
                      uint32_t count) {
  size_t room = run->record_bytes + 200;
  run->job.results = note_results;
  run->job.ended = note_end;
  run->results = 0;
  run->ended = false;
  if (!pool_begin(f->client, worker, program, &run->job, room)) return false;
  char *bytes = mem_must(mem_alloc(room));
  for (uint32_t i = 0; i < count; i++) {
    size_t len = write_record(bytes, room, run->first_id + i, run->record_bytes);
    struct record_header header = {
        .sequence = i + 1, .kind = RECORD_EVENT, .event_type = 5, .organisation = 7};
    header.id = (int64_t)(run->first_id + i);
    header.length = (uint32_t)len;
    assert_true(pool_add(f->client, worker, program, &header, slice_make(bytes, len)));
  }
  mem_free(bytes);
  pool_commit(f->client, worker);
  runs_open++;
  return true;
}

static struct program *program_of(const char *script, const char *sink, const char *stream_name) {
  char context[200];
  snprintf(context, sizeof context,
           "{\"stream\":{\"id\":\"st_1\",\"name\":\"%s\",\"organisation_id\":7},\"parameters\":{}}",
           stream_name);
  struct program from = {.script = slice_of(script),
                         .script_name = "test",
                         .sink = slice_of(sink),
                         .sink_name = "sink",
                         .context = slice_of(context),
                         .sink_context = slice_of("{\"stream\":{},\"settings\":{\"tag\":\"t\"}}")};
  return mem_must(program_new(&from, 7));
}
