// gather.h - makes one block of the records of a group of appends: duplicates left out, sequences given, in
// order.
#pragma once
#include "journal/dedupe.h"
#include "journal/journal.h"
#include "journal/organisation_order.h"

struct gather_row {
  const struct record_header *header;
  const char *bytes; // of its append
};

struct gather { // buffers it keeps; zeroed at first
  size_t cap;
  struct gather_row *rows; // the new records
  struct dedupe_key *keys;
  bool *duplicate;
  int64_t *organisations; // of the new records
  uint32_t *place;        // of each in the block
  struct organisation_order order;
};

struct gather_group {
  struct journal_append *first, *last; // linked by `next`
  size_t appends, records, bytes;
};

// False: out of memory, nothing was put into dedupe. Sets accepted and duplicates of each append. *block
// NULL: all were duplicates; else a reference, and dedupe waits for settle or undo.
bool gather(struct gather *g, const struct gather_group *group, struct dedupe *dedupe, uint64_t first,
            int64_t now_ms, struct journal_block **block);
void gather_fini(struct gather *g);
