#include "script/lua_string.h"
#include "base/limits.h"
#include "script/lua_base.h"
#include "script/lua_exact.h"

#include <lualib.h>

enum { FORMAT_BYTES = 1000 };

// Upvalue: the built-in one.
static int pass_on(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// The same for one that works through a text, which may be long.
static int work_through(lua_State *L) {
  size_t len;
  luaL_checklstring(L, 1, &len); // here, where an error tells the function's name
  lua_state_work(lua_state_of(L), len / 4);
  return pass_on(L);
}

// The same for an exact integer as the text.
static int of_text(lua_State *L) {
  lua_exact_to_text(L, 1);
  luaL_checkstring(L, 1); // here, where the function's name is known
  return pass_on(L);
}

static int string_rep(lua_State *L) {
  size_t len, separator = 0;
  lua_exact_to_text(L, 1);
  lua_exact_to_text(L, 3);
  luaL_checklstring(L, 1, &len);
  lua_Number count = luaL_checknumber(L, 2);
  if (!lua_isnoneornil(L, 3)) luaL_checklstring(L, 3, &separator);
  if (count > 0 && (lua_Number)(len + separator) * count > LIMIT_SCRIPT_STRING_BYTES)
    return luaL_error(L, "string.rep makes at most %d bytes", LIMIT_SCRIPT_STRING_BYTES);
  if (count > LIMIT_SCRIPT_STRING_BYTES) { // an empty text, however often
    lua_pushliteral(L, "");
    return 1;
  }
  return pass_on(L);
}

// An exact integer at `index` for %d and the like: its digits, and the conversion becomes %s.
static bool take_digits(lua_State *L, int index, const char *spec, size_t len) {
  struct slice digits = lua_exact_digits(L, index);
  if (!digits.at) return false;
  for (size_t i = 0; i < len; i++)
    if (!strchr("-123456789", spec[i])) luaL_error(L, "an integer beyond 2^53 takes %%d with a width only");
  lua_pushlstring(L, digits.at, digits.len);
  lua_replace(L, index);
  return true;
}

// Makes the argument fit for the conversion, which may become another one.
static char prepare(lua_State *L, int index, char conversion, const char *spec, size_t len) {
  if (!conversion || !strchr("sdiacoxuXeEfFgGqA", conversion))
    luaL_error(L, "string.format has no '%%%c'", conversion >= ' ' ? conversion : '?');
  if (lua_isnone(L, index)) luaL_argerror(L, index, "no value");
  if (conversion == 'q') return conversion;
  if (conversion != 's') {
    bool whole = conversion == 'd' || conversion == 'i';
    if (whole && take_digits(L, index, spec, len)) return 's';
    luaL_checknumber(L, index);
  } else if (lua_type(L, index) != LUA_TSTRING) {
    lua_base_push_text(L, index);
    lua_replace(L, index);
  }
  return conversion;
}

// Prepares the arguments, from 2, for each conversion of the format; its letters are changed in place.
static void prepare_all(lua_State *L, char *p, const char *end) {
  for (int index = 1; (p = memchr(p, '%', (size_t)(end - p))) != NULL; p++) {
    const char *spec = ++p;
    while (p < end && strchr("-+ #0123456789.", *p) && *p)
      p++;
    if (p == end) luaL_error(L, "string.format: a '%%' without its conversion");
    if (*p != '%') index++, *p = prepare(L, index, *p, spec, (size_t)(p - spec));
  }
}

static int string_format(lua_State *L) {
  size_t len;
  const char *format = luaL_checklstring(L, 1, &len);
  if (len > FORMAT_BYTES)
    return luaL_error(L, "string.format takes a format of at most %d bytes", FORMAT_BYTES);
  char copy[FORMAT_BYTES];
  memcpy(copy, format, len);
  prepare_all(L, copy, copy + len);
  lua_pushlstring(L, copy, len);
  lua_replace(L, 1);
  return pass_on(L);
}

static void set_over(lua_State *L, const char *library, const char *name, lua_CFunction function) {
  lua_getglobal(L, library);
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

void lua_string_open(lua_State *L) {
  set_over(L, LUA_STRLIBNAME, "rep", string_rep);
  set_over(L, LUA_STRLIBNAME, "format", string_format);
  set_over(L, LUA_STRLIBNAME, "lower", work_through);
  set_over(L, LUA_STRLIBNAME, "upper", work_through);
  set_over(L, LUA_STRLIBNAME, "reverse", work_through);
}

void lua_string_push_library(lua_State *L) {
  static const char *const names[] = {"byte", "len", "lower", "upper", "reverse", "sub", NULL};
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  for (const char *const *name = names; *name; name++)
    set_over(L, LUA_STRLIBNAME, *name, of_text);
}
