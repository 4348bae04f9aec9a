// lua_sandbox.h - the white list: what a script can reach, and nothing else.
#pragma once
#include "script/lua_state.h"

// Opens the sandbox in a new state: built-in functions on the list, our own, and globals that can't be
// assigned. Raises Lua errors.
void lua_sandbox_open(lua_State *L);
