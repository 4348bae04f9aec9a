#include "script/lua_fields.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdlib.h>

enum { FIRST_CAP = 32 };

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
  for (size_t i = 0; i < FIELDS_DEPTHS * FIELDS_SHAPES; i++)
    mem_free(f->shapes[i / FIELDS_SHAPES][i % FIELDS_SHAPES]);
  mem_free(f->at);
  mem_free(f->places);
  *f = (struct fields){0};
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

static bool fits_shape(const struct fields_shape *shape, const struct field *at, uint32_t count) {
  if (!shape || shape->count != count) return false;
  for (uint32_t i = 0; i < count; i++) {
    size_t len = (size_t)shape->lens[i] - 4;
    if (at[i].key.len != len || !slice_same_bytes(shape->heads[i] + 2, at[i].key.at, len)) return false;
  }
  return true;
}

// Keeps how the sorted fields are written. NULL: they are no shape.
static const struct fields_shape *learn(struct fields_shape **shape, const struct field *at,
                                        const uint16_t *places, uint32_t count) {
  if (!*shape) *shape = mem_zero(1, sizeof **shape);
  struct fields_shape *s = *shape;
  if (!s) return NULL;
  s->count = 0; // no table's, should a key not fit
  for (uint32_t i = 0; i < count; i++) {
    struct slice key = at[i].key;
    if (key.len > FIELDS_HEAD - 4 || !json_write_is_plain(key)) return NULL;
    s->lens[i] = (uint8_t)(key.len + 4);
    memcpy(s->heads[i], ",\"", 2);
    memcpy(s->heads[i] + 2, key.at, key.len);
    memcpy(s->heads[i] + 2 + key.len, "\":", 2);
    s->places[i] = (uint8_t)places[i];
  }
  s->count = count;
  return s;
}

const struct fields_shape *fields_sort(struct fields *f, uint32_t first, uint32_t depth) {
  struct field *at = f->at + first;
  uint16_t *places = f->places + first;
  uint32_t count = f->count - first;
  bool usual = count <= FIELDS_FEW && depth < FIELDS_DEPTHS;
  struct fields_shape **shape = usual ? &f->shapes[depth][count % FIELDS_SHAPES] : NULL;
  if (shape && fits_shape(*shape, at, count)) return *shape;
  for (uint32_t i = 0; i < count; i++)
    places[i] = (uint16_t)i;
  qsort_r(places, count, sizeof *places, compare_places, at);
  return shape ? learn(shape, at, places, count) : NULL;
}
