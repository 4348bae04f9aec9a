// lua_fields.h - the members of Lua tables as C values, those of one table sorted by key; lua_encode's own.
//
// Tables made by one constructor come with the same keys in the same order again and again: how the last
// table of so many members was written is kept as a shape, checked key by key, and spares the sorting.
#pragma once
#include "base/slice.h"
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

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

enum { FIELDS_FEW = 24, FIELDS_HEAD = 32, FIELDS_DEPTHS = 4, FIELDS_SHAPES = 4 };

struct fields_shape {
  uint32_t count;
  uint8_t places[FIELDS_FEW];          // sorted: the first member's place of arrival, the second's ...
  uint8_t lens[FIELDS_FEW];            // of the heads, by place of arrival
  char heads[FIELDS_FEW][FIELDS_HEAD]; // `,"key":`
};

struct fields {
  struct field *at; // those of nested tables stand behind each other
  uint16_t *places; // beside them: the sorted order, counted from the table's first
  uint32_t count, cap;
  struct fields_shape *shapes[FIELDS_DEPTHS][FIELDS_SHAPES]; // by depth and count; NULL: none yet
};

bool fields_grow(struct fields *fields); // fields_add's
// Room for one more, behind the others; NULL: out of memory. Pointers into `at` hold until the next add.
static inline struct field *fields_add(struct fields *fields) {
  if (fields->count == fields->cap && !fields_grow(fields)) return NULL;
  return &fields->at[fields->count++];
}
void fields_fini(struct fields *fields); // takes zeroed
// The shape of the fields from `first` on, which holds until others of the same depth are sorted; or NULL
// when these are too many, too deep, long or special: then `places` are filled for them.
const struct fields_shape *fields_sort(struct fields *fields, uint32_t first, uint32_t depth);
