// lua_time.h - times as records write them, and the scripts' time.parse and time.iso.
//
// "2019-07-17T16:28:00.000+0000", "2019-12-11T05:49:29", "2019-07-17 08:21:11": a date, 'T' or a space, a
// time, a fraction and an offset (Z, +hh, +hhmm, +hh:mm) if any; without offset it is UTC. A date alone is
// its midnight.
#pragma once
#include "script/lua_state.h"

// Milliseconds since 1970 UTC, finer digits cut off. False: no such time.
bool lua_time_parse(struct slice text, int64_t *ms);
// When a record happened: its timestamp, else end_timestamp, else start_timestamp, else the time of receipt.
int64_t lua_time_of_record(const struct json_tape *tape, const struct record_header *header);
void lua_time_open(lua_State *L); // sets the global; raises Lua errors
