// block_encoder.h - makes the bytes of one block after another, in buffers it keeps.
#pragma once
#include "journal/block.h"
#include "journal/journal.h"

struct block_encoder {
  void *zstd; // NULL: plain
  char *out;  // header and table end where the frames begin
  size_t out_cap;
  char *table; // plain, then packed
  size_t table_cap;
  struct block_frame *frames;
  size_t frames_cap;
  // the result, until the next block:
  const char *at;
  size_t len; // a multiple of BLOCK_ALIGN; at least BLOCK_PAGE zeros follow
};

bool block_encoder_init(struct block_encoder *e, int zstd_level, struct err *err);
void block_encoder_fini(struct block_encoder *e); // takes zeroed

// Rows must be in order and say where their bytes are, one behind the other. False: out of memory.
bool block_encode(struct block_encoder *e, const struct journal_block *block, uint64_t brand,
                  uint32_t skipped);
