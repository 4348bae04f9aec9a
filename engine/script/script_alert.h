// script_alert.h - what an alert hook returned, checked: nil, false, or { key=, title=, severity=, for_s= }.
#pragma once
#include "script/lua_state.h"

// `key` must be there; the title is the key if there is none, severity "warn", for_s LIMIT_ALERT_SILENCE_S.
// Texts are cut and made fit to show. False: no alert. Raises Lua errors in words.
bool script_alert_read(lua_State *L, int index, struct script_alert *out);
