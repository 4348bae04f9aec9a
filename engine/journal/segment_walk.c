#include "journal/segment_walk.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

bool segment_walk_init(struct segment_walk *walk, int fd, uint64_t brand, off_t from, struct err *err) {
  struct stat st;
  *walk = (struct segment_walk){.fd = fd, .brand = brand, .at = from};
  if (fstat(fd, &st) != 0) return err_set_errno(err, "cannot look at a segment");
  walk->size = st.st_size;
  return block_decoder_init(&walk->decoder, err);
}

void segment_walk_fini(struct segment_walk *walk) {
  block_decoder_fini(&walk->decoder);
  mem_free(walk->chunk);
  *walk = (struct segment_walk){0};
}

static void read_or_zero(int fd, char *out, size_t len, off_t from) {
  while (len) {
    ssize_t n = pread(fd, out, len, from);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out += n;
    from += n;
    len -= (size_t)n;
  }
  memset(out, 0, len);
}

static bool in_chunk(const struct segment_walk *walk, off_t from, size_t len) {
  return from >= walk->chunk_at && from + (off_t)len <= walk->chunk_at + (off_t)walk->chunk_len;
}

const char *segment_walk_read(struct segment_walk *walk, off_t from, size_t len) {
  if (!in_chunk(walk, from, len)) {
    size_t want = len > CHUNK_BYTES ? len : CHUNK_BYTES;
    if (want > walk->chunk_cap) {
      mem_free(walk->chunk);
      walk->chunk = mem_alloc(want);
      walk->chunk_len = 0;
      walk->chunk_cap = walk->chunk ? want : 0;
      if (!walk->chunk) return NULL;
    }
    read_or_zero(walk->fd, walk->chunk, want, from);
    walk->chunk_at = from;
    walk->chunk_len = want;
  }
  return walk->chunk + (from - walk->chunk_at);
}

enum walk_result segment_walk_next(struct segment_walk *walk) {
  for (; walk->at + BLOCK_ALIGN <= walk->size; walk->at += BLOCK_ALIGN) {
    const char *at = segment_walk_read(walk, walk->at, BLOCK_ALIGN);
    if (!at) return WALK_NO_MEMORY;
    struct block_header header;
    memcpy(&header, at, sizeof header);
    if (!block_header_valid(&header, walk->brand)) continue;
    walk->header = header;
    walk->offset = walk->at;
    walk->at += walk->header.bytes;
    const char *table = segment_walk_read(walk, walk->offset + BLOCK_ALIGN, walk->header.table_bytes);
    if (!table) return WALK_NO_MEMORY;
    enum block_result result = block_decode_table(&walk->decoder, &walk->header, table);
    if (result == BLOCK_NO_MEMORY) return WALK_NO_MEMORY;
    return result == BLOCK_GOOD ? WALK_BLOCK : WALK_DAMAGED;
  }
  return WALK_END;
}

enum walk_result segment_walk_check(struct segment_walk *walk) {
  const char *at = segment_walk_read(walk, walk->offset, walk->header.bytes);
  if (!at) return WALK_NO_MEMORY;
  const struct block_frame *frames = walk->decoder.frames;
  for (uint32_t i = 0; i < walk->header.frames; i++)
    if (crc32c(0, at + frames[i].stored_at, frames[i].stored) != frames[i].crc) return WALK_DAMAGED;
  return WALK_BLOCK;
}
