#include "script/lua_state.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_base.h"
#include "script/lua_encode.h"
#include "script/lua_explain.h"
#include "script/lua_sandbox.h"
#include "script/lua_text.h"

#include <luajit.h>
#include <stdatomic.h>
#include <stdio.h>

// Every chunk has this name, so that a position in front of a message is known for what it is.
#define CHUNK "script"

enum { FIRST_BYTES = 64 << 10 }; // more than a new state takes

static _Atomic uint64_t *calls_begun; // NULL: nobody counts

void lua_state_count_calls(_Atomic uint64_t *count) {
  calls_begun = count;
}

static void *allocate(void *arg, void *at, size_t old, size_t size) {
  struct lua_state *s = arg;
  return lua_memory_change(&s->memory, at, old, size);
}

bool lua_state_worn(const struct lua_state *s) {
  return s->timed_out || s->memory.refused;
}

// Notes the line that the script is at: of the innermost call that has one.
static void note_line(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  lua_Debug at;
  for (int level = 0; level < 20 && !s->error_line && lua_getstack(L, level, &at); level++)
    if (lua_getinfo(L, "l", &at) && at.currentline > 0) s->error_line = (uint32_t)at.currentline;
}

static void tick(lua_State *L, lua_Debug *at) {
  struct lua_state *s = lua_state_of(L);
  (void)at;
  if (!lua_state_worn(s)) {
    uint64_t now = s->processor_time ? clock_thread_ns() : clock_mono_ns();
    if (!s->deadline_ns) s->deadline_ns = now + (uint64_t)s->call_ms * 1000000u;
    if (now < s->deadline_ns) return;
    s->timed_out = true;
    s->error_line = 0;
    note_line(L);
  }
  lua_sethook(L, tick, LUA_MASKCOUNT, 1); // whatever runs on ends at its next step
  lua_pushnil(L);
  lua_error(L);
}

void lua_state_go_on(struct lua_state *s) {
  s->timed_out = false;
  s->call_ms = (s->call_ms + 1) / 2;
  lua_sethook(s->L, tick, LUA_MASKCOUNT, LIMIT_SCRIPT_HOOK_STEPS);
  lua_gc(s->L, LUA_GCCOLLECT, 0);
  s->memory.refused = false;
}

void lua_state_look(struct lua_state *s) {
  s->work = 0;
  tick(s->L, NULL);
}

void lua_state_enter(lua_State *L) {
  struct lua_state *s = lua_state_of(L);
  if (s->depth >= LIMIT_SCRIPT_NESTING) luaL_error(L, "too many calls inside each other");
  s->depth++;
}

void lua_state_leave(lua_State *L) {
  lua_state_of(L)->depth--;
}

// The message handler: lets the error pass as it is.
static int handle_error(lua_State *L) {
  note_line(L);
  return 1;
}

struct work {
  lua_CFunction function;
  void *arg;
};

static int door(lua_State *L) {
  struct work *work = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, work->arg);
  lua_replace(L, 1);
  return work->function(L);
}

static int open_state(lua_State *L) {
  lua_pushcfunction(L, handle_error);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_HANDLER);
  lua_pushcfunction(L, door);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_DOOR);
  lua_sandbox_open(L);
  return 0;
}

// lua_newstate does not survive a refusal: the cap comes later, and memory is asked for before.
static bool has_room(void) {
  void *room = mem_alloc(FIRST_BYTES);
  mem_free(room);
  return room != NULL;
}

struct lua_state *lua_state_new(const struct script_limits *limits, struct err *err) {
  struct lua_state *s = mem_zero(1, sizeof *s);
  if (!s) {
    err_set(err, "out of memory");
    return NULL;
  }
  s->call_ms = limits && limits->call_ms ? limits->call_ms : LIMIT_SCRIPT_MS;
  s->processor_time = limits && limits->processor_time;
  if (!has_room()) goto fail;
  s->L = lua_newstate(allocate, s);
  if (!s->L) goto fail;
  luaJIT_setmode(s->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  if (lua_cpcall(s->L, open_state, NULL) != 0) goto fail;
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, SLOT_HANDLER);
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, SLOT_DOOR);
  lua_gc(s->L, LUA_GCCOLLECT, 0);
  s->memory.max_bytes = limits && limits->memory_bytes ? limits->memory_bytes : LIMIT_SCRIPT_BYTES;
  lua_sethook(s->L, tick, LUA_MASKCOUNT, LIMIT_SCRIPT_HOOK_STEPS);
  return s;
fail:
  err_set(err, "out of memory for a script");
  lua_state_free(s);
  return NULL;
}

void lua_state_free(struct lua_state *s) {
  if (!s) return;
  s->memory.max_bytes = 0;
  if (s->L) lua_close(s->L);
  lua_memory_fini(&s->memory);
  lua_encode_free(s->encoder);
  mem_free((char *)s->source.at);
  mem_free(s);
}

// Takes "script:12: " away and returns the 12; 0 when the message has no position.
static uint32_t take_position(struct slice *text) {
  static const char front[] = CHUNK ":";
  size_t at = sizeof front - 1;
  uint32_t line = 0;
  if (text->len < at || memcmp(text->at, front, at) != 0) return 0;
  for (; at < text->len && text->at[at] >= '0' && text->at[at] <= '9' && line < 1000000; at++)
    line = line * 10 + (uint32_t)(text->at[at] - '0');
  if (!line || text->len - at < 2 || text->at[at] != ':' || text->at[at + 1] != ' ') return 0;
  *text = slice_make(text->at + at + 2, text->len - at - 2);
  return line;
}

// The error value on top of the stack, popped.
static void read_message(struct lua_state *s, struct lua_failure *failure) {
  lua_State *L = s->L;
  failure->line = s->error_line;
  if (lua_type(L, -1) == LUA_TSTRING) {
    struct slice text;
    text.at = lua_tolstring(L, -1, &text.len);
    uint32_t line = take_position(&text);
    if (line) failure->line = line;
    lua_text_clean(text, failure->text, sizeof failure->text);
    lua_explain(s, failure->line, failure->text, sizeof failure->text);
    if (!failure->text[0]) snprintf(failure->text, sizeof failure->text, "error value is an empty text");
  } else {
    snprintf(failure->text, sizeof failure->text, "error value is a %s", lua_base_type(L, -1));
  }
  lua_pop(L, 1);
}

static void read_failure(struct lua_state *s, int status, struct lua_failure *failure) {
  if (!lua_state_worn(s) && status != LUA_ERRMEM) {
    failure->outcome = SCRIPT_FAILED;
    read_message(s, failure);
    return;
  }
  failure->line = s->error_line;
  failure->outcome = s->timed_out ? SCRIPT_TIMEOUT : SCRIPT_MEMORY;
  if (s->timed_out)
    snprintf(failure->text, sizeof failure->text, "took longer than %u ms", s->call_ms);
  else
    snprintf(failure->text, sizeof failure->text, "needs more memory than %zu KB", s->memory.max_bytes >> 10);
  s->memory.refused |= !s->timed_out;
  lua_pop(s->L, 1);
}

bool lua_state_call(struct lua_state *s, int args, int results, struct lua_failure *failure) {
  if (calls_begun)
    atomic_store_explicit(calls_begun, atomic_load_explicit(calls_begun, memory_order_relaxed) + 1, memory_order_relaxed);
  s->deadline_ns = 0;
  s->depth = 0;
  s->error_line = 0;
  int status = lua_pcall(s->L, args, results, STACK_HANDLER);
  if (status == 0) return true;
  read_failure(s, status, failure);
  return false;
}

bool lua_state_protect(struct lua_state *s, lua_CFunction function, void *arg, int args, int results,
                       struct lua_failure *failure) {
  struct work work = {function, arg};
  lua_pushvalue(s->L, STACK_DOOR);
  lua_pushlightuserdata(s->L, &work);
  lua_insert(s->L, -(args + 2));
  lua_insert(s->L, -(args + 2));
  return lua_state_call(s, args + 1, results, failure);
}

struct source {
  struct slice text;
  bool given;
};

static const char *give(lua_State *L, void *arg, size_t *len) {
  (void)L;
  struct source *source = arg;
  *len = source->given ? 0 : source->text.len;
  source->given = true;
  return source->text.at;
}

// Messages quote from it.
static bool keep_source(struct lua_state *s, struct slice source) {
  char *copy = mem_copy(source.at, source.len);
  if (!copy) return false;
  mem_free((char *)s->source.at);
  s->source = slice_make(copy, source.len);
  return true;
}

bool lua_state_load(struct lua_state *s, const char *name, struct slice source, struct err *err) {
  struct lua_failure failure = {0};
  if (source.len > LIMIT_SCRIPT_SOURCE_BYTES)
    return err_set(err, "%s: a script has at most %d bytes, this one has %zu", name,
                   LIMIT_SCRIPT_SOURCE_BYTES, source.len);
  if (source.len && source.at[0] == LUA_SIGNATURE[0])
    return err_set(err, "%s: is bytecode; only source is taken", name);
  if (!keep_source(s, source)) return err_set(err, "%s: out of memory", name);
  struct source whole = {source, false};
  s->error_line = 0;
  int status = lua_loadx(s->L, give, &whole, "=" CHUNK, "t");
  if (status != 0) {
    read_failure(s, status, &failure);
    return lua_failure_err(&failure, name, err);
  }
  return lua_state_call(s, 0, 1, &failure) || lua_failure_err(&failure, name, err);
}

bool lua_failure_err(const struct lua_failure *failure, const char *name, struct err *err) {
  if (!failure->line) return err_set(err, "%s: %s", name, failure->text);
  return err_set(err, "%s:%u: %s", name, failure->line, failure->text);
}
