// router.h - which streams a record concerns: an index by organisation, so that a record costs what its matching streams cost.
//
// Works on whole blocks: their rows lie together by organisation, so one look-up serves all of an organisation's records.
#pragma once
#include "base/map.h"
#include "journal/journal.h"

struct router {
  struct map by_organisation; // -> struct route
  struct route *all;          // streams that take every organisation's records
};

// How a stream hangs in the router; embedded in it.
struct router_entry {
  int64_t organisation; // or JOURNAL_ALL
  unsigned kinds;
  uint32_t place; // the router's
};

bool router_add(struct router *router, struct router_entry *entry); // false: out of memory
void router_remove(struct router *router, struct router_entry *entry);
void router_fini(struct router *router); // takes zeroed; the entries are the caller's

enum { ROUTER_AHEAD = 32 };
struct router_visit {
  void (*ahead)(struct router_entry *const *entries, size_t count, void *arg); // may be matched soon, a chance to prefetch; at most ROUTER_AHEAD
  void (*match)(struct router_entry *entry, uint32_t records, void *arg); // so many of the block's records concern it
  void *arg;
};
void router_match(const struct router *router, const struct journal_block *block, const struct router_visit *visit);
