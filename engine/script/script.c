#include "script/script.h"
#include "base/mem.h"
#include "script/lua_json.h"
#include "script/lua_time.h"
#include "script/lua_windows.h"
#include "script/record_proxy.h"
#include "script/script_alert.h"
#include "script/script_facts.h"
#include "script/sink_primitives.h"
#include "script/script_result.h"

// On the main stack, above the state's own, for as long as the script lives.
enum {
  STACK_ALERT = STACK_DOOR + 1,
  STACK_RUN,
  STACK_MAP,
  STACK_CONTEXTS,
  STACK_KINDS,
  STACK_DERIVED,
  STACK_CONTEXT
};
enum { SLOT_CONTEXT_META = SLOT_OWN };

struct script {
  struct lua_state *state;
  enum script_role role;
  struct script_facts facts;
  uint32_t alert_line, map_line;
  uint32_t context;             // the one at STACK_CONTEXT
  uint8_t kind;                 // that ctx.kind gives
  struct script_result *result; // of the running call
  struct lua_windows windows;
  bool worn;  // though the state was used once more
  bool holds; // what a run did to its windows is ended by the owner
};

// ---- load ----

// What a context has beside its own fields comes from one table for all, "derived": `kind`, which set_kind
// keeps, the functions of windows, and `now`, worked out when it is asked for.
static int derived_index(lua_State *L) {
  const struct lua_state *s = lua_state_of(L);
  struct slice key = {0};
  if (s->header && lua_type(L, 2) == LUA_TSTRING) key.at = lua_tolstring(L, 2, &key.len);
  if (key.len == 3 && memcmp(key.at, "now", 3) == 0)
    lua_pushnumber(L, (lua_Number)lua_time_of_record(s->tape, s->header));
  else
    lua_pushnil(L);
  return 1;
}

static void push_derived(lua_State *L, struct script *script) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, record_kind_name(0));
  lua_setfield(L, -2, "kind");
  lua_windows_open(L, script->role == SCRIPT_STREAM ? &script->windows : NULL);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, derived_index);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

// Pushes a list: the key for set_kind, behind it the kinds' names.
static void push_kinds(lua_State *L) {
  lua_createtable(L, RECORD_KINDS + 1, 0);
  lua_pushliteral(L, "kind");
  lua_rawseti(L, -2, 1);
  for (int kind = 0; kind < RECORD_KINDS; kind++) {
    lua_pushstring(L, record_kind_name((enum record_kind)kind));
    lua_rawseti(L, -2, kind + 2);
  }
}

static void push_context_meta(lua_State *L, int derived) {
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, derived);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "ctx");
  lua_setfield(L, -2, "__metatable");
}

static uint32_t line_of_function(lua_State *L, int index) {
  lua_Debug at;
  if (!lua_isfunction(L, index)) return 0;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &at);
  return at.linedefined > 0 ? (uint32_t)at.linedefined : 0;
}

static int run_alert(lua_State *L);
static int run_hooks(lua_State *L);

static void push_run_alert(lua_State *L, struct script *script) {
  lua_pushliteral(L, "alert");
  lua_rawget(L, 2);
  script->alert_line = line_of_function(L, -1);
  lua_pushlightuserdata(L, script);
  lua_pushcclosure(L, run_alert, 2);
}

// Argument 2 is what the chunk returned. Results: the function that runs alert, the one that runs the other
// hooks, map, the contexts by number, the kinds, what is derived, an empty context.
static int install(lua_State *L) {
  struct script *script = lua_touserdata(L, 1);
  script_facts_read(L, 2, script->role, &script->facts);
  script->map_line = line_of_function(L, -1);
  int map = lua_gettop(L);
  push_run_alert(L, script);
  lua_pushvalue(L, map - 1);
  lua_pushlightuserdata(L, script);
  lua_pushcclosure(L, run_hooks, 2);
  lua_pushvalue(L, map);
  lua_newtable(L);
  push_kinds(L);
  push_derived(L, script);
  lua_newtable(L);
  push_context_meta(L, lua_gettop(L) - 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_CONTEXT_META);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, map + 4, 0); // what a number without a context gets
  return 7;
}

struct script *script_load(const char *name, struct slice source, enum script_role role,
                           const struct script_limits *limits, struct err *err) {
  struct lua_failure failure;
  struct script *script = mem_zero(1, sizeof *script);
  if (!script) {
    err_set(err, "%s: out of memory", name);
    return NULL;
  }
  script->role = role;
  script->state = lua_state_new(limits, err);
  if (!script->state) goto fail;
  script->state->any_shape = role == SCRIPT_SINK;
  if (role == SCRIPT_SINK && !lua_state_protect(script->state, sink_primitives_open, NULL, 0, 0, &failure)) {
    lua_failure_err(&failure, name, err);
    goto fail;
  }
  if (!lua_state_load(script->state, name, source, err)) goto fail;
  if (!lua_state_protect(script->state, install, script, 1, 7, &failure)) {
    lua_failure_err(&failure, name, err);
    goto fail;
  }
  lua_gc(script->state->L, LUA_GCCOLLECT, 0);
  return script;
fail:
  script_free(script);
  return NULL;
}

void script_free(struct script *script) {
  if (!script) return;
  lua_state_free(script->state);
  lua_windows_fini(&script->windows);
  mem_free(script);
}

const struct script_facts *script_facts(const struct script *script) {
  return &script->facts;
}

bool script_worn(const struct script *script) {
  return script->worn || lua_state_worn(script->state) || script->state->calls == SCRIPT_RUNS;
}

size_t script_memory(const struct script *script) {
  return script->state->memory.used_bytes + script->state->source.len;
}

struct lua_state *script_state(struct script *script) {
  return script->state;
}

void script_set_log(struct script *script, script_log_fn log, void *arg) {
  script->state->log = log;
  script->state->log_arg = arg;
}

// ---- contexts ----

static void use_context(struct script *script, uint32_t context) {
  lua_State *L = script->state->L;
  lua_rawgeti(L, STACK_CONTEXTS, (int)context);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_rawgeti(L, STACK_CONTEXTS, 0);
  }
  lua_replace(L, STACK_CONTEXT);
  script->context = context;
}

static int store_context(lua_State *L) {
  const uint32_t *number = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_CONTEXT_META);
  lua_setmetatable(L, 3);
  lua_rawseti(L, 2, (int)*number);
  return 0;
}

bool script_set_context(struct script *script, uint32_t context, struct slice json, struct err *err) {
  lua_State *L = script->state->L;
  struct lua_failure failure;
  if (!lua_json_read(script->state, json, err)) return err_prepend(err, "context");
  if (lua_type(L, -1) != LUA_TTABLE) {
    lua_pop(L, 1);
    return err_set(err, "context: not an object");
  }
  lua_pushvalue(L, STACK_CONTEXTS);
  lua_insert(L, -2);
  use_context(script, 0);
  return lua_state_protect(script->state, store_context, &context, 2, 0, &failure) ||
         err_set(err, "context: %s", failure.text);
}

void script_forget_context(struct script *script, uint32_t context) {
  lua_State *L = script->state->L;
  windows_free(lua_windows_take(&script->windows, context));
  lua_rawgeti(L, STACK_CONTEXTS, (int)context);
  bool known = lua_istable(L, -1);
  lua_pop(L, 1);
  if (!known) return;
  lua_pushnil(L);
  lua_rawseti(L, STACK_CONTEXTS, (int)context); // the key is there: nothing is allocated
  use_context(script, 0);
}

// ---- windows ----

void script_save_windows(struct script *script, bool saved) {
  script->windows.saved = saved;
}

void script_hold_windows(struct script *script) {
  script->holds = true;
}

struct windows *script_held_windows(const struct script *script) {
  return script->windows.open;
}

void script_end_windows(struct script *script, bool keep) {
  if (keep)
    lua_windows_commit(&script->windows);
  else
    lua_windows_undo(&script->windows);
}

struct windows *script_windows(const struct script *script, uint32_t context) {
  return lua_windows_of(&script->windows, context);
}

struct windows *script_take_windows(struct script *script, uint32_t context) {
  return lua_windows_take(&script->windows, context);
}

bool script_give_windows(struct script *script, uint32_t context, struct windows *windows) {
  return lua_windows_give(&script->windows, context, windows);
}

// ---- a run, inside the protected call ----

// The stack of run_hooks, laid out for the call of map, whose results take its place.
enum { RUN_MAP = 1, RUN_RECORD, RUN_CONTEXT };
enum { UP_ALERT = 1, UP_FILTER = 1, UP_SCRIPT };

// Called with the record and ctx.
static int run_alert(lua_State *L) {
  struct script *script = lua_touserdata(L, lua_upvalueindex(UP_SCRIPT));
  struct script_alert *alert = &script->result->alerts[0];
  lua_pushvalue(L, lua_upvalueindex(UP_ALERT));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  if (!script_alert_read(L, 1, alert)) return 0;
  alert->at_ms = lua_windows_now(&script->windows);
  bool silent = lua_windows_silence(L, &script->windows, slice_of(alert->key), alert->for_s);
  script->result->alert_count = !silent;
  return 0;
}

static bool run_filter(lua_State *L, struct script_result *result) {
  lua_pushvalue(L, lua_upvalueindex(UP_FILTER));
  lua_pushvalue(L, RUN_RECORD);
  lua_pushvalue(L, RUN_CONTEXT);
  lua_call(L, 2, 2);
  bool keep = lua_toboolean(L, -2);
  struct slice reason = {0};
  if (!keep && lua_type(L, -1) == LUA_TSTRING) reason.at = lua_tolstring(L, -1, &reason.len);
  if (!keep) script_result_filtered(result, reason.len ? reason : slice_of("filter"));
  return keep;
}

static void run_map(lua_State *L, const struct script *script, struct script_result *result) {
  lua_settop(L, RUN_CONTEXT);
  lua_call(L, 2, 2);
  if (lua_isnil(L, RUN_MAP))
    script_result_filtered(result, slice_of("map"));
  else if (script->role == SCRIPT_SINK)
    script_result_body_and_key(L, RUN_MAP, result);
  else
    script_result_outputs(L, RUN_MAP, result);
  if (result->outcome == SCRIPT_KEPT && !result->output_count)
    script_result_filtered(result, slice_of("map"));
}

// A record that is neither an object nor an array.
static void put_scalar(lua_State *L) {
  record_proxy_push_value(L, 0);
  lua_replace(L, RUN_RECORD);
}

static int run_hooks(lua_State *L) {
  const struct script *script = lua_touserdata(L, lua_upvalueindex(UP_SCRIPT));
  struct script_result *result = script->result;
  if (json_kind_of(script->state->tape, 0) < TAPE_ARRAY) put_scalar(L);
  if (script->facts.has_filter && !run_filter(L, result)) return 0;
  if (script->facts.has_map)
    run_map(L, script, result);
  else if (!script_result_record(result, script->state->tape, 0))
    luaL_error(L, "out of memory");
  return 0;
}

// ---- a run ----

// Both keys are there: nothing is allocated.
static void set_kind(struct script *script, uint8_t kind) {
  lua_State *L = script->state->L;
  lua_rawgeti(L, STACK_KINDS, 1);
  lua_rawgeti(L, STACK_KINDS, kind % RECORD_KINDS + 2);
  lua_rawset(L, STACK_DERIVED);
  script->kind = kind;
}

// What alert did to the windows stands by itself: its failure is not the record's.
static void call_alert(struct script *script, struct script_result *result) {
  struct lua_failure failure;
  lua_State *L = script->state->L;
  if (json_kind_of(script->state->tape, 0) < TAPE_ARRAY || script->state->header->kind == RECORD_ALERT)
    return;
  lua_pushvalue(L, STACK_ALERT);
  record_proxy_push(L, 0);
  lua_pushvalue(L, STACK_CONTEXT);
  if (lua_state_call(script->state, 2, 0, &failure)) return;
  lua_windows_undo(&script->windows);
  if (!failure.line) failure.line = script->alert_line;
  script_result_alert_failed(result, &failure);
  result->alert_timed_out = failure.outcome == SCRIPT_TIMEOUT;
  if (!lua_state_worn(script->state)) return;
  script->worn = true;
  lua_state_go_on(script->state);
}

static bool call_hooks(struct script *script, struct script_result *result) {
  struct lua_failure failure;
  lua_State *L = script->state->L;
  lua_pushvalue(L, STACK_RUN);
  lua_pushvalue(L, STACK_MAP);
  record_proxy_push(L, 0); // allocates nothing
  lua_pushvalue(L, STACK_CONTEXT);
  if (lua_state_call(script->state, 3, 0, &failure)) return true;
  if (!failure.line) failure.line = script->map_line;
  script_result_failed(result, &failure);
  return false;
}

static void run_protected(struct script *script, uint32_t context, struct script_result *result) {
  if (context != script->context) use_context(script, context);
  if (script->state->header->kind != script->kind) set_kind(script, script->state->header->kind);
  script->result = result;
  lua_windows_enter(&script->windows, script->state, context);
  if (script->facts.has_alert) call_alert(script, result);
  bool ok = call_hooks(script, result);
  if (!ok || !script->holds) script_end_windows(script, ok);
  lua_windows_leave(&script->windows);
}

void script_run(struct script *script, uint32_t context, const struct record_header *header,
                const struct json_tape *tape, struct script_result *result) {
  result->outcome = SCRIPT_KEPT;
  result->line = 0;
  result->text[0] = 0;
  result->bytes.len = 0;
  result->output_count = 0;
  result->alert_count = 0;
  result->alert_failed = false;
  result->alert_timed_out = false;
  if (!script_match(&script->facts, header)) {
    script_result_filtered(result, slice_of("match"));
    return;
  }
  record_proxy_enter(script->state, tape, header);
  run_protected(script, context, result);
  record_proxy_leave(script->state);
}
