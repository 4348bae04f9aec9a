// table.c - rows of text in columns as wide as they must be; the heads are bold on a terminal.
#include "cmd/table.h"
#include "base/mem.h"
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct table {
  const char *const *heads;
  size_t columns;
  size_t *widths; // characters
  char **cells;   // row by row
  size_t count, cap;
};

// Characters, not bytes: continuation bytes of UTF-8 take no room.
static size_t width_of(const char *text) {
  size_t width = 0;
  for (; *text; text++)
    width += (*text & 0xc0) != 0x80;
  return width;
}

static void widen(struct table *t, const char *const *cells) {
  for (size_t i = 0; i < t->columns; i++) {
    size_t width = width_of(cells[i]);
    if (width > t->widths[i]) t->widths[i] = width;
  }
}

struct table *table_new(const char *const *heads, size_t columns) {
  struct table *t = mem_must(mem_zero(1, sizeof *t));
  t->heads = heads;
  t->columns = columns;
  t->widths = mem_must(mem_zero(columns, sizeof *t->widths));
  widen(t, heads);
  return t;
}

void table_free(struct table *t) {
  if (!t) return;
  for (size_t i = 0; i < t->count; i++)
    mem_free(t->cells[i]);
  mem_free(t->cells);
  mem_free(t->widths);
  mem_free(t);
}

// Cells come from others: what a terminal would obey becomes blanks, which keeps each row on its line, too.
static char *plain_copy(const char *cell) {
  char *text = mem_must(mem_copy(cell, strlen(cell)));
  for (unsigned char *at = (unsigned char *)text; *at; at++) {
    if (*at < 32 || *at == 127) *at = ' ';
    if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) at[0] = at[1] = ' ';
  }
  return text;
}

void table_row(struct table *t, const char *const *cells) {
  if (t->count + t->columns > t->cap) {
    t->cap = t->cap ? 2 * t->cap : 64 * t->columns;
    t->cells = mem_must(mem_grow(t->cells, t->cap * sizeof *t->cells));
  }
  for (size_t i = 0; i < t->columns; i++)
    t->cells[t->count++] = plain_copy(cells[i]);
  widen(t, (const char *const *)t->cells + t->count - t->columns);
}

static void print_row(const struct table *t, const char *const *cells, FILE *out) {
  for (size_t i = 0; i < t->columns; i++) {
    bool last = i + 1 == t->columns;
    size_t pad = last ? 0 : t->widths[i] - width_of(cells[i]) + 2;
    fprintf(out, "%s%*s", cells[i], (int)pad, "");
  }
  fputc('\n', out);
}

void table_print(const struct table *t, FILE *out) {
  bool terminal = isatty(fileno(out));
  if (terminal) fputs("\033[1m", out);
  print_row(t, t->heads, out);
  if (terminal) fputs("\033[0m", out);
  for (size_t at = 0; at < t->count; at += t->columns)
    print_row(t, (const char *const *)t->cells + at, out);
}
