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

static inline bool slice_equal(struct slice a, struct slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text) {
  return slice_equal(a, slice_of(text));
}
