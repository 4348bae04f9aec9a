// shared_file.h - descriptors that the engine hands to a worker: memory files and event descriptors.
//
// Closed on exec, and numbered so high that they are none of a worker's own: one can be put in the place of
// another.
#pragma once
#include "base/err.h"
#include <sys/types.h>

// Zeroed memory of this many bytes, sealed: a worker can't make it shorter under the engine's feet. -1 with
// err.
int shared_file(const char *name, off_t bytes, struct err *err);
int shared_event(struct err *err); // an event descriptor that never blocks. -1 with err
