#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAP = 256 };

void buf_init(struct buf *b, size_t max) {
  *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b) {
  mem_free(b->at);
  b->at = NULL;
  b->len = b->cap = 0;
}

bool buf_grow(struct buf *b, size_t more) {
  if (more > b->max || b->len > b->max - more) return false;
  size_t need = b->len + more, cap = b->cap ? b->cap : b->max < FIRST_CAP ? b->max : FIRST_CAP;
  while (cap < need) cap = cap > b->max / 2 ? b->max : cap * 2;
  char *at = mem_grow(b->at, cap);
  if (!at) return false;
  b->at = at;
  b->cap = cap;
  return true;
}

bool buf_append(struct buf *b, const void *at, size_t len) {
  if (!buf_reserve(b, len)) return false;
  if (len) memcpy(b->at + b->len, at, len);
  b->len += len;
  return true;
}

bool buf_append_text(struct buf *b, const char *text) {
  return buf_append(b, text, strlen(text));
}

bool buf_printf(struct buf *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  bool ok = len >= 0 && buf_reserve(b, (size_t)len + 1);
  if (ok) {
    vsnprintf(b->at + b->len, (size_t)len + 1, format, again);
    b->len += (size_t)len;
  }
  va_end(again);
  va_end(args);
  return ok;
}

const char *buf_text(struct buf *b) {
  if (!buf_reserve(b, 1)) return NULL;
  b->at[b->len] = 0;
  return b->at;
}

char *buf_take(struct buf *b, size_t *len) {
  char *at = b->at;
  if (len) *len = b->len;
  b->at = NULL;
  b->len = b->cap = 0;
  return at;
}
