// lua_hash.h - hash(text, key): a stable name for what must not be shown, and a fair choice among ids.
//
// HMAC-SHA256 (RFC 2104, FIPS 180-4), its first 128 bits in hex: whoever lacks the key can't find the text by
// trying all of them, as they could with a plain digest of the 15 digits of an IMSI.
#pragma once
#include "script/lua_state.h"

void lua_hash_open(lua_State *L); // sets the global; raises Lua errors
