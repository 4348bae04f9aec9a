// dedupe_set.h - the newest identities, 128-bit keys in an open hash table that lies in order of the keys,
// nearly.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dedupe_key { // as good as random; never zero
  uint64_t high, low;
};

static inline bool dedupe_key_less(struct dedupe_key a, struct dedupe_key b) {
  return a.high != b.high ? a.high < b.high : a.low < b.low;
}

struct dedupe_set {
  struct dedupe_key *slots; // zero: free
  unsigned shift;           // 64 - log2 of how many; a key's home is high >> shift
  size_t count;
};

bool dedupe_set_init(struct dedupe_set *set,
                     size_t least);           // room for that many keys within its load; false: out of memory
void dedupe_set_fini(struct dedupe_set *set); // takes zeroed
size_t dedupe_set_room(const struct dedupe_set *set); // keys that may still go in
static inline size_t dedupe_set_slots(const struct dedupe_set *set) {
  return (size_t)1 << (64 - set->shift);
}
static inline size_t dedupe_set_bytes(const struct dedupe_set *set) {
  return set->slots ? dedupe_set_slots(set) * sizeof(struct dedupe_key) : 0;
}

// Where the key is, or the free slot where it would go.
static inline size_t dedupe_set_find(const struct dedupe_set *set, struct dedupe_key key) {
  size_t mask = dedupe_set_slots(set) - 1, i = key.high >> set->shift;
  while ((set->slots[i].high | set->slots[i].low) &&
         (set->slots[i].high != key.high || set->slots[i].low != key.low))
    i = (i + 1) & mask;
  return i;
}
static inline bool dedupe_set_has(const struct dedupe_set *set, struct dedupe_key key) {
  const struct dedupe_key *slot = &set->slots[dedupe_set_find(set, key)];
  return slot->high | slot->low;
}
static inline void dedupe_set_prefetch(const struct dedupe_set *set, struct dedupe_key key) {
  __builtin_prefetch(&set->slots[key.high >> set->shift]);
}

// All keys in order into `out`, which has room for `count`.
void dedupe_set_sorted(const struct dedupe_set *set, struct dedupe_key *out);
