#include "api/unpack.h"

#include <stdint.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { STEP = 256 << 10, GZIP_FORMAT = 16 + MAX_WBITS, ZSTD_WINDOW_LOG = 23 };

// Where the next bytes go. At the limit it is a byte of its own: what has no more to say can still say so (a checksum, the end of a
// frame); what has is too large.
struct room {
  char *at;
  size_t bytes;
  char past;
};

static enum unpack_result make_room(struct buf *out, struct room *room) {
  size_t more = out->max - out->len < STEP ? out->max - out->len : STEP;
  *room = (struct room){&room->past, 1, 0};
  if (!more) return UNPACK_DONE;
  if (!buf_reserve(out, more)) return UNPACK_NO_MEMORY;
  room->at = out->at + out->len;
  room->bytes = out->cap - out->len;
  return UNPACK_DONE;
}

static enum unpack_result took(struct buf *out, const struct room *room, size_t bytes) {
  if (bytes && room->at == &room->past) return UNPACK_TOO_LARGE;
  out->len += bytes;
  return UNPACK_DONE;
}

static enum unpack_result gunzip(struct slice packed, struct buf *out) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.len};
  if (inflateInit2(&z, GZIP_FORMAT) != Z_OK) return UNPACK_NO_MEMORY;
  enum unpack_result result = UNPACK_DONE;
  struct room room;
  int rc = Z_OK;
  while (result == UNPACK_DONE && !(rc == Z_STREAM_END && !z.avail_in)) {
    if (rc == Z_STREAM_END && inflateReset(&z) != Z_OK) result = UNPACK_BROKEN; // a further member
    if (result == UNPACK_DONE) result = make_room(out, &room);
    if (result != UNPACK_DONE) break;
    z.next_out = (Bytef *)room.at;
    z.avail_out = (uInt)room.bytes;
    rc = inflate(&z, Z_NO_FLUSH);
    result = took(out, &room, room.bytes - z.avail_out);
    if (rc == Z_MEM_ERROR) result = UNPACK_NO_MEMORY;
    else if ((rc != Z_OK && rc != Z_STREAM_END) || (rc == Z_OK && !z.avail_in && z.avail_out)) result = UNPACK_BROKEN;
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
  struct room room;
  size_t left = 1;
  while (result == UNPACK_DONE && (in.pos < in.size || left)) {
    if ((result = make_room(out, &room)) != UNPACK_DONE) break;
    ZSTD_outBuffer piece = {room.at, room.bytes, 0};
    left = ZSTD_decompressStream(ctx, &piece, &in);
    result = took(out, &room, piece.pos);
    if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation) result = UNPACK_NO_MEMORY;
    else if (ZSTD_isError(left) || (in.pos == in.size && left && piece.pos < piece.size)) result = UNPACK_BROKEN;
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
