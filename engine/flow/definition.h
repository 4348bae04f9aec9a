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
#include <stdatomic.h>
#include <stdint.h>

struct store;

enum { DEFINITION_ID_BYTES = 32, DEFINITION_NAME_BYTES = 200, DEFINITION_VERSION_BYTES = 20 };

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
  char script_version[DEFINITION_VERSION_BYTES]; // hash of the script's source; empty: no script
  char good_version[DEFINITION_VERSION_BYTES];   // the one before it, to go back to; empty: there is none
  char bad_version[DEFINITION_VERSION_BYTES];    // the one that it was gone back from; empty: none
  int64_t took_over_ms;     // when script_version did
  struct program *program;  // NULL: records go to the sink as they are
  struct slice document;    // JSON: all of the above, the settings among them
  atomic_bool script_fails; // its script has failed and never worked: not one to go back to. The courier says so
};

// What a definition is made with: the sinks there are, and where shared scripts' sources are found.
struct definition_world {
  const struct sink_set *sinks;
  const char *scripts_folder;
  struct store *store; // versions of scripts that run; NULL: none are kept
};

// A new stream from a request's body: every field checked, unknown ones refused with a suggestion, id and time given. NULL with err.
struct definition *definition_create(const struct definition_world *world, const json_t *body, uint64_t start, struct err *err);
// The stream with a PATCH applied. A shared script stays at the version that runs (a new one comes by definition_renew). What can't be changed is refused ("organisation_id can't be changed"), but taken as it is; a
// "status" is taken and ignored: what the API shows can be sent back.
struct definition *definition_change(const struct definition_world *world, const struct definition *old, const json_t *body,
                                     struct err *err);
// As the store kept it, with the version of its shared script that ran.
struct definition *definition_load(const struct definition_world *world, const char *id, struct slice document, struct err *err);
struct definition *definition_set_active(const struct definition_world *world, const struct definition *old, bool active,
                                         struct err *err);
// With this source of its shared script, or (at NULL) with the sink as it is now.
struct definition *definition_renew(const struct definition_world *world, const struct definition *old, struct slice source,
                                    struct err *err);
// Back at the source of its good version, which there must be.
struct definition *definition_go_back(const struct definition_world *world, const struct definition *old, struct slice source,
                                      struct err *err);
void definition_ref(struct definition *definition);
void definition_unref(struct definition *definition); // takes NULL

// What the API shows, without the status: secrets masked. New reference.
json_t *definition_show(const struct definition *definition);
// The source that must be compiled before the definition is accepted; len 0: none. Borrowed.
struct slice definition_script(const struct definition *definition);
void definition_version(struct slice source, char version[DEFINITION_VERSION_BYTES]); // of a script
