// unpack.h - a request's body out of its Content-Encoding, stopped at the body limit.
#pragma once
#include "base/buf.h"

enum unpack_result { UNPACK_DONE, UNPACK_TOO_LARGE, UNPACK_BROKEN, UNPACK_UNKNOWN, UNPACK_NO_MEMORY };

// encoding: "gzip", "zstd", "identity" or NULL (the last two: out is left empty and *plain is the input). out->max is the limit.
enum unpack_result unpack(const char *encoding, struct slice packed, struct buf *out, struct slice *plain);
