// newest.c - the journal is read forwards only: so stretch by stretch, each before the last and longer, or
// shorter where it holds too many blocks.
#include "flow/newest.h"
#include "base/mem.h"

#include <string.h>

enum {
  FIRST_STRETCH = 1024, // sequences
  STRETCH_BLOCKS = 32,  // of one stretch; one with more is tried again, shorter
};

static uint32_t wanted_still(const struct newest *n) {
  return n->wanted - n->count;
}

static void drop_oldest(struct newest *n) {
  n->bytes -= n->found[0].bytes.len;
  mem_free((char *)(uintptr_t)n->found[0].bytes.at);
  n->found_count--;
  memmove(n->found, n->found + 1, n->found_count * sizeof *n->found);
}

static void drop_found(struct newest *n) {
  while (n->found_count)
    drop_oldest(n);
}

static bool keep(struct newest *n, const struct journal_block *block, const struct record_header *row) {
  struct slice bytes = journal_block_record(block, row);
  char *copy = mem_copy(bytes.at, bytes.len);
  if (!copy) return false;
  if (n->found_count == wanted_still(n)) drop_oldest(n);
  n->found[n->found_count++] = (struct newest_record){*row, slice_make(copy, bytes.len)};
  n->bytes += bytes.len;
  while (n->bytes > LIMIT_TRIAL_BYTES) {
    drop_oldest(n);
    n->full = true;
  }
  return true;
}

// ---- one block ----

static const struct record_header *row_at(const struct newest *n, const struct journal_block *block,
                                          uint32_t i) {
  return &block->rows[n->organisation == JOURNAL_ALL ? block->by_sequence[i] : i];
}

static bool is_wanted(const struct newest *n, const struct record_header *row) {
  return n->kinds >> row->kind & 1 && row->sequence >= n->from && row->sequence < n->end;
}

// Only as many as are wanted of the block's end are copied.
static bool take_block(struct newest *n, const struct journal_block *block) {
  uint32_t from = 0, to = block->count, wanted = 0;
  if (n->organisation != JOURNAL_ALL) journal_block_rows(block, n->organisation, &from, &to);
  uint32_t first = to;
  while (first > from && wanted < wanted_still(n))
    wanted += is_wanted(n, row_at(n, block, --first));
  for (uint32_t i = first; i < to; i++)
    if (is_wanted(n, row_at(n, block, i)) && !keep(n, block, row_at(n, block, i))) return false;
  return true;
}

// ---- stretches ----

static void finish(struct newest *n, bool ok) {
  n->ok = ok;
  drop_found(n);
  memmove(n->records, n->records + LIMIT_TRIAL_RECORDS - n->count, n->count * sizeof *n->records);
  n->done(n);
}

static void fetch(struct newest *n, uint64_t sequence) {
  n->fetches++;
  n->fetch.sequence = sequence;
  journal_fetch(n->journal, &n->fetch);
}

static void begin_stretch(struct newest *n, uint64_t length) {
  uint64_t first = journal_first(n->journal);
  n->from = n->end > first + length ? n->end - length : first;
  n->blocks = 0;
  fetch(n, n->from);
}

// What was found goes before the records of later stretches, which lie at the array's end.
static void end_stretch(struct newest *n) {
  uint64_t length = n->end - n->from;
  n->count += n->found_count;
  memcpy(n->records + LIMIT_TRIAL_RECORDS - n->count, n->found, n->found_count * sizeof *n->found);
  n->found_count = 0;
  n->end = n->from;
  if (n->full || !wanted_still(n) || n->end <= journal_first(n->journal) || n->fetches >= LIMIT_TRIAL_FETCHES)
    finish(n, true);
  else
    begin_stretch(n, 2 * length);
}

static void shorten(struct newest *n) {
  uint64_t length = (n->end - n->from) / 4;
  drop_found(n);
  n->full = false;
  begin_stretch(n, length ? length : 1);
}

static void fetched(struct journal_fetch *fetched) {
  struct newest *n = (struct newest *)((char *)fetched - offsetof(struct newest, fetch));
  struct journal_block *block = fetched->block;
  bool ok = !block || take_block(n, block);
  journal_block_unref(block);
  if (!ok || (!block && fetched->next < n->end))
    finish(n, false);
  else if (fetched->next >= n->end)
    end_stretch(n);
  else if (n->fetches >= LIMIT_TRIAL_FETCHES)
    finish(n, true); // what this stretch has is not known to be its newest
  else if (++n->blocks >= STRETCH_BLOCKS)
    shorten(n);
  else
    fetch(n, fetched->next);
}

void newest_begin(struct newest *n) {
  n->ok = n->full = false;
  n->count = n->found_count = n->fetches = 0;
  n->bytes = 0;
  n->end = journal_head(n->journal);
  n->fetch = (struct journal_fetch){.loop = n->loop, .organisation = n->organisation, .done = fetched};
  begin_stretch(n, FIRST_STRETCH);
}

void newest_fini(struct newest *n) {
  for (uint32_t i = 0; i < n->count; i++)
    mem_free((char *)(uintptr_t)n->records[i].bytes.at);
  n->count = 0;
}
