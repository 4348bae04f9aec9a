#include "script/record_proxy.h"
#include "base/limits.h"
#include "script/lua_exact.h"
#include "script/lua_value.h"

#include <assert.h>

struct proxy {
  uint32_t tag;
  uint32_t entry;
  uint64_t generation;
  const struct lua_state *state;
  uint32_t last_index,
      last_entry; // where the last look-up by number ended, so that a loop does not begin anew each time
};

static const int64_t EXACT_DOUBLES = (int64_t)1 << 53;

void record_proxy_enter(struct lua_state *s, const struct json_tape *tape,
                        const struct record_header *header) {
  s->generation++;
  s->tape = tape;
  s->header = header;
}

void record_proxy_leave(struct lua_state *s) {
  s->generation++;
  s->tape = NULL;
  s->header = NULL;
}

static struct proxy *alive(lua_State *L, struct proxy *proxy) {
  if (proxy->generation != proxy->state->generation)
    luaL_error(L, "a record can't be used after its call: copy what you need");
  return proxy;
}

// The proxy at `index`, or NULL.
static struct proxy *proxy_at(lua_State *L, int index) {
  if (lua_value_tag(L, index) != LUA_VALUE_PROXY) return NULL;
  return alive(L, lua_touserdata(L, index));
}

// The metatable stands at `metatable`, which may be an upvalue.
static void push_proxy(lua_State *L, const struct lua_state *s, uint32_t entry, int metatable) {
  struct proxy *proxy = lua_newuserdata(L, sizeof *proxy);
  *proxy = (struct proxy){.tag = LUA_VALUE_PROXY, .entry = entry, .generation = s->generation, .state = s};
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
}

static void push_unescaped(lua_State *L, struct slice inner) {
  char few[512];
  char *out = inner.len <= sizeof few ? few : lua_newuserdata(L, inner.len);
  lua_pushlstring(L, out, json_unescape(inner, out));
  if (out != few) lua_remove(L, -2);
}

static void push_string(lua_State *L, const struct json_tape *tape, uint32_t entry) {
  struct slice inner = json_inner(tape, entry);
  if (json_kind_of(tape, entry) == TAPE_STRING)
    lua_pushlstring(L, inner.at, inner.len);
  else
    push_unescaped(L, inner);
}

static void push_integer(lua_State *L, const struct json_tape *tape, uint32_t entry) {
  int64_t value;
  bool fits = json_tape_integer(tape, entry, &value);
  if (fits && value >= -EXACT_DOUBLES && value <= EXACT_DOUBLES)
    lua_pushnumber(L, (lua_Number)value);
  else
    lua_exact_push(L, json_inner(tape, entry));
}

void record_proxy_push_scalar(lua_State *L, const struct json_tape *tape, uint32_t entry) {
  switch (json_kind_of(tape, entry)) {
  case TAPE_FALSE:
    lua_pushboolean(L, 0);
    break;
  case TAPE_TRUE:
    lua_pushboolean(L, 1);
    break;
  case TAPE_INTEGER:
    push_integer(L, tape, entry);
    break;
  case TAPE_REAL:
    lua_pushnumber(L, json_tape_real(tape, entry));
    break;
  case TAPE_STRING:
  case TAPE_ESCAPED:
    push_string(L, tape, entry);
    break;
  default:
    lua_pushnil(L);
  }
}

static int push_value(lua_State *L, const struct lua_state *s, uint32_t entry, int metatable) {
  enum json_kind kind = json_kind_of(s->tape, entry);
  if (kind == TAPE_ARRAY || kind == TAPE_OBJECT)
    push_proxy(L, s, entry, metatable);
  else
    record_proxy_push_scalar(L, s->tape, entry);
  return 1;
}

void record_proxy_push(lua_State *L, uint32_t entry) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  push_proxy(L, lua_state_of(L), entry, lua_gettop(L));
  lua_remove(L, -2);
}

void record_proxy_push_value(lua_State *L, uint32_t entry) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  push_value(L, lua_state_of(L), entry, lua_gettop(L));
  lua_remove(L, -2);
}

bool record_proxy_entry(lua_State *L, int index, uint32_t *entry) {
  const struct proxy *proxy = proxy_at(L, index);
  if (proxy) *entry = proxy->entry;
  return proxy != NULL;
}

// The element with this number, counted from 1, or JSON_NONE.
static uint32_t element(const struct json_tape *tape, struct proxy *proxy, lua_Number number) {
  const struct json_entry *array = &tape->entries[proxy->entry];
  if (array->kind != TAPE_ARRAY || !(number >= 1 && number <= LIMIT_RECORD_BYTES)) return JSON_NONE;
  uint32_t wanted = (uint32_t)number, i = 1, entry = proxy->entry + 1;
  if ((lua_Number)wanted != number) return JSON_NONE;
  if (proxy->last_index && proxy->last_index <= wanted) i = proxy->last_index, entry = proxy->last_entry;
  for (; i < wanted && entry < array->next; i++)
    entry = tape->entries[entry].next;
  if (entry >= array->next) return JSON_NONE;
  proxy->last_index = i;
  proxy->last_entry = entry;
  return entry;
}

// In an object a number stands for its text: its keys are nothing else.
static uint32_t look_up(lua_State *L, struct proxy *proxy, int key) {
  const struct json_tape *tape = proxy->state->tape;
  struct slice name;
  if (json_kind_of(tape, proxy->entry) == TAPE_ARRAY)
    return lua_type(L, key) == LUA_TNUMBER ? element(tape, proxy, lua_tonumber(L, key)) : JSON_NONE;
  name.at = lua_tolstring(L, key, &name.len);
  return name.at ? json_find(tape, proxy->entry, name) : JSON_NONE;
}

// Metamethods have the metatable as their first upvalue and are called for proxies only: no script can get
// hold of them.

static int meta_index(lua_State *L) {
  struct proxy *proxy = alive(L, lua_touserdata(L, 1));
  uint32_t entry = look_up(L, proxy, 2);
  if (entry != JSON_NONE) return push_value(L, proxy->state, entry, lua_upvalueindex(1));
  lua_pushnil(L);
  return 1;
}

static int meta_newindex(lua_State *L) {
  return luaL_error(L, "records can't be changed: build a new table");
}

static int meta_len(lua_State *L) {
  const struct proxy *proxy = alive(L, lua_touserdata(L, 1));
  const struct json_entry *e = &proxy->state->tape->entries[proxy->entry];
  lua_pushinteger(L, e->kind == TAPE_ARRAY ? (lua_Integer)e->count : 0);
  return 1;
}

static int meta_eq(lua_State *L) {
  const struct proxy *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
  lua_pushboolean(L, a->entry == b->entry && a->generation == b->generation);
  return 1;
}

// The first entry at or behind `entry` (a key in an object, an element in an array) whose value isn't null,
// or `end`; *number counts the elements passed.
static uint32_t skip_nulls(const struct json_tape *tape, uint32_t entry, uint32_t end, uint32_t is_key,
                           lua_Integer *number) {
  for (; entry < end && json_kind_of(tape, entry + is_key) == TAPE_NULL;
       entry = tape->entries[entry + is_key].next)
    ++*number;
  return entry;
}

// Pushes the key and the value that stand at `entry`.
static void push_member(lua_State *L, const struct lua_state *s, uint32_t entry, uint32_t is_key,
                        lua_Integer number, int metatable) {
  if (is_key)
    push_string(L, s->tape, entry);
  else
    lua_pushinteger(L, number);
  push_value(L, s, entry + is_key, metatable);
}

// One step of pairs. Upvalues: metatable, proxy, the entry where it goes on, the number of that element.
static int step(lua_State *L) {
  const struct proxy *proxy = alive(L, lua_touserdata(L, lua_upvalueindex(2)));
  const struct lua_state *s = proxy->state;
  const struct json_entry *whole = &s->tape->entries[proxy->entry];
  uint32_t is_key = whole->kind == TAPE_OBJECT;
  lua_Integer number = lua_tointeger(L, lua_upvalueindex(4));
  uint32_t entry =
      skip_nulls(s->tape, (uint32_t)lua_tointeger(L, lua_upvalueindex(3)), whole->next, is_key, &number);
  if (entry >= whole->next) return 0;
  lua_pushinteger(L, (lua_Integer)s->tape->entries[entry + is_key].next);
  lua_replace(L, lua_upvalueindex(3));
  lua_pushinteger(L, number + 1);
  lua_replace(L, lua_upvalueindex(4));
  push_member(L, s, entry, is_key, number, lua_upvalueindex(1));
  return 2;
}

int record_proxy_pairs(lua_State *L, int index) {
  const struct proxy *proxy = proxy_at(L, index);
  assert(proxy);
  lua_pushvalue(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  lua_pushvalue(L, -2);
  lua_pushinteger(L, (lua_Integer)proxy->entry + 1);
  lua_pushinteger(L, 1);
  lua_pushcclosure(L, step, 4);
  lua_insert(L, -2);
  lua_pushnil(L);
  return 3;
}

static int step_ipairs(lua_State *L) {
  const struct lua_state *s = lua_state_of(L);
  struct proxy *proxy = proxy_at(L, 1);
  lua_Integer number = lua_tointeger(L, 2) + 1;
  uint32_t entry = proxy ? element(s->tape, proxy, (lua_Number)number) : JSON_NONE;
  if (entry == JSON_NONE || json_kind_of(s->tape, entry) == TAPE_NULL) return 0;
  lua_pushinteger(L, number);
  record_proxy_push_value(L, entry);
  return 2;
}

int record_proxy_ipairs(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_pushcfunction(L, step_ipairs);
  lua_insert(L, -2);
  lua_pushinteger(L, 0);
  return 3;
}

int record_proxy_next(lua_State *L, int index, int key) {
  const struct lua_state *s = lua_state_of(L);
  struct proxy *proxy = proxy_at(L, index);
  assert(proxy);
  const struct json_entry *whole = &s->tape->entries[proxy->entry];
  uint32_t is_key = whole->kind == TAPE_OBJECT, entry = proxy->entry + 1;
  lua_Integer number = 1;
  if (!lua_isnil(L, key)) {
    uint32_t value = look_up(L, proxy, key);
    if (value == JSON_NONE) return luaL_error(L, "invalid key to 'next'");
    entry = s->tape->entries[value].next;
    number = lua_type(L, key) == LUA_TNUMBER ? lua_tointeger(L, key) + 1 : 1;
  }
  entry = skip_nulls(s->tape, entry, whole->next, is_key, &number);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  if (entry < whole->next)
    push_member(L, s, entry, is_key, number, lua_gettop(L));
  else
    lua_pushnil(L);
  return entry < whole->next ? 2 : 1;
}

void record_proxy_copy(lua_State *L, uint32_t entry) {
  const struct lua_state *s = lua_state_of(L);
  const struct json_entry *whole = &s->tape->entries[entry];
  uint32_t is_key = whole->kind == TAPE_OBJECT;
  lua_Integer number = 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  int metatable = lua_gettop(L);
  lua_createtable(L, is_key ? 0 : (int)whole->count, is_key ? (int)whole->count : 0);
  for (uint32_t i = entry + 1; i < whole->next; i = s->tape->entries[i + is_key].next) {
    push_member(L, s, i, is_key, number++, metatable);
    lua_rawset(L, metatable + 1);
  }
  lua_remove(L, metatable);
}

// Steps from the value on top of the stack to its members along the path while it is a table; returns what is
// left of the path.
static struct slice walk_tables(lua_State *L, struct slice path) {
  while (path.at && lua_type(L, -1) == LUA_TTABLE) {
    const char *dot = memchr(path.at, '.', path.len);
    size_t len = dot ? (size_t)(dot - path.at) : path.len;
    lua_pushlstring(L, path.at, len);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    path = dot ? slice_make(dot + 1, path.len - len - 1) : slice_make(NULL, 0);
  }
  return path;
}

// Pushes what stands at argument 2, a path, inside argument 1, or nil. Returns whether there is something, be
// it null.
static bool follow(lua_State *L) {
  struct slice path;
  path.at = luaL_checklstring(L, 2, &path.len);
  lua_pushvalue(L, 1);
  path = walk_tables(L, path);
  if (!path.at) return !lua_isnil(L, -1);
  const struct lua_state *s = lua_state_of(L);
  const struct proxy *proxy = proxy_at(L, -1);
  uint32_t entry = proxy ? json_path(s->tape, proxy->entry, path) : JSON_NONE;
  if (entry == JSON_NONE)
    lua_pushnil(L);
  else
    push_value(L, s, entry, lua_upvalueindex(1));
  return entry != JSON_NONE;
}

static int get(lua_State *L) {
  lua_settop(L, 3);
  follow(L);
  if (lua_isnil(L, -1) || lua_value_is_null(L, -1)) lua_pushvalue(L, 3);
  return 1;
}

static int has(lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, follow(L));
  return 1;
}

static void set_method(lua_State *L, const char *name, lua_CFunction function) {
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
}

void record_proxy_open(lua_State *L) {
  lua_createtable(L, 0, 5);
  set_method(L, "__index", meta_index);
  set_method(L, "__newindex", meta_newindex);
  set_method(L, "__len", meta_len);
  set_method(L, "__eq", meta_eq);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_PROXY);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, get, 1);
  lua_state_set_global(L, "get");
  lua_pushcclosure(L, has, 1);
  lua_state_set_global(L, "has");
}
