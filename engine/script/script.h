// script.h - one customer's (or sink's) Lua, compiled in a Lua state of its own, and records run through its hooks.
//
// The state is a sandbox: a white list of functions, JIT and FFI never opened, memory capped, a count hook with a clock that ends
// a call past its time. A record is a userdata proxy over its tape: it reads like a table, can't be changed, touches only what
// the script touches, and is an error when kept past its call. Results are read raw, bounded, and written as JSON straight from
// the Lua values: what is still a proxy is spliced from the record's bytes, numbers are written in their shortest form.
//
// A script belongs to one thread at a time. After SCRIPT_TIMEOUT or SCRIPT_MEMORY, and after SCRIPT_RUNS runs, its state is worn out:
// script_worn says so, and the owner frees it and loads another. Windows (windows.h) outlive it: script_take_windows.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/json_tape.h"
#include "base/limits.h"
#include "journal/record.h"

struct script;
struct windows;

enum { SCRIPT_RUNS = (1 << 19) - 1 }; // as many as a record kept from one of them can be told apart by (record_proxy.h)

struct script_limits {
  uint32_t call_ms;    // 0: LIMIT_SCRIPT_MS
  size_t memory_bytes; // 0: LIMIT_SCRIPT_BYTES
  bool processor_time; // call_ms are of the thread's own time, not of the clock's: for one that others may keep waiting
};

enum script_role {
  SCRIPT_STREAM, // a customer's: match, filter, map, alert
  SCRIPT_SINK,   // an operator's sink file, of which a worker runs `map`
};

// What a script says of itself, read once at load.
struct script_facts {
  bool has_filter, has_map, has_alert;
  unsigned kinds;            // mask of match.kind; all when it has none
  uint16_t event_types[64];  // match.event_type
  uint32_t event_type_count; // 0: any
};

// Whether `match` lets a record through: its kind, and where event types are named, an event of one of them.
bool script_match(const struct script_facts *facts, const struct record_header *header);

// Compiles and runs the chunk, checks the table it returns (api = 1, hooks are functions, no unknown names: with a suggestion).
// `name` stands in messages: "name:line: what is wrong". NULL with err.
struct script *script_load(const char *name, struct slice source, enum script_role role, const struct script_limits *limits,
                           struct err *err);
void script_free(struct script *script); // takes NULL
const struct script_facts *script_facts(const struct script *script);
bool script_worn(const struct script *script);
// What log(...) writes: one line, at most LIMIT_SCRIPT_LOG_BYTES, valid UTF-8. Called during script_run.
typedef void (*script_log_fn)(void *arg, const char *text, size_t len);
void script_set_log(struct script *script, script_log_fn log, void *arg); // NULL: thrown away
size_t script_memory(const struct script *script); // bytes its Lua state holds, and its source
struct lua_state *script_state(struct script *script); // for the layer's own modules (lua_state.h); borrowed

// ctx as the hooks see it: {stream = {id, name, organisation_id}, parameters = {...}} or, for a sink, {stream, settings}.
// Given as one JSON object; kept in the state by number until forgotten. Numbers are the caller's, from 1.
bool script_set_context(struct script *script, uint32_t context, struct slice json, struct err *err);
void script_forget_context(struct script *script, uint32_t context); // with its windows

// The windows behind a context's ctx.count, sum, get and set, made at their first use, whether or not the context was set.
// A record that fails leaves no trace in them. `saved`: those made from now on keep their changes for windows_take.
void script_save_windows(struct script *script, bool saved);
// For who has more to do with a record: what a run that went well did to its windows stays open until script_end_windows, which
// must come before the next run, and before they are taken.
void script_hold_windows(struct script *script);
struct windows *script_held_windows(const struct script *script); // borrowed; NULL: the run touched none
void script_end_windows(struct script *script, bool keep);
struct windows *script_windows(const struct script *script, uint32_t context); // borrowed; NULL: none
struct windows *script_take_windows(struct script *script, uint32_t context);  // the caller's now; NULL: none
// Owned from now on. False: out of memory, and still the caller's.
bool script_give_windows(struct script *script, uint32_t context, struct windows *windows);

enum script_outcome {
  SCRIPT_KEPT,     // outputs hold
  SCRIPT_FILTERED, // `text` is the reason: "match", "map", "filter" or the script's own words
  SCRIPT_FAILED,   // `text` and `line`: a runtime error or a result that can't be written
  SCRIPT_TIMEOUT,
  SCRIPT_MEMORY,
  SCRIPT_PUT_OFF, // a worker's word: not run, for the script has lost its patience (patience.h)
};

struct script_output {
  uint32_t body_at, body_len; // in the result's bytes: one JSON value
  uint32_t key_at, key_len;   // a sink's second result (partition key); len 0: none
};

enum { SCRIPT_OUTPUTS = 2000 }; // of one record at most

enum script_severity { SCRIPT_INFO, SCRIPT_WARN, SCRIPT_CRITICAL };
const char *script_severity_name(enum script_severity severity); // "info", "warn", "critical"

// What alert returned. Texts are cut, valid UTF-8, without control characters.
struct script_alert {
  char key[LIMIT_WINDOW_KEY_BYTES + 1];
  char title[LIMIT_ALERT_TITLE_BYTES + 1];
  enum script_severity severity;
  uint32_t for_s; // how long the key is silent from now on, in record time
  int64_t at_ms;  // the record's time
};
enum { SCRIPT_ALERTS = 1 }; // of one record at most

struct script_result {
  enum script_outcome outcome;
  uint32_t line;     // of a failure; 0: unknown
  char text[400];    // reason or message, cut, valid UTF-8, no control characters
  struct buf bytes;  // outputs' bytes; cleared by each run
  struct script_output *outputs;
  uint32_t output_count, output_cap;

  // Of the hook alert, whether the record is kept or filtered. A record that failed raises none: what its windows counted is
  // taken back, and it comes again when it is redriven.
  uint32_t alert_count;
  struct script_alert alerts[SCRIPT_ALERTS];
  bool alert_failed; // alert_text and alert_line say why; the record went on
  bool alert_timed_out;
  uint32_t alert_line;
  char alert_text[400];
};
void script_result_init(struct script_result *result);
void script_result_fini(struct script_result *result);

// Runs match, alert (for a record of kind alert: not), filter and map on one record. `tape` holds the record; `header` gives kind, event type, times. Without map the output
// is the record itself. For a SCRIPT_SINK: map alone.
void script_run(struct script *script, uint32_t context, const struct record_header *header, const struct json_tape *tape,
                struct script_result *result);
