// sink_verdict.c - a receiver's answer shown to verdict(), and what it returned.
#include "base/mem.h"
#include "script/lua_text.h"
#include "script/sink_runner.h"

#include <ctype.h>

enum { MOST_SECONDS = 3600, NAME_BYTES = 128 };

static const struct {
  const char *word;
  enum sink_verdict_kind kind;
  bool of_one; // whether it may stand for a single record of a list
} words[] = {
    {"delivered", SINK_DELIVERED, true}, {"retry", SINK_RETRY, true},  {"reject", SINK_REJECT, true},
    {"pause", SINK_PAUSE, true},         {"again", SINK_AGAIN, false}, {"halve", SINK_HALVE, false},
};

static void set_number(lua_State *L, const char *name, lua_Number value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

// Under their names in lower case; of a header that came twice the last counts.
static void push_headers(lua_State *L, const struct http_response *response) {
  struct http_header headers[HTTP_HEADERS_SEEN];
  size_t count = http_response_headers(response, headers, HTTP_HEADERS_SEEN);
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    char name[NAME_BYTES];
    if (headers[i].name.len > sizeof name) continue;
    for (size_t at = 0; at < headers[i].name.len; at++) name[at] = (char)tolower((unsigned char)headers[i].name.at[at]);
    lua_pushlstring(L, name, headers[i].name.len);
    lua_pushlstring(L, headers[i].value.at, headers[i].value.len);
    lua_rawset(L, -3);
  }
}

static void push_response(lua_State *L, const struct http_response *response) {
  lua_createtable(L, 0, 7);
  bool answered = response->outcome == HTTP_ANSWERED;
  set_number(L, "status", answered ? response->status : 0);
  lua_pushlstring(L, response->body.at ? response->body.at : "", response->body.len);
  lua_setfield(L, -2, "body");
  if (!answered) {
    lua_pushstring(L, response->error ? response->error : "");
    lua_setfield(L, -2, "error");
  }
  lua_pushboolean(L, response->outcome == HTTP_REFUSED);
  lua_setfield(L, -2, "refused");
  if (response->retry_after_ms >= 0)
    set_number(L, "retry_after", (lua_Number)response->retry_after_ms / 1000);
  push_headers(L, response);
  lua_setfield(L, -2, "headers");
  set_number(L, "took_ms", (lua_Number)response->took_us / 1000);
}

static void read_seconds(lua_State *L, int index, struct sink_verdict *out) {
  out->seconds = -1;
  if (lua_type(L, index) == LUA_TNIL) return;
  lua_Number seconds = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : -1;
  if (!(seconds >= 0)) luaL_error(L, "verdict: \"retry\" takes a number of seconds");
  out->seconds = seconds > MOST_SECONDS ? MOST_SECONDS : seconds;
}

static void read_words(lua_State *L, int index, struct sink_verdict *out) {
  if (lua_type(L, index) == LUA_TNIL) return;
  if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "verdict: the second value must be a text");
  struct slice text;
  text.at = lua_tolstring(L, index, &text.len);
  if (out->kind != SINK_AGAIN) {
    lua_text_clean(text, out->why, sizeof out->why);
    return;
  }
  // A note comes back to request(), so it is taken as it is or not at all.
  if (text.len >= sizeof out->why || memchr(text.at, 0, text.len))
    luaL_error(L, "verdict: a note has at most %d bytes, and none of them is 0", (int)sizeof out->why - 1);
  memcpy(out->why, text.at, text.len + 1);
}

// The word at `index` and what goes with it behind.
static void read_one(lua_State *L, int index, bool of_list, struct sink_verdict *out) {
  const char *word = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(words[i].word, word) != 0 || (of_list && !words[i].of_one)) continue;
    *out = (struct sink_verdict){.kind = words[i].kind, .seconds = -1};
    if (out->kind == SINK_RETRY)
      read_seconds(L, index + 1, out);
    else
      read_words(L, index + 1, out);
    return;
  }
  luaL_error(L, of_list ? "verdict: of a record it is \"delivered\", \"retry\", \"reject\" or \"pause\""
                        : "verdict: must be nil, \"delivered\", \"retry\", \"reject\", \"pause\", \"halve\", "
                          "\"again\" or a list");
}

// An element of the list: a word, or { word, what goes with it }.
static void read_element(lua_State *L, int list, uint32_t i, struct sink_verdict *out) {
  int top = lua_gettop(L);
  lua_rawgeti(L, list, (int)i + 1);
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_rawgeti(L, top + 1, 2);
    lua_rawgeti(L, top + 1, 1);
    lua_replace(L, top + 1);
  } else {
    lua_pushnil(L);
  }
  read_one(L, top + 1, true, out);
  lua_settop(L, top);
}

static struct sink_verdict *room_for(lua_State *L, struct sink_runner *runner, uint32_t count) {
  if (count <= runner->each_cap) return runner->each;
  struct sink_verdict *each = mem_grow(runner->each, count * sizeof *each);
  if (!each) luaL_error(L, "verdict: out of memory");
  runner->each = each;
  runner->each_cap = count;
  return each;
}

static void read_list(lua_State *L, int list, const struct sink_call *call, struct sink_verdict *out) {
  uint32_t count = call->batch->record_count;
  if (lua_objlen(L, list) != count)
    luaL_error(L, "verdict: a list of %d for %d records", (int)lua_objlen(L, list), (int)count);
  struct sink_verdict *each = room_for(L, call->binding->state->runner, count);
  for (uint32_t i = 0; i < count; i++)
    read_element(L, list, i, &each[i]);
  out->each = each;
}

static int run_verdict(lua_State *L) {
  struct sink_call *call = lua_touserdata(L, 1);
  struct sink_verdict *out = call->out;
  sink_runner_push_hook(L, call, "verdict");
  push_response(L, call->in);
  sink_runner_push_view(L, call);
  sink_runner_push_settings(L, call);
  lua_call(L, 3, 2);
  int first = lua_gettop(L) - 1;
  if (lua_type(L, first) == LUA_TTABLE)
    read_list(L, first, call, out);
  else if (lua_type(L, first) != LUA_TNIL)
    read_one(L, first, false, out);
  call->ok = true;
  lua_pushnil(L);
  return 1;
}

bool sink_verdict(struct sink_binding *binding, const struct sink_batch *batch,
                  const struct http_response *response, struct sink_verdict *out, struct err *err) {
  struct sink_call call = {.binding = binding, .batch = batch, .in = response, .out = out, .err = err};
  *out = (struct sink_verdict){.kind = SINK_DEFAULT, .seconds = -1};
  return !binding->state->sink->has_verdict || sink_runner_call(&call, run_verdict);
}
