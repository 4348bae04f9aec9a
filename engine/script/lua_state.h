// lua_state.h - one sandboxed Lua state: a white list of functions, capped memory, and a clock that ends a
// call.
//
// Made for scripts that mean harm: JIT and FFI are never opened, nothing loads code, no value shows an
// address. A call that passes its time or the memory cap ends with an error that no pcall of the script's can
// hold; the state is then worn and must be thrown away. A state belongs to one thread at a time. For the
// layer's own modules: whoever includes this sees Lua's C API.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/json_tape.h"
#include "base/limits.h"
#include "script/lua_memory.h"
#include "script/record_find.h"
#include "script/record_numbers.h"
#include "script/script.h"
#include <lauxlib.h>
#include <lua.h>

enum { RECORD_MISSES = 4, RECORD_MISS_BYTES = 64 }; // longer keys are not kept

// A look-up in the record that gave nil, for the message should the script stumble over it.
struct record_miss {
  uint32_t object; // the entry looked in
  uint32_t value;  // a null, or JSON_NONE
  uint32_t number; // of a list's element; 0: `key` holds
  uint8_t key_len;
  bool by_get; // `key` is the path that `get` was given
  char key[RECORD_MISS_BYTES];
};

struct lua_state {
  lua_State *L;
  struct slice source; // as loaded, for messages; the state's own copy
  struct lua_memory memory;
  uint32_t call_ms;
  bool processor_time; // as in script_limits
  uint64_t deadline_ns; // of the running call; 0: not asked yet
  uint64_t work;        // steps that C code told of since it last looked at the clock
  bool timed_out;
  uint32_t depth;      // calls from C back into Lua that are open
  uint32_t error_line; // where the last error rose; 0: unknown

  // The record of the running call (record_proxy.h); NULL and 0 between calls.
  const struct json_tape *tape;
  uint32_t call;  // its number, so that a proxy kept from another one is known
  uint32_t calls; // how many there were
  struct record_find find;
  struct record_numbers numbers;
  struct record_miss misses[RECORD_MISSES]; // the last ones of the running call, in turn
  uint32_t miss_count;                      // of all in it
  const struct record_header *header;
  bool any_shape; // a script has made them, so that the dictionary says nothing of them

  struct encoder *encoder; // lua_encode.h; made at first use
  script_log_fn log;
  void *log_arg;
};

// Stack indices of the main frame that are in use for as long as the state lives.
enum lua_state_stack { STACK_HANDLER = 1, STACK_DOOR };

// What the modules keep in the registry, by number; luaL_ref and lua_rawseti of others begin at SLOT_OWN.
enum lua_state_slot {
  SLOT_GLOBALS = 1001,
  SLOT_HANDLER,
  SLOT_DOOR,
  SLOT_EXACT,
  SLOT_EXACTS,
  SLOT_ARRAY,
  SLOT_OBJECT,
  SLOT_SHAPES,
  SLOT_OWN
};

struct lua_failure {
  enum script_outcome outcome; // SCRIPT_FAILED, SCRIPT_TIMEOUT or SCRIPT_MEMORY
  uint32_t line;               // 0: unknown
  char text[400];              // valid UTF-8, no control characters, no position in front
};

// An empty sandbox. NULL with err when out of memory.
struct lua_state *lua_state_new(const struct script_limits *limits, struct err *err);
void lua_state_free(struct lua_state *s); // takes NULL
bool lua_state_worn(const struct lua_state *s);
// Makes a worn state fit for the rest of the same record, in half the time; the owner throws it away after that.
void lua_state_go_on(struct lua_state *s);

// Compiles source text and runs it; the one value it returns stays on the stack. "name:line: what is wrong",
// and nothing pushed.
bool lua_state_load(struct lua_state *s, const char *name, struct slice source, struct err *err);

// Every lua_state_call that begins in this process goes up there from now on.
void lua_state_count_calls(_Atomic uint64_t *count);

// As lua_pcall: a function and `args` values on the stack are replaced by `results` values. The only door
// through which a script's code runs: the time limit starts anew. False: nothing is left of them, and
// `failure` says why.
bool lua_state_call(struct lua_state *s, int args, int results, struct lua_failure *failure);

// Runs C code that may raise Lua errors (every push of a new value may: memory is capped) in a frame of its
// own: `arg` as light userdata at index 1, behind it `args` values taken from the stack. It returns `results`
// values, as a lua_CFunction does.
bool lua_state_protect(struct lua_state *s, lua_CFunction work, void *arg, int args, int results,
                       struct lua_failure *failure);

// Inside such C code: the state that L belongs to; a new global for the scripts, from the top of the stack
// (popped).
static inline struct lua_state *lua_state_of(lua_State *L) {
  void *s;
  lua_getallocf(L, &s);
  return s;
}
void lua_state_set_global(lua_State *L, const char *name);

void lua_state_look(struct lua_state *s); // at the clock; raises the time-out
// For C code that may work long for a script, as it goes: a step takes a few nanoseconds. Raises the
// time-out.
static inline void lua_state_work(struct lua_state *s, uint64_t steps) {
  s->work += steps;
  if (s->work >= LIMIT_SCRIPT_WORK_STEPS) lua_state_look(s);
}
// Around C code that calls back into Lua; raises an error when there are too many inside each other. An error
// on the way leaves by itself.
void lua_state_enter(lua_State *L);
void lua_state_leave(lua_State *L);

// The failure in the words of an err: "name:line: text".
bool lua_failure_err(const struct lua_failure *failure, const char *name, struct err *err);
