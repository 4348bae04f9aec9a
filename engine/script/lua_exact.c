#include "script/lua_exact.h"
#include "script/lua_value.h"

#include <math.h>
#include <stdio.h>

struct exact {
  uint32_t tag;
  uint32_t len;
  char digits[];
};

enum { DOUBLE_DIGITS = 320 }; // of any double's integral part

void lua_exact_push(lua_State *L, struct slice digits) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_EXACTS);
  lua_pushlstring(L, digits.at, digits.len);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    struct exact *exact = lua_newuserdata(L, sizeof *exact + digits.len);
    exact->tag = LUA_VALUE_EXACT;
    exact->len = (uint32_t)digits.len;
    memcpy(exact->digits, digits.at, digits.len);
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_EXACT);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

struct slice lua_exact_digits(lua_State *L, int index) {
  if (lua_value_tag(L, index) != LUA_VALUE_EXACT) return slice_make(NULL, 0);
  const struct exact *exact = lua_touserdata(L, index);
  return slice_make(exact->digits, exact->len);
}

void lua_exact_to_text(lua_State *L, int index) {
  struct slice digits = lua_exact_digits(L, index);
  if (!digits.at) return;
  if (index < 0) index += lua_gettop(L) + 1;
  lua_pushlstring(L, digits.at, digits.len);
  lua_replace(L, index);
}

static int compare_digits(struct slice a, struct slice b) {
  bool a_negative = a.at[0] == '-', b_negative = b.at[0] == '-';
  if (a_negative != b_negative) return a_negative ? -1 : 1;
  int larger = a.len != b.len ? (a.len > b.len ? 1 : -1) : memcmp(a.at, b.at, a.len);
  return a_negative ? -larger : larger;
}

// The integral part of a finite double as digits.
static struct slice integral_digits(double value, char out[DOUBLE_DIGITS]) {
  int len = snprintf(out, DOUBLE_DIGITS, "%.0f", trunc(value));
  if (out[0] == '-' && out[1] == '0') return slice_make("0", 1);
  return slice_make(out, (size_t)len);
}

static int compare_to_double(struct slice a, double b) {
  char room[DOUBLE_DIGITS];
  if (isinf(b)) return b > 0 ? -1 : 1;
  int order = compare_digits(a, integral_digits(b, room));
  double fraction = b - trunc(b);
  return order ? order : fraction > 0 ? -1 : fraction < 0;
}

static double checked_number(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER) luaL_typerror(L, index, "number");
  double value = lua_tonumber(L, index);
  if (isnan(value)) luaL_argerror(L, index, "not a number (NaN) has no order");
  return value;
}

// -1, 0 or 1: how the numbers at 1 and 2 compare.
static int order_of(lua_State *L) {
  struct slice a = lua_exact_digits(L, 1), b = lua_exact_digits(L, 2);
  int order;
  if (a.at && b.at)
    order = compare_digits(a, b);
  else if (a.at)
    order = compare_to_double(a, checked_number(L, 2));
  else if (b.at)
    order = -compare_to_double(b, checked_number(L, 1));
  else {
    double x = checked_number(L, 1), y = checked_number(L, 2);
    order = (x > y) - (x < y);
  }
  return (order > 0) - (order < 0);
}

static int compare(lua_State *L) {
  lua_pushinteger(L, order_of(L));
  return 1;
}

// With a number Lua does not come here: it orders values of one type only.
static int meta_lt(lua_State *L) {
  lua_pushboolean(L, order_of(L) < 0);
  return 1;
}

static int meta_le(lua_State *L) {
  lua_pushboolean(L, order_of(L) <= 0);
  return 1;
}

static int meta_len(lua_State *L) {
  return luaL_error(L, "attempt to get length of a number value");
}

static void push_text(lua_State *L, int index) {
  struct slice digits = lua_exact_digits(L, index);
  if (digits.at)
    lua_pushlstring(L, digits.at, digits.len);
  else if (lua_isstring(L, index))
    lua_pushvalue(L, index);
  else
    luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, index));
}

static int meta_concat(lua_State *L) {
  push_text(L, 1);
  push_text(L, 2);
  lua_concat(L, 2);
  return 1;
}

static int meta_arithmetic(lua_State *L) {
  return luaL_error(
      L, "arithmetic on an integer beyond 2^53 would lose digits (tonumber(tostring(x)) rounds it)");
}

void lua_exact_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"__lt", meta_lt},          {"__le", meta_le},          {"__concat", meta_concat},
      {"__len", meta_len},        {"__add", meta_arithmetic}, {"__sub", meta_arithmetic},
      {"__mul", meta_arithmetic}, {"__div", meta_arithmetic}, {"__mod", meta_arithmetic},
      {"__pow", meta_arithmetic}, {"__unm", meta_arithmetic}, {NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_EXACT);
  lua_newtable(L); // text -> the one userdata, as long as somebody holds it
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_EXACTS);
  lua_pushcfunction(L, compare);
  lua_state_set_global(L, "compare");
}
