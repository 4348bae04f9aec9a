// source_warn.h - what is probably a mistake in a script that compiles: globals assigned or not known, fields
// that no record has, names that are not in the API.
//
// Found by the look of the source, with the scopes of locals but without a parser: of what it can't be sure
// of, it says nothing.
#pragma once
#include "script/api_names.h"

// `text`: the warning, valid during the call.
typedef void (*source_warn_fn)(void *arg, uint32_t line, const char *text);

// The source must compile. Warnings come in the order of the source. False: out of memory.
bool source_warn(struct slice source, enum script_role role, const struct api_names *names,
                 source_warn_fn tell, void *arg);
