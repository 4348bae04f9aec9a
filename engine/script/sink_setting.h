// sink_setting.h - one setting as a sink file declares it, and whether a value fits it.
#pragma once
#include "script/sink_table.h"

// The list `settings` of the sink's table, which is on top of the stack, into own->sink.
bool sink_setting_read_all(const struct sink_table *t);

// "string", "secret", ...
const char *sink_setting_type_name(enum sink_setting_type type);
// Whether the value may be this setting's; `err` says what it must be, never what it is.
bool sink_setting_fits(const struct sink_setting *setting, const json_t *value, struct err *err);
