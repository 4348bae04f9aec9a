// sink_table.h - the fields of one table of a sink file, which lies on top of the Lua stack: read, checked,
// faults named by line.
//
// All of it raises Lua errors when memory is out: inside a protected call only.
#pragma once
#include "script/lua_state.h"
#include "script/sink_own.h"

struct sink_table {
  lua_State *L;
  struct sink_own *own; // what is read goes here; has file and source
  struct err *err;
  bool ok; // for the one who called through lua_state_protect
};

// "file:line: ..." with the line where `name` stands. Always returns false.
bool sink_table_fault(const struct sink_table *t, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Whether all keys are among `known` (ended by NULL; a first word "" allows the key 1). `where` stands in the
// message.
bool sink_table_known(const struct sink_table *t, const char *where, const char *const *known);
// Pushes the field; returns its Lua type.
int sink_table_field(const struct sink_table *t, const char *name);
// These leave *out alone when the field is absent. Texts live as long as the sink.
bool sink_table_text(const struct sink_table *t, const char *name, const char **out);
bool sink_table_flag(const struct sink_table *t, const char *name, bool *out);
bool sink_table_number(const struct sink_table *t, const char *name, double *out);
