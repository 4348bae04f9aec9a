// slice.h - a borrowed run of bytes; whoever hands one out says until when it holds.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
  const char *at;
  size_t len;
};

static inline struct slice slice_of(const char *text) {
  return (struct slice){text, text ? strlen(text) : 0};
}

static inline struct slice slice_make(const void *at, size_t len) {
  return (struct slice){(const char *)at, len};
}

// For short runs, where the call of memcmp would cost more than the comparison.
static inline bool slice_same_bytes(const char *a, const char *b, size_t len) {
  if (len >= 8) {
    for (size_t i = 0; i + 8 < len; i += 8)
      if (memcmp(a + i, b + i, 8) != 0) return false;
    return memcmp(a + len - 8, b + len - 8, 8) == 0;
  }
  if (len >= 4) return memcmp(a, b, 4) == 0 && memcmp(a + len - 4, b + len - 4, 4) == 0;
  for (size_t i = 0; i < len; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static inline bool slice_equal(struct slice a, struct slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_ends(struct slice a, const char *end) {
  size_t len = strlen(end);
  return a.len >= len && memcmp(a.at + a.len - len, end, len) == 0;
}

static inline bool slice_is(struct slice a, const char *text) {
  return slice_equal(a, slice_of(text));
}
