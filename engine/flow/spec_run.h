// spec_run.h - the specs and golden cases of one file, run as `sluice test FILE` in a process of its own, within a time.
#pragma once
#include "base/err.h"
#include "net/loop.h"

struct spec_run;

// `why`: the first case that failed and what it says, when not ok.
typedef void (*spec_run_done)(void *arg, bool ok, const char *why);

// Whether FILE (NAME.lua) has any: NAME_spec.lua or NAME.input.ndjson beside it.
bool spec_run_wanted(const char *file);
// `executable`: NULL: our own. `done` runs on the loop, once, and frees nothing of the caller's. NULL with err.
struct spec_run *spec_run_start(struct loop *loop, const char *executable, const char *file, spec_run_done done, void *arg, struct err *err);
void spec_run_free(struct spec_run *run); // ends it, when it has not ended: `done` does not run then. From `done`, too; takes NULL
