#include "base/map.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/prefetch.h"

void map_fini(struct map *m) {
  mem_free(m->slots);
  *m = (struct map){0};
}

static size_t home(const struct map *m, uint64_t key) {
  return hash_u64(key) & (m->cap - 1);
}

static struct map_slot *find(const struct map *m, uint64_t key) {
  size_t i = home(m, key);
  while (m->slots[i].value && m->slots[i].key != key) i = (i + 1) & (m->cap - 1);
  return &m->slots[i];
}

void *map_get(const struct map *m, uint64_t key) {
  return m->cap ? find(m, key)->value : NULL;
}

void map_prefetch(const struct map *m, uint64_t key) {
  if (m->cap) prefetch(&m->slots[home(m, key)], 1);
}

static bool grow(struct map *m) {
  struct map bigger = {.cap = m->cap ? m->cap * 2 : 16, .count = m->count};
  bigger.slots = mem_zero(bigger.cap, sizeof *bigger.slots);
  if (!bigger.slots) return false;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slots[i].value) *find(&bigger, m->slots[i].key) = m->slots[i];
  mem_free(m->slots);
  *m = bigger;
  return true;
}

bool map_put(struct map *m, uint64_t key, void *value) {
  if ((m->count + 1) * 4 > m->cap * 3 && !grow(m)) return false;
  struct map_slot *slot = find(m, key);
  if (!slot->value) m->count++;
  *slot = (struct map_slot){key, value};
  return true;
}

void *map_remove(struct map *m, uint64_t key) {
  if (!m->cap) return NULL;
  struct map_slot *slot = find(m, key);
  void *value = slot->value;
  if (!value) return NULL;
  m->count--;
  // Linear probing without tombstones: move back what the hole would hide.
  size_t hole = (size_t)(slot - m->slots), i = hole;
  for (;;) {
    i = (i + 1) & (m->cap - 1);
    if (!m->slots[i].value) break;
    size_t want = home(m, m->slots[i].key);
    if (((i - want) & (m->cap - 1)) < ((i - hole) & (m->cap - 1))) continue;
    m->slots[hole] = m->slots[i];
    hole = i;
  }
  m->slots[hole].value = NULL;
  return value;
}

void *map_each(const struct map *m, size_t *i) {
  while (*i < m->cap) {
    void *value = m->slots[(*i)++].value;
    if (value) return value;
  }
  return NULL;
}
