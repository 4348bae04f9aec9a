// lua_pattern.h - Lua's patterns, matched in bounded time.
//
// The same matches, captures and errors as LuaJIT's own (Lua 5.1 manual, 5.4.1; and %g, and a pattern ends at
// its first zero byte), which may backtrack for ever inside one C call. Here a search has a budget of steps:
// LIMIT_SCRIPT_PATTERN_STEPS, and LIMIT_SCRIPT_PATTERN_BYTE_STEPS more for each byte of the subject. A step
// is an item tried or a choice gone back to, or four bytes passed over. Past it, and past
// LIMIT_SCRIPT_PATTERN_CHOICES, "pattern is too complex" is raised; the state's clock goes on meanwhile.
#pragma once
#include "script/lua_state.h"

struct lua_pattern {
  lua_State *L;
  struct lua_state *state;
  struct slice subject;  // borrowed from Lua, as the pattern's text is: keep both on its stack
  const char *text;      // ends with a zero byte
  bool anchored;         // matches at the place given and nowhere behind
  const char *from, *to; // the last match, in the subject
  uint32_t capture_count;
  struct {
    const char *at;
    ptrdiff_t len; // or one of the marks in lua_pattern.c
  } captures[LUA_MAXCAPTURES];
  int64_t left;   // steps until the state is told
  int64_t budget; // steps left beyond what it was told
};

// Takes a ^ in front of the pattern for the anchor if `anchor`, else for itself.
void lua_pattern_init(struct lua_pattern *m, lua_State *L, struct slice subject, const char *text,
                      bool anchor);
// The first match that begins at `from` or behind it. Raises Lua errors, as all below.
bool lua_pattern_find(struct lua_pattern *m, const char *from);
// Pushes the last match's capture number `index`, from 0; the whole match for 0 where there is none.
void lua_pattern_push(struct lua_pattern *m, uint32_t index);
// Pushes all captures, the whole match if `whole` and there is none; returns how many.
int lua_pattern_push_all(struct lua_pattern *m, bool whole);
void lua_pattern_fini(struct lua_pattern *m); // tells the state of the last steps
