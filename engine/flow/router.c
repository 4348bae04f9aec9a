#include "flow/router.h"
#include "base/mem.h"
#include "base/prefetch.h"

struct route {
  struct router_entry **entries;
  uint32_t count, cap;
};

static bool route_add(struct route *route, struct router_entry *entry) {
  if (route->count == route->cap) {
    uint32_t cap = route->cap ? route->cap * 2 : 2;
    struct router_entry **entries = mem_grow(route->entries, cap * sizeof *entries);
    if (!entries) return false;
    route->entries = entries;
    route->cap = cap;
  }
  entry->place = route->count;
  route->entries[route->count++] = entry;
  return true;
}

static void route_free(struct route *route) {
  if (!route) return;
  mem_free(route->entries);
  mem_free(route);
}

static struct route *route_of(struct router *router, int64_t organisation) {
  return organisation == JOURNAL_ALL ? router->all : map_get(&router->by_organisation, (uint64_t)organisation);
}

static bool keep_route(struct router *router, int64_t organisation, struct route *route) {
  if (organisation != JOURNAL_ALL) return map_put(&router->by_organisation, (uint64_t)organisation, route);
  router->all = route;
  return true;
}

bool router_add(struct router *router, struct router_entry *entry) {
  struct route *route = route_of(router, entry->organisation);
  if (route) return route_add(route, entry);
  route = mem_zero(1, sizeof *route);
  if (route && route_add(route, entry) && keep_route(router, entry->organisation, route)) return true;
  route_free(route);
  return false;
}

void router_remove(struct router *router, struct router_entry *entry) {
  struct route *route = route_of(router, entry->organisation);
  struct router_entry *last = route->entries[--route->count];
  route->entries[entry->place] = last;
  last->place = entry->place;
  if (route->count) return;
  if (route == router->all) router->all = NULL;
  else map_remove(&router->by_organisation, (uint64_t)entry->organisation);
  route_free(route);
}

void router_fini(struct router *router) {
  struct route *route;
  for (size_t i = 0; (route = map_each(&router->by_organisation, &i));) route_free(route);
  map_fini(&router->by_organisation);
  route_free(router->all);
  *router = (struct router){0};
}

struct by_kind {
  uint32_t records[RECORD_KINDS];
};

static void match_route(const struct route *route, const struct by_kind *counts, const struct router_visit *visit) {
  for (uint32_t i = 0; route && i < route->count; i++) {
    uint32_t records = 0;
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++)
      if (route->entries[i]->kinds >> kind & 1) records += counts->records[kind];
    if (records) visit->match(route->entries[i], records, visit->arg);
  }
}

// An organisation's rows of a block, which lie together.
struct run {
  int64_t organisation;
  struct by_kind counts;
  const struct route *route;
};

enum { RUNS = 16 };

// The next rows as runs; returns how many there are.
static uint32_t take_runs(const struct journal_block *block, uint32_t *row, struct run *runs, struct by_kind *total) {
  uint32_t count = 0;
  while (count < RUNS && *row < block->count) {
    struct run *run = &runs[count++];
    *run = (struct run){.organisation = block->rows[*row].organisation};
    for (; *row < block->count && block->rows[*row].organisation == run->organisation; ++*row)
      run->counts.records[block->rows[*row].kind & (RECORD_KINDS - 1)]++;
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++) total->records[kind] += run->counts.records[kind];
  }
  return count;
}

// From the map to the entries, a pointer further in each round.
static void look_ahead(const struct router *router, struct run *runs, uint32_t count, const struct router_visit *visit) {
  for (uint32_t i = 0; i < count; i++) map_prefetch(&router->by_organisation, (uint64_t)runs[i].organisation);
  for (uint32_t i = 0; i < count; i++) {
    runs[i].route = map_get(&router->by_organisation, (uint64_t)runs[i].organisation);
    prefetch(runs[i].route, 1);
  }
  for (uint32_t i = 0; i < count; i++)
    if (runs[i].route) prefetch(runs[i].route->entries, 1);
  struct router_entry *entries[ROUTER_AHEAD];
  size_t found = 0;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t e = 0; runs[i].route && e < runs[i].route->count && found < ROUTER_AHEAD; e++) entries[found++] = runs[i].route->entries[e];
  visit->ahead(entries, found, visit->arg);
}

void router_match(const struct router *router, const struct journal_block *block, const struct router_visit *visit) {
  struct by_kind total = {0};
  struct run runs[RUNS];
  for (uint32_t row = 0, count; (count = take_runs(block, &row, runs, &total));) {
    look_ahead(router, runs, count, visit);
    for (uint32_t i = 0; i < count; i++) match_route(runs[i].route, &runs[i].counts, visit);
  }
  match_route(router->all, &total, visit);
}
