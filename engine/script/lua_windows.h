// lua_windows.h - a stream's windows as scripts see them: ctx.count, ctx.sum, ctx.get and ctx.set, at the
// record's time.
//
// Keys are texts or numbers; a number is its exact text, so 5 and "5" are one key. Spans and times to live
// are texts such as "10m" or whole seconds. The windows are those of the running record's context, whichever
// ctx the script calls.
#pragma once
#include "base/map.h"
#include "script/lua_state.h"
#include "script/windows.h"

struct lua_windows {
  struct map all; // by context number + 1
  bool saved;     // those made here keep their changes for windows_take

  // Of the running record.
  const struct lua_state *state; // NULL: none is running
  uint32_t context;
  struct windows *open; // made or begun at the first use
  int64_t now_ms;
  bool has_now;
};

void lua_windows_fini(struct lua_windows *lw); // takes zeroed

struct windows *lua_windows_of(const struct lua_windows *lw, uint32_t context); // borrowed; NULL: none
struct windows *lua_windows_take(struct lua_windows *lw, uint32_t context); // the caller's now; NULL: none
// Owned from now on, in place of those there were. False: out of memory, and still the caller's.
bool lua_windows_give(struct lua_windows *lw, uint32_t context, struct windows *w);

// Around a record; what it changed is kept by `commit` and taken back by `undo`, after either of which it may
// go on.
void lua_windows_enter(struct lua_windows *lw, const struct lua_state *state, uint32_t context);
void lua_windows_commit(struct lua_windows *lw);
void lua_windows_undo(struct lua_windows *lw);
void lua_windows_leave(struct lua_windows *lw);

// The rest raises Lua errors.
// Sets the functions in the table on top of the stack. NULL: there they only say that a sink has no windows.
void lua_windows_open(lua_State *L, struct lua_windows *lw);
int64_t lua_windows_now(struct lua_windows *lw);
// Whether an alert of that key is silent; if not, it is from now on.
bool lua_windows_silence(lua_State *L, struct lua_windows *lw, struct slice key, uint32_t for_s);
