#include "script/lua_base.h"
#include "script/lua_exact.h"
#include "script/lua_value.h"
#include "script/record_proxy.h"

#include <math.h>
#include <stdio.h>

const char *lua_base_type(lua_State *L, int index) {
  if (lua_value_is_null(L, index)) return "null";
  switch (lua_value_tag(L, index)) {
  case LUA_VALUE_PROXY:
    return "table";
  case LUA_VALUE_EXACT:
    return "number";
  case LUA_VALUE_RAW:
  case LUA_VALUE_NONE:
    break;
  }
  return luaL_typename(L, index);
}

static int base_type(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushstring(L, lua_base_type(L, 1));
  return 1;
}

// %.14g, which Lua writes numbers with, would cut integers of more than 14 digits.
static void push_number_text(lua_State *L, int index) {
  double number = lua_tonumber(L, index);
  char text[40];
  if (fabs(number) < 1e14 || fabs(number) > 9007199254740992.0 || number != trunc(number)) {
    lua_pushnumber(L, number);
    lua_tostring(L, -1);
  } else {
    lua_pushlstring(L, text, (size_t)snprintf(text, sizeof text, "%.0f", number));
  }
}

// Pushes what the table's __tostring returns. False: it has none.
static bool push_by_metamethod(lua_State *L, int index) {
  lua_state_enter(L);
  bool called = luaL_callmeta(L, index, "__tostring");
  lua_state_leave(L);
  if (called && !lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
  return called;
}

void lua_base_push_text(lua_State *L, int index) {
  if (index < 0) index += lua_gettop(L) + 1;
  struct slice digits = lua_exact_digits(L, index);
  if (digits.at) {
    lua_pushlstring(L, digits.at, digits.len);
    return;
  }
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    lua_pushvalue(L, index);
    return;
  case LUA_TNUMBER:
    push_number_text(L, index);
    return;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    return;
  case LUA_TTABLE:
    if (push_by_metamethod(L, index)) return;
    break;
  }
  lua_pushstring(L, lua_base_type(L, index));
}

static int base_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  lua_base_push_text(L, 1);
  return 1;
}

// Upvalue: the built-in one, for texts and bases.
static int base_tonumber(lua_State *L) {
  int type = lua_type(L, 1);
  if (lua_gettop(L) == 1 && (type == LUA_TNUMBER || lua_value_tag(L, 1) == LUA_VALUE_EXACT)) return 1;
  if (type == LUA_TSTRING) lua_state_work(lua_state_of(L), lua_objlen(L, 1));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int base_next(lua_State *L) {
  lua_settop(L, 2);
  if (lua_value_tag(L, 1) == LUA_VALUE_PROXY) return record_proxy_next(L, 1, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_next(L, 1)) return 2;
  lua_pushnil(L);
  return 1;
}

// Upvalue: the built-in next, which the interpreter steps through tables with by itself.
static int base_pairs(lua_State *L) {
  if (lua_value_tag(L, 1) == LUA_VALUE_PROXY) return record_proxy_pairs(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

// Upvalue: the step function of the built-in ipairs.
static int base_ipairs(lua_State *L) {
  if (lua_value_tag(L, 1) == LUA_VALUE_PROXY) return record_proxy_ipairs(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

// Upvalue: the slot of the mark. A record's table becomes a plain one.
static int mark(lua_State *L) {
  uint32_t entry;
  lua_settop(L, 1);
  if (record_proxy_entry(L, 1, &entry)) {
    record_proxy_copy(L, entry);
    lua_replace(L, 1);
  } else if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, LUA_REGISTRYINDEX, (int)lua_tointeger(L, lua_upvalueindex(1)));
  lua_setmetatable(L, 1);
  return 1;
}

static void set_mark(lua_State *L, const char *name, int slot) {
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable"); // what getmetatable shows; it locks the mark
  lua_rawseti(L, LUA_REGISTRYINDEX, slot);
  lua_pushinteger(L, slot);
  lua_pushcclosure(L, mark, 1);
  lua_state_set_global(L, name);
}

static void set_over(lua_State *L, const char *name, const char *built_in, lua_CFunction function) {
  lua_getglobal(L, built_in);
  lua_pushcclosure(L, function, 1);
  lua_state_set_global(L, name);
}

void lua_base_open(lua_State *L) {
  lua_pushcfunction(L, base_type);
  lua_state_set_global(L, "type");
  lua_pushcfunction(L, base_tostring);
  lua_state_set_global(L, "tostring");
  lua_pushcfunction(L, base_next);
  lua_state_set_global(L, "next");
  set_over(L, "tonumber", "tonumber", base_tonumber);
  set_over(L, "pairs", "next", base_pairs);
  lua_getglobal(L, "ipairs");
  lua_newtable(L);
  lua_call(L, 1, 1);
  lua_pushcclosure(L, base_ipairs, 1);
  lua_state_set_global(L, "ipairs");
  set_mark(L, "array", SLOT_ARRAY);
  set_mark(L, "object", SLOT_OBJECT);
  lua_value_push_null(L);
  lua_state_set_global(L, "null");
}
