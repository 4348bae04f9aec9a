#include "journal/block_memory.h"
#include "base/mem.h"

#include <assert.h>

struct memory {
  atomic_uint refs;
  size_t allocated;
  struct journal_block block;
};

static struct memory *memory_of(const struct journal_block *block) {
  return (struct memory *)(void *)((char *)(uintptr_t)block - offsetof(struct memory, block));
}

struct journal_block *block_memory_new(size_t rows, size_t bytes) {
  size_t head = sizeof(struct memory), table = rows * sizeof(struct record_header),
         order = rows * sizeof(uint32_t);
  size_t total = head + table + order + bytes;
  char *at = mem_alloc(total);
  if (!at) return NULL;
  struct memory *m = (struct memory *)(void *)at;
  atomic_init(&m->refs, 1);
  m->allocated = total;
  m->block = (struct journal_block){.rows = (const struct record_header *)(const void *)(at + head),
                                    .by_sequence = (const uint32_t *)(const void *)(at + head + table),
                                    .bytes = at + head + table + order};
  return &m->block;
}

size_t block_memory_bytes(const struct journal_block *block) {
  return memory_of(block)->allocated;
}

void journal_block_ref(struct journal_block *block) {
  atomic_fetch_add_explicit(&memory_of(block)->refs, 1, memory_order_relaxed);
}

void journal_block_unref(struct journal_block *block) {
  if (!block) return;
  struct memory *m = memory_of(block);
  if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) mem_free(m);
}

// The block is ours alone until it is published; only then do its pointers' const bind.
struct record_header *block_memory_rows(struct journal_block *block) {
  return (struct record_header *)(uintptr_t)block->rows;
}

uint32_t *block_memory_order(struct journal_block *block) {
  return (uint32_t *)(uintptr_t)block->by_sequence;
}

char *block_memory_text(struct journal_block *block) {
  return (char *)(uintptr_t)block->bytes;
}

void block_memory_index(struct journal_block *block) {
  uint32_t *order = block_memory_order(block);
  uint32_t count = block->count;
  if (count == 0 || block->rows[0].organisation == block->rows[count - 1].organisation) {
    for (uint32_t i = 0; i < count; i++)
      order[i] = i;
    return;
  }
  uint64_t span = block->end - block->first;
  if (count < span) memset(order, 255, span * sizeof *order);
  for (uint32_t i = 0; i < count; i++)
    order[block->rows[i].sequence - block->first] = i;
  if (count == span) return;
  uint32_t kept = 0;
  for (uint64_t s = 0; s < span; s++)
    if (order[s] != UINT32_MAX) order[kept++] = order[s];
  assert(kept == count);
}

// The first row from low on, and below high, whose organisation is at least (or, `behind`, greater than) this one; else high.
static uint32_t border(const struct journal_block *block, uint32_t low, uint32_t high, int64_t organisation,
                       bool behind) {
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int64_t here = block->rows[middle].organisation;
    if (here < organisation || (behind && here == organisation))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool begins_at(const struct journal_block *block, int64_t organisation, uint32_t i) {
  if (i > block->count || (i > 0 && block->rows[i - 1].organisation >= organisation)) return false;
  return i == block->count || block->rows[i].organisation >= organisation;
}

void journal_block_rows(const struct journal_block *block, int64_t organisation, uint32_t *from,
                        uint32_t *to) {
  if (!begins_at(block, organisation, *from))
    *from = border(block, 0, block->count, organisation, false);
  uint32_t low = *from, step = 1; // most have few rows: in strides that double
  while (low + step < block->count && block->rows[low + step].organisation == organisation) {
    low += step;
    step *= 2;
  }
  uint32_t high = low + step < block->count ? low + step : block->count;
  *to = border(block, low, high, organisation, true);
}
