#include "script/lua_windows.h"
#include "script/lua_base.h"
#include "script/lua_exact.h"
#include "script/lua_time.h"
#include "script/lua_value.h"
#include "script/span.h"

#include <math.h>
#include <stdlib.h>

static const double MOST_VALUE = 1e200; // no number of such values makes a sum infinite

void lua_windows_fini(struct lua_windows *lw) {
  struct windows *w;
  for (size_t i = 0; (w = map_each(&lw->all, &i));)
    windows_free(w);
  map_fini(&lw->all);
}

struct windows *lua_windows_of(const struct lua_windows *lw, uint32_t context) {
  return map_get(&lw->all, context + UINT64_C(1));
}

struct windows *lua_windows_take(struct lua_windows *lw, uint32_t context) {
  return map_remove(&lw->all, context + UINT64_C(1));
}

bool lua_windows_give(struct lua_windows *lw, uint32_t context, struct windows *w) {
  struct windows *before = lua_windows_of(lw, context);
  if (!map_put(&lw->all, context + UINT64_C(1), w)) return false;
  if (before != w) windows_free(before);
  return true;
}

void lua_windows_enter(struct lua_windows *lw, const struct lua_state *state, uint32_t context) {
  lw->state = state;
  lw->context = context;
  lw->has_now = false;
}

void lua_windows_commit(struct lua_windows *lw) {
  if (lw->open) windows_commit(lw->open);
  lw->open = NULL;
}

void lua_windows_undo(struct lua_windows *lw) {
  if (lw->open) windows_undo(lw->open);
  lw->open = NULL;
}

void lua_windows_leave(struct lua_windows *lw) {
  lw->state = NULL;
}

int64_t lua_windows_now(struct lua_windows *lw) {
  if (!lw->has_now) lw->now_ms = lua_time_of_record(lw->state->tape, lw->state->header);
  lw->has_now = true;
  return lw->now_ms;
}

static struct windows *find_or_make(lua_State *L, struct lua_windows *lw) {
  struct windows *w = lua_windows_of(lw, lw->context);
  if (w) return w;
  w = windows_new(lw->saved);
  if (!w || !lua_windows_give(lw, lw->context, w)) {
    windows_free(w);
    luaL_error(L, "out of memory");
  }
  return w;
}

static struct windows *begun(lua_State *L, struct lua_windows *lw) {
  if (lw->open) return lw->open;
  if (!lw->state) luaL_error(L, "windows are there while a record is looked at only");
  struct windows *w = find_or_make(L, lw);
  windows_begin(w);
  lw->open = w;
  return w;
}

static int fail(lua_State *L, const char *function, const struct err *err) {
  return luaL_error(L, "ctx.%s: %s", function, err->text);
}

// The key at index 1. A number becomes its text there.
static void refuse_key(lua_State *L, const char *function) {
  const char *type = lua_base_type(L, 1);
  if (lua_type(L, 1) == LUA_TTABLE)
    luaL_error(L, "ctx.%s: the key must be a text or a number, not a table (write ctx.%s with a dot)",
               function, function);
  luaL_error(L, "ctx.%s: the key must be a text or a number, not %s", function, type);
}

static void make_key_text(lua_State *L, const char *function) {
  if (strcmp(lua_base_type(L, 1), "number") != 0) refuse_key(L, function);
  if (lua_type(L, 1) == LUA_TNUMBER && isnan(lua_tonumber(L, 1)))
    luaL_error(L, "ctx.%s: the key is not a number (NaN)", function);
  lua_base_push_text(L, 1);
  lua_replace(L, 1);
}

static struct slice key_of(lua_State *L, const char *function) {
  struct slice key;
  if (lua_type(L, 1) != LUA_TSTRING) make_key_text(L, function);
  key.at = lua_tolstring(L, 1, &key.len);
  return key;
}

// A text or whole seconds.
static uint32_t span_at(lua_State *L, int index, const char *function) {
  struct err err;
  uint32_t span_s = 0;
  bool ok;
  err.text[0] = 0; // all of it would cost more than the rest
  if (lua_type(L, index) == LUA_TSTRING) {
    struct slice text;
    text.at = lua_tolstring(L, index, &text.len);
    ok = span_parse(text, &span_s, &err);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    ok = span_of_number(lua_tonumber(L, index), &span_s, &err);
  } else {
    ok = err_set(&err, "a span is a text such as \"10m\", not %s", lua_base_type(L, index));
  }
  if (!ok) fail(L, function, &err);
  return span_s;
}

static int add(lua_State *L, enum window_kind kind, const char *function, uint32_t span_s, double value) {
  struct lua_windows *lw = lua_touserdata(L, lua_upvalueindex(1));
  struct err err;
  double total;
  err.text[0] = 0;
  struct slice key = key_of(L, function);
  struct windows *w = begun(L, lw);
  if (!windows_add(w, kind, key, span_s, lua_windows_now(lw), value, &total, &err))
    return fail(L, function, &err);
  lua_pushnumber(L, total);
  return 1;
}

static int ctx_count(lua_State *L) {
  lua_settop(L, 2);
  return add(L, WINDOW_COUNT, "count", span_at(L, 2, "count"), 1);
}

static double value_at(lua_State *L, int index) {
  struct slice digits = lua_exact_digits(L, index);
  double value = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (digits.at) {
    lua_pushlstring(L, digits.at, digits.len);
    value = strtod(lua_tostring(L, -1), NULL);
    lua_pop(L, 1);
  } else if (lua_isnil(L, index)) {
    luaL_error(L, "ctx.sum: the value is nil (get(rec, \"path\", 0) gives 0 for a field that is not there)");
  } else if (lua_type(L, index) != LUA_TNUMBER) {
    luaL_error(L, "ctx.sum: the value must be a number, not %s", lua_base_type(L, index));
  }
  if (!(fabs(value) <= MOST_VALUE)) luaL_error(L, "ctx.sum: the value is too large or not a number (NaN)");
  return value;
}

static int ctx_sum(lua_State *L) {
  lua_settop(L, 3);
  double value = value_at(L, 2);
  return add(L, WINDOW_SUM, "sum", span_at(L, 3, "sum"), value);
}

static void push_value(lua_State *L, const struct window_value *value) {
  switch (value->type) {
  case WINDOW_NIL:
    lua_pushnil(L);
    break;
  case WINDOW_FALSE:
  case WINDOW_TRUE:
    lua_pushboolean(L, value->type == WINDOW_TRUE);
    break;
  case WINDOW_NUMBER:
    lua_pushnumber(L, value->number);
    break;
  case WINDOW_TEXT:
    lua_pushlstring(L, value->text.at, value->text.len);
    break;
  case WINDOW_DIGITS:
    lua_exact_push(L, value->text);
    break;
  }
}

static int ctx_get(lua_State *L) {
  struct lua_windows *lw = lua_touserdata(L, lua_upvalueindex(1));
  struct window_value value;
  struct err err;
  err.text[0] = 0;
  lua_settop(L, 1);
  struct slice key = key_of(L, "get");
  struct windows *w = begun(L, lw);
  if (!windows_get(w, key, lua_windows_now(lw), &value, &err)) return fail(L, "get", &err);
  push_value(L, &value);
  return 1;
}

static struct window_value kept_at(lua_State *L, int index) {
  struct window_value value = {.text = lua_exact_digits(L, index)};
  int type = lua_type(L, index);
  if (value.text.at) {
    value.type = WINDOW_DIGITS;
  } else if (type == LUA_TSTRING) {
    value.type = WINDOW_TEXT;
    value.text.at = lua_tolstring(L, index, &value.text.len);
  } else if (type == LUA_TNUMBER) {
    value.type = WINDOW_NUMBER;
    value.number = lua_tonumber(L, index);
    if (isnan(value.number)) luaL_error(L, "ctx.set: the value is not a number (NaN)");
  } else if (type == LUA_TBOOLEAN) {
    value.type = lua_toboolean(L, index) ? WINDOW_TRUE : WINDOW_FALSE;
  } else if (type != LUA_TNIL && !lua_value_is_null(L, index)) {
    luaL_error(
        L, "ctx.set: a value is nil, a boolean, a number or a text, not %s (json.encode makes a text of it)",
        lua_base_type(L, index));
  }
  return value;
}

static int ctx_set(lua_State *L) {
  struct lua_windows *lw = lua_touserdata(L, lua_upvalueindex(1));
  struct err err;
  err.text[0] = 0;
  lua_settop(L, 3);
  struct window_value value = kept_at(L, 2);
  uint32_t ttl_s = lua_isnil(L, 3) ? 0 : span_at(L, 3, "set");
  struct slice key = key_of(L, "set");
  struct windows *w = begun(L, lw);
  if (!windows_set(w, key, lua_windows_now(lw), &value, ttl_s, &err)) return fail(L, "set", &err);
  return 0;
}

bool lua_windows_silence(lua_State *L, struct lua_windows *lw, struct slice key, uint32_t for_s) {
  struct err err;
  bool silent;
  err.text[0] = 0;
  if (!windows_silence(begun(L, lw), key, lua_windows_now(lw), for_s, &silent, &err))
    luaL_error(L, "alert: %s", err.text);
  return silent;
}

static int no_windows(lua_State *L) {
  return luaL_error(L, "ctx.%s: a sink has no windows; a stream's script has",
                    lua_tostring(L, lua_upvalueindex(2)));
}

void lua_windows_open(lua_State *L, struct lua_windows *lw) {
  static const struct luaL_Reg functions[] = {
      {"count", ctx_count}, {"sum", ctx_sum}, {"get", ctx_get}, {"set", ctx_set}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushlightuserdata(L, lw);
    lua_pushstring(L, functions[i].name);
    lua_pushcclosure(L, lw ? functions[i].func : no_windows, 2);
    lua_setfield(L, -2, functions[i].name);
  }
}
