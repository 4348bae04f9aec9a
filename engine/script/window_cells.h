// window_cells.h - the keys of one stream's windows: found by name, in the order of their last use.
//
// For windows.c and windows_state.c. A name is a kind, a span and a key: one key used with two spans is two
// cells.
#pragma once
#include "base/list.h"
#include "base/slice.h"
#include "script/sliding.h"
#include "script/windows.h"
#include <stdbool.h>
#include <stdint.h>

struct window_name {
  enum window_kind kind;
  uint32_t span_s; // of a count or a sum; else 0
  struct slice key;
};

enum window_flag {
  WINDOW_CHANGED = 1, // in the list of changes since the last windows_take
  WINDOW_LOGGED = 2,  // what it was before the open record is in the log
  WINDOW_FRESH = 4,   // its text was made by the open record
  WINDOW_GONE = 8,    // deleted or pushed out; kept for the log and the list of changes
};

union window_content {
  struct sliding_entry only;  // a count or a sum with room for one entry
  struct sliding_entry *many; // with room for more
  struct {                    // a value; of a silence, the time alone
    union {
      double number;
      char *text;
    };
    int64_t until_ms;
  };
};

struct window_cell {
  struct list used;
  struct window_cell *next_changed;
  uint64_t stamp; // of its last use
  uint32_t hash, span_s;
  uint16_t key_len;
  uint8_t kind, flags;
  uint16_t count;     // entries, or bytes of a text
  uint8_t entry_room; // entries there is room for
  uint8_t type;       // enum window_type of a value
  union window_content content;
  char key[];
};

struct window_cells {
  struct window_cell **slots;
  size_t cap, count; // cap is a power of two or 0
  size_t bytes;      // what all cost
  struct list used;  // the least recently used first
};

void window_cells_init(struct window_cells *cells);
void window_cells_fini(struct window_cells *cells); // frees what is linked

struct window_cell *window_cells_find(const struct window_cells *cells, const struct window_name *name);
// A cell without content that is not linked yet; room for its place is seen to. NULL: out of memory.
struct window_cell *window_cell_new(struct window_cells *cells, const struct window_name *name);
void window_cell_free(struct window_cell *cell); // with its content; takes NULL
// Puts it behind `before` in the order of use. The key must not be there. Can't fail.
void window_cells_link(struct window_cells *cells, struct window_cell *cell, struct list *before);
void window_cells_unlink(struct window_cells *cells, struct window_cell *cell);
// Puts the cells in the order of their stamps.
void window_cells_sort(struct window_cells *cells);

// What a cell counts for in bytes. It depends on what is in it, not on how it came there: what is pushed out
// must not change when a stream goes on from its saved state.
enum {
  WINDOW_CELL_BYTES = sizeof(struct window_cell) + 24
}; // empty: a block of the heap and a slot cost about 24 more
size_t window_cell_bytes(const struct window_cell *cell);

static inline bool window_cell_slides(const struct window_cell *cell) {
  return cell->kind == WINDOW_COUNT || cell->kind == WINDOW_SUM;
}
static inline struct sliding_entry *window_cell_entries(struct window_cell *cell) {
  return cell->entry_room > 1 ? cell->content.many : &cell->content.only;
}
static inline bool window_cell_has_text(const struct window_cell *cell) {
  return cell->kind == WINDOW_VALUE && (cell->type == WINDOW_TEXT || cell->type == WINDOW_DIGITS);
}
// Room for `count` entries. False: out of memory, nothing changed.
bool window_cell_reserve(struct window_cell *cell, uint32_t count);
void window_cell_shrink(struct window_cell *cell); // gives back room that is no longer used
