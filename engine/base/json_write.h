// json_write.h - JSON text from values: strings escaped, numbers in the shortest form that reads back the same.
#pragma once
#include "base/buf.h"
#include <stdint.h>

enum { JSON_NUMBER_BYTES = 32 };

// With the quotes. Escapes '"', '\\' and control characters only; bytes that are not UTF-8 become U+FFFD.
bool json_write_string(struct buf *b, struct slice text);
// Whether all of it is ASCII that stands in a JSON string as it is.
bool json_write_is_plain(struct slice text);
bool json_write_integer(struct buf *b, int64_t value);
// A double with an integral value below 2^53 is written without a point. False also for NaN and infinity.
bool json_write_real(struct buf *b, double value);
// The number's text into out[JSON_NUMBER_BYTES]; returns its length; 0 for NaN and infinity.
size_t json_format_real(double value, char *out);
