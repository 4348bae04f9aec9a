#include "script/window_cells.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

enum { FIRST_SLOTS = 16 };

void window_cells_init(struct window_cells *cells) {
  *cells = (struct window_cells){0};
  list_init(&cells->used);
}

void window_cells_fini(struct window_cells *cells) {
  for (size_t i = 0; i < cells->cap; i++)
    window_cell_free(cells->slots[i]);
  mem_free(cells->slots);
  window_cells_init(cells);
}

// The address of the table's owner is the seed: nobody can prepare keys that meet in one slot.
static uint32_t hash_of(const struct window_cells *cells, const struct window_name *name) {
  uint64_t seed = (uint64_t)(uintptr_t)cells ^ (uint64_t)name->span_s << 32 ^ (uint64_t)name->kind << 56;
  return (uint32_t)hash_bytes(name->key.at, name->key.len, hash_u64(seed));
}

static bool is_named(const struct window_cell *cell, uint32_t hash, const struct window_name *name) {
  return cell->hash == hash && cell->kind == name->kind && cell->span_s == name->span_s &&
         cell->key_len == name->key.len && slice_same_bytes(cell->key, name->key.at, name->key.len);
}

struct window_cell *window_cells_find(const struct window_cells *cells, const struct window_name *name) {
  if (!cells->cap) return NULL;
  uint32_t hash = hash_of(cells, name);
  size_t i = hash & (cells->cap - 1);
  while (cells->slots[i] && !is_named(cells->slots[i], hash, name))
    i = (i + 1) & (cells->cap - 1);
  return cells->slots[i];
}

static void put(struct window_cell **slots, size_t cap, struct window_cell *cell) {
  size_t i = cell->hash & (cap - 1);
  while (slots[i])
    i = (i + 1) & (cap - 1);
  slots[i] = cell;
}

// Room for one more, so that a link can't fail; the table never gets smaller, so a cell that was in it fits
// again.
static bool reserve(struct window_cells *cells) {
  if ((cells->count + 1) * 4 <= cells->cap * 3) return true;
  size_t cap = cells->cap ? cells->cap * 2 : FIRST_SLOTS;
  struct window_cell **slots = mem_zero(cap, sizeof *slots);
  if (!slots) return false;
  for (size_t i = 0; i < cells->cap; i++)
    if (cells->slots[i]) put(slots, cap, cells->slots[i]);
  mem_free(cells->slots);
  cells->slots = slots;
  cells->cap = cap;
  return true;
}

struct window_cell *window_cell_new(struct window_cells *cells, const struct window_name *name) {
  struct window_cell *cell = reserve(cells) ? mem_alloc(sizeof *cell + name->key.len) : NULL;
  if (!cell) return NULL;
  *cell = (struct window_cell){.hash = hash_of(cells, name),
                               .span_s = name->span_s,
                               .key_len = (uint16_t)name->key.len,
                               .kind = (uint8_t)name->kind,
                               .entry_room = 1};
  if (name->key.len) memcpy(cell->key, name->key.at, name->key.len);
  return cell;
}

void window_cell_free(struct window_cell *cell) {
  if (!cell) return;
  if (window_cell_slides(cell) && cell->entry_room > 1) mem_free(cell->content.many);
  if (window_cell_has_text(cell)) mem_free(cell->content.text);
  mem_free(cell);
}

void window_cells_link(struct window_cells *cells, struct window_cell *cell, struct list *before) {
  put(cells->slots, cells->cap, cell);
  list_push_front(before, &cell->used);
  cells->count++;
  cells->bytes += window_cell_bytes(cell);
}

void window_cells_unlink(struct window_cells *cells, struct window_cell *cell) {
  size_t mask = cells->cap - 1, hole = cell->hash & mask;
  while (cells->slots[hole] != cell)
    hole = (hole + 1) & mask;
  // Linear probing without tombstones: move back what the hole would hide.
  for (size_t i = (hole + 1) & mask; cells->slots[i]; i = (i + 1) & mask) {
    size_t want = cells->slots[i]->hash & mask;
    if (((i - want) & mask) < ((i - hole) & mask)) continue;
    cells->slots[hole] = cells->slots[i];
    hole = i;
  }
  cells->slots[hole] = NULL;
  list_remove(&cell->used);
  cells->count--;
  cells->bytes -= window_cell_bytes(cell);
}

static struct window_cell *cell_of(struct list *link) {
  return list_item(link, struct window_cell, used);
}

// Both are in order; of equal stamps, those of `a` come first.
static void merge(struct list *a, struct list *b) {
  struct list merged;
  list_init(&merged);
  while (!list_empty(a) && !list_empty(b))
    list_push_back(&merged, list_pop(cell_of(b->next)->stamp < cell_of(a->next)->stamp ? b : a));
  list_join(&merged, a);
  list_join(&merged, b);
  list_join(a, &merged);
}

// Runs of 2^i cells are merged as soon as there are two of a length.
void window_cells_sort(struct window_cells *cells) {
  enum { RUNS = 48 };
  struct list runs[RUNS], *link;
  for (size_t i = 0; i < RUNS; i++)
    list_init(&runs[i]);
  while ((link = list_pop(&cells->used)) != NULL) {
    struct list run;
    size_t i = 0;
    list_init(&run);
    list_push_back(&run, link);
    for (; !list_empty(&runs[i]); i++) {
      merge(&runs[i], &run);
      list_join(&run, &runs[i]);
    }
    list_join(&runs[i], &run);
  }
  for (size_t i = 0; i < RUNS; i++)
    merge(&cells->used, &runs[i]);
}

size_t window_cell_bytes(const struct window_cell *cell) {
  size_t bytes = WINDOW_CELL_BYTES + cell->key_len;
  if (window_cell_slides(cell))
    return bytes + (cell->count > 1 ? cell->count * sizeof(struct sliding_entry) : 0);
  return bytes + cell->count;
}

static bool set_room(struct window_cell *cell, uint32_t room) {
  bool inside = cell->entry_room == 1;
  struct sliding_entry *many = mem_grow(inside ? NULL : cell->content.many, room * sizeof *many);
  if (!many) return false;
  if (inside) many[0] = cell->content.only;
  cell->content.many = many;
  cell->entry_room = (uint8_t)room;
  return true;
}

bool window_cell_reserve(struct window_cell *cell, uint32_t count) {
  uint32_t room = 4;
  if (count <= cell->entry_room) return true;
  while (room < count)
    room *= 2;
  return set_room(cell, room < SLIDING_ENTRIES ? room : SLIDING_ENTRIES);
}

void window_cell_shrink(struct window_cell *cell) {
  if (cell->entry_room > 4 && cell->count * 4u <= cell->entry_room)
    set_room(cell, cell->entry_room == SLIDING_ENTRIES ? 32 : cell->entry_room / 2u);
}
