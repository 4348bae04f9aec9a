#include "script/record_find.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { STEP = 16 };
_Static_assert(RECORD_FIND_MEMBERS % STEP == 0, "a step never passes the end");

// A byte made of a key's length and first byte; of an empty one, what follows it in a record is the quote.
static inline unsigned char tag_of(size_t len, char first) {
  return (unsigned char)(len * 8 ^ (unsigned char)first);
}

// What stands behind the last tag may be from another record.
void record_find_index(struct record_find *f, const struct json_tape *tape, uint32_t call) {
  const struct json_entry *entries = tape->entries;
  f->call = call;
  f->count = 0;
  if (entries[0].kind != TAPE_OBJECT || entries[0].count > RECORD_FIND_MEMBERS) return;
  uint32_t count = 0, end = entries[0].next;
  for (uint32_t i = 1; i < end; i = entries[i + 1].next) {
    if (entries[i].kind != TAPE_STRING) return;
    f->tags[count] = tag_of(entries[i].len, tape->text[entries[i].at]);
    f->values[count++] = i + 1;
  }
  f->count = count;
}

// A bit for each of the members from `first` on, a step of them, whose key has this tag.
static inline unsigned tagged(const struct record_find *f, uint32_t first, unsigned char tag) {
#ifdef __SSE2__
  __m128i tags = _mm_loadu_si128((const __m128i *)(const void *)(f->tags + first));
  unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag)));
#else
  unsigned same = 0;
  for (uint32_t i = 0; i < STEP; i++)
    same |= (unsigned)(f->tags[first + i] == tag) << i;
#endif
  uint32_t left = f->count - first;
  return left < STEP ? same & ((1u << left) - 1) : same;
}

// The member's value if it has the key.
static inline uint32_t checked(const struct record_find *f, const struct json_tape *tape, struct slice key,
                               uint32_t member) {
  uint32_t value = f->values[member];
  const struct json_entry *other = &tape->entries[value - 1];
  bool same = other->len == key.len && slice_same_bytes(tape->text + other->at, key.at, key.len);
  return same ? value : JSON_NONE;
}

// From behind, since the last of several equal keys counts.
static __attribute__((noinline)) uint32_t
find_among(const struct record_find *f, const struct json_tape *tape, struct slice key, unsigned char tag) {
  for (uint32_t first = (f->count - 1) / STEP * STEP;; first -= STEP) {
    for (unsigned same = tagged(f, first, tag); same;) {
      uint32_t last = 31u - (unsigned)__builtin_clz(same);
      uint32_t value = checked(f, tape, key, first + last);
      if (value != JSON_NONE) return value;
      same ^= 1u << last;
    }
    if (first == 0) return JSON_NONE;
  }
}

// Nearly always the record is small and one member or none has the tag.
uint32_t record_find_indexed(const struct record_find *f, const struct json_tape *tape, struct slice key) {
  unsigned char tag = tag_of(key.len, key.len ? key.at[0] : '"');
  if (f->count > STEP) return find_among(f, tape, key, tag);
  unsigned same = tagged(f, 0, tag);
  if (same & (same - 1)) return find_among(f, tape, key, tag);
  return same ? checked(f, tape, key, (uint32_t)__builtin_ctz(same)) : JSON_NONE;
}

uint32_t record_find_element(struct record_find *f, const struct json_tape *tape, uint32_t call,
                             uint32_t list, uint32_t number) {
  const struct json_entry *whole = &tape->entries[list];
  struct record_find_list *known = &f->lists[list % RECORD_FIND_LISTS];
  uint32_t i = 1, entry = list + 1;
  if (whole->kind != TAPE_ARRAY || number == 0) return JSON_NONE;
  if (known->call == call && known->list == list && known->number <= number)
    i = known->number, entry = known->entry;
  for (; i < number && entry < whole->next; i++)
    entry = tape->entries[entry].next;
  if (entry >= whole->next) return JSON_NONE;
  *known = (struct record_find_list){call, list, i, entry};
  return entry;
}
