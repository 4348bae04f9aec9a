#include "script/spec_compare.h"
#include "script/lua_base.h"
#include "script/lua_encode.h"
#include "script/lua_text.h"
#include "script/lua_value.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

enum {
  SHOWN_BYTES = 200,    // of a value
  AROUND_BYTES = 24,    // shown on each side of the place where two texts part
  LONG_TEXT_BYTES = 60, // from which on that place is worth telling
  DEPTH = 64,
  VALUES = 200000,    // looked at in one comparison: tables may hold each other in many ways
  SORTED_KEYS = 1000, // of a table, up to which differences are told in the keys' order
  PATH_BYTES = 400,
};

struct comparing {
  lua_State *L;
  struct buf *out;
  char path[PATH_BYTES];
  size_t path_len;
  uint32_t differences, values, depth;
};

static void compare(struct comparing *c, int expected, int got);

// ---- words ----

// Adds text that may be cut, never within a character.
static void add_shown(struct buf *out, struct slice text) {
  char room[SHOWN_BYTES + 4];
  size_t len = lua_text_clean(text, room, SHOWN_BYTES + 1);
  buf_append(out, room, len);
  if (text.len > SHOWN_BYTES) buf_append_text(out, "...");
}

// The value as JSON at the end of `out`, cut. False: it can't be written as JSON.
static bool add_json(lua_State *L, int index, struct buf *out) {
  char room[SHOWN_BYTES + 4];
  struct err err = {{0}};
  struct lua_encode_left left = {1000, 64 << 10};
  size_t before = out->len;
  if (!lua_encode_within(L, index, out, &left, &err)) return false;
  struct slice text = slice_make(out->at + before, out->len - before);
  size_t len = lua_text_clean(text, room, SHOWN_BYTES + 1);
  out->len = before;
  buf_append(out, room, len);
  if (text.len > SHOWN_BYTES) buf_append_text(out, "...");
  return true;
}

static const char *article(const char *word) {
  return strchr("aeiou", *word) ? "an" : "a";
}

void spec_describe(lua_State *L, int index, bool typed, struct buf *out) {
  const char *type = lua_base_type(L, index);
  bool plain = strcmp(type, "nil") == 0 || strcmp(type, "null") == 0 || strcmp(type, "table") == 0;
  if (lua_type(L, index) == LUA_TNIL) {
    buf_append_text(out, "nil");
  } else if (lua_type(L, index) == LUA_TNUMBER && !isfinite(lua_tonumber(L, index))) {
    buf_append_text(out, isnan(lua_tonumber(L, index)) ? "nan" : lua_tonumber(L, index) > 0 ? "inf" : "-inf");
  } else if (!add_json(L, index, out)) {
    buf_printf(out, "%s %s", article(type), type);
    return;
  }
  if (typed && !plain) buf_printf(out, " (%s %s)", article(type), type);
}

// Begins a line of the diff. False: there are enough of them.
static bool begin_line(struct comparing *c) {
  if (++c->differences > SPEC_DIFFERENCES) return false;
  if (c->path_len) buf_printf(c->out, "%s: ", c->path);
  return true;
}

static void tell_one_sided(struct comparing *c, const char *what, int index, const char *after) {
  if (!begin_line(c)) return;
  buf_append_text(c->out, what);
  spec_describe(c->L, index, false, c->out);
  buf_printf(c->out, "%s\n", after);
}

static struct slice around(struct slice text, size_t at) {
  size_t from = at > AROUND_BYTES ? at - AROUND_BYTES : 0;
  size_t to = text.len - at > AROUND_BYTES ? at + AROUND_BYTES : text.len;
  while (from && ((unsigned char)text.at[from] & 0xc0) == 0x80)
    from--;
  while (to < text.len && ((unsigned char)text.at[to] & 0xc0) == 0x80)
    to++;
  return slice_make(text.at + from, to - from);
}

static bool read_texts(lua_State *L, int expected, int got, struct slice *a, struct slice *b) {
  if (lua_type(L, expected) != LUA_TSTRING || lua_type(L, got) != LUA_TSTRING) return false;
  a->at = lua_tolstring(L, expected, &a->len);
  b->at = lua_tolstring(L, got, &b->len);
  return true;
}

// Long texts: where they part.
static void tell_place(struct comparing *c, int expected, int got) {
  struct slice a, b;
  size_t at = 0;
  if (!read_texts(c->L, expected, got, &a, &b) || a.len < LONG_TEXT_BYTES || b.len < LONG_TEXT_BYTES) return;
  while (at < a.len && at < b.len && a.at[at] == b.at[at])
    at++;
  buf_printf(c->out, "\n  they part at byte %zu: expected ...", at + 1);
  add_shown(c->out, around(a, at));
  buf_append_text(c->out, "..., got ...");
  add_shown(c->out, around(b, at));
  buf_append_text(c->out, "...");
}

static void tell_values(struct comparing *c, int expected, int got) {
  bool typed = strcmp(lua_base_type(c->L, expected), lua_base_type(c->L, got)) != 0;
  if (!begin_line(c)) return;
  buf_append_text(c->out, "expected ");
  spec_describe(c->L, expected, false, c->out);
  buf_append_text(c->out, ", got ");
  spec_describe(c->L, got, typed, c->out);
  tell_place(c, expected, got);
  buf_append_byte(c->out, '\n');
}

// ---- paths ----

static bool is_name(struct slice key) {
  for (size_t i = 0; i < key.len; i++)
    if (!isalnum((unsigned char)key.at[i]) && key.at[i] != '_') return false;
  return key.len && !isdigit((unsigned char)key.at[0]);
}

// Puts the key at `index` behind the path; returns the path's length before.
static size_t enter(struct comparing *c, int index) {
  size_t before = c->path_len, room = sizeof c->path - before;
  char *end = c->path + before, shown[80];
  struct slice key = {0};
  if (lua_type(c->L, index) == LUA_TSTRING) {
    key.at = lua_tolstring(c->L, index, &key.len);
    lua_text_clean(key, shown, sizeof shown);
    if (is_name(key))
      snprintf(end, room, "%s%s", before ? "." : "", shown);
    else
      snprintf(end, room, "[\"%s\"]", shown);
  } else if (lua_type(c->L, index) == LUA_TNUMBER) {
    snprintf(end, room, "[%.14g]", lua_tonumber(c->L, index));
  } else {
    snprintf(end, room, "[%s]", lua_base_type(c->L, index));
  }
  c->path_len += strlen(end);
  return before;
}

static void leave(struct comparing *c, size_t before) {
  c->path_len = before;
  c->path[before] = 0;
}

// ---- tables ----

// The key on top of the stack, popped: what both tables have under it.
static void compare_member(struct comparing *c, int expected, int got) {
  lua_State *L = c->L;
  int key = lua_gettop(L);
  size_t before = enter(c, key);
  lua_pushvalue(L, key);
  lua_rawget(L, expected);
  lua_pushvalue(L, key);
  lua_rawget(L, got);
  if (lua_isnil(L, key + 2))
    tell_one_sided(c, "missing, expected ", key + 1, "");
  else if (lua_isnil(L, key + 1))
    tell_one_sided(c, "extra, got ", key + 2, "");
  else
    compare(c, key + 1, key + 2);
  leave(c, before);
  lua_settop(L, key - 1);
}

// Pushes the least text key of both tables behind `last` (a stack index, or 0: from the first on). False:
// there is none.
static bool push_next_key(lua_State *L, const int tables[2], int last) {
  struct slice least = {0}, floor = {0};
  if (last) floor.at = lua_tolstring(L, last, &floor.len);
  int top = lua_gettop(L);
  lua_pushnil(L); // the least so far
  for (int i = 0; i < 2; i++)
    for (lua_pushnil(L); lua_next(L, tables[i]); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING) continue;
      const char *key = lua_tostring(L, -2);
      if ((last && strcmp(key, floor.at) <= 0) || (least.at && strcmp(key, least.at) >= 0)) continue;
      least = slice_of(key);
      lua_pushvalue(L, -2);
      lua_replace(L, top + 1);
    }
  if (least.at) return true;
  lua_pop(L, 1);
  return false;
}

// What keys a table has. Texts with a NUL in them can't be put in order by the means here, nor can other
// values.
struct keys {
  uint32_t texts, numbers, others;
};

static struct keys keys_of(lua_State *L, int table) {
  struct keys keys = {0};
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    struct slice text = {0};
    if (lua_type(L, -2) == LUA_TSTRING) text.at = lua_tolstring(L, -2, &text.len);
    if (text.at && strlen(text.at) == text.len)
      keys.texts++;
    else if (lua_type(L, -2) == LUA_TNUMBER)
      keys.numbers++;
    else
      keys.others++;
  }
  return keys;
}

static void compare_sorted(struct comparing *c, int expected, int got) {
  const int tables[2] = {expected, got};
  int last = 0, top = lua_gettop(c->L);
  while (push_next_key(c->L, tables, last)) {
    if (last) lua_replace(c->L, last);
    last = top + 1;
    lua_pushvalue(c->L, last);
    compare_member(c, expected, got);
  }
  lua_settop(c->L, top);
}

// In the order in which they lie in the table: `expected`'s first, then what `got` has beyond.
static void compare_unsorted(struct comparing *c, int expected, int got) {
  lua_State *L = c->L;
  for (lua_pushnil(L); lua_next(L, expected);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    compare_member(c, expected, got);
  }
  for (lua_pushnil(L); lua_next(L, got);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, expected);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (known) continue;
    lua_pushvalue(L, -1);
    compare_member(c, expected, got);
  }
}

static void compare_lists(struct comparing *c, int expected, int got, size_t count) {
  for (size_t i = 1; i <= count; i++) {
    lua_pushnumber(c->L, (lua_Number)i);
    compare_member(c, expected, got);
  }
}

static bool is_list(lua_State *L, int table, struct keys keys) {
  return !keys.texts && !keys.others && keys.numbers == lua_objlen(L, table);
}

static const void *mark_of(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  const void *mark = lua_topointer(L, -1);
  lua_pop(L, 1);
  return mark;
}

// array{} is not object{}; a table that is neither goes with both.
static bool empties_differ(lua_State *L, int expected, int got) {
  const void *a = mark_of(L, expected), *b = mark_of(L, got);
  return a && b && a != b;
}

static void compare_tables(struct comparing *c, int expected, int got) {
  lua_State *L = c->L;
  luaL_checkstack(L, 12, "comparison");
  struct keys a = keys_of(L, expected), b = keys_of(L, got);
  size_t a_len = lua_objlen(L, expected), b_len = lua_objlen(L, got);
  bool empty = !a.texts && !a.numbers && !a.others && !b.texts && !b.numbers && !b.others;
  if (empty && empties_differ(L, expected, got)) {
    tell_values(c, expected, got);
  } else if (is_list(L, expected, a) && is_list(L, got, b)) {
    compare_lists(c, expected, got, a_len > b_len ? a_len : b_len);
  } else if (a.numbers || b.numbers || a.others || b.others || a.texts > SORTED_KEYS ||
             b.texts > SORTED_KEYS) {
    compare_unsorted(c, expected, got);
  } else {
    compare_sorted(c, expected, got);
  }
}

static void compare(struct comparing *c, int expected, int got) {
  lua_State *L = c->L;
  if (lua_rawequal(L, expected, got)) return;
  if (++c->values > VALUES) luaL_error(L, "the values are too large to be compared");
  if (lua_type(L, expected) != LUA_TTABLE || lua_type(L, got) != LUA_TTABLE) {
    tell_values(c, expected, got);
    return;
  }
  if (++c->depth > DEPTH) luaL_error(L, "the values are nested too deep to be compared");
  compare_tables(c, expected, got);
  c->depth--;
}

bool spec_compare(lua_State *L, int expected, int got, const char *root, struct buf *out) {
  struct comparing c = {.L = L, .out = out};
  snprintf(c.path, sizeof c.path, "%s", root);
  c.path_len = strlen(c.path);
  compare(&c, expected, got);
  if (c.differences > SPEC_DIFFERENCES)
    buf_printf(out, "and %u more differences\n", c.differences - SPEC_DIFFERENCES);
  return c.differences == 0;
}
