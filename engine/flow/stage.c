#include "flow/stage.h"

#include <assert.h>

enum { STAGE_BYTES = 12 << 20 };

static struct staged *at(const struct stage *stage, uint32_t number) {
  return (struct staged *)&stage->blocks[number % STAGE_BLOCKS];
}

static size_t bytes_of(const struct journal_block *block) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < block->count; i++) bytes += block->rows[i].length + sizeof block->rows[i];
  return bytes;
}

bool stage_room(const struct stage *stage) {
  return stage->end - stage->first < STAGE_BLOCKS && stage->bytes < STAGE_BYTES;
}

uint32_t stage_push(struct stage *stage, struct journal_block *block) {
  assert(stage->end - stage->first < STAGE_BLOCKS);
  journal_block_ref(block);
  struct staged *last = at(stage, stage->end);
  *last = (struct staged){.block = block, .bytes = bytes_of(block)};
  stage->bytes += last->bytes;
  return stage->end++;
}

static void pop(struct stage *stage) {
  struct staged *first = at(stage, stage->first++);
  stage->bytes -= first->bytes;
  journal_block_unref(first->block);
  first->block = NULL;
}

void stage_trim(struct stage *stage) {
  while (stage->first != stage->end && !at(stage, stage->first)->waiting) pop(stage);
}

void stage_clear(struct stage *stage) {
  while (stage->first != stage->end) pop(stage);
}

struct journal_block *stage_find(const struct stage *stage, uint64_t sequence) {
  uint32_t from = stage->first, to = stage->end;
  while (from != to) { // the first block that ends behind it
    uint32_t middle = from + (to - from) / 2;
    if (at(stage, middle)->block->end <= sequence) from = middle + 1;
    else to = middle;
  }
  struct journal_block *block = from != stage->end ? at(stage, from)->block : NULL;
  return block && block->first <= sequence ? block : NULL;
}

void stage_hint(struct stage *stage, struct stage_line *line, uint32_t number) {
  uint64_t bit = (uint64_t)1 << number % STAGE_BLOCKS;
  assert(!(line->waits & bit));
  line->waits |= bit;
  at(stage, number)->waiting++;
}

// The number of the oldest block it waits for, which it does.
static uint32_t oldest(const struct stage *stage, const struct stage_line *line) {
  uint32_t first = stage->first % STAGE_BLOCKS;
  uint64_t in_order = line->waits >> first | line->waits << (STAGE_BLOCKS - first) % STAGE_BLOCKS;
  return stage->first + (uint32_t)__builtin_ctzll(in_order);
}

struct journal_block *stage_next(const struct stage *stage, const struct stage_line *line) {
  return line->waits ? at(stage, oldest(stage, line))->block : NULL;
}

void stage_done(struct stage *stage, struct stage_line *line) {
  uint32_t number = oldest(stage, line);
  line->waits &= ~((uint64_t)1 << number % STAGE_BLOCKS);
  at(stage, number)->waiting--;
  stage->moves++;
}

void stage_fall_behind(struct stage *stage, struct stage_line *line) {
  while (line->waits) stage_done(stage, line);
  line->lost = true;
}
