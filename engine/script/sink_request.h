// sink_request.h - the table that request() returns, read straight from the Lua stack.
#pragma once
#include "script/sink_runner.h"

// Pushes a table from the names of a request's fields to their numbers. Raises Lua errors.
void sink_request_push_fields(lua_State *L);
