// buf.h - an owned, growing run of bytes that cannot be made without its maximum.
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct buf {
  char *at;
  size_t len, cap;
  size_t max; // bytes it may grow to; growing past it fails
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); // takes zeroed; leaves it zeroed but for max
// Room for `more` bytes behind len. False: past max, or out of memory; nothing changed.
static inline bool buf_reserve(struct buf *b, size_t more);
bool buf_append(struct buf *b, const void *at, size_t len);
bool buf_append_text(struct buf *b, const char *text);
static inline bool buf_append_byte(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The text with a NUL behind it (not counted in len), or NULL. Borrowed until the next change.
const char *buf_text(struct buf *b);
// Moves the bytes out: the caller owns them (mem_free), b is empty.
char *buf_take(struct buf *b, size_t *len);

static inline struct slice buf_slice(const struct buf *b) {
  return slice_make(b->at, b->len);
}

bool buf_grow(struct buf *b, size_t more); // buf_reserve's, where there is no room

static inline bool buf_reserve(struct buf *b, size_t more) {
  return more <= b->cap - b->len || buf_grow(b, more);
}

static inline bool buf_append_byte(struct buf *b, char c) {
  if (!buf_reserve(b, 1)) return false;
  b->at[b->len++] = c;
  return true;
}
