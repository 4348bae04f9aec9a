// spec_compare.h - what differs between two Lua values, told path by path: `records[1].mb: expected 1.5, got
// "1.5" (a string)`.
//
// By value and by raw access: no metamethod runs. An empty table that is not marked equals any empty table;
// null is null.
#pragma once
#include "script/lua_state.h"

enum { SPEC_DIFFERENCES = 20 }; // lines of one comparison; what follows is only said to be there

// Whether the values at these indices are the same; if not, `out` gets a line a difference, paths beginning
// with `root`. May raise Lua errors: inside a protected call only.
bool spec_compare(lua_State *L, int expected, int got, const char *root, struct buf *out);
// Appends the value as text on one line, cut; with `typed`, what is no table has its type behind it. May
// raise Lua errors.
void spec_describe(lua_State *L, int index, bool typed, struct buf *out);
