#include "flow/positions.h"
#include "base/hash.h"
#include "base/map.h"
#include "flow/stream.h"
#include "script/windows.h"

#include <string.h>

enum { POSITIONS_BYTES = 64 << 20 };

struct positions_place {
  enum store_table table;
  bool gone;
  size_t key, key_len, value, value_len; // where in the bytes
};

struct pair {
  struct slice key, value;
};

struct fold { // the last value of each key
  struct buf pairs; // struct pair
  struct map by_key; // by hash: number from 1
};

void positions_init(struct positions *p) {
  buf_init(&p->bytes, POSITIONS_BYTES);
  buf_init(&p->places, POSITIONS_BYTES);
  buf_init(&p->changes, POSITIONS_BYTES);
}

void positions_fini(struct positions *p) {
  buf_fini(&p->bytes);
  buf_fini(&p->places);
  buf_fini(&p->changes);
}

void positions_clear(struct positions *p) {
  p->bytes.len = p->places.len = p->changes.len = 0;
}

// ---- windows ----

// Two keys of one hash do no harm: the second goes as often as it was changed, in order.
static bool fold_pair(struct fold *f, const struct pair *pair) {
  uint64_t hash = hash_bytes(pair->key.at, pair->key.len, 2);
  uintptr_t number = (uintptr_t)map_get(&f->by_key, hash);
  struct pair *known = number ? (struct pair *)(void *)f->pairs.at + (number - 1) : NULL;
  if (known && slice_equal(known->key, pair->key)) {
    known->value = pair->value;
    return true;
  }
  if (!buf_append(&f->pairs, pair, sizeof *pair)) return false;
  return known || map_put(&f->by_key, hash, (void *)(uintptr_t)(f->pairs.len / sizeof *pair));
}

static bool fold_trace(struct slice pairs, void *arg) {
  struct pair pair;
  struct err err = {0};
  while (windows_next_pair(&pairs, &pair.key, &pair.value, &err))
    if (!fold_pair(arg, &pair)) return false;
  return true;
}

static bool put_place(struct positions *p, const struct positions_place *place) {
  return buf_append(&p->places, place, sizeof *place);
}

static bool put_pair(struct positions *p, struct slice id, const struct pair *pair) {
  struct positions_place place = {.table = STORE_WINDOWS, .gone = !pair->value.len, .key = p->bytes.len,
                                  .key_len = id.len + pair->key.len, .value_len = pair->value.len};
  place.value = place.key + place.key_len;
  return buf_append(&p->bytes, id.at, id.len) && buf_append(&p->bytes, pair->key.at, pair->key.len) &&
         buf_append(&p->bytes, pair->value.at, pair->value.len) && put_place(p, &place);
}

static bool add_windows(struct positions *p, struct stream *s, struct slice id) {
  struct fold f = {0};
  buf_init(&f.pairs, POSITIONS_BYTES);
  bool ok = recall_each_done(s, fold_trace, &f);
  const struct pair *pairs = (const void *)f.pairs.at;
  for (size_t i = 0; ok && i < f.pairs.len / sizeof *pairs; i++) ok = put_pair(p, id, &pairs[i]);
  buf_fini(&f.pairs);
  map_fini(&f.by_key);
  return ok;
}

// ---- streams ----

static bool add_position(struct positions *p, struct stream *s, struct slice id) {
  struct positions_place place = {.table = STORE_POSITIONS, .key = p->bytes.len, .key_len = id.len};
  place.value = place.key + id.len;
  if (!buf_append(&p->bytes, id.at, id.len) || !saver_position(s, &p->bytes)) return false;
  place.value_len = p->bytes.len - place.value;
  return put_place(p, &place);
}

bool positions_add(struct positions *p, struct stream *s) {
  const char *id = s->outfit->definition->id;
  size_t bytes = p->bytes.len, places = p->places.len;
  if (add_position(p, s, slice_of(id)) && (!s->recall.bytes || add_windows(p, s, slice_make(id, strlen(id) + 1)))) return true;
  p->bytes.len = bytes;
  p->places.len = places;
  return false;
}

bool positions_delete(struct positions *p, enum store_table table, struct slice key) {
  struct positions_place place = {.table = table, .gone = true, .key = p->bytes.len, .key_len = key.len};
  return buf_append(&p->bytes, key.at, key.len) && put_place(p, &place);
}

struct store_change *positions_changes(struct positions *p, size_t *count) {
  const struct positions_place *places = (const void *)p->places.at;
  *count = p->places.len / sizeof *places;
  p->changes.len = 0;
  if (!buf_reserve(&p->changes, *count * sizeof(struct store_change))) return NULL;
  struct store_change *changes = (void *)p->changes.at;
  for (size_t i = 0; i < *count; i++) {
    const struct positions_place *at = &places[i];
    changes[i] = (struct store_change){.table = at->table, .key = slice_make(p->bytes.at + at->key, at->key_len)};
    if (!at->gone) changes[i].value = slice_make(p->bytes.at + at->value, at->value_len);
  }
  return changes;
}
