#include "script/lua_fields.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

enum { FIRST_CAP = 32 };

_Static_assert(LIMIT_RESULT_NODES <= UINT16_MAX, "places are 16 bits");

static bool grow(struct fields *f) {
  uint32_t cap = f->cap ? f->cap * 2 : FIRST_CAP;
  struct field *at = mem_grow(f->at, cap * sizeof *at);
  if (!at) return false;
  f->at = at;
  uint16_t *places = mem_grow(f->places, cap * sizeof *places);
  if (!places) return false;
  f->places = places;
  f->cap = cap;
  return true;
}

struct field *fields_add(struct fields *f) {
  if (f->count == f->cap && !grow(f)) return NULL;
  return &f->at[f->count++];
}

void fields_fini(struct fields *f) {
  mem_free(f->at);
  mem_free(f->places);
  *f = (struct fields){0};
}

static int compare(const struct field *a, const struct field *b) {
  size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
  int order = memcmp(a->key.at, b->key.at, len);
  return order ? order : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

// One pass when the order is right already.
static void insert_each(const struct field *at, uint16_t *places, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    uint16_t place = places[i];
    uint32_t to = i;
    for (; to && compare(&at[places[to - 1]], &at[place]) > 0; to--)
      places[to] = places[to - 1];
    places[to] = place;
  }
}

static int compare_places(const void *a, const void *b, void *at) {
  const struct field *fields = at;
  return compare(&fields[*(const uint16_t *)a], &fields[*(const uint16_t *)b]);
}

void fields_sort(struct fields *f, uint32_t first) {
  struct field *at = f->at + first;
  uint16_t *places = f->places + first;
  uint32_t count = f->count - first;
  struct fields_order *known = count <= FIELDS_FEW ? &f->orders[count % FIELDS_ORDERS] : NULL;
  if (known && known->count == count)
    memcpy(places, known->places, count * sizeof *places);
  else
    for (uint32_t i = 0; i < count; i++)
      places[i] = (uint16_t)i;
  if (!known) {
    qsort_r(places, count, sizeof *places, compare_places, at);
    return;
  }
  insert_each(at, places, count);
  known->count = count;
  memcpy(known->places, places, count * sizeof *places);
}
