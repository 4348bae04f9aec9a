// sink.h - a kind of destination as its Lua file in sinks/ describes it: settings as data, limits of a batch,
// framing, and the hooks that make a request and read an answer.
//
// `struct sink` is one version of one file: immutable data, counted, any thread. Hooks run in a `struct
// sink_runner`, which belongs to one courier's thread and keeps one Lua state a sink version, with the limits
// of any script but the operator's trust.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "net/http_client.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum sink_framing { SINK_ONE, SINK_ARRAY, SINK_LINES, SINK_CUSTOM }; // CUSTOM: request() makes the body
enum sink_setting_type {
  SINK_STRING,
  SINK_SECRET,
  SINK_INTEGER,
  SINK_NUMBER,
  SINK_BOOLEAN,
  SINK_CHOICE,
  SINK_URL,
  SINK_HEADERS
};

struct sink_setting {
  const char *name, *label, *help;
  enum sink_setting_type type;
  bool required;
  const char *needed_by, *needed_value; // required when that setting has that value; NULL: no such rule
  bool secret;                          // write-only: type secret, or secret = true
  json_t *initial;                      // default; NULL: none
  double min, max;                      // integer, number; a string's length
  const char *const *choices;           // ended by NULL
};

struct sink {
  const char *name, *title, *file;
  const char *version; // first 12 hex digits of the source's SHA-256
  unsigned accepts;    // mask of record kinds
  const struct sink_setting *settings;
  size_t setting_count;
  uint32_t batch_records, batch_bytes, batch_ms; // ms 0: goes when the lane is free
  bool by_kind, one_per_key, planned;
  bool has_map, has_request, has_verdict, has_probe;
  struct slice source;
};

// Every NAME.lua of the folder (not NAME_spec.lua). A file that can't be loaded is an error in `err` and is
// left out; the others stand. A set belongs to one thread; the sinks in it to whoever has a reference.
struct sink_set;
struct sink_set *sink_set_load(const char *folder,
                               struct err *err); // NULL only when the folder can't be read or memory is out
void sink_set_free(struct sink_set *set);
size_t sink_set_count(const struct sink_set *set);
struct sink *sink_set_at(const struct sink_set *set, size_t i);                 // borrowed
struct sink *sink_set_find(const struct sink_set *set, const char *name);       // borrowed; NULL: none
const char *sink_set_suggest(const struct sink_set *set, const char *name);     // the nearest name or NULL
// Of the file `folder/name` that it was loaded from: borrowed; NULL: none.
struct sink *sink_set_of_file(const struct sink_set *set, const char *file);
// Takes the place of the one from the same file, or is new. Takes the reference, also when it is refused.
bool sink_set_put(struct sink_set *set, struct sink *sink, struct err *err);
void sink_set_drop(struct sink_set *set, const struct sink *sink); // those who have a reference keep it
struct sink *sink_load(const char *file, struct slice source, struct err *err); // "file:line: what is wrong"
void sink_ref(struct sink *sink);
void sink_unref(struct sink *sink);

// Checks settings against the sink's data: unknown names (with a suggestion), types, ranges, required ones,
// url http/https, header names that belong to the engine. Returns a new object with defaults filled in, or
// NULL with err "setting NAME: ...".
json_t *sink_check_settings(const struct sink *sink, const json_t *settings, struct err *err);
// Whether the files that `changed`, a part of checked settings, names can be read and hold what they should:
// asked of who sets them, not at each start. False with err "setting NAME: ...".
bool sink_check_files(const struct sink *sink, const json_t *settings, const json_t *changed,
                      struct err *err);
// The settings as they may be shown: each secret that is set reads "********". New reference.
json_t *sink_mask_settings(const struct sink *sink, const json_t *settings);
// Without the secrets, as a sink's map sees them. New reference; NULL: out of memory.
json_t *sink_open_settings(const struct sink *sink, const json_t *settings);
// For a PATCH: `change` over `settings`, where "********" for a secret keeps what is there and null takes a
// setting away. New.
json_t *sink_merge_settings(const struct sink *sink, const json_t *settings, const json_t *change);
// The sink as data for GET /api/v1/sinks. New reference.
json_t *sink_describe(const struct sink *sink);

// ---- hooks, on one thread ----
struct sink_runner;
struct sink_binding; // a sink with one stream's settings, in a runner
struct sink_runner *sink_runner_new(struct err *err);
void sink_runner_free(struct sink_runner *runner);
// Settings must be checked ones, as JSON text, which is kept by the caller until sink_unbind. Works out
// framing and batch limits for these settings (max_records, max_bytes, max_seconds).
struct sink_binding *sink_bind(struct sink_runner *runner, struct sink *sink, struct slice settings,
                               struct err *err);
void sink_unbind(struct sink_binding *binding); // takes NULL

struct sink_limits {
  enum sink_framing framing;
  uint32_t records, bytes, hold_ms;
};
const struct sink_limits *sink_binding_limits(const struct sink_binding *binding);

struct sink_item {
  struct slice key, body;
};
struct sink_batch { // what request and verdict see of a batch
  const char *id;
  const char *kind; // "event", "usage", "mixed"
  uint32_t attempt; // from 1
  int64_t now_ms;
  uint32_t record_count;
  const struct sink_item *(*item)(const struct sink_batch *batch, uint32_t i,
                                  struct sink_item *room); // asked only when the hook reads batch.records
  const void *arg;
  const char *note, *last_note; // NULL: none
};

enum { SINK_HEADER_LINES = 64 };
struct sink_request { // borrowed from the runner until its next hook
  const char *url, *method;
  const char *headers[SINK_HEADER_LINES + 1]; // "name: value", ended by NULL
  struct slice body;                          // at NULL: the framed body
  bool gzip;
  bool webhook; // add webhook-id, webhook-timestamp and, with a secret, webhook-signature
  const char *signing_secret, *signing_secret_previous;
  const char *username, *password, *sign, *ca, *client_certificate, *client_key;
  uint32_t timeout_ms;
  bool passing; // after false: memory or time was short, so it may go well another time
};
// Without a request hook: an error at load. False with err when the hook fails.
bool sink_request(struct sink_binding *binding, const struct sink_batch *batch, struct sink_request *out,
                  struct err *err);

// The same for the request of /test; only when the sink has_probe.
bool sink_probe(struct sink_binding *binding, struct sink_request *out, struct err *err);

enum sink_verdict_kind {
  SINK_DEFAULT,
  SINK_DELIVERED,
  SINK_RETRY,
  SINK_REJECT,
  SINK_PAUSE,
  SINK_AGAIN,
  SINK_HALVE
};
struct sink_verdict {
  enum sink_verdict_kind kind;
  double seconds;                  // SINK_RETRY; negative: the engine's own delay
  char why[256];                   // reject, pause; the note of SINK_AGAIN; may be empty
  const struct sink_verdict *each; // record by record when the hook gave a list: record_count of them,
                                   // borrowed until the runner's next hook
};
// SINK_DEFAULT when the sink has no verdict hook or it returned nil.
bool sink_verdict(struct sink_binding *binding, const struct sink_batch *batch,
                  const struct http_response *response, struct sink_verdict *out, struct err *err);
