#include "script/record_find.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static unsigned char short_length(size_t len) {
  return len < UINT8_MAX ? (unsigned char)len : UINT8_MAX;
}

// False: the record is not indexed. What stands behind the last length may be from another record: it is
// never looked at.
static bool open_index(struct record_find *f, const struct json_tape *tape, uint32_t call) {
  const struct json_entry *entries = tape->entries;
  if (f->call == call) return f->count > 0;
  f->call = call;
  f->count = 0;
  if (entries[0].kind != TAPE_OBJECT || entries[0].count > RECORD_FIND_MEMBERS) return false;
  uint32_t count = 0;
  for (uint32_t i = 1; i < entries[0].next; i = entries[i + 1].next) {
    if (entries[i].kind != TAPE_STRING) return false;
    f->lengths[count] = short_length(entries[i].len);
    f->values[count++] = i + 1;
  }
  f->count = count;
  return count > 0;
}

// A bit for each of the 16 members from `first` on whose key has this length.
static unsigned of_length(const struct record_find *f, uint32_t first, unsigned char length) {
#ifdef __SSE2__
  __m128i lengths = _mm_loadu_si128((const __m128i *)(const void *)(f->lengths + first));
  unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(lengths, _mm_set1_epi8((char)length)));
#else
  unsigned same = 0;
  for (uint32_t i = 0; i < 16; i++)
    same |= (unsigned)(f->lengths[first + i] == length) << i;
#endif
  uint32_t left = f->count - first;
  return left < 16 ? same & ((1u << left) - 1) : same;
}

// From behind, since the last of several equal keys counts.
static uint32_t find_indexed(const struct record_find *f, const struct json_tape *tape, struct slice key) {
  for (uint32_t first = (f->count - 1) & ~15u;; first -= 16) {
    unsigned same = of_length(f, first, short_length(key.len));
    while (same) {
      unsigned last = 31u - (unsigned)__builtin_clz(same);
      uint32_t value = f->values[first + last];
      struct slice other = json_inner(tape, value - 1);
      if (other.len == key.len && slice_same_bytes(other.at, key.at, key.len)) return value;
      same ^= 1u << last;
    }
    if (first == 0) return JSON_NONE;
  }
}

uint32_t record_find_member(struct record_find *f, const struct json_tape *tape, uint32_t call,
                            uint32_t object, struct slice key) {
  if (object == 0 && open_index(f, tape, call)) return find_indexed(f, tape, key);
  return json_find(tape, object, key);
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
