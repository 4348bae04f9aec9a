#include "journal/organisation_order.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

enum { LEAST_ROWS = 1024 };

void organisation_order_fini(struct organisation_order *o) {
  mem_free(o->groups);
  mem_free(o->slots);
  mem_free(o->group_of);
  *o = (struct organisation_order){0};
}

static bool reserve(struct organisation_order *o, size_t rows) {
  if (o->rows_cap >= rows) return true;
  size_t cap = LEAST_ROWS;
  while (cap < rows)
    cap *= 2;
  organisation_order_fini(o);
  o->groups = mem_alloc(cap * sizeof *o->groups);
  o->slots = mem_alloc(2 * cap * sizeof *o->slots);
  o->group_of = mem_alloc(cap * sizeof *o->group_of);
  if (!o->groups || !o->slots || !o->group_of) {
    organisation_order_fini(o);
    return false;
  }
  o->rows_cap = cap;
  return true;
}

static bool in_order(const int64_t *organisations, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    if (organisations[i] < organisations[i - 1]) return false;
  return true;
}

static uint32_t group_of(struct organisation_order *o, int64_t organisation) {
  size_t mask = o->slots_cap - 1, i = hash_u64((uint64_t)organisation) & mask;
  while (o->slots[i] && o->groups[o->slots[i] - 1].organisation != organisation)
    i = (i + 1) & mask;
  if (!o->slots[i]) {
    o->groups[o->count++] = (struct organisation_group){.organisation = organisation};
    o->slots[i] = (uint32_t)o->count;
  }
  return o->slots[i] - 1;
}

static int by_organisation(const void *a, const void *b) {
  const struct organisation_group *const *x = a, *const *y = b;
  return ((*x)->organisation > (*y)->organisation) - ((*x)->organisation < (*y)->organisation);
}

// Sorts pointers, so that groups keep their places, and gives each the rows behind the one before.
static bool place_groups(struct organisation_order *o) {
  struct organisation_group **sorted = mem_alloc(o->count * sizeof(struct organisation_group *));
  if (!sorted) return false;
  for (size_t i = 0; i < o->count; i++)
    sorted[i] = &o->groups[i];
  qsort(sorted, o->count, sizeof(struct organisation_group *), by_organisation);
  uint32_t at = 0;
  for (size_t i = 0; i < o->count; i++) {
    sorted[i]->at = at;
    at += sorted[i]->rows;
  }
  mem_free(sorted);
  return true;
}

bool organisation_order(struct organisation_order *o, const int64_t *organisations, uint32_t count,
                        uint32_t *place) {
  if (in_order(organisations, count)) {
    for (uint32_t i = 0; i < count; i++)
      place[i] = i;
    return true;
  }
  if (!reserve(o, count)) return false;
  o->count = 0;
  o->slots_cap = LEAST_ROWS;
  while (o->slots_cap < 2 * (size_t)count)
    o->slots_cap *= 2;
  memset(o->slots, 0, o->slots_cap * sizeof *o->slots);
  for (uint32_t i = 0; i < count; i++) {
    o->group_of[i] = group_of(o, organisations[i]);
    o->groups[o->group_of[i]].rows++;
  }
  if (!place_groups(o)) return false;
  for (uint32_t i = 0; i < count; i++)
    place[i] = o->groups[o->group_of[i]].at++;
  return true;
}
