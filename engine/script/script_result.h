// script_result.h - what the hooks of a script give back, written into a result.
#pragma once
#include "script/lua_state.h"
#include "script/script.h"

void script_result_filtered(struct script_result *result, struct slice reason);
void script_result_failed(struct script_result *result, const struct lua_failure *failure);
void script_result_alert_failed(struct script_result *result, const struct lua_failure *failure);
// A value of the record, as it came, as an output. False: out of memory or too long.
bool script_result_record(struct script_result *result, const struct json_tape *tape, uint32_t entry);

// What map left at `index`: one output or several. Raise Lua errors.
void script_result_outputs(lua_State *L, int index, struct script_result *result);
// A sink's: any value, and behind it a key or nil.
void script_result_body_and_key(lua_State *L, int body, struct script_result *result);
