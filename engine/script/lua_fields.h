// lua_fields.h - the members of Lua tables as C values, those of one table sorted by key; lua_encode's own.
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

enum { FIELDS_FEW = 24, FIELDS_ORDERS = 8 };

struct fields {
  struct field *at; // those of nested tables stand behind each other
  uint16_t *places; // beside them: the sorted order, counted from the table's first
  uint32_t count, cap;
  // Tables made by one constructor come in one order again and again: the last one's is tried first.
  struct fields_order {
    uint32_t count;
    uint16_t places[FIELDS_FEW];
  } orders[FIELDS_ORDERS];
};

// Room for one more, behind the others; NULL: out of memory. Pointers into `at` hold until the next add.
struct field *fields_add(struct fields *fields);
void fields_fini(struct fields *fields); // takes zeroed
// Fills `places` for the fields from `first` on.
void fields_sort(struct fields *fields, uint32_t first);
