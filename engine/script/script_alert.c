#include "script/script_alert.h"
#include "base/limits.h"
#include "base/suggest.h"
#include "script/lua_base.h"
#include "script/lua_text.h"

static const char *const fields[] = {"key", "title", "severity", "for_s", NULL};
static const char *const severities[] = {"info", "warn", "critical", NULL};

const char *script_severity_name(enum script_severity severity) {
  return severities[severity];
}

static bool is_one_of(const char *name, const char *const *known) {
  while (*known && strcmp(*known, name) != 0)
    known++;
  return *known != NULL;
}

static void check_fields(lua_State *L, int index) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    char shown[64];
    struct slice name = {0};
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "alert: the table has a key that is a %s", lua_base_type(L, -2));
    name.at = lua_tolstring(L, -2, &name.len);
    if (is_one_of(name.at, fields)) continue;
    lua_text_clean(name, shown, sizeof shown);
    const char *near = suggest(shown, fields);
    if (near) luaL_error(L, "alert: field '%s' is not known; did you mean '%s'?", shown, near);
    luaL_error(L, "alert: field '%s' is not known: key, title, severity and for_s are", shown);
  }
}

static void push_field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

// A text or a number, cleaned; false: nil.
static bool read_text(lua_State *L, int table, const char *name, char *out, size_t room) {
  struct slice text;
  push_field(L, table, name);
  bool given = !lua_isnil(L, -1);
  const char *type = lua_base_type(L, -1);
  if (given) {
    if (strcmp(type, "string") != 0 && strcmp(type, "number") != 0)
      luaL_error(L, "alert: %s must be a text or a number, not a %s", name, type);
    lua_base_push_text(L, -1);
    text.at = lua_tolstring(L, -1, &text.len);
    lua_text_clean(text, out, room);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return given;
}

static enum script_severity read_severity(lua_State *L, int table) {
  char name[32];
  if (!read_text(L, table, "severity", name, sizeof name)) return SCRIPT_WARN;
  for (int i = 0; severities[i]; i++)
    if (strcmp(severities[i], name) == 0) return (enum script_severity)i;
  const char *near = suggest(name, severities);
  if (near) luaL_error(L, "alert: severity '%s' is not known; did you mean '%s'?", name, near);
  luaL_error(L, "alert: severity '%s' is not known: \"info\", \"warn\" or \"critical\"", name);
  return SCRIPT_WARN;
}

static uint32_t read_silence(lua_State *L, int table) {
  push_field(L, table, "for_s");
  double seconds = lua_isnil(L, -1)                 ? LIMIT_ALERT_SILENCE_S
                   : lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1)
                                                    : -1;
  if (!(seconds >= 0 && seconds <= LIMIT_SPAN_S))
    luaL_error(L, "alert: for_s must be a number of seconds from 0 to %d", LIMIT_SPAN_S);
  lua_pop(L, 1);
  return (uint32_t)seconds;
}

bool script_alert_read(lua_State *L, int index, struct script_alert *out) {
  if (lua_isnil(L, index) || (lua_type(L, index) == LUA_TBOOLEAN && !lua_toboolean(L, index))) return false;
  if (lua_type(L, index) != LUA_TTABLE)
    luaL_error(L, "alert must return nil or { key = ..., title = ... }, not a %s", lua_base_type(L, index));
  check_fields(L, index);
  if (!read_text(L, index, "key", out->key, sizeof out->key)) luaL_error(L, "alert: the table needs a key");
  if (!read_text(L, index, "title", out->title, sizeof out->title))
    lua_text_clean(slice_of(out->key), out->title, sizeof out->title);
  out->severity = read_severity(L, index);
  out->for_s = read_silence(L, index);
  return true;
}
