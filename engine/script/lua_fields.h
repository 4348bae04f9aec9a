// lua_fields.h - the members of Lua tables as C values, those of one table sorted by key; lua_encode's own.
//
// Tables made by one constructor come with the same keys in the same order again and again: how such a table
// is written is kept as a shape, and the next one with those keys needs no look at their bytes. The shape
// holds its keys, so a key at the address of one of them is that key.
#pragma once
#include "script/lua_state.h"

// A value taken from the Lua stack. Texts are held by the table they came from.
struct field {
  struct slice key;
  int type; // LUA_T...
  union {
    struct slice text;
    double number;
    bool truth;
    int index; // on the Lua stack: tables, userdata
  };
};

enum { FIELDS_FEW = 24, FIELDS_HEAD = 32, FIELDS_DEPTHS = 4, FIELDS_SHAPES = 8 };

struct fields_shape {
  uint32_t count;                      // 0: no table's
  uint8_t places[FIELDS_FEW];          // sorted: the first member's place of arrival, the second's ...
  uint8_t lens[FIELDS_FEW];            // of the heads, by place of arrival
  const void *keys[FIELDS_FEW];        // as lua_topointer has them, by place of arrival
  char heads[FIELDS_FEW][FIELDS_HEAD]; // `,"key":`
};

struct fields_shapes {             // of the tables at one depth
  const struct fields_shape *last; // that a table had; NULL: none yet
  struct fields_shape *all[FIELDS_SHAPES];
  uint32_t count, misses; // misses: tables of another shape since the last one was learnt
  uint32_t oldest;
};

struct fields {
  struct field *at; // those of nested tables stand behind each other
  uint16_t *places; // beside them: the sorted order, counted from the table's first
  uint32_t count, cap;
  struct fields_shapes shapes[FIELDS_DEPTHS];
};

void fields_open(lua_State *L);          // once a state; raises Lua errors
bool fields_grow(struct fields *fields); // fields_add's
// Room for one more, behind the others; NULL: out of memory. Pointers into `at` hold until the next add.
static inline struct field *fields_add(struct fields *fields) {
  if (fields->count == fields->cap && !fields_grow(fields)) return NULL;
  return &fields->at[fields->count++];
}
void fields_fini(struct fields *fields); // takes zeroed

// The shape of the last table at this depth, or NULL. It holds until fields_sort at the same depth.
static inline const struct fields_shape *fields_last(const struct fields *fields, uint32_t depth) {
  return depth < FIELDS_DEPTHS ? fields->shapes[depth].last : NULL;
}
// Another shape that begins with the same `count` keys as `like`; `key` comes next, or with NULL nothing
// does. NULL: none is known.
const struct fields_shape *fields_other(struct fields *fields, uint32_t depth,
                                        const struct fields_shape *like, uint32_t count, const void *key);
// Sorts the fields from `first` on: `places` are filled for them. Often learns their shape. Raises Lua
// errors.
void fields_sort(lua_State *L, struct fields *fields, uint32_t first, uint32_t depth);
