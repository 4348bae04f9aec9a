// source_line.h - where in a Lua source a name was written, for messages about tables, which do not remember
// it.
#pragma once
#include "base/slice.h"

// The line (from 1) on which `name` is first given a value (`name =`, `.name(`) or stands in quotes; 0:
// nowhere.
unsigned source_line(struct slice source, const char *name);
