// sink_runner.c - states are made when a sink is first bound, shared by its streams, and thrown away when
// worn or unbound.
#include "script/sink_runner.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_json.h"
#include "script/sink_data.h"
#include "script/sink_primitives.h"
#include "script/sink_request.h"
#include "script/sink_secrets.h"
#include "script/sink_view.h"

#include <assert.h>

enum { LINES_BYTES = 256 << 10 };

struct sink_runner *sink_runner_new(struct err *err) {
  struct sink_runner *runner = mem_zero(1, sizeof *runner);
  if (!runner) {
    err_set(err, "out of memory");
    return NULL;
  }
  buf_init(&runner->lines, LINES_BYTES);
  return runner;
}

void sink_runner_free(struct sink_runner *runner) {
  if (!runner) return;
  assert(!runner->states);
  buf_fini(&runner->lines);
  mem_free(runner->each);
  mem_free(runner);
}

// ---- states ----

static int make_parts(lua_State *L) {
  struct sink_state *state = lua_touserdata(L, 1); // index 2: the sink's table
  state->hooks = luaL_ref(L, LUA_REGISTRYINDEX);
  sink_view_push_new(L, state);
  state->view = luaL_ref(L, LUA_REGISTRYINDEX);
  sink_request_push_fields(L);
  state->fields = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static bool load(struct sink_state *state, struct err *err) {
  const struct script_limits limits = {.memory_bytes = LIMIT_SINK_STATE_BYTES};
  const struct sink *sink = state->sink;
  struct lua_failure failure;
  struct lua_state *lua = lua_state_new(&limits, err);
  if (!lua) return false;
  bool ok = lua_state_protect(lua, sink_primitives_open, NULL, 0, 0, &failure) ||
            lua_failure_err(&failure, sink->file, err);
  ok = ok && lua_state_load(lua, sink->file, sink->source, err);
  ok = ok && (lua_state_protect(lua, make_parts, state, 1, 0, &failure) ||
              lua_failure_err(&failure, sink->file, err));
  if (!ok) {
    lua_state_free(lua);
    return false;
  }
  state->lua = lua;
  state->generation++;
  state->top = lua_gettop(lua->L);
  return true;
}

static struct sink_state *find_state(struct sink_runner *runner, struct sink *sink) {
  struct sink_state *state = runner->states;
  while (state && state->sink != sink)
    state = state->next;
  return state;
}

static struct sink_state *add_state(struct sink_runner *runner, struct sink *sink) {
  struct sink_state *state = mem_zero(1, sizeof *state);
  if (!state) return NULL;
  sink_ref(sink);
  *state = (struct sink_state){.runner = runner, .sink = sink, .records = LUA_NOREF, .next = runner->states};
  runner->states = state;
  return state;
}

static void drop_state(struct sink_state *state) {
  struct sink_state **at = &state->runner->states;
  while (*at != state)
    at = &(*at)->next;
  *at = state->next;
  lua_state_free(state->lua);
  sink_unref(state->sink);
  mem_free(state);
}

// ---- calls ----

static int keep_settings(lua_State *L) {
  struct sink_binding *binding = lua_touserdata(L, 1);
  binding->table = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

// The settings as a table of the state's present generation.
static bool prepare(struct sink_binding *b, struct err *err) {
  struct sink_state *state = b->state;
  struct lua_failure failure;
  if (!state->lua && !load(state, err)) return false;
  if (b->generation == state->generation) return true;
  if (!lua_json_read(state->lua, b->settings, err)) return err_prepend(err, "settings");
  if (!lua_state_protect(state->lua, keep_settings, b, 1, 0, &failure))
    return lua_failure_err(&failure, state->sink->file, err);
  b->generation = state->generation;
  return true;
}

static bool fail(struct sink_call *call, const struct lua_failure *failure) {
  const struct sink_binding *b = call->binding;
  struct err own = {0};
  call->passing |= failure->outcome != SCRIPT_FAILED;
  lua_failure_err(failure, b->state->sink->file, &own);
  sink_secrets_hide(b->state->sink, b->settings, own.text);
  return err_set(call->err, "%s", own.text);
}

bool sink_runner_call(struct sink_call *call, lua_CFunction work) {
  struct sink_binding *b = call->binding;
  struct sink_state *state = b->state;
  struct lua_failure failure;
  if (state->lua) lua_settop(state->lua->L, state->top);
  bool ran = prepare(b, call->err); // it went well when the settings were bound
  call->passing = !ran;
  if (ran) {
    state->batch = call->batch;
    ran = lua_state_protect(state->lua, work, call, 0, 1, &failure) || fail(call, &failure);
    state->batch = NULL;
    sink_view_clear(state);
  }
  if (state->lua && lua_state_worn(state->lua)) {
    lua_state_free(state->lua);
    state->lua = NULL;
  }
  return ran && call->ok;
}

int sink_runner_push_hook(lua_State *L, const struct sink_call *call, const char *name) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->binding->state->hooks);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_type(L, -1);
}

void sink_runner_push_view(lua_State *L, const struct sink_call *call) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->binding->state->view);
}

void sink_runner_push_settings(lua_State *L, const struct sink_call *call) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->binding->table);
}

// ---- bindings ----

static int ask_framing(lua_State *L) {
  struct sink_call *call = lua_touserdata(L, 1);
  sink_runner_push_hook(L, call, "framing");
  sink_runner_push_settings(L, call);
  lua_call(L, 1, 1);
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (!sink_data_framing(name, call->out))
    return luaL_error(L, "framing must return \"one\", \"array\", \"lines\" or \"custom\"");
  call->ok = true;
  return 1;
}

// A number among the settings, cut to 1 .. most; `otherwise` when there is none.
static uint32_t limit_from(const json_t *settings, const char *name, double factor, uint32_t most,
                           uint32_t otherwise) {
  const json_t *value = json_object_get(settings, name);
  if (!json_is_number(value)) return otherwise;
  double number = json_number_value(value) * factor;
  return number < 1 ? 1 : number > most ? most : (uint32_t)number;
}

static void read_limits(struct sink_binding *b, const json_t *settings) {
  const struct sink *sink = b->state->sink;
  b->limits.records = limit_from(settings, "max_records", 1, LIMIT_BATCH_RECORDS, sink->batch_records);
  b->limits.bytes = limit_from(settings, "max_bytes", 1, LIMIT_BATCH_BYTES, sink->batch_bytes);
  b->limits.hold_ms = limit_from(settings, "max_seconds", 1000, LIMIT_HOLD_MS, sink->batch_ms);
  if (b->limits.framing == SINK_ONE) b->limits.records = 1;
}

// What the engine itself wants to know of the settings.
static bool read_settings(struct sink_binding *b, struct err *err) {
  const struct sink_own *own = sink_own_of(b->state->sink);
  struct sink_call call = {.binding = b, .out = &b->limits.framing, .err = err};
  b->limits.framing = own->framing;
  if (own->framing_by_settings && !sink_runner_call(&call, ask_framing)) return false;
  json_t *settings = json_loadb(b->settings.at, b->settings.len, 0, NULL);
  if (!settings) return err_set(err, "out of memory");
  read_limits(b, settings);
  bool ok = sink_standard_read(&b->standard, own->standard, settings, err);
  json_decref(settings);
  return ok;
}

struct sink_binding *sink_bind(struct sink_runner *runner, struct sink *sink, struct slice settings,
                               struct err *err) {
  struct sink_state *state = find_state(runner, sink);
  if (!state) state = add_state(runner, sink);
  struct sink_binding *b = state ? mem_zero(1, sizeof *b) : NULL;
  if (!b) {
    err_set(err, "out of memory");
    if (state && !state->bindings) drop_state(state);
    return NULL;
  }
  state->bindings++;
  b->state = state;
  b->settings = settings;
  b->table = LUA_NOREF;
  if (prepare(b, err) && read_settings(b, err)) return b;
  sink_unbind(b);
  return NULL;
}

void sink_unbind(struct sink_binding *b) {
  if (!b) return;
  struct sink_state *state = b->state;
  if (state->lua && b->generation == state->generation)
    luaL_unref(state->lua->L, LUA_REGISTRYINDEX, b->table);
  if (--state->bindings == 0) drop_state(state);
  sink_standard_fini(&b->standard);
  mem_free(b);
}

const struct sink_limits *sink_binding_limits(const struct sink_binding *binding) {
  return &binding->limits;
}
