// work.h - one work of the benchmark, from an empty data folder to its figures.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct work {
  const char *name, *help;
  uint64_t records;
  uint32_t records_per_s;       // 0: as fast as the engine takes them
  uint32_t records_per_request; // 0: 1 to 4
  uint32_t connections;
  uint32_t organisations;
  uint32_t streams; // 0: ingest only; 1: one for all organisations; more: one an organisation
  uint32_t in_flight;
  const char *sink;
  bool script; // that of the third work
};

struct work_place {
  const char *engine, *sinks, *folder;
  uint32_t deadline_s;
  bool keep; // the engine's folder, with its log
};

struct work_figures {
  uint64_t records, arrived, repeats, strays, sink_requests, sink_bytes, refusals;
  double seconds, records_per_s, cpu_us_per_record, cores, peak_mb, p50_ms, p99_ms, max_ms;
};

// False with err when the work could not be done to its end: the engine did not start, broke off, or records
// are missing.
bool work_run(const struct work *work, const struct work_place *place, struct work_figures *figures,
              struct err *err);
