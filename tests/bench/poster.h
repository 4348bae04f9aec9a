// poster.h - posts records to the engine over keep-alive connections, each with one request out, flat out or
// at a given pace.
#pragma once
#include "base/err.h"
#include "load.h"
#include "tally.h"

struct posting { // what to post
  int port;
  const char *token;
  struct load_mix mix;
  uint64_t records; // stops once so many went out
  uint32_t connections;
  uint32_t records_per_request; // 0: 1 to 4, in turn
  uint32_t records_per_s;       // 0: as fast as the engine takes them
  struct tally *tally;          // told when each record leaves
};

struct posted {           // what became of it
  uint64_t records, kept; // taken by the engine; those of them the filter keeps
  uint64_t refusals;      // 429 and 503
  uint64_t first_ns, last_ns;
};

// False with err: the engine broke off, answered wrongly, or the deadline passed.
bool poster_run(const struct posting *posting, uint64_t deadline_ns, struct posted *posted, struct err *err);
