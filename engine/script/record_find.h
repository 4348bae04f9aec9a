// record_find.h - looking up members in the record of the running call, where scripts do it again and again.
//
// The members of the record itself are told apart by the lengths and first bytes of their keys, all at once;
// what is inside them is small and searched as it stands. Elements of a list are found from where the last
// look-up ended.
#pragma once
#include "base/json_tape.h"

enum { RECORD_FIND_MEMBERS = 64, RECORD_FIND_LISTS = 8 };

struct record_find {
  uint32_t call;                           // of what follows; 0: nothing is known yet
  uint32_t count;                          // of members; 0: too many, or a key with escapes
  unsigned char tags[RECORD_FIND_MEMBERS]; // of the keys
  uint32_t values[RECORD_FIND_MEMBERS];
  struct record_find_list {
    uint32_t call, list, number, entry;
  } lists[RECORD_FIND_LISTS];
};

// `call` tells one record from the next; never 0. Both answer JSON_NONE for what isn't there.
static inline uint32_t record_find_member(struct record_find *find, const struct json_tape *tape,
                                          uint32_t call, uint32_t object, struct slice key);
// The element with this number, counted from 1.
uint32_t record_find_element(struct record_find *find, const struct json_tape *tape, uint32_t call,
                             uint32_t list, uint32_t number);

// record_find_member's, for the record itself: a new one is indexed, then looked through.
void record_find_index(struct record_find *find, const struct json_tape *tape, uint32_t call);
uint32_t record_find_indexed(const struct record_find *find, const struct json_tape *tape, struct slice key);

static inline uint32_t record_find_member(struct record_find *find, const struct json_tape *tape,
                                          uint32_t call, uint32_t object, struct slice key) {
  if (object) return json_find(tape, object, key);
  if (find->call != call) record_find_index(find, tape, call);
  return find->count ? record_find_indexed(find, tape, key) : json_find(tape, 0, key);
}
