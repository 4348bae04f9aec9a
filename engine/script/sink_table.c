// sink_table.c - fields by raw access; a message names the line where the field's name stands in the source.
#include "script/sink_table.h"
#include "base/suggest.h"
#include "script/source_line.h"

#include <stdarg.h>
#include <stdio.h>

enum { WORDS_BYTES = 1000 };

bool sink_table_fault(const struct sink_table *t, const char *name, const char *format, ...) {
  char what[ERR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  const struct sink *sink = &t->own->sink;
  unsigned line = source_line(sink->source, name);
  if (line) return err_set(t->err, "%s:%u: %s", sink->file, line, what);
  return err_set(t->err, "%s: %s", sink->file, what);
}

bool sink_table_known(const struct sink_table *t, const char *where, const char *const *known) {
  lua_State *L = t->L;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) == 1 && known[0][0] == 0) continue;
      return sink_table_fault(t, where, "%s: a value without a name", where);
    }
    const char *name = lua_tostring(L, -2), *const *word = known;
    while (*word && strcmp(*word, name) != 0)
      word++;
    if (*word) continue;
    const char *meant = suggest(name, known);
    if (!meant) return sink_table_fault(t, name, "%s: unknown \"%.60s\"", where, name);
    return sink_table_fault(t, name, "%s: unknown \"%.60s\": did you mean \"%s\"?", where, name, meant);
  }
  return true;
}

int sink_table_field(const struct sink_table *t, const char *name) {
  lua_pushstring(t->L, name);
  lua_rawget(t->L, -2);
  return lua_type(t->L, -1);
}

bool sink_table_text(const struct sink_table *t, const char *name, const char **out) {
  int type = sink_table_field(t, name);
  size_t len = 0;
  const char *at = type == LUA_TSTRING ? lua_tolstring(t->L, -1, &len) : NULL;
  bool ok = type == LUA_TNIL || (type == LUA_TSTRING && len <= WORDS_BYTES && strlen(at) == len);
  if (!ok)
    sink_table_fault(t, name, "%s must be a text of at most %d bytes", name, WORDS_BYTES);
  else if (at && !(*out = sink_own_text(t->own, at, len)))
    ok = err_set(t->err, "out of memory");
  lua_pop(t->L, 1);
  return ok;
}

bool sink_table_flag(const struct sink_table *t, const char *name, bool *out) {
  int type = sink_table_field(t, name);
  bool ok = type == LUA_TNIL || type == LUA_TBOOLEAN;
  if (type == LUA_TBOOLEAN) *out = lua_toboolean(t->L, -1);
  lua_pop(t->L, 1);
  return ok || sink_table_fault(t, name, "%s must be true or false", name);
}

bool sink_table_number(const struct sink_table *t, const char *name, double *out) {
  int type = sink_table_field(t, name);
  double value = type == LUA_TNUMBER ? lua_tonumber(t->L, -1) : 0;
  lua_pop(t->L, 1);
  if (type == LUA_TNIL) return true;
  if (type != LUA_TNUMBER || value != value) return sink_table_fault(t, name, "%s must be a number", name);
  *out = value;
  return true;
}
