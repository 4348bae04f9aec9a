#include "script/record_proxy.h"
#include "base/limits.h"
#include "script/lua_exact.h"
#include "script/lua_value.h"

#include <assert.h>

// A proxy's bits, from below: 1, the entry, the call. Being odd it is the address of nothing that Lua
// allocates. A light userdata holds 47 bits; from 40 on LuaJIT keeps them in a table.
enum { ENTRY_BITS = 19, CALL_SHIFT = ENTRY_BITS + 1 };
_Static_assert(LIMIT_RECORD_BYTES <= 2 << ENTRY_BITS, "each entry takes two bytes of its record or more");
_Static_assert(SCRIPT_RUNS < 1 << 19, "a proxy has 39 bits");
_Static_assert(sizeof(void *) == sizeof(uint64_t), "a pointer holds a proxy");

static const int64_t EXACT_DOUBLES = (int64_t)1 << 53;

void record_proxy_enter(struct lua_state *s, const struct json_tape *tape,
                        const struct record_header *header) {
  if (s->calls++ == SCRIPT_RUNS) { // worn, and used all the same
    s->calls = 1;
    s->find = (struct record_find){0};
  }
  s->call = s->calls;
  s->miss_count = 0;
  s->tape = tape;
  s->header = header;
}

void record_proxy_leave(struct lua_state *s) {
  s->call = 0;
  s->tape = NULL;
  s->header = NULL;
}

static __attribute__((noinline, cold)) void refuse(lua_State *L, const void *proxy) {
  luaL_error(L, proxy ? "a record can't be used after its call: copy what you need"
                      : "attempt to index a null value");
}

// The entry of a proxy, which is alive. NULL is refused, too.
static inline uint32_t entry_of(lua_State *L, const struct lua_state *s, const void *proxy) {
  uint64_t bits = (uint64_t)(uintptr_t)proxy;
  uint32_t entry = (uint32_t)bits >> 1 & ((1u << ENTRY_BITS) - 1);
  bool alive = bits && bits >> CALL_SHIFT == s->call && entry < s->tape->count;
  if (__builtin_expect(!alive, 0)) refuse(L, proxy);
  return entry;
}

static inline void push_proxy(lua_State *L, const struct lua_state *s, uint32_t entry) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)((uint64_t)s->call << CALL_SHIFT | entry << 1 | 1));
}

static __attribute__((noinline)) void push_unescaped(lua_State *L, struct slice inner) {
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
  if (fits && value >= -EXACT_DOUBLES && value <= EXACT_DOUBLES) {
    record_numbers_keep(&lua_state_of(L)->numbers, (double)value, json_inner(tape, entry), false);
    lua_pushnumber(L, value == 0 && *json_inner(tape, entry).at == '-' ? -0.0 : (lua_Number)value);
  } else {
    lua_exact_push(L, json_inner(tape, entry));
  }
}

static void push_real(lua_State *L, const struct json_tape *tape, uint32_t entry) {
  double value = json_tape_real(tape, entry);
  record_numbers_keep(&lua_state_of(L)->numbers, value, json_inner(tape, entry), true);
  lua_pushnumber(L, value);
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
    push_real(L, tape, entry);
    break;
  case TAPE_STRING:
  case TAPE_ESCAPED:
    push_string(L, tape, entry);
    break;
  default:
    lua_pushnil(L);
  }
}

static inline void push_value(lua_State *L, const struct lua_state *s, uint32_t entry) {
  const struct json_tape *tape = s->tape;
  enum json_kind kind = json_kind_of(tape, entry);
  if (kind == TAPE_OBJECT || kind == TAPE_ARRAY)
    push_proxy(L, s, entry);
  else if (kind == TAPE_STRING)
    lua_pushlstring(L, tape->text + tape->entries[entry].at, tape->entries[entry].len);
  else
    record_proxy_push_scalar(L, tape, entry);
}

void record_proxy_push(lua_State *L, uint32_t entry) {
  push_proxy(L, lua_state_of(L), entry);
}

void record_proxy_push_value(lua_State *L, uint32_t entry) {
  push_value(L, lua_state_of(L), entry);
}

// A full userdata's address is even.
static inline bool proxy_entry(lua_State *L, const struct lua_state *s, int index, uint32_t *entry) {
  const void *proxy = lua_touserdata(L, index);
  if (!((uintptr_t)proxy & 1)) return false;
  *entry = entry_of(L, s, proxy);
  return true;
}

bool record_proxy_entry(lua_State *L, int index, uint32_t *entry) {
  return proxy_entry(L, lua_state_of(L), index, entry);
}

// False: no element can have this number.
static bool whole_number(lua_Number number, uint32_t *out) {
  if (!(number >= 1 && number <= LIMIT_RECORD_BYTES)) return false;
  *out = (uint32_t)number;
  return (lua_Number)*out == number;
}

static uint32_t element(struct lua_state *s, uint32_t list, lua_Number number) {
  uint32_t wanted;
  if (!whole_number(number, &wanted)) return JSON_NONE;
  return record_find_element(&s->find, s->tape, s->call, list, wanted);
}

// In an object a number stands for its text: its keys are nothing else. *name: the key that was looked for;
// at NULL: none.
static inline uint32_t look_up(lua_State *L, struct lua_state *s, uint32_t proxy, int key,
                               struct slice *name) {
  name->at = NULL;
  if (__builtin_expect(json_kind_of(s->tape, proxy) == TAPE_ARRAY, 0))
    return lua_type(L, key) == LUA_TNUMBER ? element(s, proxy, lua_tonumber(L, key)) : JSON_NONE;
  name->at = lua_tolstring(L, key, &name->len);
  return name->at ? record_find_member(&s->find, s->tape, s->call, proxy, *name) : JSON_NONE;
}

// Notes a look-up that gives nil. Not in line: most find something.
static __attribute__((noinline)) void miss(struct lua_state *s, uint32_t object, uint32_t value,
                                           struct slice key, bool by_get) {
  if (key.len > RECORD_MISS_BYTES) return;
  struct record_miss *m = &s->misses[s->miss_count++ % RECORD_MISSES];
  m->object = object;
  m->value = value;
  m->number = 0;
  m->key_len = (uint8_t)key.len;
  m->by_get = by_get;
  memcpy(m->key, key.at, key.len);
}

// The same for an element of a list; argument 2 is its number, or no key at all.
static __attribute__((noinline, cold)) void miss_element(lua_State *L, struct lua_state *s, uint32_t list,
                                                         uint32_t value) {
  uint32_t number;
  if (!whole_number(lua_tonumber(L, 2), &number)) return;
  miss(s, list, value, slice_make("", 0), false);
  s->misses[(s->miss_count - 1) % RECORD_MISSES].number = number;
}

// The metamethods are those of every light userdata, so null has them, too. No script can get hold of them.

static int meta_index(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  uint32_t object = entry_of(L, s, lua_touserdata(L, 1));
  struct slice name;
  uint32_t entry = look_up(L, s, object, 2, &name);
  if (entry == JSON_NONE || json_kind_of(s->tape, entry) == TAPE_NULL) {
    if (name.at)
      miss(s, object, entry, name, false);
    else
      miss_element(L, s, object, entry);
    lua_pushnil(L);
  } else {
    push_value(L, s, entry);
  }
  return 1;
}

static int meta_newindex(lua_State *L) {
  if (lua_value_is_null(L, 1)) return luaL_error(L, "attempt to index a null value");
  return luaL_error(L, "records can't be changed: build a new table");
}

static int meta_len(lua_State *L) {
  const struct lua_state *s = lua_state_of(L);
  if (lua_value_is_null(L, 1)) return luaL_error(L, "attempt to get length of a null value");
  const struct json_entry *e = &s->tape->entries[entry_of(L, s, lua_touserdata(L, 1))];
  lua_pushinteger(L, e->kind == TAPE_ARRAY ? (lua_Integer)e->count : 0);
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
                        lua_Integer number) {
  if (is_key)
    push_string(L, s->tape, entry);
  else
    lua_pushinteger(L, number);
  push_value(L, s, entry + is_key);
}

// One step of pairs. Upvalues: the proxy, the entry where it goes on, the number of that element.
static int step(lua_State *L) {
  const struct lua_state *s = lua_state_of(L);
  const struct json_entry *whole = &s->tape->entries[entry_of(L, s, lua_touserdata(L, lua_upvalueindex(1)))];
  uint32_t is_key = whole->kind == TAPE_OBJECT;
  lua_Integer number = lua_tointeger(L, lua_upvalueindex(3));
  uint32_t entry =
      skip_nulls(s->tape, (uint32_t)lua_tointeger(L, lua_upvalueindex(2)), whole->next, is_key, &number);
  if (entry >= whole->next) return 0;
  lua_pushinteger(L, (lua_Integer)s->tape->entries[entry + is_key].next);
  lua_replace(L, lua_upvalueindex(2));
  lua_pushinteger(L, number + 1);
  lua_replace(L, lua_upvalueindex(3));
  push_member(L, s, entry, is_key, number);
  return 2;
}

int record_proxy_pairs(lua_State *L, int index) {
  uint32_t entry = JSON_NONE;
  bool is_proxy = record_proxy_entry(L, index, &entry);
  assert(is_proxy);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -1);
  lua_pushinteger(L, (lua_Integer)entry + 1);
  lua_pushinteger(L, 1);
  lua_pushcclosure(L, step, 3);
  lua_insert(L, -2);
  lua_pushnil(L);
  return 3;
}

static int step_ipairs(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  uint32_t proxy;
  lua_Integer number = lua_tointeger(L, 2) + 1;
  uint32_t entry = record_proxy_entry(L, 1, &proxy) ? element(s, proxy, (lua_Number)number) : JSON_NONE;
  if (entry == JSON_NONE || json_kind_of(s->tape, entry) == TAPE_NULL) return 0;
  lua_pushinteger(L, number);
  push_value(L, s, entry);
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
  struct lua_state *s = lua_state_of(L);
  uint32_t proxy = JSON_NONE;
  bool is_proxy = record_proxy_entry(L, index, &proxy);
  assert(is_proxy);
  const struct json_entry *whole = &s->tape->entries[proxy];
  uint32_t is_key = whole->kind == TAPE_OBJECT, entry = proxy + 1;
  lua_Integer number = 1;
  if (!lua_isnil(L, key)) {
    struct slice name;
    uint32_t value = look_up(L, s, proxy, key, &name);
    if (value == JSON_NONE) return luaL_error(L, "invalid key to 'next'");
    entry = s->tape->entries[value].next;
    number = lua_type(L, key) == LUA_TNUMBER ? lua_tointeger(L, key) + 1 : 1;
  }
  entry = skip_nulls(s->tape, entry, whole->next, is_key, &number);
  if (entry < whole->next)
    push_member(L, s, entry, is_key, number);
  else
    lua_pushnil(L);
  return entry < whole->next ? 2 : 1;
}

void record_proxy_copy(lua_State *L, uint32_t entry) {
  const struct lua_state *s = lua_state_of(L);
  const struct json_entry *whole = &s->tape->entries[entry];
  uint32_t is_key = whole->kind == TAPE_OBJECT;
  lua_Integer number = 1;
  lua_createtable(L, is_key ? 0 : (int)whole->count, is_key ? (int)whole->count : 0);
  for (uint32_t i = entry + 1; i < whole->next; i = s->tape->entries[i + is_key].next) {
    push_member(L, s, i, is_key, number++);
    lua_rawset(L, -3);
  }
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

// The value at the path inside the proxy, or JSON_NONE.
static uint32_t follow_proxy(struct lua_state *s, uint32_t entry, struct slice path) {
  const char *dot = memchr(path.at, '.', path.len);
  struct slice first = slice_make(path.at, dot ? (size_t)(dot - path.at) : path.len);
  entry = record_find_member(&s->find, s->tape, s->call, entry, first);
  if (!dot || entry == JSON_NONE) return entry;
  return json_path(s->tape, entry, slice_make(dot + 1, path.len - first.len - 1));
}

// What stands at argument 2, a path, inside argument 1: an entry of the record. JSON_NONE: it is on top of
// the stack, or nil is.
static inline uint32_t follow(lua_State *L, struct lua_state *s) {
  struct slice path;
  uint32_t entry;
  path.at = luaL_checklstring(L, 2, &path.len);
  if (proxy_entry(L, s, 1, &entry)) {
    entry = follow_proxy(s, entry, path);
  } else {
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    path = walk_tables(L, path);
    if (!path.at) return JSON_NONE;
    entry = proxy_entry(L, s, -1, &entry) ? follow_proxy(s, entry, path) : JSON_NONE;
  }
  if (entry == JSON_NONE) lua_pushnil(L);
  return entry;
}

// For a `get` that has no default.
static void miss_path(lua_State *L, struct lua_state *s, uint32_t value) {
  struct slice path;
  uint32_t object;
  if (!proxy_entry(L, s, 1, &object)) return;
  path.at = lua_tolstring(L, 2, &path.len);
  miss(s, object, value, path, true);
}

static int get(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  uint32_t entry = follow(L, s);
  bool missing = entry != JSON_NONE ? json_kind_of(s->tape, entry) == TAPE_NULL
                                    : lua_isnil(L, -1) || lua_value_is_null(L, -1);
  if (missing && lua_isnoneornil(L, 3)) miss_path(L, s, entry);
  if (missing)
    lua_settop(L, 3); // the default
  else if (entry != JSON_NONE)
    push_value(L, s, entry);
  return 1;
}

static int has(lua_State *L) {
  uint32_t entry = follow(L, lua_state_of(L));
  lua_pushboolean(L, entry != JSON_NONE || !lua_isnil(L, -1));
  return 1;
}

static const luaL_Reg methods[] = {
    {"__index", meta_index}, {"__newindex", meta_newindex}, {"__len", meta_len}, {NULL, NULL}};

void record_proxy_open(lua_State *L) {
  lua_value_push_null(L); // any light userdata stands for all
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lua_pushcfunction(L, get);
  lua_state_set_global(L, "get");
  lua_pushcfunction(L, has);
  lua_state_set_global(L, "has");
}
