// lua_value.h - the values that Lua lacks, as scripts hold them: null, and what a userdata is.
//
// null is the light userdata NULL. Every full userdata that a script can reach begins with a uint32_t tag.
#pragma once
#include <lua.h>
#include <stdint.h>

enum lua_value_tag { LUA_VALUE_NONE, LUA_VALUE_PROXY = 0x70726f78, LUA_VALUE_EXACT = 0x65786163 };

static inline enum lua_value_tag lua_value_tag(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA) return LUA_VALUE_NONE;
  return (enum lua_value_tag) * (const uint32_t *)lua_touserdata(L, index);
}

static inline void lua_value_push_null(lua_State *L) {
  lua_pushlightuserdata(L, NULL);
}

static inline int lua_value_is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA;
}
