// sink_data.h - the table that a sink file returns, checked and read into a struct sink.
#pragma once
#include "script/lua_state.h"
#include "script/sink_own.h"

// Reads the table on top of the stack (popped). `own` has file and source. "file:line: what is wrong".
bool sink_data_read(struct lua_state *s, struct sink_own *own, struct err *err);
// The framing with this name. False: none.
bool sink_data_framing(const char *name, enum sink_framing *out);
