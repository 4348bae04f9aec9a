// lua_exact.h - integers that a double can't hold, as scripts see them: compared, put into texts and written
// digit by digit.
//
// Equal ones are one and the same userdata, so == holds, and they are equal as keys. Arithmetic is an error
// rather than a loss.
#pragma once
#include "script/lua_state.h"

void lua_exact_open(lua_State *L); // metatable, and the global compare; raises Lua errors
// Pushes the integer with these digits ("-" in front allowed, no leading zeros). Raises Lua errors.
void lua_exact_push(lua_State *L, struct slice digits);
// An exact integer at `index` becomes a string there, as string functions take numbers; anything else stays.
void lua_exact_to_text(lua_State *L, int index);
// The digits of the exact integer at `index`; at NULL: it is none. They hold as long as the value.
struct slice lua_exact_digits(lua_State *L, int index);
