// lua_text.h - a script's words made fit to show: valid UTF-8, no control characters, cut to fit.
#pragma once
#include "base/slice.h"

// Writes at most room - 1 bytes and a NUL to out; returns how many. Never cuts a character in two; each byte
// that is not UTF-8 becomes '?', each run of control characters one space.
size_t lua_text_clean(struct slice text, char *out, size_t room);
