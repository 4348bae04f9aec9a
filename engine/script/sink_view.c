// sink_view.c - most hooks look at few fields of a batch, and in single mode they run 25,000 times a second.
#include "script/sink_view.h"
#include "script/lua_value.h"

static void set_text(lua_State *L, const char *name, struct slice text) {
  if (text.len == 0) return;
  lua_pushlstring(L, text.at, text.len);
  lua_setfield(L, -2, name);
}

static void push_new_records(lua_State *L, const struct sink_batch *batch) {
  lua_createtable(L, (int)batch->record_count, 0);
  for (uint32_t i = 0; i < batch->record_count; i++) {
    struct sink_item room;
    const struct sink_item *item = batch->item(batch, i, &room);
    lua_createtable(L, 0, 2);
    set_text(L, "key", item->key);
    set_text(L, "body", item->body);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static void push_records(lua_State *L, struct sink_state *state) {
  if (state->records != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->records);
    return;
  }
  push_new_records(L, state->batch);
  lua_pushvalue(L, -1);
  state->records = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void push_text(lua_State *L, const char *text) {
  if (text)
    lua_pushstring(L, text);
  else
    lua_pushnil(L);
}

static void push_count(lua_State *L, struct sink_state *state) {
  lua_pushnumber(L, state->batch->record_count);
}
static void push_id(lua_State *L, struct sink_state *state) {
  push_text(L, state->batch->id);
}
static void push_kind(lua_State *L, struct sink_state *state) {
  push_text(L, state->batch->kind);
}
static void push_attempt(lua_State *L, struct sink_state *state) {
  lua_pushnumber(L, state->batch->attempt);
}
static void push_now(lua_State *L, struct sink_state *state) {
  lua_pushnumber(L, (lua_Number)state->batch->now_ms);
}
static void push_note(lua_State *L, struct sink_state *state) {
  push_text(L, state->batch->note);
}
static void push_last_note(lua_State *L, struct sink_state *state) {
  push_text(L, state->batch->last_note);
}

static const struct {
  const char *name;
  void (*push)(lua_State *L, struct sink_state *state);
} fields[] = {
    {"records", push_records}, {"count", push_count}, {"id", push_id},     {"kind", push_kind},
    {"attempt", push_attempt}, {"now", push_now},     {"note", push_note}, {"last_note", push_last_note},
};

static int index_view(lua_State *L) {
  struct sink_state *state = lua_touserdata(L, lua_upvalueindex(1));
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!state->batch) return luaL_error(L, "a batch holds only for the call it was given to");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strcmp(fields[i].name, name) != 0) continue;
    fields[i].push(L, state);
    return 1;
  }
  return luaL_error(L, "a batch has no field '%s'", name);
}

void sink_view_push_new(lua_State *L, struct sink_state *state) {
  uint32_t *tag = lua_newuserdata(L, sizeof *tag);
  *tag = LUA_VALUE_NONE;
  lua_createtable(L, 0, 2);
  lua_pushlightuserdata(L, state);
  lua_pushcclosure(L, index_view, 1);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void sink_view_clear(struct sink_state *state) {
  if (state->lua) luaL_unref(state->lua->L, LUA_REGISTRYINDEX, state->records);
  state->records = LUA_NOREF;
}
