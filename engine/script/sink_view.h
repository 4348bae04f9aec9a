// sink_view.h - a batch as request and verdict see it: one userdata a state, whose fields are made when they
// are read.
#pragma once
#include "script/sink_runner.h"

// Pushes the view of whatever batch the state runs. Raises Lua errors.
void sink_view_push_new(lua_State *L, struct sink_state *state);
// Takes away what the running hook has made.
void sink_view_clear(struct sink_state *state);
