// definition.h - a stream as its owner defined it: which records, through which script, to which sink, with which settings.
//
// Immutable and counted: a change makes a new one, so couriers and the API read it without locks. The JSON document is what the
// store keeps and (with secrets masked, and a status) what the API shows. It is kept as text: as values it takes ten times the room,
// and there may be thousands of streams.
#pragma once
#include "base/err.h"
#include "journal/record.h"
#include "script/program.h"
#include "script/sink.h"
#include <jansson.h>
#include <stdint.h>

enum { DEFINITION_ID_BYTES = 32, DEFINITION_NAME_BYTES = 200 };

struct definition {
  char id[DEFINITION_ID_BYTES];
  const char *name;
  const char *type;
  const char *script_name;  // NULL: none
  int64_t organisation;     // JOURNAL_ALL: every organisation's (an operator's stream)
  unsigned kinds;           // record kinds it takes
  uint32_t in_flight;       // lanes
  bool active;
  int64_t created_ms;
  uint64_t start;           // the journal's sequence it begins at
  struct sink *sink;        // a reference
  struct slice settings;    // JSON: checked, with defaults; secrets in the clear
  char script_version[20];  // hash of the script's source; empty: no script
  struct program *program;  // NULL: records go to the sink as they are
  struct slice document;    // JSON: all of the above, the settings among them
};

// What a definition is made with: the sinks there are, and how to find a shared script's source (a copy for mem_free, or NULL).
struct definition_world {
  const struct sink_set *sinks;
  const char *scripts_folder;
};

// A new stream from a request's body: every field checked, unknown ones refused with a suggestion, id and time given. NULL with err.
struct definition *definition_create(const struct definition_world *world, const json_t *body, uint64_t start, struct err *err);
// The stream with a PATCH applied. What can't be changed is refused ("organisation_id can't be changed"), but taken as it is; a
// "status" is taken and ignored: what the API shows can be sent back.
struct definition *definition_change(const struct definition_world *world, const struct definition *old, const json_t *body,
                                     struct err *err);
// As the store kept it.
struct definition *definition_load(const struct definition_world *world, const char *id, struct slice document, struct err *err);
struct definition *definition_set_active(const struct definition_world *world, const struct definition *old, bool active,
                                         struct err *err);
void definition_ref(struct definition *definition);
void definition_unref(struct definition *definition); // takes NULL

// What the API shows, without the status: secrets masked. New reference.
json_t *definition_show(const struct definition *definition);
// The source that must be compiled before the definition is accepted; len 0: none. Borrowed.
struct slice definition_script(const struct definition *definition);
