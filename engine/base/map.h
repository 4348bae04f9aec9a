// map.h - a hash table from 64-bit integers to pointers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
  uint64_t key;
  void *value; // NULL: free
};

struct map {
  struct map_slot *slots;
  size_t count, cap; // cap is a power of two or 0
};

void map_fini(struct map *m); // zeroed is an empty map; the values are the caller's
void *map_get(const struct map *m, uint64_t key);
void map_prefetch(const struct map *m, uint64_t key); // its map_get comes soon
// Puts or replaces; value must not be NULL. False when out of memory.
bool map_put(struct map *m, uint64_t key, void *value);
// Takes out and returns the value, or NULL.
void *map_remove(struct map *m, uint64_t key);
// Walks: `for (size_t i = 0; (v = map_each(m, &i));)`. No change to the map while it walks.
void *map_each(const struct map *m, size_t *i);
