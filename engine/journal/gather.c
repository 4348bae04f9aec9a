#include "journal/gather.h"
#include "base/mem.h"
#include "journal/block_memory.h"

#include <string.h>

enum { LEAST_ROWS = 4096 };

void gather_fini(struct gather *g) {
  mem_free(g->rows);
  mem_free(g->keys);
  mem_free(g->duplicate);
  mem_free(g->organisations);
  mem_free(g->place);
  organisation_order_fini(&g->order);
  *g = (struct gather){0};
}

static bool reserve(struct gather *g, size_t rows) {
  if (g->cap >= rows) return true;
  size_t cap = LEAST_ROWS;
  while (cap < rows)
    cap *= 2;
  gather_fini(g);
  g->rows = mem_alloc(cap * sizeof *g->rows);
  g->keys = mem_alloc(cap * sizeof *g->keys);
  g->duplicate = mem_alloc(cap * sizeof *g->duplicate);
  g->organisations = mem_alloc(cap * sizeof *g->organisations);
  g->place = mem_alloc(cap * sizeof *g->place);
  if (!g->rows || !g->keys || !g->duplicate || !g->organisations || !g->place) {
    gather_fini(g);
    return false;
  }
  g->cap = cap;
  return true;
}

static size_t put_all(struct gather *g, const struct gather_group *group, struct dedupe *dedupe) {
  struct dedupe_group seen;
  dedupe_group_begin(&seen, g->keys, g->duplicate);
  for (const struct journal_append *a = group->first; a; a = a->next)
    for (size_t i = 0; i < a->count; i++)
      dedupe_group_add(&seen, dedupe, &a->records[i]);
  return dedupe_put(dedupe, &seen);
}

// Lists the new records in order of arrival; returns the sum of their lengths.
static size_t list_new(struct gather *g, const struct gather_group *group) {
  const bool *duplicate = g->duplicate;
  struct gather_row *row = g->rows;
  size_t bytes = 0;
  for (struct journal_append *a = group->first; a; a = a->next) {
    size_t of_kind[RECORD_KINDS] = {0};
    a->accepted = 0;
    for (size_t i = 0; i < a->count; i++) {
      const struct record_header *h = &a->records[i];
      if (*duplicate++) continue;
      g->organisations[row - g->rows] = h->organisation;
      *row++ = (struct gather_row){h, a->bytes + h->offset};
      bytes += h->length;
      of_kind[h->kind & (RECORD_KINDS - 1)]++;
      a->accepted++;
    }
    memcpy(a->accepted_of, of_kind, sizeof of_kind);
    a->duplicates = a->count - a->accepted;
  }
  return bytes;
}

static void put_rows(const struct gather *g, struct journal_block *block, int64_t now_ms) {
  struct record_header *rows = block_memory_rows(block);
  uint32_t *by_sequence = block_memory_order(block);
  for (uint32_t i = 0; i < block->count; i++) {
    struct record_header *row = &rows[g->place[i]];
    *row = *g->rows[i].header;
    row->sequence = block->first + i;
    row->received_ms = now_ms;
    by_sequence[i] = g->place[i];
  }
}

// Copies in order of arrival: the source is read once from one end to the other, which is what it costs most
// for.
static void put_bytes(const struct gather *g, struct journal_block *block) {
  struct record_header *rows = block_memory_rows(block);
  char *text = block_memory_text(block);
  uint32_t offset = 0;
  for (uint32_t i = 0; i < block->count; i++) {
    rows[i].offset = offset;
    offset += rows[i].length;
  }
  for (uint32_t i = 0; i < block->count; i++) {
    const struct record_header *row = &rows[g->place[i]];
    memcpy(text + row->offset, g->rows[i].bytes, row->length);
  }
}

bool gather(struct gather *g, const struct gather_group *group, struct dedupe *dedupe, uint64_t first,
            int64_t now_ms, struct journal_block **block) {
  *block = NULL;
  if (!reserve(g, group->records)) return false;
  size_t fresh = put_all(g, group, dedupe);
  if (fresh == SIZE_MAX) return false;
  size_t bytes = list_new(g, group);
  if (!fresh) return true;
  struct journal_block *made = block_memory_new(fresh, bytes);
  if (!made || !organisation_order(&g->order, g->organisations, (uint32_t)fresh, g->place)) {
    journal_block_unref(made);
    dedupe_undo(dedupe);
    return false;
  }
  made->first = first;
  made->end = first + fresh;
  made->count = (uint32_t)fresh;
  put_rows(g, made, now_ms);
  put_bytes(g, made);
  *block = made;
  return true;
}
