// spec_assert.c - assert in busted's words (luassert): assert.equal(expected, got), and still a function.
#include "base/limits.h"
#include "base/suggest.h"
#include "script/lua_text.h"
#include "script/spec_compare.h"
#include "script/spec_parts.h"

#include <stdio.h>

// Fails the case: the details lie in spec->details, a message of the spec's own at `index`.
static int fail(lua_State *L, struct spec *spec, const char *word, int index) {
  char own[200] = "";
  if (lua_type(L, index) == LUA_TSTRING) {
    struct slice text;
    text.at = lua_tolstring(L, index, &text.len);
    lua_text_clean(text, own, sizeof own);
  }
  snprintf(spec->assertion, sizeof spec->assertion, "assert.%s", word);
  return luaL_error(L, "assert.%s%s%s", word, own[0] ? ": " : "", own);
}

static void begin(lua_State *L, struct spec *spec, int args, const char *word) {
  spec->details.len = 0;
  spec->assertion[0] = 0;
  if (lua_gettop(L) < args) luaL_error(L, "assert.%s takes %d value%s", word, args, args == 1 ? "" : "s");
  lua_settop(L, 3); // a value more that is expected, a message
}

static void tell(lua_State *L, struct spec *spec, const char *expected, int got) {
  buf_printf(&spec->details, "expected %s, got ", expected);
  spec_describe(L, got, false, &spec->details);
}

static int assert_equal(lua_State *L) {
  struct spec *spec = spec_of(L);
  begin(L, spec, 2, "equal");
  if (lua_equal(L, 1, 2)) return 0;
  if (lua_istable(L, 1) && lua_istable(L, 2))
    buf_append_text(
        &spec->details,
        "two tables are equal only if they are one and the same; assert.same compares what they hold");
  else
    spec_compare(L, 1, 2, "", &spec->details);
  return fail(L, spec, "equal", 3);
}

static int assert_same(lua_State *L) {
  struct spec *spec = spec_of(L);
  begin(L, spec, 2, "same");
  return spec_compare(L, 1, 2, "", &spec->details) ? 0 : fail(L, spec, "same", 3);
}

// What an assertion about one value expects of it.
struct expectation {
  const char *word, *expected;
  bool (*holds)(lua_State *L);
};

static bool is_truthy(lua_State *L) {
  return lua_toboolean(L, 1);
}
static bool is_falsy(lua_State *L) {
  return !lua_toboolean(L, 1);
}
static bool is_nil(lua_State *L) {
  return lua_isnil(L, 1);
}
static bool is_true(lua_State *L) {
  return lua_isboolean(L, 1) && lua_toboolean(L, 1);
}
static bool is_false(lua_State *L) {
  return lua_isboolean(L, 1) && !lua_toboolean(L, 1);
}

static const struct expectation expectations[] = {
    {"truthy", "anything but nil and false", is_truthy},
    {"falsy", "nil or false", is_falsy},
    {"is_nil", "nil", is_nil},
    {"is_true", "true", is_true},
    {"is_false", "false", is_false},
};
enum { EXPECTATIONS = sizeof expectations / sizeof *expectations };

static int assert_expectation(lua_State *L) {
  struct spec *spec = spec_of(L);
  const struct expectation *e = &expectations[lua_tointeger(L, lua_upvalueindex(2))];
  begin(L, spec, 1, e->word);
  if (e->holds(L)) return 0;
  tell(L, spec, e->expected, 1);
  return fail(L, spec, e->word, 2);
}

// The error at `index` without the position in front of it: "script:12: ".
static void push_error_text(lua_State *L, int index) {
  struct slice text = {0};
  if (lua_type(L, index) == LUA_TSTRING) text.at = lua_tolstring(L, index, &text.len);
  size_t at = 7;
  if (text.len > at && memcmp(text.at, "script:", at) == 0) {
    while (at < text.len && text.at[at] >= '0' && text.at[at] <= '9')
      at++;
    if (at > 7 && text.len - at >= 2 && text.at[at] == ':' && text.at[at + 1] == ' ') {
      lua_pushlstring(L, text.at + at + 2, text.len - at - 2);
      return;
    }
  }
  lua_pushvalue(L, index);
}

// assert.error(function, expected?)
static int assert_error(lua_State *L) {
  struct spec *spec = spec_of(L);
  struct lua_state *s = spec->lua;
  begin(L, spec, 1, "error");
  if (!lua_isfunction(L, 1)) return luaL_error(L, "assert.error takes a function");
  if (s->depth >= LIMIT_SCRIPT_NESTING) return luaL_error(L, "too many calls inside each other");
  uint32_t depth = s->depth++;
  lua_pushvalue(L, 1);
  int status = lua_pcall(L, 0, 0, 0);
  s->depth = depth;
  if (lua_state_worn(s)) return lua_error(L);
  s->error_line = 0; // of the error that was wanted
  spec->details.len = 0;
  if (status == 0) {
    buf_append_text(&spec->details, "expected an error, but the function returned");
    return fail(L, spec, "error", 3);
  }
  push_error_text(L, lua_gettop(L));
  if (lua_isnil(L, 2) || spec_compare(L, 2, lua_gettop(L), "error", &spec->details)) return 0;
  return fail(L, spec, "error", 3);
}

// assert(value, message): the built-in one, upvalue 2.
static int assert_call(lua_State *L) {
  spec_of(L)->assertion[0] = 0;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_replace(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int unknown(lua_State *L) {
  static const char *const names[] = {"equal",  "same",    "error",    "truthy", "falsy",
                                      "is_nil", "is_true", "is_false", NULL};
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?", *near = suggest(name, names);
  if (near) return luaL_error(L, "assert.%s is not known; did you mean assert.%s?", name, near);
  return luaL_error(L, "assert.%s is not known", name);
}

static void push_metatable(lua_State *L, struct spec *spec) {
  lua_createtable(L, 0, 3);
  lua_pushlightuserdata(L, spec);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  lua_getfield(L, -1, "assert");
  lua_remove(L, -2);
  lua_pushcclosure(L, assert_call, 2);
  lua_setfield(L, -2, "__call");
  lua_pushcfunction(L, unknown);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "assert");
  lua_setfield(L, -2, "__metatable");
}

void spec_assert_open(lua_State *L, struct spec *spec) {
  lua_newtable(L);
  spec_set_function(L, spec, "equal", assert_equal);
  spec_set_function(L, spec, "equals", assert_equal);
  spec_set_function(L, spec, "same", assert_same);
  spec_set_function(L, spec, "error", assert_error);
  spec_set_function(L, spec, "has_error", assert_error);
  for (int i = 0; i < EXPECTATIONS; i++) {
    lua_pushlightuserdata(L, spec);
    lua_pushinteger(L, i);
    lua_pushcclosure(L, assert_expectation, 2);
    lua_setfield(L, -2, expectations[i].word);
  }
  static const char *const fillers[] = {"are", "is", "has"}; // assert.are.same reads well, too
  for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, fillers[i]);
  }
  push_metatable(L, spec);
  lua_setmetatable(L, -2);
  lua_state_set_global(L, "assert");
}
