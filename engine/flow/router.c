#include "flow/router.h"
#include "base/mem.h"

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

static void match_route(const struct route *route, const struct by_kind *counts,
                        void (*match)(struct router_entry *, uint32_t, void *), void *arg) {
  for (uint32_t i = 0; route && i < route->count; i++) {
    uint32_t records = 0;
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++)
      if (route->entries[i]->kinds >> kind & 1) records += counts->records[kind];
    if (records) match(route->entries[i], records, arg);
  }
}

void router_match(const struct router *router, const struct journal_block *block,
                  void (*match)(struct router_entry *entry, uint32_t records, void *arg), void *arg) {
  struct by_kind total = {0};
  for (uint32_t i = 0; i < block->count;) {
    struct by_kind own = {0};
    int64_t organisation = block->rows[i].organisation;
    for (; i < block->count && block->rows[i].organisation == organisation; i++)
      own.records[block->rows[i].kind & (RECORD_KINDS - 1)]++;
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++) total.records[kind] += own.records[kind];
    match_route(map_get(&router->by_organisation, (uint64_t)organisation), &own, match, arg);
  }
  match_route(router->all, &total, match, arg);
}
