#include "script/lua_json.h"
#include "base/limits.h"
#include "script/lua_exact.h"
#include "script/lua_value.h"
#include "script/record_proxy.h"

static void set_mark(lua_State *L, int slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, slot);
  lua_setmetatable(L, -2);
}

static void push_list(lua_State *L, const struct json_tape *tape, uint32_t array) {
  const struct json_entry *entries = tape->entries;
  int number = 0;
  lua_createtable(L, (int)entries[array].count, 0);
  for (uint32_t i = array + 1; i < entries[array].next; i = entries[i].next) {
    lua_json_push(L, tape, i);
    lua_rawseti(L, -2, ++number);
  }
  set_mark(L, SLOT_ARRAY);
}

static void push_members(lua_State *L, const struct json_tape *tape, uint32_t object) {
  const struct json_entry *entries = tape->entries;
  lua_createtable(L, 0, (int)entries[object].count);
  for (uint32_t i = object + 1; i < entries[object].next; i = entries[i + 1].next) {
    lua_json_push(L, tape, i);
    lua_json_push(L, tape, i + 1);
    lua_rawset(L, -3);
  }
}

void lua_json_push(lua_State *L, const struct json_tape *tape, uint32_t entry) {
  luaL_checkstack(L, 8, "JSON");
  switch (json_kind_of(tape, entry)) {
  case TAPE_NULL:
    lua_value_push_null(L);
    break;
  case TAPE_ARRAY:
    push_list(L, tape, entry);
    break;
  case TAPE_OBJECT:
    push_members(L, tape, entry);
    break;
  default:
    record_proxy_push_scalar(L, tape, entry);
  }
}

static int push_parsed(lua_State *L) {
  const struct json_tape *tape = lua_touserdata(L, 1);
  lua_json_push(L, tape, 0);
  return 1;
}

bool lua_json_read(struct lua_state *s, struct slice json, struct err *err) {
  struct json_tape tape;
  struct json_fault fault;
  struct lua_failure failure;
  json_tape_init(&tape);
  bool ok = json_tape_parse(&tape, json, &fault);
  if (!ok) {
    err_set(err, "at byte %zu: %s", fault.at, fault.what ? fault.what : "out of memory");
  } else {
    ok = lua_state_protect(s, push_parsed, &tape, 0, 1, &failure);
    if (!ok) err_set(err, "%s", failure.text);
  }
  json_tape_fini(&tape);
  return ok;
}
