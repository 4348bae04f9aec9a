// segment_walk.h - goes through a segment file block by block, past damage to whatever is whole behind it.
#pragma once
#include "journal/block_decoder.h"
#include <sys/types.h>

struct segment_walk {
  int fd;
  uint64_t brand;
  off_t size; // of the file
  off_t at;   // where the search for the next block begins
  char *chunk;
  off_t chunk_at; // what of the file is in chunk
  size_t chunk_len, chunk_cap;
  struct block_decoder decoder;
  // the block found:
  off_t offset;
  struct block_header header; // the decoder has its table when that is good
};

enum walk_result {
  WALK_BLOCK,
  WALK_DAMAGED, // a valid header, but the table is not
  WALK_END,     // no valid header up to the end of the file
  WALK_NO_MEMORY,
};

bool segment_walk_init(struct segment_walk *walk, int fd, uint64_t brand, off_t from, struct err *err);
void segment_walk_fini(struct segment_walk *walk); // takes zeroed
enum walk_result segment_walk_next(struct segment_walk *walk);
// Reads a part of the file; what can't be read is zeros. Borrowed until the next call of any kind. NULL: out
// of memory.
const char *segment_walk_read(struct segment_walk *walk, off_t from, size_t len);
// Whether all frames of the block found last are good. WALK_BLOCK, WALK_DAMAGED or WALK_NO_MEMORY.
enum walk_result segment_walk_check(struct segment_walk *walk);
