// reload.h - files of shared scripts and of sinks that change while the engine runs.
//
// A new version is compiled in a throw-away worker, its specs are run if it has any, and the streams that use it take it over a few
// at a time, each between two batches. What fails on the way is logged and shown in the status of the streams concerned, which go on
// with the version they have. A sink that is new is there for new streams; one whose file is gone is there for its streams alone.
//
// For one thread, that of the streams.
#pragma once
#include "flow/streams.h"
#include "script/pool.h"

struct reload;

struct reload_options {
  struct loop *loop;
  struct pool *pool;
  struct streams *streams;
  struct sink_set *sinks; // changed here
  const char *scripts_folder, *sinks_folder; // kept by the caller
  const char *executable; // for specs; NULL: our own
};

// Watches both folders from now on, and begins with a look at all that is there. NULL with err.
struct reload *reload_new(const struct reload_options *options, struct err *err);
void reload_all(struct reload *reload); // looks at everything again, what was refused, too
// After the pool, which may have a script of its at hand. Takes NULL.
void reload_free(struct reload *reload);
