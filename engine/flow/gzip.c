#include "flow/gzip.h"

#include <stdint.h>
#include <zlib.h>

enum { GZIP_FORMAT = 16 + MAX_WBITS, MEMORY_LEVEL = 8 };

bool gzip_pack(struct slice plain, struct buf *out) {
  z_stream z = {0};
  if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_FORMAT, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) return false;
  bool ok = buf_reserve(out, deflateBound(&z, plain.len));
  if (ok) {
    z.next_in = (Bytef *)(uintptr_t)plain.at;
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)(out->at + out->len);
    z.avail_out = (uInt)(out->cap - out->len);
    ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len += z.total_out;
  }
  deflateEnd(&z);
  return ok;
}
