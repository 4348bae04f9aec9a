// control.h - commands on what an engine keeps: `sluice NOUN VERB [ID ...]`, carried out over its API.
#pragma once
#include "base/err.h"
#include "cmd/api_call.h"
#include <jansson.h>

struct control { // one command under way
  struct api_call *api;
  bool json;   // print the answer as JSON
  char **args; // behind the verb: as many as it takes
};

enum { CONTROL_ARGS = 2, CONTROL_PATH_BYTES = 512 };

struct control_verb {
  const char *name;
  const char *args[CONTROL_ARGS];                  // what it takes, for messages; NULL behind the last
  bool (*run)(struct control *c, struct err *err); // NULL: it is not in this version
};

// `verbs` are ended by one without a name. Returns the exit code.
int control_main(const char *noun, const char *usage, const struct control_verb *verbs, int argc,
                 char **argv);

// One call that must go well: the answer's JSON (new), or NULL with err.
json_t *control_call(struct control *c, const char *method, const char *path, const json_t *body,
                     struct err *err);
// "/api/v1/streams/ID" and what follows; false with err when the id can't be one.
bool control_stream_path(char path[CONTROL_PATH_BYTES], const char *id, const char *rest, struct err *err);
// Where the engine's words begin with "NAME:", for a source it was sent, puts the file's name there. Always returns
// false.
bool control_name_file(const char *name, const char *file, struct err *err);
void control_print_json(const json_t *value);
