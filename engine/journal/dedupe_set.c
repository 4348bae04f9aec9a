#include "journal/dedupe_set.h"
#include "base/mem.h"

#include <assert.h>

enum { LEAST_BITS = 10 };

static size_t fullest(size_t slots) {
  return slots / 4 * 3;
}

bool dedupe_set_init(struct dedupe_set *set, size_t least) {
  unsigned bits = LEAST_BITS;
  while (fullest((size_t)1 << bits) < least)
    bits++;
  *set = (struct dedupe_set){.shift = 64 - bits};
  set->slots = mem_zero((size_t)1 << bits, sizeof *set->slots);
  return set->slots != NULL;
}

void dedupe_set_fini(struct dedupe_set *set) {
  mem_free(set->slots);
  *set = (struct dedupe_set){0};
}

size_t dedupe_set_room(const struct dedupe_set *set) {
  return set->slots ? fullest(dedupe_set_slots(set)) - set->count : 0;
}

static bool taken(struct dedupe_key key) {
  return key.high | key.low;
}

static struct dedupe_key *copy_some(const struct dedupe_set *set, size_t from, size_t to, bool wrapped,
                                    struct dedupe_key *out) {
  size_t half = dedupe_set_slots(set) / 2;
  for (size_t i = from; i < to; i++)
    if (taken(set->slots[i]) && (set->slots[i].high >> set->shift >= half) == wrapped) *out++ = set->slots[i];
  return out;
}

// A key lies near its home, so the table is almost sorted as it stands; only those that went past its end, to
// the beginning, are far.
void dedupe_set_sorted(const struct dedupe_set *set, struct dedupe_key *out) {
  size_t slots = dedupe_set_slots(set), free = 0;
  while (taken(set->slots[free]))
    free++;
  struct dedupe_key *end = copy_some(set, 0, free, false, out);
  for (size_t i = free; i < slots; i++)
    if (taken(set->slots[i])) *end++ = set->slots[i];
  end = copy_some(set, 0, free, true, end);
  assert((size_t)(end - out) == set->count);
  for (struct dedupe_key *at = out + 1; at < end; at++) {
    struct dedupe_key key = *at, *to = at;
    for (; to > out && dedupe_key_less(key, to[-1]); to--)
      *to = to[-1];
    *to = key;
  }
}
