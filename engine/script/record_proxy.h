// record_proxy.h - a record as scripts see it: a value that reads like a table and touches only what is asked
// for.
//
// A proxy is the number of a tape entry and the number of the call it was made in, together a light userdata:
// nothing is allocated for it, and equal ones are the same value. Objects and arrays inside a record are
// proxies again, made when they are read; null reads as nil. Nothing can be assigned. A proxy is an error in
// any other call than its own; when the numbers of calls run out (SCRIPT_RUNS), the state is worn.
#pragma once
#include "script/lua_state.h"

void record_proxy_open(lua_State *L); // metatable, and the globals get and has; raises Lua errors

// Between these two the state's proxies are alive; the tape and the header stay the caller's.
void record_proxy_enter(struct lua_state *s, const struct json_tape *tape,
                        const struct record_header *header);
void record_proxy_leave(struct lua_state *s);

void record_proxy_push(lua_State *L, uint32_t entry);       // an object's or array's proxy
void record_proxy_push_value(lua_State *L, uint32_t entry); // any value, as scripts read it
void record_proxy_push_scalar(lua_State *L, const struct json_tape *tape,
                              uint32_t entry); // the same for any tape; null: nil
// False: no proxy. Raises a Lua error for one that was kept past its call.
bool record_proxy_entry(lua_State *L, int index, uint32_t *entry);

// What pairs, ipairs and next do for a proxy: `pairs` and `ipairs` push three values, `next` a key and a
// value or nil.
int record_proxy_pairs(lua_State *L, int index);
int record_proxy_ipairs(lua_State *L, int index);
int record_proxy_next(lua_State *L, int index, int key);
void record_proxy_copy(lua_State *L,
                       uint32_t entry); // pushes a table of the members or elements, nested ones as proxies
