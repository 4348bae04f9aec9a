// trial.h - compiles a script or a sink in a process of its own first: a source can crash the compiler.
#pragma once
#include "base/err.h"
#include "script/script.h"

// False with err: "file:line: what is wrong", or that it crashed or did not end.
bool trial_compile(const char *file, struct slice source, enum script_role role, struct err *err);
