// lua_encode.h - Lua values as JSON text, by raw access only: no metamethod runs, so no script's code does.
//
// Keys are sorted by bytes. A table is an array when it carries the mark of array{} or has just the keys 1 to
// n, n >= 1; an empty one is {}. A record's proxy is spliced from the record's bytes. Depth, values and bytes
// are bounded (limits.h).
#pragma once
#include "script/lua_state.h"

// Appends the value at `index` to `out`. False: `err` names the field ("field 'a.b': a number that is not
// finite"), and out is as it was. May raise Lua errors (memory): inside a protected call only.
bool lua_encode(lua_State *L, int index, struct buf *out, struct err *err);
// The same for one of several values that share the limits.
struct lua_encode_left {
  uint32_t nodes;
  size_t bytes;
};
bool lua_encode_within(lua_State *L, int index, struct buf *out, struct lua_encode_left *left,
                       struct err *err);
void lua_encode_open(lua_State *L);            // sets the global json; raises Lua errors
void lua_encode_free(struct encoder *encoder); // lua_state's; takes NULL

// Whether the table at `index` was made by array{}; its length then.
bool lua_encode_is_array(lua_State *L, int index, size_t *len);
