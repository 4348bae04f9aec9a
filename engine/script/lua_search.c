#include "script/lua_search.h"
#include "script/lua_exact.h"
#include "script/lua_pattern.h"

#include <math.h>

enum { NEAR_BYTES = 256 }; // so short a text is searched by hand

static struct slice check_text(lua_State *L, int index) {
  struct slice text;
  text.at = lua_tolstring(L, index, &text.len);
  if (text.at) return text;
  lua_exact_to_text(L, index);
  text.at = luaL_checklstring(L, index, &text.len);
  return text;
}

// Whether the pattern stands for itself alone.
static bool is_plain(struct slice pattern) {
  static const bool special[256] = {['^'] = true, ['$'] = true, ['*'] = true, ['+'] = true, ['?'] = true,
                                    ['.'] = true, ['('] = true, ['['] = true, ['%'] = true, ['-'] = true};
  for (size_t i = 0; i < pattern.len; i++)
    if (special[(unsigned char)pattern.at[i]]) return false;
  return true;
}

// Where to begin, from the optional argument: counted from 1, or from the end if it is negative.
static const char *check_start(lua_State *L, int index, struct slice subject) {
  lua_Number start = trunc(luaL_optnumber(L, index, 1)), len = (lua_Number)subject.len;
  if (start < 0) start += len + 1;
  if (!(start >= 1)) return subject.at; // NaN too
  return subject.at + (start - 1 < len ? (size_t)start - 1 : subject.len);
}

// The first `needle` in the text, or NULL: in time proportional to the text, whatever the needle.
static const char *find_bytes(struct slice text, struct slice needle) {
  if (text.len > NEAR_BYTES || needle.len == 0) return memmem(text.at, text.len, needle.at, needle.len);
  const char *last = text.at + text.len - needle.len; // where it can begin
  for (const char *at = text.at; at <= last; at++) {
    at = memchr(at, needle.at[0], (size_t)(last - at) + 1);
    if (!at || memcmp(at, needle.at, needle.len) == 0) return at;
  }
  return NULL;
}

static int find_plain(lua_State *L, struct slice subject, const char *from, struct slice needle) {
  struct slice rest = slice_make(from, (size_t)(subject.at + subject.len - from));
  const char *at = find_bytes(rest, needle);
  if (rest.len > NEAR_BYTES) lua_state_work(lua_state_of(L), rest.len / 16);
  if (!at) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, at - subject.at + 1);
  lua_pushinteger(L, at - subject.at + (ptrdiff_t)needle.len);
  return 2;
}

static int search(lua_State *L, bool find) {
  struct slice subject = check_text(L, 1), pattern = check_text(L, 2);
  const char *from = check_start(L, 3, subject);
  if (find && (lua_toboolean(L, 4) || is_plain(pattern))) return find_plain(L, subject, from, pattern);
  struct lua_pattern m;
  lua_pattern_init(&m, L, subject, pattern.at, true);
  bool found = lua_pattern_find(&m, from);
  lua_pattern_fini(&m);
  if (!found) {
    lua_pushnil(L);
    return 1;
  }
  if (!find) return lua_pattern_push_all(&m, true);
  lua_pushinteger(L, m.from - subject.at + 1);
  lua_pushinteger(L, m.to - subject.at);
  return 2 + lua_pattern_push_all(&m, false);
}

static int search_find(lua_State *L) {
  return search(L, true);
}

static int search_match(lua_State *L) {
  return search(L, false);
}

// Upvalues: subject, pattern, where to go on.
static int next_match(lua_State *L) {
  struct slice subject = check_text(L, lua_upvalueindex(1));
  size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
  if (from > subject.len) return 0;
  struct lua_pattern m;
  lua_pattern_init(&m, L, subject, lua_tostring(L, lua_upvalueindex(2)), false);
  bool found = lua_pattern_find(&m, subject.at + from);
  lua_pattern_fini(&m);
  if (!found) return 0;
  lua_pushinteger(L, m.to - subject.at + (m.to == m.from)); // past an empty match
  lua_replace(L, lua_upvalueindex(3));
  return lua_pattern_push_all(&m, true);
}

static int search_gmatch(lua_State *L) {
  check_text(L, 1);
  check_text(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_match, 3);
  return 1;
}

static void add(luaL_Buffer *out, const char *from, const char *to) {
  if (from < to) luaL_addlstring(out, from, (size_t)(to - from));
}

// The text at 3 with its %0 to %9 replaced. A % at its end takes the zero byte behind it along.
static void add_template(struct lua_pattern *m, luaL_Buffer *out) {
  size_t len;
  const char *text = lua_tolstring(m->L, 3, &len);
  lua_state_work(m->state, len / 4);
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c != '%') {
      luaL_addchar(out, c);
      continue;
    }
    c = text[++i];
    if (c == '0') {
      add(out, m->from, m->to);
    } else if (c >= '1' && c <= '9') {
      lua_pattern_push(m, (uint32_t)(c - '1'));
      luaL_addvalue(out);
    } else {
      luaL_addchar(out, c);
    }
  }
}

static void add_replacement(struct lua_pattern *m, luaL_Buffer *out, int type) {
  lua_State *L = m->L;
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, lua_pattern_push_all(m, true), 1);
  } else if (type == LUA_TTABLE) {
    lua_pattern_push(m, 0);
    lua_gettable(L, 3);
  } else {
    add_template(m, out);
    return;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    add(out, m->from, m->to);
    return;
  }
  lua_exact_to_text(L, -1);
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(out);
}

// How often to replace at most, from the optional argument.
static size_t check_count(lua_State *L, int index, size_t most) {
  lua_Number count = luaL_optnumber(L, index, (lua_Number)most);
  if (count < (lua_Number)most) return count > 0 ? (size_t)count : 0;
  return most;
}

// Replaces matches up to `most` of them; what lies between them is passed on. How many there were.
static size_t replace(struct lua_pattern *m, luaL_Buffer *out, int type, size_t most) {
  const char *at = m->subject.at, *done = at, *end = at + m->subject.len; // `done`: passed on up to here
  size_t count = 0;
  while (count < most && lua_pattern_find(m, at)) {
    add(out, done, m->from);
    add_replacement(m, out, type);
    lua_state_work(m->state, 8);
    count++;
    done = m->to;
    at = m->to + (m->to == m->from); // past an empty match, with the byte behind it
    if (m->anchored || at > end) break;
  }
  add(out, done, end);
  return count;
}

static int search_gsub(lua_State *L) {
  struct slice subject = check_text(L, 1), pattern = check_text(L, 2);
  lua_exact_to_text(L, 3);
  int type = lua_type(L, 3);
  size_t most = check_count(L, 4, subject.len + 1);
  luaL_argcheck(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
                3, "string/function/table expected");
  struct lua_pattern m;
  luaL_Buffer out;
  lua_pattern_init(&m, L, subject, pattern.at, true);
  lua_state_enter(L);
  luaL_buffinit(L, &out);
  size_t count = replace(&m, &out, type, most);
  luaL_pushresult(&out);
  lua_pattern_fini(&m);
  lua_state_leave(L);
  lua_pushinteger(L, (lua_Integer)count);
  return 2;
}

void lua_search_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"find", search_find},
                                       {"match", search_match},
                                       {"gmatch", search_gmatch},
                                       {"gsub", search_gsub},
                                       {NULL, NULL}};
  luaL_register(L, NULL, functions);
}
