// lua_search.h - the sandbox's own string.find, match, gmatch and gsub: LuaJIT's, but in bounded time
// (lua_pattern.h).
//
// One difference in results: a start or a count beyond 32 bits means what it says, where LuaJIT wraps it.
#pragma once
#include "script/lua_state.h"

void lua_search_open(lua_State *L); // with the sandbox's string table on top of the stack; raises Lua errors
