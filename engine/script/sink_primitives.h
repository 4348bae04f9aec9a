// sink_primitives.h - what a sink's hooks may call beyond a script's white list: base64, sha256, hmac_sha256,
// and raw, by which map says that a text is the body as it stands.
#pragma once
#include "base/slice.h"
#include <lua.h>

// Sets the globals; takes and returns nothing. Raises Lua errors.
int sink_primitives_open(lua_State *L);
// The text that raw() was given, the value's own; at NULL: it is another value.
struct slice sink_primitives_raw(lua_State *L, int index);
