// gzip.h - gzip of a request's body.
#pragma once
#include "base/buf.h"

bool gzip_pack(struct slice plain, struct buf *out); // appends; false: out of memory or past out's maximum
