// sink_runner.h - a courier's Lua states of sinks, and the one way in which their hooks are run.
#pragma once
#include "script/lua_state.h"
#include "script/sink_own.h"
#include "script/sink_standard.h"

struct sink_runner {
  struct sink_state *states;
  struct buf lines;          // header lines of the last request
  struct sink_verdict *each; // of the last verdict
  uint32_t each_cap;
};

// One sink version in one Lua state. All its bindings share it.
struct sink_state {
  struct sink_state *next;
  struct sink_runner *runner;
  struct sink *sink;     // a reference
  struct lua_state *lua; // NULL: worn out, made anew at the next hook
  uint64_t generation;   // of `lua`
  uint32_t bindings;
  int top; // of the stack between hooks
  // Registry references into `lua`.
  int hooks, view, fields;
  int records;                    // the table of the running hook's records; LUA_NOREF: not asked for yet
  const struct sink_batch *batch; // of the running hook
};

struct sink_binding {
  struct sink_state *state;
  struct slice settings; // JSON, the caller's
  int table; // registry reference of the settings as Lua sees them, good for one generation
  uint64_t generation;
  struct sink_limits limits;
  struct sink_standard standard;
};

struct sink_call {
  struct sink_binding *binding;
  const struct sink_batch *batch; // NULL: the hook gets none
  const void *in;                 // for `work`
  void *out;
  struct err *err;
  bool ok;      // set by `work` when all went well
  bool passing; // when not: memory or time was short
};

// Runs `work` in the binding's Lua state, protected and timed, with the call as light userdata at index 1.
// The one value it leaves stays on the stack, and so do the strings in it, until the runner's next hook.
// False with err, in which no secret stands.
bool sink_runner_call(struct sink_call *call, lua_CFunction work);

// Inside `work`: pushes the hook with this name (nil: none), the batch as hooks see it, the settings.
int sink_runner_push_hook(lua_State *L, const struct sink_call *call, const char *name);
void sink_runner_push_view(lua_State *L, const struct sink_call *call);
void sink_runner_push_settings(lua_State *L, const struct sink_call *call);
