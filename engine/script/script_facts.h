// script_facts.h - the table that a script returns, checked and read into C.
#pragma once
#include "script/lua_state.h"

// Reads the table at `index`; its hooks are left on the stack: filter, map (nil where there is none). Raises
// a Lua error that says what is wrong with it.
void script_facts_read(lua_State *L, int index, enum script_role role, struct script_facts *out);
