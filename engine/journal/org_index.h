// org_index.h - which blocks a segment has, and how many records of which organisation and kind are in each.
//
// In memory it grows with the open segment; as a file (.idx) it is written when the segment closes:
//   index_header (32 bytes) | index_block * blocks | lists (varints)
//   a block's list, an organisation after the other in order: id less the one before, then events, usage
//   records, alerts
#pragma once
#include "base/buf.h"
#include "journal/block.h"
#include "journal/journal.h"

struct index_block {
  uint64_t first;
  int64_t received_ms;
  uint64_t organisations;                  // bit hash(id) % 64 of each
  uint32_t count, kinds[RECORD_KINDS - 1]; // records; events, usage records, alerts among them
  uint32_t offset, bytes;                  // in the segment
  uint32_t skipped;                        // as in block_header
  uint32_t list, list_bytes;
  uint32_t unused;
};

struct org_index {
  struct index_block *blocks; // in order of sequence
  size_t count, cap;
  struct buf lists;
};

void org_index_init(struct org_index *index);
void org_index_fini(struct org_index *index);
size_t org_index_bytes(const struct org_index *index); // of memory
// Makes room for one more block of that many rows, so that the next add can't fail. False: out of memory.
bool org_index_reserve(struct org_index *index, size_t rows);
// Rows as in journal_block; `at` has the block's offset and bytes.
void org_index_add(struct org_index *index, const struct block_header *header,
                   const struct record_header *rows, uint32_t offset);
// The first block that ends behind `sequence`; index->count when there is none.
size_t org_index_find(const struct org_index *index, uint64_t sequence);
// Records of an organisation (or JOURNAL_ALL) and a mask of kinds in a block.
uint64_t org_index_count(const struct org_index *index, size_t block, int64_t organisation, unsigned kinds);

bool org_index_write(const struct org_index *index, uint64_t brand, const char *path, struct err *err);
// Into an initialised index. False: absent, damaged, of another journal, or no memory; index empty then.
bool org_index_read(struct org_index *index, uint64_t brand, const char *path, struct err *err);
