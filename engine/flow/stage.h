// stage.h - the blocks a courier has routed and whose streams have not all read them: read from disk once for all of them.
//
// A stream that keeps up is in line: it has a hint for every staged block with records for it, and reads those in turn. A block
// leaves when nobody waits for it. When the stage is full the courier routes no more, until its streams have read on; a stream that
// can't read, or is slower than all others, falls behind: it gives up its hints and reads on its own until it has caught up.
#pragma once
#include "journal/journal.h"

enum { STAGE_BLOCKS = 64 }; // the bits of a stage_line; the numbers of blocks wrap around

struct stage {
  struct staged {
    struct journal_block *block;
    size_t bytes;     // of its records and rows
    uint32_t waiting; // streams that have a hint for it
  } blocks[STAGE_BLOCKS];
  uint32_t first, end; // numbers of the blocks there are: first <= n < end
  size_t bytes;
  uint64_t moves;      // how often a stream has finished with a block
};

// The stream's side.
struct stage_line {
  uint64_t waits; // for blocks: a bit for each, by its number modulo STAGE_BLOCKS
  bool lost;      // out of line
};

bool stage_room(const struct stage *stage);
uint32_t stage_push(struct stage *stage, struct journal_block *block); // takes a reference of its own
void stage_trim(struct stage *stage);                                  // blocks at the front that nobody waits for leave
void stage_clear(struct stage *stage);
// The staged block that holds this sequence, or NULL. Borrowed.
struct journal_block *stage_find(const struct stage *stage, uint64_t sequence);

void stage_hint(struct stage *stage, struct stage_line *line, uint32_t number);
struct journal_block *stage_next(const struct stage *stage, const struct stage_line *line); // the block to read now; NULL: none
void stage_done(struct stage *stage, struct stage_line *line); // with that block
void stage_fall_behind(struct stage *stage, struct stage_line *line);
static inline bool stage_waits_for_first(const struct stage *stage, const struct stage_line *line) {
  return line->waits >> stage->first % STAGE_BLOCKS & 1;
}
