#include "base/limits.h"
#include "base/mem.h"
#include "script/windows_private.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { VERSION = 1, REAL = 1 };
enum { KEYS_LOADED = 2 * LIMIT_WINDOW_KEYS, BYTES_LOADED = 2 * LIMIT_WINDOW_STATE_BYTES };
// kind and span; the longest value: its entries, ten bytes of time and nine of number each, or a text
enum {
  KEY_BYTES = WINDOWS_KEY_BYTES,
  VALUE_BYTES = 64 + LIMIT_WINDOW_VALUE_BYTES + SLIDING_ENTRIES * 19
};

_Static_assert(LIMIT_WINDOW_CHANGES *(KEY_BYTES + VALUE_BYTES + 8) + WINDOWS_PUSHED_OUT * (KEY_BYTES + 8) +
                       64 <=
                   WINDOWS_TAKE_BYTES,
               "a record's changes: those it made, the keys it pushed out, the clock");

// ---- writing: into room that is there ----

struct writer {
  unsigned char *at;
};

static void write_byte(struct writer *to, unsigned char byte) {
  *to->at++ = byte;
}

static void write_varint(struct writer *to, uint64_t number) {
  for (; number >= 0x80; number >>= 7)
    write_byte(to, (unsigned char)(number | 0x80));
  write_byte(to, (unsigned char)number);
}

static uint64_t zigzag(int64_t number) {
  return (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
}

static void write_bytes(struct writer *to, const void *at, size_t len) {
  if (len) memcpy(to->at, at, len);
  to->at += len;
}

static uint64_t bits_of(double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

// -0.0 is a double of its own.
static bool is_integer(double number) {
  return fabs(number) <= (double)((int64_t)1 << 52) && bits_of((double)(int64_t)number) == bits_of(number);
}

static void write_number(struct writer *to, double number) {
  if (is_integer(number)) {
    write_varint(to, zigzag((int64_t)number) << 1);
    return;
  }
  write_byte(to, REAL);
  for (int i = 0; i < 64; i += 8)
    write_byte(to, (unsigned char)(bits_of(number) >> i));
}

static void write_entries(struct writer *to, struct window_cell *cell) {
  const struct sliding_entry *entries = window_cell_entries(cell);
  write_varint(to, cell->count);
  for (uint32_t i = 0; i < cell->count; i++) {
    write_varint(to, i ? (uint64_t)(entries[i].at_ms - entries[i - 1].at_ms) : zigzag(entries[i].at_ms));
    write_number(to, entries[i].value);
  }
}

static void write_value(struct writer *to, const struct window_cell *cell) {
  write_byte(to, cell->type);
  if (cell->type == WINDOW_NUMBER) write_number(to, cell->content.number);
  if (!window_cell_has_text(cell)) return;
  write_varint(to, cell->count);
  write_bytes(to, cell->content.text, cell->count);
}

static void write_head(struct writer *to, uint64_t stamp) {
  write_byte(to, VERSION);
  write_varint(to, stamp);
}

static void write_content(struct writer *to, struct window_cell *cell) {
  write_head(to, cell->stamp);
  if (window_cell_slides(cell)) {
    write_entries(to, cell);
    return;
  }
  write_varint(to, zigzag(cell->content.until_ms));
  if (cell->kind == WINDOW_VALUE) write_value(to, cell);
}

static bool append_part(struct buf *out, const unsigned char *at, size_t len) {
  unsigned char head[10];
  struct writer to = {head};
  write_varint(&to, len);
  return buf_append(out, head, (size_t)(to.at - head)) && buf_append(out, at, len);
}

static bool append_key(struct buf *out, enum window_kind kind, uint32_t span_s, struct slice key) {
  unsigned char room[KEY_BYTES];
  struct writer to = {room};
  write_byte(&to, (unsigned char)kind);
  if (span_s) write_varint(&to, span_s);
  write_bytes(&to, key.at, key.len);
  return append_part(out, room, (size_t)(to.at - room));
}

static bool append_cell(struct buf *out, struct window_cell *cell) {
  unsigned char room[VALUE_BYTES];
  struct writer to = {room};
  if (!(cell->flags & WINDOW_GONE)) write_content(&to, cell);
  return append_key(out, (enum window_kind)cell->kind, cell->span_s, slice_make(cell->key, cell->key_len)) &&
         append_part(out, room, (size_t)(to.at - room));
}

static bool append_clock(const struct windows *w, struct buf *out) {
  unsigned char room[32];
  struct writer to = {room};
  write_head(&to, w->stamp);
  write_varint(&to, w->pushed_out);
  return append_key(out, WINDOW_CLOCK, 0, slice_make(NULL, 0)) &&
         append_part(out, room, (size_t)(to.at - room));
}

bool windows_changed(const struct windows *w) {
  return w->changed != NULL;
}

bool windows_take(struct windows *w, struct buf *out) {
  assert(w->saved && !w->open);
  size_t len = out->len;
  if (!w->changed) return true;
  bool ok = true;
  for (struct window_cell *cell = w->changed; ok && cell; cell = cell->next_changed)
    ok = append_cell(out, cell);
  ok = ok && append_clock(w, out);
  if (ok)
    windows_clear_changes(w);
  else
    out->len = len;
  return ok;
}

bool windows_dump(struct windows *w, struct buf *out) {
  assert(!w->open);
  windows_settle_order(w);
  size_t len = out->len;
  bool ok = true;
  for (struct list *link = w->cells.used.next; ok && link != &w->cells.used; link = link->next)
    ok = append_cell(out, list_item(link, struct window_cell, used));
  ok = ok && append_clock(w, out);
  if (!ok) out->len = len;
  return ok;
}

// ---- reading: of bytes that may be anything ----

struct reader {
  const unsigned char *at, *end;
  bool broken, no_memory;
};

static struct reader reader_of(struct slice bytes) {
  const unsigned char *at = (const unsigned char *)bytes.at;
  return (struct reader){.at = at, .end = bytes.len ? at + bytes.len : at};
}

static unsigned char read_byte(struct reader *from) {
  if (from->broken || from->at == from->end) {
    from->broken = true;
    return 0;
  }
  return *from->at++;
}

// In the shortest form only, so that what is read is written as it was.
static uint64_t read_varint(struct reader *from) {
  uint64_t number = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    unsigned char byte = read_byte(from);
    number |= (uint64_t)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    if ((shift && !byte) || (shift == 63 && byte > 1)) from->broken = true;
    return number;
  }
  from->broken = true;
  return 0;
}

static uint64_t read_at_most(struct reader *from, uint64_t most) {
  uint64_t number = read_varint(from);
  if (number <= most) return number;
  from->broken = true;
  return 0;
}

static int64_t read_zigzag(struct reader *from) {
  uint64_t number = read_varint(from);
  return (int64_t)(number >> 1 ^ (0 - (number & 1)));
}

static bool is_time(int64_t ms) {
  return ms >= -SLIDING_MOST_MS && ms <= SLIDING_MOST_MS;
}

static struct slice read_bytes(struct reader *from, size_t len) {
  if (from->broken || len > (size_t)(from->end - from->at)) {
    from->broken = true;
    return slice_make(NULL, 0);
  }
  from->at += len;
  return slice_make(from->at - len, len);
}

static double read_real(struct reader *from) {
  uint64_t bits = 0;
  double number;
  for (int i = 0; i < 64; i += 8)
    bits |= (uint64_t)read_byte(from) << i;
  memcpy(&number, &bits, sizeof number);
  if (is_integer(number)) from->broken = true;
  return number;
}

// A value may be any double but NaN; what is summed is finite.
static double read_number(struct reader *from, bool finite) {
  uint64_t number = read_varint(from);
  double value;
  if (number == REAL) {
    value = read_real(from);
  } else {
    if (number & 1) from->broken = true;
    number >>= 1;
    value = (double)(int64_t)(number >> 1 ^ (0 - (number & 1)));
    if (!is_integer(value)) from->broken = true;
  }
  if (isnan(value) || (finite && isinf(value))) from->broken = true;
  return value;
}

static bool read_entry(struct reader *from, struct sliding_entry *entry, const struct sliding_entry *last) {
  if (last) {
    uint64_t later = read_at_most(from, 2 * (uint64_t)SLIDING_MOST_MS);
    if (!later) from->broken = true;
    entry->at_ms = last->at_ms + (int64_t)later;
  } else {
    entry->at_ms = read_zigzag(from);
  }
  entry->value = read_number(from, true);
  if (!is_time(entry->at_ms)) from->broken = true;
  return !from->broken;
}

static bool read_entries(struct reader *from, struct window_cell *cell) {
  uint32_t count = (uint32_t)read_at_most(from, SLIDING_ENTRIES);
  if (from->broken || !count) return false;
  from->no_memory = !window_cell_reserve(cell, count);
  if (from->no_memory) return false;
  struct sliding_entry *entries = window_cell_entries(cell);
  for (uint32_t i = 0; i < count; i++)
    if (!read_entry(from, &entries[i], i ? &entries[i - 1] : NULL)) return false;
  cell->count = (uint16_t)count;
  return entries[count - 1].at_ms - entries[0].at_ms < (int64_t)cell->span_s * 1000;
}

static bool read_text(struct reader *from, struct window_cell *cell, enum window_type type) {
  size_t len = read_at_most(from, LIMIT_WINDOW_VALUE_BYTES);
  struct slice text = read_bytes(from, len);
  if (from->broken) return false;
  char *copy = mem_copy(text.at, text.len);
  from->no_memory = !copy;
  if (!copy) return false;
  cell->type = (uint8_t)type;
  cell->content.text = copy;
  cell->count = (uint16_t)text.len;
  return true;
}

static bool is_digits(const struct window_cell *cell) {
  const char *at = cell->content.text, *last = at + cell->count;
  if (at < last && *at == '-') at++;
  if (at == last || *at == '0') return false;
  while (at < last && *at >= '0' && *at <= '9')
    at++;
  return at == last;
}

static bool read_value(struct reader *from, struct window_cell *cell) {
  cell->content.until_ms = read_zigzag(from);
  if (cell->kind == WINDOW_SILENCE) return true;
  enum window_type type = (enum window_type)read_byte(from);
  switch (type) {
  case WINDOW_TEXT:
    return read_text(from, cell, type);
  case WINDOW_DIGITS:
    return read_text(from, cell, type) && is_digits(cell);
  case WINDOW_NUMBER:
    cell->content.number = read_number(from, false);
    break;
  case WINDOW_FALSE:
  case WINDOW_TRUE:
    break;
  default:
    return false;
  }
  cell->type = (uint8_t)type;
  return true;
}

static bool broken(struct err *err) {
  return err_set(err, "saved windows: not in the form that this version reads");
}

static bool read_name(struct reader *from, struct window_name *name) {
  name->kind = (enum window_kind)read_byte(from);
  if (name->kind == WINDOW_COUNT || name->kind == WINDOW_SUM) {
    name->span_s = (uint32_t)read_at_most(from, LIMIT_SPAN_S);
    if (!name->span_s) return false;
  }
  name->key = read_bytes(from, (size_t)(from->end - from->at));
  return !from->broken && name->kind <= WINDOW_SILENCE && name->key.len <= LIMIT_WINDOW_KEY_BYTES;
}

static bool load_clock(struct windows *w, struct slice key, struct reader *from, uint64_t stamp,
                       struct err *err) {
  uint64_t pushed_out = read_varint(from);
  if (key.len || from->broken || from->at != from->end) return broken(err);
  if (w->stamp < stamp) w->stamp = stamp;
  w->pushed_out = pushed_out;
  return true;
}

static void drop(struct windows *w, struct window_cell *cell) {
  if (!cell) return;
  window_cells_unlink(&w->cells, cell);
  window_cell_free(cell);
}

static bool has_room(const struct windows *w, const struct window_cell *cell, struct err *err) {
  bool fits = w->cells.count < KEYS_LOADED && w->cells.bytes + window_cell_bytes(cell) <= BYTES_LOADED;
  return fits || err_set(err, "saved windows: more than a stream may hold");
}

static bool load_cell(struct windows *w, const struct window_name *name, struct reader *from, uint64_t stamp,
                      struct err *err) {
  struct window_cell *cell = window_cell_new(&w->cells, name);
  if (!cell) return err_set(err, "out of memory");
  bool ok = window_cell_slides(cell) ? read_entries(from, cell) : read_value(from, cell);
  if (!ok || from->broken || from->at != from->end) {
    window_cell_free(cell);
    return from->no_memory ? err_set(err, "out of memory") : broken(err);
  }
  if (!has_room(w, cell, err)) {
    window_cell_free(cell);
    return false;
  }
  drop(w, window_cells_find(&w->cells, name));
  cell->stamp = stamp;
  window_cells_link(&w->cells, cell, w->cells.used.prev);
  if (w->stamp < stamp) w->stamp = stamp;
  w->loaded = true;
  return true;
}

bool windows_load(struct windows *w, struct slice key, struct slice value, struct err *err) {
  struct window_name name = {0};
  struct reader keys = reader_of(key), from = reader_of(value);
  assert(!w->open && !w->changed);
  if (!read_name(&keys, &name)) return broken(err);
  if (!value.len) {
    drop(w, window_cells_find(&w->cells, &name));
    return true;
  }
  unsigned char version = read_byte(&from);
  uint64_t stamp = read_varint(&from);
  if (from.broken || version != VERSION) return broken(err);
  if (name.kind == WINDOW_CLOCK) return load_clock(w, name.key, &from, stamp, err);
  return load_cell(w, &name, &from, stamp, err);
}

bool windows_next_pair(struct slice *rest, struct slice *key, struct slice *value, struct err *err) {
  if (!rest->len) return false;
  struct reader from = reader_of(*rest);
  *key = read_bytes(&from, read_varint(&from));
  *value = read_bytes(&from, read_varint(&from));
  if (from.broken) return broken(err);
  *rest = slice_make(from.at, (size_t)(from.end - from.at));
  return true;
}
