// span.h - spans of time as scripts write them: "30s", "10m", "24h", "7d", "2w", from 1s to 366d.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

// False with err, which says what is meant where that can be guessed: "'10 minutes' is not a span: did you
// mean '10m'?"
bool span_parse(struct slice text, uint32_t *span_s, struct err *err);
// A number of seconds as a span: whole, and in the same bounds.
bool span_of_number(double seconds, uint32_t *span_s, struct err *err);
