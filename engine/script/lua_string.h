// lua_string.h - the sandbox's own string.format, without %p and with all digits, and string.rep, with a
// bound.
#pragma once
#include "script/lua_state.h"

void lua_string_open(lua_State *L); // with the sandbox's string table on top of the stack; raises Lua errors
