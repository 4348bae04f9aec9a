#include "script/lua_fields.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

enum {
  FIRST_CAP = 32,
  MISSES = 8, // until a new shape takes the place of an old one: keys that never come again cost little
};

_Static_assert(LIMIT_RESULT_NODES <= UINT16_MAX, "places are 16 bits");

bool fields_grow(struct fields *f) {
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

void fields_fini(struct fields *f) {
  for (uint32_t depth = 0; depth < FIELDS_DEPTHS; depth++)
    for (uint32_t i = 0; i < f->shapes[depth].count; i++)
      mem_free(f->shapes[depth].all[i]);
  mem_free(f->at);
  mem_free(f->places);
  *f = (struct fields){0};
}

void fields_open(lua_State *L) {
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_SHAPES);
}

const struct fields_shape *fields_other(struct fields *f, uint32_t depth, const struct fields_shape *like,
                                        uint32_t count, const void *key) {
  struct fields_shapes *known = &f->shapes[depth];
  for (uint32_t i = 0; i < known->count; i++) {
    const struct fields_shape *shape = known->all[i];
    bool fits = key ? count < shape->count && shape->keys[count] == key : count == shape->count;
    if (fits && memcmp(shape->keys, like->keys, count * sizeof *shape->keys) == 0) return known->last = shape;
  }
  return NULL;
}

static int compare(const struct field *a, const struct field *b) {
  size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
  int order = memcmp(a->key.at, b->key.at, len);
  return order ? order : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

static int compare_places(const void *a, const void *b, void *at) {
  const struct field *fields = at;
  return compare(&fields[*(const uint16_t *)a], &fields[*(const uint16_t *)b]);
}

static bool usual(const struct field *at, uint32_t count, uint32_t depth) {
  if (count > FIELDS_FEW || depth >= FIELDS_DEPTHS) return false;
  for (uint32_t i = 0; i < count; i++)
    if (at[i].key.len > FIELDS_HEAD - 4 || !json_write_is_plain(at[i].key)) return false;
  return true;
}

// The shape to learn into, which is no table's then. NULL: none this time. *number: from 1, among all.
static struct fields_shape *take_shape(struct fields *f, uint32_t depth, int *number) {
  struct fields_shapes *known = &f->shapes[depth];
  uint32_t place = known->count;
  if (place < FIELDS_SHAPES) {
    known->all[place] = mem_zero(1, sizeof **known->all);
    if (!known->all[place]) return NULL;
    known->count++;
  } else {
    if (++known->misses < MISSES) return NULL;
    place = known->oldest++ % FIELDS_SHAPES;
  }
  known->misses = 0;
  known->last = known->all[place];
  known->all[place]->count = 0;
  *number = (int)(depth * FIELDS_SHAPES + place) + 1;
  return known->all[place];
}

// Keeps the keys from being collected for as long as the shape with this number has them.
static void hold_keys(lua_State *L, int number, struct fields_shape *shape, const struct field *at,
                      uint32_t count) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_SHAPES);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushlstring(L, at[i].key.at, at[i].key.len);
    shape->keys[i] = lua_topointer(L, -1);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_rawseti(L, -2, number);
  lua_pop(L, 1);
}

static void learn(lua_State *L, struct fields *f, uint32_t first, uint32_t depth) {
  int number;
  struct fields_shape *s = take_shape(f, depth, &number);
  if (!s) return;
  uint32_t count = f->count - first;
  hold_keys(L, number, s, f->at + first, count);
  for (uint32_t i = 0; i < count; i++) {
    struct slice key = f->at[first + i].key;
    s->lens[i] = (uint8_t)(key.len + 4);
    memcpy(s->heads[i], ",\"", 2);
    memcpy(s->heads[i] + 2, key.at, key.len);
    memcpy(s->heads[i] + 2 + key.len, "\":", 2);
    s->places[i] = (uint8_t)f->places[first + i];
  }
  s->count = count;
}

void fields_sort(lua_State *L, struct fields *f, uint32_t first, uint32_t depth) {
  struct field *at = f->at + first;
  uint16_t *places = f->places + first;
  uint32_t count = f->count - first;
  for (uint32_t i = 0; i < count; i++)
    places[i] = (uint16_t)i;
  qsort_r(places, count, sizeof *places, compare_places, at);
  if (usual(at, count, depth)) learn(L, f, first, depth);
}
