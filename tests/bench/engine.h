// engine.h - the engine under test: a process of its own with a fresh data folder, its configuration, its
// streams.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct engine {
  char folder[256]; // everything of this run: sluice.lua, data/, scripts/, engine.log
  char log[300];
  pid_t pid;
  int port;
};

extern const char engine_token[];
extern const char engine_script[]; // of the third work; the shared script "bench"

// Makes a folder inside `under` and starts `program` there. `sinks` is the folder of the shipped sinks.
bool engine_start(struct engine *engine, const char *program, const char *sinks, const char *under,
                  struct err *err);
bool engine_alive(struct engine *engine);
// Ends it, with SIGKILL when SIGTERM takes too long, and removes the folder, or keeps it and prints how its
// log ends.
void engine_stop(struct engine *engine, bool keep); // takes zeroed
// Creates streams: definition(i, arg) is a new reference for each.
bool engine_streams(struct engine *engine, uint32_t count, json_t *(*definition)(uint32_t i, const void *arg),
                    const void *arg, struct err *err);
