#include "script/script_facts.h"
#include "base/suggest.h"
#include "script/dictionary.h"
#include "script/lua_base.h"

static const char *const names[] = {"api", "match", "filter", "map", "alert", NULL};
static const char *const match_names[] = {"kind", "event_type", NULL};

static bool is_one_of(const char *name, const char *const *known) {
  for (; *known; known++)
    if (strcmp(*known, name) == 0) return true;
  return false;
}

// Every key of the table must be one of these names. `what` stands in front of the name in the message:
// "match."
static void check_names(lua_State *L, int index, const char *const *known, const char *what) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "the returned table has a key that is a %s", lua_base_type(L, -2));
    const char *name = lua_tostring(L, -2);
    if (is_one_of(name, known)) continue;
    const char *near = suggest(name, known);
    if (near) luaL_error(L, "'%s%s' is not known; did you mean '%s'?", what, name, near);
    luaL_error(L, "'%s%s' is not known", what, name);
  }
}

static void push_raw(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

static bool push_hook(lua_State *L, int table, const char *name) {
  push_raw(L, table, name);
  if (!lua_isnil(L, -1) && !lua_isfunction(L, -1))
    luaL_error(L, "'%s' must be a function, not a %s", name, lua_base_type(L, -1));
  return lua_isfunction(L, -1);
}

static unsigned kind_bit(lua_State *L, int index) {
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (int kind = RECORD_EVENT; kind < RECORD_KINDS; kind++)
    if (strcmp(name, record_kind_name((enum record_kind)kind)) == 0) return 1u << kind;
  luaL_error(L, "match.kind: '%s' is no kind of record: \"event\", \"usage\" or \"alert\"", name);
  return 0;
}

// Pushes match[name] and returns its length: 0 when there is none, which means any. A list that is there must
// not be empty.
static size_t push_list(lua_State *L, int match, const char *name) {
  push_raw(L, match, name);
  if (lua_isnil(L, -1)) return 0;
  size_t count = lua_type(L, -1) == LUA_TTABLE ? lua_objlen(L, -1) : 0, keys = 0;
  if (count)
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
      keys++;
  if (!count || keys != count)
    luaL_error(L, "match.%s must be a list, such as { %s }", name, *name == 'k' ? "\"event\"" : "5");
  return count;
}

static void read_kinds(lua_State *L, int match, struct script_facts *out) {
  size_t count = push_list(L, match, "kind");
  if (count) out->kinds = 0;
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (int)i);
    out->kinds |= kind_bit(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static uint16_t type_of_name(lua_State *L, const char *name) {
  const struct dictionary_entry *event = dictionary_event_named(name);
  if (event) return event->id;
  const char *near = dictionary_event_suggest(name);
  if (near) luaL_error(L, "match.event_type: '%s' is no event type; did you mean '%s'?", name, near);
  luaL_error(L, "match.event_type: '%s' is no event type, such as '%s'", name,
             dictionary_event_types[1].name);
  return 0;
}

// The element, on top of the stack, with this number in the list: a number or a name.
static uint16_t event_type(lua_State *L, int number) {
  if (lua_type(L, -1) == LUA_TSTRING) return type_of_name(L, lua_tostring(L, -1));
  lua_Number type = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(type >= 0 && type <= UINT16_MAX) || type != (lua_Number)(uint16_t)type)
    luaL_error(L,
               "match.event_type: number %d of the list is neither a whole number from 0 to 65535 nor a name",
               number);
  return (uint16_t)type;
}

static void read_event_types(lua_State *L, int match, struct script_facts *out) {
  const size_t most = sizeof out->event_types / sizeof *out->event_types;
  size_t count = push_list(L, match, "event_type");
  if (count > most) luaL_error(L, "match.event_type has at most %d elements", (int)most);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    out->event_types[i] = event_type(L, (int)i + 1);
    lua_pop(L, 1);
  }
  out->event_type_count = (uint32_t)count;
  lua_pop(L, 1);
}

static void read_match(lua_State *L, int index, struct script_facts *out) {
  push_raw(L, index, "match");
  if (!lua_isnil(L, -1)) {
    int match = lua_gettop(L);
    if (!lua_istable(L, -1)) luaL_error(L, "'match' must be a table, such as { kind = { \"event\" } }");
    check_names(L, match, match_names, "match.");
    read_kinds(L, match, out);
    read_event_types(L, match, out);
  }
  lua_pop(L, 1);
}

static void check_api(lua_State *L, int index) {
  push_raw(L, index, "api");
  if (lua_isnil(L, -1)) luaL_error(L, "the returned table needs api = 1");
  if (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) != 1)
    luaL_error(L, "this engine knows api = 1 only");
  lua_pop(L, 1);
}

void script_facts_read(lua_State *L, int index, enum script_role role, struct script_facts *out) {
  *out = (struct script_facts){.kinds = 1u << RECORD_EVENT | 1u << RECORD_USAGE | 1u << RECORD_ALERT};
  if (!lua_istable(L, index))
    luaL_error(L, "a script must return a table (local M = { api = 1 } ... return M), not a %s",
               lua_base_type(L, index));
  if (role == SCRIPT_STREAM) check_names(L, index, names, "");
  check_api(L, index);
  if (role == SCRIPT_STREAM) {
    read_match(L, index, out);
    out->has_alert = push_hook(L, index, "alert");
    lua_pop(L, 1);
    out->has_filter = push_hook(L, index, "filter");
  } else {
    lua_pushnil(L);
  }
  out->has_map = push_hook(L, index, "map");
}

bool script_match(const struct script_facts *facts, const struct record_header *header) {
  if (!(facts->kinds >> header->kind & 1)) return false;
  if (!facts->event_type_count) return true;
  if (header->kind != RECORD_EVENT) return false;
  for (uint32_t i = 0; i < facts->event_type_count; i++)
    if (facts->event_types[i] == header->event_type) return true;
  return false;
}
