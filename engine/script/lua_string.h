// lua_string.h - the sandbox's own string.format, without %p and with all digits, and string.rep, with a
// bound.
#pragma once
#include "script/lua_state.h"

// All with a table of strings' functions on top of the stack; raise Lua errors.
void lua_string_open(lua_State *L);
// Pushes the same table with functions that take an exact integer as a string, as they take any number. Those
// called as methods have a string in any case, and are spared a look.
void lua_string_push_library(lua_State *L);
