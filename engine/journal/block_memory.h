// block_memory.h - a block in memory: one allocation, counted references (journal_block_ref and _unref),
// rows, order and bytes.
#pragma once
#include "journal/journal.h"

// Room for that many rows, as many in `by_sequence`, and bytes; one reference. NULL when out of memory.
struct journal_block *block_memory_new(size_t rows, size_t bytes);
size_t block_memory_bytes(const struct journal_block *block); // what the allocation takes

// To be filled before anybody else sees the block.
struct record_header *block_memory_rows(struct journal_block *block);
uint32_t *block_memory_order(struct journal_block *block);
char *block_memory_text(struct journal_block *block);

// Fills by_sequence from rows, count, first and end; rows may lack sequences. There must be room for end -
// first numbers, unless all rows are of one organisation.
void block_memory_index(struct journal_block *block);
