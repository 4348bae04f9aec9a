// announce.h - what one client has told one worker: which scripts and programs it knows. Told once, before
// the first use.
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "script/program.h"
#include "script/ring.h"

struct announce {
  struct map programs;  // ids the worker knows of
  struct map scripts;   // id -> count of those programs that use it
  struct buf forgotten; // ids to be told of, uint32_t each
};

void announce_init(struct announce *a);
void announce_fini(struct announce *a); // takes zeroed
size_t announce_bytes(const struct announce *a,
                      const struct program *program); // that announce_write will take, at most
bool announce_knows(const struct announce *a, uint32_t program); // nothing is to be told for it
void announce_write(struct announce *a, struct ring *ring,
                    const struct program *program); // all it must know for a job of this one
void announce_forget(struct announce *a, const struct program *program);
