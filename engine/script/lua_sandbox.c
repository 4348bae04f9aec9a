#include "script/lua_sandbox.h"
#include "base/limits.h"
#include "script/lua_base.h"
#include "script/lua_encode.h"
#include "script/lua_exact.h"
#include "script/lua_hash.h"
#include "script/lua_search.h"
#include "script/lua_string.h"
#include "script/lua_text.h"
#include "script/lua_time.h"
#include "script/record_proxy.h"

#include <lualib.h>

static const char *const base_names[] = {"assert", "error", "select", "rawequal", "setmetatable", NULL};
static const char *const string_names[] = {"byte", "char", "len", "sub", NULL};
static const char *const table_names[] = {"insert", "remove", NULL};
static const char *const math_names[] = {"abs",   "acos", "asin",  "atan", "atan2", "ceil", "cos",   "cosh",
                                         "deg",   "exp",  "floor", "fmod", "frexp", "huge", "ldexp", "log",
                                         "log10", "max",  "min",   "modf", "pi",    "pow",  "rad",   "random",
                                         "sin",   "sinh", "sqrt",  "tan",  "tanh",  NULL};

void lua_state_set_global(lua_State *L, const char *name) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

// pcall that does not hold what ends the call, and counts its nesting.
static int sandbox_pcall(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  luaL_checkany(L, 1);
  uint32_t depth = s->depth++;
  if (depth >= LIMIT_SCRIPT_NESTING) return luaL_error(L, "too many calls inside each other");
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  s->depth = depth;
  if (lua_state_worn(s)) return lua_error(L);
  lua_pushboolean(L, status == 0);
  lua_insert(L, 1);
  return lua_gettop(L);
}

// For built-in functions that call back. Upvalue: the function.
static int call_nested(lua_State *L) {
  lua_state_enter(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  lua_state_leave(L);
  return lua_gettop(L);
}

static int table_sort(lua_State *L) {
  enum { SORT_STEPS = 64 }; // an element, in a list of thousands
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_objlen(L, 1) > LIMIT_SCRIPT_SORT)
    return luaL_error(L, "table.sort takes at most %d elements", LIMIT_SCRIPT_SORT);
  lua_state_work(lua_state_of(L), lua_objlen(L, 1) * SORT_STEPS);
  return call_nested(L);
}

// A record's list at 1 is copied for a function that takes plain ones.
static void take_list(lua_State *L) {
  uint32_t entry;
  if (record_proxy_entry(L, 1, &entry)) {
    record_proxy_copy(L, entry);
    lua_replace(L, 1);
  } else if (lua_istable(L, 1)) {
    lua_state_work(lua_state_of(L), lua_objlen(L, 1) * 4);
  }
}

// Upvalue: the built-in unpack.
static int sandbox_unpack(lua_State *L) {
  take_list(L);
  return call_nested(L);
}

static int table_concat(lua_State *L) {
  size_t len;
  luaL_Buffer out;
  take_list(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *separator = luaL_optlstring(L, 2, "", &len);
  int64_t from = luaL_optint(L, 3, 1), to = luaL_optint(L, 4, (int)lua_objlen(L, 1));
  luaL_buffinit(L, &out);
  for (int64_t i = from; i <= to; i++) {
    if (i > from) luaL_addlstring(&out, separator, len);
    lua_rawgeti(L, 1, (int)i);
    lua_exact_to_text(L, -1);
    if (!lua_isstring(L, -1))
      return luaL_error(L, "invalid value (%s) at index %d in table for 'concat'", lua_base_type(L, -1),
                        (int)i);
    luaL_addvalue(&out);
  }
  luaL_pushresult(&out);
  return 1;
}

static int sandbox_getmetatable(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) {
    lua_pushnil(L);
  } else {
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) lua_pop(L, 1);
  }
  return 1;
}

static int sandbox_log(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  int count = lua_gettop(L);
  char line[LIMIT_SCRIPT_LOG_BYTES + 1];
  size_t len = 0;
  for (int i = 1; i <= count; i++) {
    struct slice text;
    lua_base_push_text(L, i);
    text.at = lua_tolstring(L, -1, &text.len);
    if (i > 1 && len + 1 < sizeof line) line[len++] = ' ';
    len += lua_text_clean(text, line + len, sizeof line - len);
    lua_pop(L, 1);
  }
  if (s->log) s->log(s->log_arg, line, len);
  return 0;
}

static int no_globals(lua_State *L) {
  return luaL_error(L, "global '%s' can't be assigned: use local",
                    lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

// Copies the named members of the library's table to the one on top of the stack.
static void copy_names(lua_State *L, const char *library, const char *const *names) {
  lua_getglobal(L, library);
  for (; *names; names++) {
    lua_getfield(L, -1, *names);
    lua_setfield(L, -3, *names);
  }
  lua_pop(L, 1);
}

// Sets `name` in the table on top of the stack to `function` over the library's built-in one.
static void set_over(lua_State *L, const char *library, const char *name, lua_CFunction function) {
  lua_getglobal(L, library);
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

static void open_built_in(lua_State *L) {
  static const lua_CFunction libraries[] = {luaopen_base, luaopen_string, luaopen_table, luaopen_math};
  static const char *const names[] = {"", LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME};
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    lua_pushcfunction(L, libraries[i]);
    lua_pushstring(L, names[i]);
    lua_call(L, 1, 0);
  }
}

static void open_libraries(lua_State *L) {
  lua_newtable(L);
  copy_names(L, LUA_STRLIBNAME, string_names);
  lua_string_open(L);
  lua_search_open(L);
  lua_pushliteral(L, ""); // the methods of texts: "x":len()
  lua_getmetatable(L, -1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
  lua_string_push_library(L);
  lua_state_set_global(L, "string");
  lua_pop(L, 1);

  lua_newtable(L);
  copy_names(L, LUA_TABLIBNAME, table_names);
  set_over(L, LUA_TABLIBNAME, "sort", table_sort);
  lua_pushcfunction(L, table_concat);
  lua_setfield(L, -2, "concat");
  lua_state_set_global(L, "table");

  lua_newtable(L);
  copy_names(L, LUA_MATHLIBNAME, math_names);
  lua_state_set_global(L, "math");
}

static void open_functions(lua_State *L) {
  static const luaL_Reg own[] = {
      {"pcall", sandbox_pcall}, {"getmetatable", sandbox_getmetatable}, {"log", sandbox_log}, {NULL, NULL}};
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  for (const char *const *name = base_names; *name; name++) {
    lua_getfield(L, -1, *name);
    lua_setfield(L, -3, *name);
  }
  lua_getfield(L, -1, "unpack");
  lua_pushcclosure(L, sandbox_unpack, 1);
  lua_setfield(L, -3, "unpack");
  lua_pop(L, 1);
  luaL_register(L, NULL, own);
  lua_pop(L, 1);
}

// From here on the globals of new chunks are an empty table that reads from ours and can't be written.
static void close_globals(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 3);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, no_globals);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_replace(L, LUA_GLOBALSINDEX);
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

void lua_sandbox_open(lua_State *L) {
  open_built_in(L);
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  open_functions(L);
  open_libraries(L);
  lua_base_open(L);
  lua_exact_open(L);
  lua_time_open(L);
  lua_hash_open(L);
  lua_encode_open(L);
  record_proxy_open(L);
  close_globals(L);
}
