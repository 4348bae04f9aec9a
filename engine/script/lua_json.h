// lua_json.h - JSON text as Lua tables, for what a script may keep: contexts, settings, parameters.
//
// Objects and arrays become tables (arrays marked, so that an empty one is written as it came), null becomes
// the null mark, integers beyond 2^53 become exact integers (lua_exact.h).
#pragma once
#include "script/lua_state.h"

// Pushes a value of the tape. Raises Lua errors: inside a protected call only.
void lua_json_push(lua_State *L, const struct json_tape *tape, uint32_t entry);
// Pushes the value that the text holds. False with err, and nothing pushed: no valid JSON, or out of memory.
bool lua_json_read(struct lua_state *s, struct slice json, struct err *err);
