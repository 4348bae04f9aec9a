#include "base/csv.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"

enum { PLANS = 32, NONE = -1 };

struct column {
  char *name;
  uint32_t len;
};

// Which entries of a tape of this shape stand under which column.
struct plan {
  uint64_t shape;
  uint32_t columns;
  uint32_t *from;    // of each column, and behind the last: the first of its entries
  uint32_t *entries; // in the order of columns
};

struct pair {
  uint32_t column, entry;
};

struct csv {
  struct column *columns;
  uint32_t count, cap;
  struct map by_name; // column + 1, by the name's hash
  uint64_t seed;
  bool grows, guard;
  struct plan plans[PLANS]; // of shapes met; the oldest gives way
  uint32_t next;
  struct plan unshaped; // of the last record without a shape
  struct buf pairs, path, text;
};

// ---- columns ----

struct csv *csv_new(bool grows, bool guard) {
  struct csv *c = mem_zero(1, sizeof *c);
  if (!c) return NULL;
  c->seed = rand_u64();
  c->grows = grows;
  c->guard = guard;
  buf_init(&c->pairs, LIMIT_RECORD_BYTES * sizeof(struct pair));
  buf_init(&c->path, LIMIT_CSV_NAME_BYTES);
  buf_init(&c->text, LIMIT_RECORD_BYTES);
  return c;
}

static void plan_fini(struct plan *p) {
  mem_free(p->from);
  *p = (struct plan){0};
}

void csv_free(struct csv *c) {
  if (!c) return;
  for (uint32_t i = 0; i < c->count; i++) mem_free(c->columns[i].name);
  for (int i = 0; i < PLANS; i++) plan_fini(&c->plans[i]);
  plan_fini(&c->unshaped);
  mem_free(c->columns);
  map_fini(&c->by_name);
  buf_fini(&c->pairs);
  buf_fini(&c->path);
  buf_fini(&c->text);
  mem_free(c);
}

// Of a seed that nobody can guess, 64 bits tell the names of a file apart.
static uint64_t hash_of(const struct csv *c, struct slice name) {
  return hash_bytes(name.at, name.len, c->seed);
}

static int64_t find(const struct csv *c, struct slice name) {
  return (int64_t)(uintptr_t)map_get(&c->by_name, hash_of(c, name)) - 1;
}

static bool room_for_column(struct csv *c) {
  if (c->count < c->cap) return true;
  uint32_t cap = c->cap ? c->cap * 2 : 32;
  struct column *columns = mem_grow(c->columns, cap * sizeof *columns);
  if (!columns) return false;
  c->columns = columns;
  c->cap = cap;
  return true;
}

bool csv_add(struct csv *c, struct slice name) {
  if (find(c, name) != NONE) return true;
  if (c->count >= LIMIT_CSV_COLUMNS || name.len > LIMIT_CSV_NAME_BYTES || !room_for_column(c)) return false;
  char *own = mem_copy(name.at, name.len);
  if (!own || !map_put(&c->by_name, hash_of(c, name), (void *)(uintptr_t)(c->count + 1))) {
    mem_free(own);
    return false;
  }
  c->columns[c->count++] = (struct column){own, (uint32_t)name.len};
  return true;
}

uint32_t csv_columns(const struct csv *c) {
  return c->count;
}

// ---- cells ----

static bool is_formula(char first) {
  return first == '=' || first == '+' || first == '-' || first == '@' || first == '\t' || first == '\r';
}

enum { PLAIN, QUOTED, REPLACED };
static const uint8_t class_of[256] = {['"'] = QUOTED, [','] = QUOTED, ['\n'] = QUOTED, ['\r'] = QUOTED, [0] = REPLACED};

static int worst_of(struct slice text) {
  int worst = PLAIN;
  for (size_t i = 0; i < text.len; i++) worst |= class_of[(unsigned char)text.at[i]];
  return worst;
}

// There is room for three bytes a character, the quotes and the sign of the guard.
static void put_quoted(struct slice text, bool guarded, struct buf *out) {
  char *to = out->at + out->len;
  *to++ = '"';
  if (guarded) *to++ = '\'';
  for (size_t i = 0; i < text.len; i++) {
    if (!text.at[i]) {
      memcpy(to, "\xef\xbf\xbd", 3);
      to += 3;
      continue;
    }
    if (text.at[i] == '"') *to++ = '"';
    *to++ = text.at[i];
  }
  *to++ = '"';
  out->len = (size_t)(to - out->at);
}

static bool put_text(const struct csv *c, struct slice text, struct buf *out) {
  if (!text.len) return true;
  bool guarded = c->guard && is_formula(text.at[0]);
  if (!buf_reserve(out, 3 * text.len + 3)) return false;
  if (worst_of(text) != PLAIN) {
    put_quoted(text, guarded, out);
    return true;
  }
  if (guarded) out->at[out->len++] = '\'';
  memcpy(out->at + out->len, text.at, text.len);
  out->len += text.len;
  return true;
}

// The text of a scalar; unescaped it stands in c->text.
static bool scalar(struct csv *c, const struct json_tape *t, uint32_t entry, struct slice *out, bool *is_text) {
  enum json_kind kind = json_kind_of(t, entry);
  *is_text = kind == TAPE_STRING || kind == TAPE_ESCAPED;
  *out = kind == TAPE_NULL ? slice_of("") : *is_text ? json_inner(t, entry) : json_raw(t, entry);
  if (kind != TAPE_ESCAPED) return true;
  if (!buf_reserve(&c->text, out->len)) return false;
  size_t len = json_unescape(*out, c->text.at + c->text.len);
  *out = slice_make(c->text.at + c->text.len, len);
  return true;
}

static bool put_cell(struct csv *c, const struct json_tape *t, uint32_t entry, struct buf *out) {
  struct slice value;
  bool is_text;
  c->text.len = 0;
  if (!scalar(c, t, entry, &value, &is_text)) return false;
  return is_text ? put_text(c, value, out) : buf_append(out, value.at, value.len);
}

static bool put_joined(struct csv *c, const struct json_tape *t, const uint32_t *entries, uint32_t count, struct buf *out) {
  struct slice value;
  bool is_text;
  c->text.len = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (i && !buf_append_byte(&c->text, ';')) return false;
    if (!scalar(c, t, entries[i], &value, &is_text)) return false;
    if (json_kind_of(t, entries[i]) == TAPE_ESCAPED) c->text.len += value.len;
    else if (!buf_append(&c->text, value.at, value.len)) return false;
  }
  return put_text(c, buf_slice(&c->text), out);
}

bool csv_header(const struct csv *c, struct buf *out) {
  size_t before = out->len;
  for (uint32_t i = 0; i < c->count; i++) {
    bool ok = (!i || buf_append_byte(out, ',')) && put_text(c, slice_make(c->columns[i].name, c->columns[i].len), out);
    if (!ok) return out->len = before, false;
  }
  return true;
}

// ---- plans ----

static bool note(struct csv *c, uint32_t entry, bool listed, uint32_t *last) {
  struct slice name = c->path.len ? buf_slice(&c->path) : slice_of("value");
  int64_t column = find(c, name);
  if (column == NONE && c->grows && c->count < LIMIT_CSV_COLUMNS) {
    if (!csv_add(c, name)) return false;
    column = c->count - 1;
  }
  if (column == NONE) return true;
  struct pair pair = {(uint32_t)column, entry};
  if (last[column] && !listed) { // there twice: the last value counts
    ((struct pair *)(void *)c->pairs.at)[last[column] - 1] = pair;
    return true;
  }
  if (!buf_append(&c->pairs, (const char *)&pair, sizeof pair)) return false;
  last[column] = (uint32_t)(c->pairs.len / sizeof pair);
  return true;
}

static bool walk(struct csv *c, const struct json_tape *t, uint32_t entry, bool listed, uint32_t *last);

// False in `fits`: the name is longer than any column's, so what is in it has no column.
static bool push_key(struct csv *c, const struct json_tape *t, uint32_t key, bool *fits) {
  struct slice inner = json_inner(t, key);
  size_t before = c->path.len, dot = before > 0;
  *fits = before + dot + inner.len <= LIMIT_CSV_NAME_BYTES;
  if (!*fits) return true;
  if (!buf_reserve(&c->path, dot + inner.len)) return false;
  if (dot) c->path.at[c->path.len++] = '.';
  c->path.len += json_unescape(inner, c->path.at + c->path.len);
  return true;
}

static bool walk_members(struct csv *c, const struct json_tape *t, uint32_t object, bool listed, uint32_t *last) {
  size_t before = c->path.len;
  uint32_t end = t->entries[object].next;
  for (uint32_t key = object + 1; key < end; key = t->entries[key + 1].next) {
    bool fits;
    if (!push_key(c, t, key, &fits)) return false;
    bool ok = !fits || walk(c, t, key + 1, listed, last);
    c->path.len = before;
    if (!ok) return false;
  }
  return true;
}

static bool walk(struct csv *c, const struct json_tape *t, uint32_t entry, bool listed, uint32_t *last) {
  enum json_kind kind = json_kind_of(t, entry);
  if (kind == TAPE_OBJECT) return walk_members(c, t, entry, listed, last);
  if (kind != TAPE_ARRAY) return note(c, entry, listed, last);
  for (uint32_t i = entry + 1; i < t->entries[entry].next; i = t->entries[i].next)
    if (!walk(c, t, i, true, last)) return false;
  return true;
}

// The pairs in the order of columns, those of one column in the order they came in.
static bool sort_pairs(const struct csv *c, struct plan *plan) {
  const struct pair *pairs = (const struct pair *)(const void *)c->pairs.at;
  uint32_t count = (uint32_t)(c->pairs.len / sizeof *pairs);
  uint32_t *from = mem_zero(c->count + 2 + count, sizeof *from);
  if (!from) return false;
  plan_fini(plan);
  *plan = (struct plan){.columns = c->count, .from = from, .entries = from + c->count + 2};
  for (uint32_t i = 0; i < count; i++) from[pairs[i].column + 2]++; // two on, so that what follows ends one on
  for (uint32_t i = 2; i < c->count + 2; i++) from[i] += from[i - 1];
  for (uint32_t i = 0; i < count; i++) plan->entries[from[pairs[i].column + 1]++] = pairs[i].entry;
  return true;
}

static bool make_plan(struct csv *c, const struct json_tape *t, struct plan *plan) {
  uint32_t *last = mem_zero(LIMIT_CSV_COLUMNS, sizeof *last); // of each column: the number of its last pair
  if (!last) return false;
  c->pairs.len = c->path.len = 0;
  bool ok = walk(c, t, 0, false, last) && sort_pairs(c, plan);
  mem_free(last);
  if (ok) plan->shape = t->shape;
  return ok;
}

// NULL: out of memory.
static const struct plan *plan_for(struct csv *c, const struct json_tape *t) {
  if (!t->shape) return make_plan(c, t, &c->unshaped) ? &c->unshaped : NULL;
  for (uint32_t i = 0; i < PLANS; i++)
    if (c->plans[i].shape == t->shape) return &c->plans[i];
  struct plan *plan = &c->plans[c->next];
  if (!make_plan(c, t, plan)) return NULL;
  c->next = (c->next + 1) % PLANS;
  return plan;
}

// ---- rows ----

static bool put_row(struct csv *c, const struct json_tape *t, const struct plan *plan, struct buf *out) {
  for (uint32_t i = 0; i < plan->columns; i++) {
    if (i && !buf_append_byte(out, ',')) return false;
    const uint32_t *entries = plan->entries + plan->from[i];
    uint32_t count = plan->from[i + 1] - plan->from[i];
    if (count && !(count == 1 ? put_cell(c, t, *entries, out) : put_joined(c, t, entries, count, out))) return false;
  }
  for (uint32_t i = plan->columns ? plan->columns : 1; i < c->count; i++)
    if (!buf_append_byte(out, ',')) return false;
  return true;
}

bool csv_row(struct csv *c, const struct json_tape *t, struct buf *out) {
  size_t before = out->len;
  const struct plan *plan = plan_for(c, t);
  bool ok = plan && put_row(c, t, plan, out);
  if (ok && out->len == before) ok = buf_append_text(out, "\"\""); // one empty cell: an empty line would be no row
  if (!ok) out->len = before;
  return ok;
}
