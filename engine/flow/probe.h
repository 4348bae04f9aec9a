// probe.h - one request that tries a stream's settings, made by its sink's probe and sent by its courier; what came of it, in words.
//
// Nothing of the stream changes: its state, its counts, what waits in its lanes.
#pragma once
#include "base/list.h"
#include "flow/courier.h"
#include "flow/outgoing.h"

enum { PROBE_TIMEOUT_MS = 15000, PROBE_WORDS_BYTES = 520, LIMIT_PROBES = 16 /* of a courier, at a time */ };

enum probe_end {
  PROBE_WORKS,    // the destination took it
  PROBE_FAILS,    // it did not: `words` say which setting to look at
  PROBE_MISSING,  // the sink has no probe
  PROBE_BUSY,     // too many are under way, or memory is short
};

// Kept by its owner until `done` runs on `reply`, which it does once.
struct probe {
  struct definition *definition; // borrowed until then
  struct loop *reply;
  void (*done)(struct probe *probe);
  enum probe_end end;
  int status; // of HTTP; 0: no answer
  uint64_t took_ms;
  char words[PROBE_WORDS_BYTES];
  // probe.c's:
  struct courier *courier;
  struct loop_task task;
  struct list link;
  struct sink_binding *binding;
  struct outgoing out;
};

void probe_begin(struct courier *courier, struct probe *probe); // from any thread
