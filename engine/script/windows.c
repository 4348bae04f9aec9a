#include "script/windows.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/windows_private.h"

#include <assert.h>
#include <string.h>

enum { REFRESH_USES = LIMIT_WINDOW_KEYS / 8 };
static const int64_t NEVER_MS = INT64_MAX;

enum log_what { LOG_MADE, LOG_CHANGED, LOG_GONE };

struct window_log {
  struct window_cell *cell;
  struct list *before; // the link it stood behind
  uint64_t stamp;
  union window_content content;
  enum log_what what;
  uint32_t entries_at; // in windows.entries, of a count or sum with room for more than one
  uint16_t count;
  uint8_t entry_room, type;
};

struct windows *windows_new(bool saved) {
  struct windows *w = mem_zero(1, sizeof *w);
  if (!w) return NULL;
  w->saved = saved;
  window_cells_init(&w->cells);
  buf_init(&w->entries, (LIMIT_WINDOW_CHANGES + 1) * SLIDING_ENTRIES * sizeof(struct sliding_entry));
  return w;
}

void windows_free(struct windows *w) {
  if (!w) return;
  if (w->open) windows_undo(w);
  windows_clear_changes(w);
  window_cells_fini(&w->cells);
  mem_free(w->log);
  buf_fini(&w->entries);
  mem_free(w);
}

size_t windows_keys(const struct windows *w) {
  return w->cells.count;
}

size_t windows_bytes(const struct windows *w) {
  return w->cells.bytes;
}

uint64_t windows_pushed_out(const struct windows *w) {
  return w->pushed_out;
}

// ---- changes since the last take ----

static void mark_changed(struct windows *w, struct window_cell *cell) {
  if (cell->flags & WINDOW_CHANGED) return;
  cell->flags |= WINDOW_CHANGED;
  cell->next_changed = NULL;
  *(w->last_changed ? &w->last_changed->next_changed : &w->changed) = cell;
  w->last_changed = cell;
}

void windows_clear_changes(struct windows *w) {
  for (struct window_cell *cell = w->changed, *next; cell; cell = next) {
    next = cell->next_changed;
    cell->flags &= (uint8_t)~WINDOW_CHANGED;
    if (cell->flags & WINDOW_GONE) window_cell_free(cell);
  }
  w->changed = w->last_changed = NULL;
}

// Back to what it was when the record began.
static void cut_changes(struct windows *w) {
  struct window_cell *last = w->begin_last_changed;
  struct window_cell *cell = last ? last->next_changed : w->changed;
  for (; cell; cell = cell->next_changed)
    cell->flags &= (uint8_t)~WINDOW_CHANGED;
  *(last ? &last->next_changed : &w->changed) = NULL;
  w->last_changed = last;
}

// ---- the log of a record ----

static bool reserve_log(struct windows *w) {
  if (w->log_count < w->log_cap) return true;
  uint32_t cap = w->log_cap ? w->log_cap * 2 : 8;
  struct window_log *log = mem_grow(w->log, cap * sizeof *log);
  if (!log) return false;
  w->log = log;
  w->log_cap = cap;
  return true;
}

static void log_as(struct windows *w, struct window_cell *cell, enum log_what what) {
  w->log[w->log_count++] = (struct window_log){.cell = cell,
                                               .before = cell->used.prev,
                                               .stamp = cell->stamp,
                                               .content = cell->content,
                                               .what = what,
                                               .count = cell->count,
                                               .entry_room = cell->entry_room,
                                               .type = cell->type};
  mark_changed(w, cell);
}

static bool is_full(const struct windows *w, struct err *err) {
  if (w->touched < LIMIT_WINDOW_CHANGES) return false;
  err_set(err, "one record may change at most %d keys", LIMIT_WINDOW_CHANGES);
  return true;
}

static bool no_memory(struct err *err) {
  return err_set(err, "out of memory");
}

// A cell as it is before the record changes it.
static bool log_change(struct windows *w, struct window_cell *cell, struct err *err) {
  if (cell->flags & WINDOW_LOGGED) return true;
  if (is_full(w, err)) return false;
  if (!reserve_log(w)) return no_memory(err);
  size_t at = w->entries.len;
  if (window_cell_slides(cell) && cell->entry_room > 1) {
    window_cell_shrink(cell);
    if (!buf_append(&w->entries, cell->content.many, cell->count * sizeof *cell->content.many))
      return no_memory(err);
  }
  log_as(w, cell, LOG_CHANGED);
  w->log[w->log_count - 1].entries_at = (uint32_t)at;
  w->touched++;
  cell->flags |= WINDOW_LOGGED;
  return true;
}

static void use(struct windows *w, struct window_cell *cell) {
  cell->stamp = ++w->stamp;
  if (w->cells.used.prev == &cell->used) return;
  list_remove(&cell->used);
  list_push_back(&w->cells.used, &cell->used);
}

// Takes a cell out; it lives on until the record is committed and the change taken. False: out of memory.
static bool take_out(struct windows *w, struct window_cell *cell) {
  if (!reserve_log(w)) return false;
  log_as(w, cell, LOG_GONE);
  window_cells_unlink(&w->cells, cell);
  cell->flags |= WINDOW_GONE;
  return true;
}

// Until `keys` and `bytes` more fit. `keep` is the most recently used one, if any.
static bool make_room(struct windows *w, size_t keys, size_t bytes, const struct window_cell *keep,
                      struct err *err) {
  while (w->cells.count + keys > LIMIT_WINDOW_KEYS || w->cells.bytes + bytes > LIMIT_WINDOW_STATE_BYTES) {
    if (w->pushed_out - w->begin_pushed_out == WINDOWS_PUSHED_OUT) break;
    struct list *oldest = list_first(&w->cells.used);
    struct window_cell *cell = oldest ? list_item(oldest, struct window_cell, used) : NULL;
    if (!cell || cell == keep) break;
    if (!take_out(w, cell)) return no_memory(err);
    w->pushed_out++;
  }
  return true;
}

static void free_old_text(const struct window_log *entry) {
  struct window_cell was = {.kind = entry->cell->kind, .type = entry->type};
  bool kept = window_cell_has_text(entry->cell) && entry->cell->content.text == entry->content.text;
  if (window_cell_has_text(&was) && !kept) mem_free(entry->content.text);
}

static void end(struct windows *w) {
  w->open = false;
  w->log_count = 0;
  w->entries.len = 0;
}

void windows_begin(struct windows *w) {
  assert(!w->open);
  windows_settle_order(w);
  w->open = true;
  w->touched = 0;
  w->begin_stamp = w->stamp;
  w->begin_pushed_out = w->pushed_out;
  w->begin_last_changed = w->last_changed;
}

void windows_commit(struct windows *w) {
  assert(w->open);
  for (uint32_t i = 0; i < w->log_count; i++) {
    const struct window_log *entry = &w->log[i];
    entry->cell->flags &= (uint8_t) ~(WINDOW_LOGGED | WINDOW_FRESH);
    if (entry->what == LOG_CHANGED) free_old_text(entry);
  }
  end(w);
  if (!w->saved) windows_clear_changes(w);
}

// The cell has room for what it held: it was made smaller before the log, if at all.
static void restore_entries(struct windows *w, const struct window_log *entry) {
  struct window_cell *cell = entry->cell;
  if (entry->entry_room > 1) {
    memcpy(cell->content.many, w->entries.at + entry->entries_at, entry->count * sizeof *cell->content.many);
  } else {
    if (cell->entry_room > 1) mem_free(cell->content.many);
    cell->content = entry->content;
    cell->entry_room = entry->entry_room;
  }
}

static void restore(struct windows *w, const struct window_log *entry) {
  struct window_cell *cell = entry->cell;
  w->cells.bytes -= window_cell_bytes(cell);
  if (window_cell_slides(cell)) {
    restore_entries(w, entry);
  } else {
    if (window_cell_has_text(cell) && cell->flags & WINDOW_FRESH) mem_free(cell->content.text);
    cell->content = entry->content;
    cell->type = entry->type;
  }
  cell->count = entry->count;
  cell->stamp = entry->stamp;
  cell->flags &= (uint8_t) ~(WINDOW_LOGGED | WINDOW_FRESH);
  w->cells.bytes += window_cell_bytes(cell);
  list_remove(&cell->used);
  list_push_front(entry->before, &cell->used);
}

// Backwards, so that what a cell stood behind is in its place when the cell returns.
void windows_undo(struct windows *w) {
  assert(w->open);
  cut_changes(w);
  for (uint32_t i = w->log_count; i-- > 0;) {
    const struct window_log *entry = &w->log[i];
    switch (entry->what) {
    case LOG_MADE:
      window_cells_unlink(&w->cells, entry->cell);
      window_cell_free(entry->cell);
      break;
    case LOG_CHANGED:
      restore(w, entry);
      break;
    case LOG_GONE:
      entry->cell->flags &= (uint8_t)~WINDOW_GONE;
      window_cells_link(&w->cells, entry->cell, entry->before);
      break;
    }
  }
  w->stamp = w->begin_stamp;
  w->pushed_out = w->begin_pushed_out;
  end(w);
}

// ---- operations ----

static int64_t within(int64_t ms) {
  return ms > SLIDING_MOST_MS ? SLIDING_MOST_MS : ms < -SLIDING_MOST_MS ? -SLIDING_MOST_MS : ms;
}

static bool check_key(struct slice key, struct err *err) {
  return key.len <= LIMIT_WINDOW_KEY_BYTES ||
         err_set(err, "a key has at most %d bytes, this one has %zu", LIMIT_WINDOW_KEY_BYTES, key.len);
}

static struct window_cell *make(struct windows *w, const struct window_name *name, size_t content_bytes,
                                struct err *err) {
  if (is_full(w, err) || !make_room(w, 1, WINDOW_CELL_BYTES + name->key.len + content_bytes, NULL, err))
    return NULL;
  struct window_cell *cell = reserve_log(w) ? window_cell_new(&w->cells, name) : NULL;
  if (!cell) {
    no_memory(err);
    return NULL;
  }
  window_cells_link(&w->cells, cell, w->cells.used.prev);
  log_as(w, cell, LOG_MADE);
  w->touched++;
  cell->flags |= WINDOW_LOGGED;
  return cell;
}

// The cell of that name, found or made, used now and in the log, with room for that much more in it. A new
// one must be given its content: nothing that can fail may stand between.
static struct window_cell *own(struct windows *w, const struct window_name *name, size_t content_bytes,
                               struct err *err) {
  assert(w->open);
  if (!check_key(name->key, err)) return NULL;
  struct window_cell *cell = window_cells_find(&w->cells, name);
  if (cell) {
    if (!log_change(w, cell, err)) return NULL;
    use(w, cell);
    return make_room(w, 0, content_bytes, cell, err) ? cell : NULL;
  }
  cell = make(w, name, content_bytes, err);
  if (cell) use(w, cell);
  return cell;
}

// A new cell has room for one.
static bool reserve_entry(struct window_cell *cell, struct err *err) {
  uint32_t count = cell->count + 1u < SLIDING_ENTRIES ? cell->count + 1u : SLIDING_ENTRIES;
  return window_cell_reserve(cell, count) || no_memory(err);
}

bool windows_add(struct windows *w, enum window_kind kind, struct slice key, uint32_t span_s, int64_t now_ms,
                 double value, double *total, struct err *err) {
  const struct window_name name = {kind, span_s, key};
  struct window_cell *cell = own(w, &name, 2 * sizeof(struct sliding_entry), err);
  if (!cell || !reserve_entry(cell, err)) return false;
  uint32_t count = cell->count;
  w->cells.bytes -= window_cell_bytes(cell);
  *total = sliding_add(window_cell_entries(cell), &count, (int64_t)span_s * 1000, within(now_ms), value);
  cell->count = (uint16_t)count;
  w->cells.bytes += window_cell_bytes(cell);
  return true;
}

// Reading keeps a key from being pushed out, but is no change to be saved each time.
static bool use_to_read(struct windows *w, struct window_cell *cell, struct err *err) {
  bool recent = w->stamp - cell->stamp <= REFRESH_USES;
  if (recent || (w->touched >= LIMIT_WINDOW_CHANGES && !(cell->flags & WINDOW_LOGGED))) return true;
  if (!log_change(w, cell, err)) return false;
  use(w, cell);
  return true;
}

bool windows_get(struct windows *w, struct slice key, int64_t now_ms, struct window_value *out,
                 struct err *err) {
  const struct window_name name = {WINDOW_VALUE, 0, key};
  assert(w->open);
  *out = (struct window_value){0};
  if (!check_key(key, err)) return false;
  struct window_cell *cell = window_cells_find(&w->cells, &name);
  if (!cell || within(now_ms) >= cell->content.until_ms) return true;
  if (!use_to_read(w, cell, err)) return false;
  out->type = (enum window_type)cell->type;
  if (window_cell_has_text(cell))
    out->text = slice_make(cell->content.text, cell->count);
  else
    out->number = cell->content.number;
  return true;
}

static bool forget(struct windows *w, const struct window_name *name, struct err *err) {
  if (!check_key(name->key, err)) return false;
  struct window_cell *cell = window_cells_find(&w->cells, name);
  if (!cell) return true;
  if (!(cell->flags & WINDOW_LOGGED) && is_full(w, err)) return false;
  if (!take_out(w, cell)) return no_memory(err);
  w->touched++;
  return true;
}

// The text that the cell holds is the log's, unless this record made it.
static void put_value(struct windows *w, struct window_cell *cell, const struct window_value *value,
                      char *text) {
  w->cells.bytes -= window_cell_bytes(cell);
  if (window_cell_has_text(cell) && cell->flags & WINDOW_FRESH) mem_free(cell->content.text);
  cell->type = (uint8_t)value->type;
  cell->count = (uint16_t)(text ? value->text.len : 0);
  cell->flags |= WINDOW_FRESH;
  if (text)
    cell->content.text = text;
  else
    cell->content.number = value->number;
  w->cells.bytes += window_cell_bytes(cell);
}

bool windows_set(struct windows *w, struct slice key, int64_t now_ms, const struct window_value *value,
                 uint32_t ttl_s, struct err *err) {
  const struct window_name name = {WINDOW_VALUE, 0, key};
  bool has_text = value->type == WINDOW_TEXT || value->type == WINDOW_DIGITS;
  char *text = NULL;
  assert(w->open);
  if (value->type == WINDOW_NIL) return forget(w, &name, err);
  if (has_text && value->text.len > LIMIT_WINDOW_VALUE_BYTES)
    return err_set(err, "a text has at most %d bytes, this one has %zu", LIMIT_WINDOW_VALUE_BYTES,
                   value->text.len);
  if (has_text && !(text = mem_copy(value->text.at, value->text.len))) return no_memory(err);
  struct window_cell *cell = own(w, &name, has_text ? value->text.len : 0, err);
  if (!cell) {
    mem_free(text);
    return false;
  }
  put_value(w, cell, value, text);
  cell->content.until_ms = ttl_s ? within(now_ms) + (int64_t)ttl_s * 1000 : NEVER_MS;
  return true;
}

bool windows_silence(struct windows *w, struct slice key, int64_t now_ms, uint32_t for_s, bool *silent,
                     struct err *err) {
  const struct window_name name = {WINDOW_SILENCE, 0, key};
  int64_t now = within(now_ms);
  assert(w->open);
  if (!check_key(key, err)) return false;
  struct window_cell *cell = window_cells_find(&w->cells, &name);
  *silent = cell && now < cell->content.until_ms;
  if (*silent) return use_to_read(w, cell, err);
  if (for_s == 0) return true;
  cell = own(w, &name, 0, err);
  if (cell) cell->content.until_ms = now + (int64_t)for_s * 1000;
  return cell != NULL;
}

void windows_settle_order(struct windows *w) {
  if (w->loaded) window_cells_sort(&w->cells);
  w->loaded = false;
}
