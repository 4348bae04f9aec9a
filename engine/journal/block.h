// block.h - how one block lies on the disk.
//
//   header (64 bytes) | table | frame* | zeros up to a multiple of 64 bytes
//
// Table and frames are zstd, or plain where that is not longer (stored size = plain size). The table, all
// varints:
//   a frame: rows, plain bytes, stored bytes, CRC-32C of the stored bytes (4 bytes)
//   organisations: how many; each: its id less the one before, rows
//   then column by column, a number a row: sequence less the one before in its organisation (the first: less
//   the block's first), id less the one before, endpoint less the one before, length, event_type * 4 + kind
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  BLOCK_ALIGN = 64,
  BLOCK_PAGE = 4096, // writing zeros up to the end of a page spares the kernel to read it first
  // Plain bytes a frame aims at, which is what a reader of one organisation unpacks: with its last record still one block of
  // zstd's, for each begins with tables of its own.
  BLOCK_FRAME_BYTES = 126 << 10,
};
#define BLOCK_MAGIC 0x3142454349554c53u // "SLUICEB1"

struct block_header {
  uint64_t magic;
  uint64_t brand;      // the journal's own number, secret: bytes of a record never pass for a block
  uint64_t first;      // sequences first <= s < first + count
  int64_t received_ms; // of all its records
  uint32_t count, frames;
  uint32_t bytes; // the whole block
  uint32_t table_bytes, table_plain, table_crc;
  uint32_t
      skipped;  // sequences just before `first` that no acknowledged record ever had (those of a torn block)
  uint32_t crc; // of the header's bytes before this
};
static_assert(sizeof(struct block_header) == BLOCK_ALIGN, "a header is one step of the search for a block");

// A frame as table and memory know it.
struct block_frame {
  uint32_t row, rows;         // its first row, how many
  uint32_t plain_at, plain;   // in the block's plain bytes
  uint32_t stored_at, stored; // from the block's beginning
  uint32_t crc;
};

// Whether this is a header of the journal with this brand, whole and consistent in itself.
bool block_header_valid(const struct block_header *header, uint64_t brand);
uint32_t block_header_crc(const struct block_header *header);
static inline uint64_t block_header_end(const struct block_header *header) {
  return header->first + header->count;
}
