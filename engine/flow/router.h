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

// Calls `match` for each entry that some record of the block concerns, with how many.
void router_match(const struct router *router, const struct journal_block *block,
                  void (*match)(struct router_entry *entry, uint32_t records, void *arg), void *arg);
