#include "journal/block.h"
#include "base/crc32c.h"

#include <stddef.h>

uint32_t block_header_crc(const struct block_header *header) {
  return crc32c(0, header, offsetof(struct block_header, crc));
}

bool block_header_valid(const struct block_header *header, uint64_t brand) {
  if (header->magic != BLOCK_MAGIC || header->brand != brand) return false;
  if (header->crc != block_header_crc(header)) return false;
  uint64_t least = sizeof *header + (uint64_t)header->table_bytes;
  return header->count > 0 && header->frames > 0 && header->frames <= header->count && header->first > 0 &&
         header->bytes % BLOCK_ALIGN == 0 && header->bytes >= least;
}
