// block_decoder.h - reads blocks back: the table, then only the frames that are wanted. Trusts no number it
// has not checked.
#pragma once
#include "journal/block.h"
#include "journal/journal.h"

enum block_result { BLOCK_GOOD, BLOCK_DAMAGED, BLOCK_NO_MEMORY };

struct block_decoder {
  void *zstd;
  char *table; // unpacked
  size_t table_cap;
  char *frame; // unpacked, when only a part of it is wanted
  size_t frame_cap;
  size_t rows_cap, frames_cap;
  // the block whose table was read last:
  struct block_header header;
  struct record_header *rows; // all fields set; offsets count from the block's plain bytes
  struct block_frame *frames;
};

bool block_decoder_init(struct block_decoder *d, struct err *err);
void block_decoder_fini(struct block_decoder *d); // takes zeroed

// `stored`: header->table_bytes bytes. The header must be a valid one.
enum block_result block_decode_table(struct block_decoder *d, const struct block_header *header,
                                     const char *stored);

// Unpacks frame f of the block, stored bytes at `stored`, to `out`, which has room for f->plain bytes.
enum block_result block_decode_frame(struct block_decoder *d, const struct block_frame *f, const char *stored,
                                     char *out);

// Rows from <= i < to as a block in memory. `read(f, arg)` gives the stored bytes of frame f, or NULL when
// they can't be read. Rows of damaged frames are left out and counted in `lost`; all lost: an empty block.
// NULL: out of memory.
struct journal_block *block_decode_rows(struct block_decoder *d, uint32_t from, uint32_t to,
                                        const char *(*read)(const struct block_frame *f, void *arg),
                                        void *arg, uint32_t *lost);
