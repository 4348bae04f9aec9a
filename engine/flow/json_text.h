// json_text.h - jansson's values as compact text, with numbers as base/json_write.h writes them: jansson itself gives each 17 digits.
#pragma once
#include "base/buf.h"
#include <jansson.h>

// Behind what is there. A real number stays one when it is read again ("5.0"). False: no room, or out of memory.
bool json_text_write(struct buf *out, const json_t *value);
