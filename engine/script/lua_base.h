// lua_base.h - the sandbox's own type, tostring, tonumber, next, pairs and ipairs, which know records and
// show no addresses, and null, array and object.
#pragma once
#include "script/lua_state.h"

void lua_base_open(
    lua_State *L); // sets the globals; the built-in ones must still be L's globals; raises Lua errors

// The type's name as scripts see it: a proxy is a "table", an exact integer a "number", null is "null".
const char *lua_base_type(lua_State *L, int index);
// Pushes the value as text: integers with all their digits, "table" or "function" without an address. May
// call __tostring.
void lua_base_push_text(lua_State *L, int index);
