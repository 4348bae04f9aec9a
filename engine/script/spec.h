// spec.h - specs and golden cases: the tests of scripts and sinks, run on the host that runs them in
// production.
//
// A spec file (NAME_spec.lua) is a script in a sandbox of its own with busted's words added (spec_words.h).
// Its file is run once to gather the cases, then each case under the clock; after one that broke a limit the
// file is run anew for those that follow. A golden case is NAME.input.ndjson beside NAME.output.ndjson: what
// NAME.lua makes of the one, compared with the other by value. All of it runs in the caller's thread; LuaJIT
// is no security boundary, so callers keep a process for each file.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "journal/record.h"
#include "net/http_client.h"
#include "script/sink.h"
#include "script/spec_coverage.h"

enum {
  SPEC_DEPTH = 16,       // describe inside describe
  SPEC_NAME_BYTES = 400, // a case's whole name
};

struct spec_case {
  const char *name; // with those of the describes around it
  uint32_t line;    // where it begins; 0: a golden case
  bool ok;
  uint32_t failed_line; // 0: not known
  const char *message;  // "" when ok, but for a golden case that was updated
  struct slice details; // lines: the diff, the script's own error; may be empty
  uint64_t took_us;
};

struct spec_report {
  void (*begun)(void *arg, const char *name, uint32_t line); // so that a crash has a name
  void (*loading)(void *arg, const char *file); // and a script that may have caused it
  void (*ended)(void *arg, const struct spec_case *done);    // borrowed during the call
  void *arg;
};

// A sink under test. What makes batches of records lies in a layer above; `seen` is called with each request
// as it would be sent, during add and flush.
typedef bool (*spec_request_fn)(void *arg, const struct sink_batch *batch, const struct sink_request *request,
                                struct slice body, struct err *err);
struct spec_sinks {
  void *(*open)(const char *file, struct slice source, struct slice settings, spec_request_fn seen, void *arg,
                struct spec_coverage *coverage, struct err *err);
  bool (*add)(void *sink, const struct record_header *header, struct slice record, const char **dropped,
              struct err *err);
  bool (*flush)(void *sink, struct err *err);
  bool (*verdict)(void *sink, const struct http_response *response, struct sink_verdict *out, uint32_t *count,
                  struct err *err);
  void (*close)(void *sink);
};

struct spec_options {
  const char *only;               // cases whose whole name has this in it; NULL: all
  bool update;                    // write a golden case's output instead of comparing it
  struct spec_coverage *coverage; // NULL: not asked for
  const struct spec_sinks *sinks;
};

// Runs a spec file's cases. False with err "file:line: ...": the file itself failed, and no further case ran.
bool spec_run(const char *file, const struct spec_options *options, const struct spec_report *report,
              struct err *err);
// Runs the golden case of NAME, which is given without ".input.ndjson". False with err only when out of
// memory.
bool spec_golden_run(const char *name, const struct spec_options *options, const struct spec_report *report,
                     struct err *err);
