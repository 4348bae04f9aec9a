// sink_primitives.h - what request and verdict may call beyond a script's white list: base64, sha256,
// hmac_sha256.
#pragma once
#include <lua.h>

// Sets the globals. Raises Lua errors.
void sink_primitives_open(lua_State *L);
