#include "api/unpack.h"

#include <stdint.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

enum { STEP = 256 << 10, GZIP_FORMAT = 16 + MAX_WBITS, ZSTD_WINDOW_LOG = 23 };

// Room for some more output; past the limit or out of memory says which.
static enum unpack_result make_room(struct buf *out) {
  if (out->len == out->max) return UNPACK_TOO_LARGE;
  size_t more = out->max - out->len < STEP ? out->max - out->len : STEP;
  return buf_reserve(out, more) ? UNPACK_DONE : UNPACK_NO_MEMORY;
}

static enum unpack_result gunzip(struct slice packed, struct buf *out) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.len};
  if (inflateInit2(&z, GZIP_FORMAT) != Z_OK) return UNPACK_NO_MEMORY;
  enum unpack_result result = UNPACK_DONE;
  int rc = Z_OK;
  while (result == UNPACK_DONE && !(rc == Z_STREAM_END && !z.avail_in)) {
    if (rc == Z_STREAM_END && inflateReset(&z) != Z_OK) result = UNPACK_BROKEN; // a further member
    if (result == UNPACK_DONE) result = make_room(out);
    if (result != UNPACK_DONE) break;
    z.next_out = (Bytef *)out->at + out->len;
    z.avail_out = (uInt)(out->cap - out->len);
    rc = inflate(&z, Z_NO_FLUSH);
    out->len = out->cap - z.avail_out;
    if ((rc != Z_OK && rc != Z_STREAM_END) || (rc == Z_OK && !z.avail_in && z.avail_out)) result = UNPACK_BROKEN;
  }
  inflateEnd(&z);
  return result;
}

static enum unpack_result unzstd(struct slice packed, struct buf *out) {
  ZSTD_DCtx *ctx = ZSTD_createDCtx();
  if (!ctx) return UNPACK_NO_MEMORY;
  ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
  ZSTD_inBuffer in = {packed.at, packed.len, 0};
  enum unpack_result result = packed.len ? UNPACK_DONE : UNPACK_BROKEN;
  size_t left = 1;
  while (result == UNPACK_DONE && (in.pos < in.size || left)) {
    if ((result = make_room(out)) != UNPACK_DONE) break;
    ZSTD_outBuffer piece = {out->at + out->len, out->cap - out->len, 0};
    left = ZSTD_decompressStream(ctx, &piece, &in);
    out->len += piece.pos;
    if (ZSTD_isError(left) || (in.pos == in.size && left && piece.pos < piece.size)) result = UNPACK_BROKEN;
  }
  ZSTD_freeDCtx(ctx);
  return result;
}

enum unpack_result unpack(const char *encoding, struct slice packed, struct buf *out, struct slice *plain) {
  if (!encoding || strcasecmp(encoding, "identity") == 0) {
    *plain = packed;
    return UNPACK_DONE;
  }
  enum unpack_result result = UNPACK_UNKNOWN;
  if (strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0) result = gunzip(packed, out);
  else if (strcasecmp(encoding, "zstd") == 0) result = unzstd(packed, out);
  *plain = buf_slice(out);
  return result;
}
