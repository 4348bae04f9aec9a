// api_list.c - on a tape, for records in a list may hold numbers that jansson can't.
#include "cmd/api_list.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/table.h"
#include <stdio.h>

enum { PATH_BYTES = 512, COLUMNS = 16 };

// ---- pages ----

static bool parse(struct json_tape *tape, struct slice body, struct err *err) {
  struct json_fault fault;
  tape->max_bytes = body.len;
  tape->max_depth = LIMIT_JSON_DEPTH + 3; // a record in an item in the list
  if (json_tape_parse(tape, body, &fault) && json_kind_of(tape, 0) == TAPE_OBJECT &&
      json_find(tape, 0, slice_of("items")))
    return true;
  return err_set(err, "the answer is not a list; is this a sluice engine?");
}

static void give_items(const struct json_tape *tape, api_list_fn fn, void *arg) {
  uint32_t items = json_find(tape, 0, slice_of("items")), end = tape->entries[items].next;
  if (json_kind_of(tape, items) != TAPE_ARRAY) return;
  for (uint32_t item = items + 1; item < end; item = tape->entries[item].next)
    fn(arg, tape, item);
}

// Whether there is a next page, whose path replaces `full`.
static bool next_page(const struct json_tape *tape, const char *path, char full[PATH_BYTES],
                      struct err *err) {
  char before[PATH_BYTES];
  uint32_t next = json_find(tape, 0, slice_of("next"));
  if (!next || json_kind_of(tape, next) != TAPE_STRING) return false;
  struct slice after = json_inner(tape, next);
  memcpy(before, full, sizeof before);
  int len = snprintf(full, PATH_BYTES, "%s?limit=1000&after=%.*s", path, (int)after.len, after.at);
  if (len < PATH_BYTES && strcmp(before, full) != 0) return true;
  return err_set(err, "the list does not go on behind its first pages");
}

bool api_list_each(struct api_call *api, const char *path, api_list_fn fn, void *arg, struct err *err) {
  char full[PATH_BYTES];
  struct api_answer answer;
  struct json_tape tape;
  struct err stuck = {0};
  json_tape_init(&tape);
  snprintf(full, sizeof full, "%s?limit=1000", path);
  bool ok, more;
  do {
    ok = api_call_must(api, "GET", full, NULL, slice_of(""), &answer, err) && parse(&tape, answer.body, err);
    if (ok) give_items(&tape, fn, arg);
    more = ok && next_page(&tape, path, full, &stuck);
  } while (more);
  json_tape_fini(&tape);
  return ok && (!stuck.text[0] || err_set(err, "%s", stuck.text));
}

// ---- tables ----

static char *scalar_cell(const struct json_tape *page, uint32_t value) {
  struct slice inner = json_inner(page, value);
  if (json_kind_of(page, value) != TAPE_ESCAPED) return mem_must(mem_copy(inner.at, inner.len));
  char *text = mem_must(mem_alloc(inner.len + 1));
  text[json_unescape(inner, text)] = 0;
  return text;
}

static char *array_cell(const struct json_tape *page, uint32_t array) {
  size_t room = page->entries[array].len + page->entries[array].count + 1u, len = 0;
  char *text = mem_must(mem_zero(1, room));
  for (uint32_t at = array + 1; at < page->entries[array].next; at = page->entries[at].next) {
    char *one = api_list_cell(page, at);
    len += (size_t)snprintf(text + len, room - len, "%s%s", len ? " " : "", one);
    mem_free(one);
  }
  return text;
}

char *api_list_cell(const struct json_tape *page, uint32_t value) {
  enum json_kind kind = value ? json_kind_of(page, value) : TAPE_NULL;
  if (kind == TAPE_NULL) return mem_must(mem_copy("-", 1));
  return kind == TAPE_ARRAY ? array_cell(page, value) : scalar_cell(page, value);
}

struct printing {
  const struct api_list_column *columns;
  struct table *table; // NULL: as JSON
  size_t count;        // items so far
};

static void add_row(void *arg, const struct json_tape *page, uint32_t item) {
  struct printing *p = arg;
  char *cells[COLUMNS] = {0};
  size_t count = 0;
  for (; p->columns[count].head; count++)
    cells[count] = api_list_cell(page, json_path(page, item, slice_of(p->columns[count].path)));
  table_row(p->table, (const char *const *)cells);
  while (count)
    mem_free(cells[--count]);
}

static bool print_table(struct api_call *api, const char *path, struct printing *p, struct err *err) {
  const char *heads[COLUMNS];
  size_t count = 0;
  for (; p->columns[count].head; count++)
    heads[count] = p->columns[count].head;
  p->table = table_new(heads, count);
  bool ok = api_list_each(api, path, add_row, p, err);
  if (ok) table_print(p->table, stdout);
  table_free(p->table);
  return ok;
}

static void print_item(void *arg, const struct json_tape *page, uint32_t item) {
  struct printing *p = arg;
  struct slice raw = json_raw(page, item);
  printf("%s\n%.*s", p->count++ ? "," : "{\"items\":[", (int)raw.len, raw.at);
}

bool api_list_print(struct api_call *api, const char *path, const struct api_list_column *columns, bool json,
                    struct err *err) {
  struct printing p = {.columns = columns};
  if (!json) return print_table(api, path, &p, err);
  if (!api_list_each(api, path, print_item, &p, err)) return false;
  puts(p.count ? "\n],\"next\":null}" : "{\"items\":[],\"next\":null}");
  return true;
}
