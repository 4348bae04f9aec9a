// lua_value.h - the values that Lua lacks, as scripts hold them: null, a record's tables, integers beyond
// 2^53, and a body that is text of its own and no JSON.
//
// null is the light userdata NULL; any other light userdata that a script can reach is a proxy
// (record_proxy.h). Every full userdata that it can reach begins with a uint32_t tag.
#pragma once
#include <lua.h>
#include <stdint.h>

enum lua_value_tag { LUA_VALUE_NONE, LUA_VALUE_PROXY = 0x70726f78, LUA_VALUE_EXACT = 0x65786163, LUA_VALUE_RAW = 0x72617774 };

static inline enum lua_value_tag lua_value_tag(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TLIGHTUSERDATA:
    return lua_touserdata(L, index) ? LUA_VALUE_PROXY : LUA_VALUE_NONE;
  case LUA_TUSERDATA:
    return (enum lua_value_tag) * (const uint32_t *)lua_touserdata(L, index);
  }
  return LUA_VALUE_NONE;
}

static inline void lua_value_push_null(lua_State *L) {
  lua_pushlightuserdata(L, NULL);
}

static inline int lua_value_is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}
