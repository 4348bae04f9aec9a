// program.h - what a stream does to its records in a worker: a customer's script, a sink's map, and the context both see.
//
// Immutable and counted; made by the engine, loaded by workers on first use. Its texts are in it, so a worker can be started anew.
#pragma once
#include "base/slice.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct program {
  uint32_t id;             // unique in this process
  uint32_t script_id;      // equal for programs that may share one Lua state: same text, and same organisation or a shared script
  uint32_t sink_id;        // the same for the sink's map; 0: the sink has none
  struct slice script;     // source; len 0: no script
  struct slice sink;       // the sink file's source; len 0: none
  const char *script_name; // for messages
  const char *sink_name;
  struct slice context;      // JSON object for the script: {"stream":{"id","name","organisation_id"},"parameters":{}}
  struct slice sink_context; // JSON object for the sink's map: {"stream":{},"settings":{}} without secrets
};

// Copies everything; ids are given here (script_id from text, name and `script_scope`: the organisation, or 0 for a shared script).
// NULL when out of memory, or when the texts are longer than LIMIT_PROGRAM_BYTES together. One reference for the caller; any thread.
struct program *program_new(const struct program *from, int64_t script_scope);
void program_ref(struct program *program);
void program_unref(struct program *program); // takes NULL

// The JSON text of a context, for free(): {"stream":{"id","name","organisation_id"},FIELD:value}. `organisation` NULL: every
// organisation's. NULL: out of memory.
char *program_context(const char *id, const char *name, const int64_t *organisation, const char *field, const json_t *value);
