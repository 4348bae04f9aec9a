// lua_explain.h - Lua's words for a failure put into words that its author can act on.
//
// Lua says "attempt to index field 'detail' (a nil value)"; with what the record proxy noted of the look-ups
// that gave nil, the record's tape, the dictionary and the source, that becomes
// `rec.detail is nil: events of type 6 (User authentication failed) have no detail; use get(rec,
// "detail.volume.total")`. For names of functions and globals: the nearest one that is there.
#pragma once
#include "script/lua_state.h"

// What scripts find in their ctx; ends with NULL.
extern const char *const lua_explain_context_names[];

// Rewrites the message of a failure on this line (0: unknown). Called when the call has ended and its record
// is still there. Allocates nothing.
void lua_explain(struct lua_state *s, uint32_t line, char *text, size_t room);
