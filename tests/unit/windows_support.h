// windows_support.h - operations on windows as records of their own, and random records.
#pragma once
#include "base/rand.h"
#include "script/windows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline uint64_t below(uint64_t bound) {
  return rand_u64() % bound;
}

// ---- one operation as a record of its own ----

static inline double add(struct windows *w, enum window_kind kind, const char *key, uint32_t span_s,
                         int64_t now_ms, double value) {
  struct err err = {{0}};
  double total = -1;
  windows_begin(w);
  if (!windows_add(w, kind, slice_of(key), span_s, now_ms, value, &total, &err)) fail_msg("%s", err.text);
  windows_commit(w);
  return total;
}

static inline double count(struct windows *w, const char *key, uint32_t span_s, int64_t now_ms) {
  return add(w, WINDOW_COUNT, key, span_s, now_ms, 1);
}

static inline void set(struct windows *w, const char *key, int64_t now_ms, struct window_value value,
                       uint32_t ttl_s) {
  struct err err = {{0}};
  windows_begin(w);
  if (!windows_set(w, slice_of(key), now_ms, &value, ttl_s, &err)) fail_msg("%s", err.text);
  windows_commit(w);
}

static inline struct window_value number(double value) {
  return (struct window_value){.type = WINDOW_NUMBER, .number = value};
}

static inline struct window_value text(const char *value) {
  return (struct window_value){.type = WINDOW_TEXT, .text = slice_of(value)};
}

static inline struct window_value get(struct windows *w, const char *key, int64_t now_ms) {
  struct err err = {{0}};
  struct window_value value;
  windows_begin(w);
  if (!windows_get(w, slice_of(key), now_ms, &value, &err)) fail_msg("%s", err.text);
  windows_commit(w);
  return value;
}

static inline bool is_silent(struct windows *w, const char *key, int64_t now_ms, uint32_t for_s) {
  struct err err = {{0}};
  bool silent = false;
  windows_begin(w);
  if (!windows_silence(w, slice_of(key), now_ms, for_s, &silent, &err)) fail_msg("%s", err.text);
  windows_commit(w);
  return silent;
}

static inline struct windows *fresh(void) {
  struct windows *w = windows_new(true);
  assert_non_null(w);
  return w;
}

static inline void dump(struct windows *w, struct buf *out) {
  buf_init(out, 64 << 20);
  assert_true(windows_dump(w, out));
}

static inline void assert_same(const struct buf *a, const struct buf *b) {
  assert_int_equal(a->len, b->len);
  assert_memory_equal(a->at, b->at, a->len);
}

static inline void assert_same_state(struct windows *a, struct windows *b) {
  struct buf x, y;
  dump(a, &x);
  dump(b, &y);
  assert_same(&x, &y);
  buf_fini(&x);
  buf_fini(&y);
}

static inline void numbered(char *key, int i) {
  snprintf(key, 24, "endpoint:%010d", i);
}

// ---- random records ----

enum { RANDOM_KEYS = 40 };

static inline void random_key(char *key) {
  snprintf(key, 24, "k%d", (int)below(RANDOM_KEYS));
}

static inline bool random_operation(struct windows *w, int64_t now_ms, struct buf *seen, struct err *err) {
  char key[24], words[400];
  double total = 0;
  bool silent = false;
  struct window_value value = {.type = WINDOW_NIL};
  bool ok;
  random_key(key);
  switch (below(8)) {
  case 0:
  case 1:
    ok = windows_add(w, WINDOW_COUNT, slice_of(key), below(2) ? 30 : 3600, now_ms, 1, &total, err);
    break;
  case 2:
  case 3:
    ok = windows_add(w, WINDOW_SUM, slice_of(key), 600, now_ms, (double)below(1000000) / 1000 - 300, &total,
                     err);
    break;
  case 4:
    ok = windows_get(w, slice_of(key), now_ms, &value, err);
    break;
  case 5:
    ok = windows_silence(w, slice_of(key), now_ms, 20, &silent, err);
    break;
  default:
    value = number((double)below(100) / 7);
    memset(words, 'a' + (int)below(26), sizeof words);
    if (below(2))
      value = (struct window_value){.type = WINDOW_TEXT, .text = slice_make(words, below(sizeof words))};
    if (!below(4)) value = (struct window_value){.type = WINDOW_NIL};
    ok = windows_set(w, slice_of(key), now_ms, &value, below(2) ? 0 : 50, err);
  }
  if (!seen) return ok;
  buf_append(seen, &total, sizeof total);
  buf_append(seen, &silent, sizeof silent);
  buf_append(seen, &value.type, sizeof value.type);
  buf_append(seen, &value.number, sizeof value.number);
  buf_append(seen, value.text.at, value.text.len);
  return ok;
}

// Record number n, always the same one.
static inline void random_record(struct windows *w, uint64_t n, bool kept, struct buf *seen) {
  struct err err = {{0}};
  rand_seed(n * 7919 + 1);
  int64_t now = (int64_t)n * 900 - (int64_t)below(3) * 5000;
  windows_begin(w);
  for (uint64_t i = below(6); i > 0; i--)
    if (!random_operation(w, now, seen, &err)) fail_msg("%s", err.text);
  if (kept)
    windows_commit(w);
  else
    windows_undo(w);
}
