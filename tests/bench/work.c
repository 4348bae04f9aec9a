// work.c - one work of the benchmark: sink, engine and streams up; records through; figures read; all down
// again.
#include "work.h"
#include "base/clock.h"
#include "engine.h"
#include "meter.h"
#include "poster.h"
#include "sink.h"
#include "stop.h"
#include "tally.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

volatile sig_atomic_t stop_asked;

enum {
  ENDPOINTS = 100000,
  POLL_NS = 1000000,
  SPARE_SERIALS = 10000, // the last requests may go past the records asked for
};

struct run {
  const struct work *work;
  struct tally *tally;
  struct sink_process sink;
  struct engine engine;
  struct meter *meter;
  uint64_t deadline_ns;
};

static json_t *stream_definition(uint32_t i, const void *arg) {
  const struct run *run = arg;
  const struct work *work = run->work;
  char name[32], url[64];
  snprintf(name, sizeof name, "bench %" PRIu32, i);
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", run->sink.port);
  json_t *stream =
      json_pack("{s:s, s:s, s:s, s:{s:s}, s:i, s:b}", "name", name, "type", "usage_and_events", "sink",
                work->sink, "settings", "url", url, "in_flight", (int)work->in_flight, "active", 1);
  json_object_set_new(stream, "organisation_id",
                      work->streams == 1 ? json_null() : json_integer(LOAD_ORGANISATION + i));
  if (work->script) json_object_set_new(stream, "script_name", json_string("bench"));
  return stream;
}

static bool set_up(struct run *run, const struct work_place *place, struct err *err) {
  const struct work *work = run->work;
  run->tally = tally_new(work->records + SPARE_SERIALS);
  if (!run->tally) return err_set(err, "no memory to tell %" PRIu64 " records apart", work->records);
  if (!sink_process_start(&run->sink, run->tally, err)) return false;
  if (!engine_start(&run->engine, place->engine, place->sinks, place->folder, err)) return false;
  if (!engine_streams(&run->engine, work->streams, stream_definition, run, err)) return false;
  run->meter = meter_start(run->engine.pid);
  return run->meter || err_set(err, "cannot start the thread that samples memory");
}

static void tear_down(struct run *run, bool keep) {
  meter_stop(run->meter);
  engine_stop(&run->engine, keep);
  sink_process_stop(&run->sink);
  tally_free(run->tally);
}

static bool wait_for_arrivals(struct run *run, uint64_t expected, struct err *err) {
  struct timespec pause = {0, POLL_NS};
  while (atomic_load(&run->tally->records) < expected) {
    if (!engine_alive(&run->engine)) return err_set(err, "the engine ended");
    if (stop_due(run->deadline_ns))
      return err_set(err, "only %" PRIu64 " of %" PRIu64 " records arrived in time",
                     (uint64_t)atomic_load(&run->tally->records), expected);
    nanosleep(&pause, NULL);
  }
  return true;
}

static void read_figures(const struct run *run, const struct posted *posted, uint64_t cpu_us,
                         struct work_figures *f) {
  const struct tally *tally = run->tally;
  uint64_t end_ns = run->work->streams ? atomic_load(&tally->last_ns) : posted->last_ns;
  f->records = posted->records;
  f->arrived = atomic_load(&tally->records);
  f->repeats = atomic_load(&tally->repeats);
  f->strays = atomic_load(&tally->strays);
  f->sink_requests = atomic_load(&tally->requests);
  f->sink_bytes = atomic_load(&tally->bytes);
  f->refusals = posted->refusals;
  f->seconds = (double)(end_ns - posted->first_ns) / 1e9;
  f->records_per_s = (double)f->records / f->seconds;
  f->cpu_us_per_record = (double)cpu_us / (double)f->records;
  f->cores = (double)cpu_us / 1e6 / f->seconds;
  f->peak_mb = (double)meter_peak_bytes(run->meter) / 1e6;
  f->p50_ms = tally_latency_ms(tally, 0.5);
  f->p99_ms = tally_latency_ms(tally, 0.99);
  f->max_ms = (double)tally->longest_ns / 1e6;
}

static bool measure(struct run *run, struct work_figures *figures, struct err *err) {
  const struct work *work = run->work;
  struct posting posting = {
      .port = run->engine.port,
      .token = engine_token,
      .mix = {work->organisations, ENDPOINTS, 1},
      .records = work->records,
      .connections = work->connections,
      .records_per_request = work->records_per_request,
      .records_per_s = work->records_per_s,
      .tally = run->tally,
  };
  struct posted posted;
  uint64_t cpu_before_us = meter_cpu_us(run->meter);
  if (!poster_run(&posting, run->deadline_ns, &posted, err)) return false;
  uint64_t expected = work->streams == 0 ? 0 : work->script ? posted.kept : posted.records;
  bool ok = wait_for_arrivals(run, expected, err);
  uint64_t cpu_us = meter_cpu_us(run->meter) - cpu_before_us;
  if (ok) read_figures(run, &posted, cpu_us, figures);
  return ok;
}

bool work_run(const struct work *work, const struct work_place *place, struct work_figures *figures,
              struct err *err) {
  struct run run = {.work = work, .deadline_ns = clock_mono_ns() + place->deadline_s * 1000000000ull};
  *figures = (struct work_figures){0};
  bool ok = set_up(&run, place, err) && measure(&run, figures, err);
  tear_down(&run, place->keep || (!ok && run.engine.folder[0] && !stop_asked));
  return ok;
}
