// Proves that windows leave no trace of a record that is undone, go on from saved state as if they had never
// stopped, and take no saved state that is not one.
#include "base/limits.h"
#include "base/mem.h"
#include "windows_support.h"

#include <stdlib.h>

static void a_record_that_is_undone_leaves_no_trace(void **state) {
  // Two streams, of which one runs records in between that fail: their states and what they save are the
  // same.
  (void)state;
  struct windows *a = fresh(), *b = fresh();
  struct buf x, y;
  buf_init(&x, 1 << 20);
  buf_init(&y, 1 << 20);
  for (uint64_t n = 1; n < 4000; n++) {
    random_record(a, n, true, NULL);
    random_record(b, n + 1000000, false, NULL);
    random_record(b, n, true, NULL);
    random_record(b, n + 2000000, false, NULL);
    if (n % 5 == 0) {
      x.len = y.len = 0;
      assert_true(windows_take(a, &x) && windows_take(b, &y));
      assert_same(&x, &y);
    }
    assert_int_equal(windows_bytes(a), windows_bytes(b));
    if (n % 50 == 0) assert_same_state(a, b);
  }
  buf_fini(&x);
  buf_fini(&y);
  windows_free(a);
  windows_free(b);
}

static void without_saving_it_is_the_same(void **state) {
  (void)state;
  struct windows *a = fresh(), *b = windows_new(false);
  for (uint64_t n = 1; n < 2000; n++) {
    random_record(a, n, n % 7 != 0, NULL);
    random_record(b, n, n % 7 != 0, NULL);
    assert_false(windows_changed(b));
    if (n % 50 == 0) assert_same_state(a, b);
  }
  windows_free(a);
  windows_free(b);
}

static void keys_pushed_out_by_an_undone_record_return(void **state) {
  (void)state;
  struct windows *w = fresh();
  struct err err = {{0}};
  struct buf before, after;
  char key[24];
  double total;
  for (int i = 0; i < LIMIT_WINDOW_KEYS; i++) {
    numbered(key, i);
    count(w, key, 60, i);
  }
  dump(w, &before);
  windows_begin(w);
  for (int i = 0; i < 90; i++) {
    numbered(key, i % 3 ? i : -i - 1);
    assert_true(windows_add(w, WINDOW_COUNT, slice_of(key), 60, i, 1, &total, &err));
  }
  assert_true(windows_pushed_out(w) > 0);
  windows_undo(w);
  dump(w, &after);
  assert_same(&before, &after);
  buf_fini(&before);
  buf_fini(&after);
  windows_free(w);
}

// ---- saving ----

struct saved {
  struct pair {
    char *key, *value;
    size_t key_len, value_len;
  } pairs[8 * RANDOM_KEYS];
  size_t count;
};

static void forget(struct pair *pair) {
  free(pair->key);
  free(pair->value);
}

static char *copy(struct slice bytes) {
  char *at = malloc(bytes.len + 1);
  if (bytes.len) memcpy(at, bytes.at, bytes.len);
  return at;
}

static void save(struct saved *s, struct slice changes) {
  struct err err = {{0}};
  struct slice key, value;
  while (windows_next_pair(&changes, &key, &value, &err)) {
    size_t i = 0;
    while (i < s->count && !slice_equal(slice_make(s->pairs[i].key, s->pairs[i].key_len), key))
      i++;
    if (i < s->count) {
      forget(&s->pairs[i]);
      s->pairs[i] = s->pairs[--s->count];
    }
    assert_true(s->count < sizeof s->pairs / sizeof *s->pairs);
    if (value.len) s->pairs[s->count++] = (struct pair){copy(key), copy(value), key.len, value.len};
  }
  assert_string_equal(err.text, "");
}

static struct windows *load(const struct saved *s) {
  struct windows *w = fresh();
  struct err err = {{0}};
  for (size_t i = 0; i < s->count; i++) {
    const struct pair *p = &s->pairs[i];
    if (!windows_load(w, slice_make(p->key, p->key_len), slice_make(p->value, p->value_len), &err))
      fail_msg("%s", err.text);
  }
  return w;
}

static void records_run_again_from_saved_state_give_the_same(void **state) {
  // One stream runs through; the other is saved at some records, runs on, is thrown away at some, and goes on
  // from the save.
  (void)state;
  enum { RECORDS = 3000 };
  struct windows *through = fresh(), *w = fresh();
  struct saved saved = {0};
  struct buf changes, a, b;
  uint64_t position = 1, runs = 0;
  buf_init(&changes, 1 << 20);
  buf_init(&a, 1 << 20);
  buf_init(&b, 1 << 20);
  for (uint64_t n = 1; n < RECORDS;) {
    random_record(w, n, n % 11 != 0, NULL);
    n++;
    rand_seed(runs++);
    if (below(5) == 0) {
      changes.len = 0;
      assert_true(windows_take(w, &changes));
      save(&saved, buf_slice(&changes));
      position = n;
    }
    if (below(40) == 0) {
      windows_free(w);
      w = load(&saved);
      n = position;
    }
  }
  for (uint64_t n = 1; n < RECORDS; n++)
    random_record(through, n, n % 11 != 0, NULL);
  assert_same_state(through, w);
  for (uint64_t n = RECORDS; n < RECORDS + 500; n++) {
    a.len = b.len = 0;
    random_record(through, n, true, &a);
    random_record(w, n, true, &b);
    assert_same(&a, &b);
  }
  for (size_t i = 0; i < saved.count; i++)
    forget(&saved.pairs[i]);
  buf_fini(&changes);
  buf_fini(&a);
  buf_fini(&b);
  windows_free(through);
  windows_free(w);
}

static void the_order_of_use_is_saved(void **state) {
  // Loaded backwards, a full stream pushes out the same keys as before.
  (void)state;
  struct windows *w = fresh(), *again = fresh();
  struct err err = {{0}};
  struct buf all;
  char key[24];
  static struct slice keys[LIMIT_WINDOW_KEYS + 1], values[LIMIT_WINDOW_KEYS + 1];
  size_t pairs = 0;
  rand_seed(5);
  for (int i = 0; i < LIMIT_WINDOW_KEYS + 5000; i++) {
    numbered(key, (int)below(LIMIT_WINDOW_KEYS + 500));
    count(w, key, 60, i);
    numbered(key, i);
    count(w, key, 600, i);
  }
  dump(w, &all);
  for (struct slice rest = buf_slice(&all); windows_next_pair(&rest, &keys[pairs], &values[pairs], &err);)
    pairs++;
  assert_int_equal(pairs, LIMIT_WINDOW_KEYS + 1);
  while (pairs-- > 0)
    assert_true(windows_load(again, keys[pairs], values[pairs], &err));
  for (int i = 0; i < 3000; i++) {
    numbered(key, i * 7 % 4000 + 1000000);
    assert_float_equal(count(w, key, 600, i), count(again, key, 600, i), 0);
  }
  assert_int_equal(windows_pushed_out(w), windows_pushed_out(again));
  assert_same_state(w, again);
  buf_fini(&all);
  windows_free(w);
  windows_free(again);
}

static void a_state_past_the_limits_comes_back_record_by_record(void **state) {
  // As after a version with wider limits: loaded up to twice, and what one record changes stays bounded.
  (void)state;
  enum { KEYS_SAVED = LIMIT_WINDOW_KEYS + 4000 };
  struct windows *w = fresh();
  struct err err = {{0}};
  struct buf out;
  static const char value[] = "\1\5\1\2\4"; // stamp 5, one entry at 1 ms of value 1
  char key[32] = "\1<";
  buf_init(&out, WINDOWS_TAKE_BYTES);
  for (int i = 0; i < KEYS_SAVED; i++) {
    numbered(key + 2, i);
    if (!windows_load(w, slice_of(key), slice_make(value, 5), &err)) fail_msg("%s", err.text);
  }
  for (size_t left = KEYS_SAVED; left > LIMIT_WINDOW_KEYS;) {
    count(w, "k", 60, 1);
    left = left - LIMIT_WINDOW_KEYS > WINDOWS_PUSHED_OUT ? left - WINDOWS_PUSHED_OUT : LIMIT_WINDOW_KEYS;
    assert_true(windows_keys(w) <= left + 1);
    out.len = 0;
    assert_true(windows_take(w, &out));
  }
  assert_int_equal(windows_keys(w), LIMIT_WINDOW_KEYS);
  for (int i = 0; i < 2 * LIMIT_WINDOW_KEYS; i++) {
    numbered(key + 2, i + KEYS_SAVED);
    bool ok = windows_load(w, slice_of(key), slice_make(value, 5), &err);
    assert_int_equal(ok, i < LIMIT_WINDOW_KEYS);
  }
  assert_string_equal(err.text, "saved windows: more than a stream may hold");
  buf_fini(&out);
  windows_free(w);
}

static void only_changes_are_taken(void **state) {
  (void)state;
  struct windows *w = fresh();
  struct buf out;
  struct err err = {{0}};
  struct slice rest, key, value;
  buf_init(&out, 4096);
  count(w, "a", 60, 0);
  count(w, "b", 60, 0);
  assert_true(windows_changed(w) && windows_take(w, &out));
  assert_false(windows_changed(w));
  out.len = 0;
  assert_true(windows_take(w, &out));
  assert_int_equal(out.len, 0);
  get(w, "a", 0);
  assert_true(is_silent(w, "x", 0, 9) == false);
  set(w, "x", 0, text("1"), 9);
  set(w, "x", 0, (struct window_value){.type = WINDOW_NIL}, 0);
  count(w, "b", 60, 0);
  assert_true(windows_take(w, &out));
  rest = buf_slice(&out);
  static const char *const expected[] = {"\4x", "\3x", "\1<b", ""};
  for (size_t i = 0; i < 4; i++) {
    assert_true(windows_next_pair(&rest, &key, &value, &err));
    assert_true(i == 3 ? key.len == 1 && *key.at == WINDOW_CLOCK : slice_is(key, expected[i]));
    assert_int_equal(value.len == 0, i == 1);
  }
  assert_false(windows_next_pair(&rest, &key, &value, &err));
  struct buf small;
  buf_init(&small, 20);
  for (int i = 0; i < 30; i++) {
    char name[24];
    numbered(name, i);
    count(w, name, 60, 0);
  }
  assert_false(windows_take(w, &small)); // too little room: nothing is taken
  assert_int_equal(small.len, 0);
  assert_true(windows_changed(w));
  buf_fini(&small);
  buf_fini(&out);
  windows_free(w);
}

static void try_pair(struct slice key, struct slice value, size_t *taken) {
  struct windows *w = fresh();
  struct err err = {{0}};
  struct slice rest, key_again, value_again;
  struct buf out;
  if (windows_load(w, key, value, &err)) {
    *taken += windows_keys(w);
    dump(w, &out);
    rest = buf_slice(&out);
    if (windows_keys(w)) {
      assert_true(windows_next_pair(&rest, &key_again, &value_again, &err));
      assert_true(slice_equal(key, key_again) && slice_equal(value, value_again));
    }
    buf_fini(&out);
    random_record(w, 1, true, NULL);
  } else {
    assert_true(err.text[0] != 0);
    assert_int_equal(windows_keys(w), 0);
  }
  windows_free(w);
}

static void hostile_pairs_are_refused_or_read_as_they_are(void **state) {
  // What is accepted is written again byte for byte: there is one way only to write a state.
  (void)state;
  struct windows *w = fresh();
  struct buf all;
  struct err err = {{0}};
  struct slice rest, key, value;
  size_t taken = 0;
  for (uint64_t n = 1; n < 600; n++)
    random_record(w, n, true, NULL);
  for (int i = 0; i < 300; i++)
    add(w, WINDOW_SUM, "long", 600, i * 977, i * 0.7);
  set(w, "d", 0, (struct window_value){.type = WINDOW_DIGITS, .text = slice_of("-898822806670000135")}, 5);
  set(w, "z", 0, number(-0.0), 5);
  dump(w, &all);
  rand_seed(3);
  for (rest = buf_slice(&all); windows_next_pair(&rest, &key, &value, &err);) {
    try_pair(key, value, &taken);
    for (int i = 0; i < 300; i++) {
      char *k = copy(key), *v = copy(value);
      size_t key_len = key.len, value_len = value.len;
      if (!below(4)) k[below(key.len)] = (char)rand_u64();
      for (uint64_t changes = below(3); changes > 0; changes--)
        v[below(value.len)] = (char)rand_u64();
      if (!below(3)) value_len = below(value.len + 1);
      if (!below(9)) key_len = below(key.len + 1);
      char *exact_key = copy(slice_make(k, key_len)), *exact_value = copy(slice_make(v, value_len));
      try_pair(slice_make(exact_key, key_len), slice_make(exact_value, value_len), &taken);
      struct slice stream = slice_make(v, value_len), a, b;
      struct err why = {{0}};
      while (windows_next_pair(&stream, &a, &b, &why)) {
      }
      free(exact_key);
      free(exact_value);
      free(k);
      free(v);
    }
  }
  assert_true(taken > 100);
  buf_fini(&all);
  windows_free(w);
}

static void memory_that_is_short_is_told_and_nothing_is_lost(void **state) {
  (void)state;
  struct windows *w = fresh(), *twin = fresh();
  struct err err = {{0}};
  struct buf out;
  for (uint64_t n = 1; n < 1500; n++) {
    rand_seed(n + 5);
    long nth = 1 + (long)below(6);
    windows_begin(w);
    mem_fail_at(nth);
    err.text[0] = 0;
    bool ok = true;
    for (int i = 0; i < 8; i++)
      ok &= random_operation(w, (int64_t)n * 900, NULL, &err);
    bool reached = mem_asked() >= nth;
    mem_fail_at(0);
    if (!ok) assert_string_equal(err.text, "out of memory");
    if (!reached) assert_true(ok);
    windows_undo(w);
    random_record(w, n, true, NULL);
    random_record(twin, n, true, NULL);
    if (n % 20 == 0) assert_same_state(w, twin);
  }
  buf_init(&out, 1 << 20);
  mem_fail_at(1);
  assert_false(windows_take(w, &out));
  mem_fail_at(0);
  assert_true(windows_changed(w));
  mem_fail_at(1);
  assert_null(windows_new(true));
  mem_fail_at(0);
  buf_fini(&out);
  windows_free(w);
  windows_free(twin);
}

static void a_load_without_memory_changes_nothing(void **state) {
  (void)state;
  struct windows *w = fresh();
  struct buf all;
  struct err err = {{0}};
  struct slice rest, key, value;
  for (int i = 0; i < 30; i++)
    count(w, "k", 60, i);
  set(w, "t", 0, text("text"), 5);
  dump(w, &all);
  for (rest = buf_slice(&all); windows_next_pair(&rest, &key, &value, &err);) {
    for (long nth = 1; nth < 4; nth++) {
      struct windows *again = fresh();
      err.text[0] = 0;
      mem_fail_at(nth);
      bool ok = windows_load(again, key, value, &err);
      bool reached = mem_asked() >= nth;
      mem_fail_at(0);
      assert_int_equal(ok, !reached);
      if (!ok) assert_string_equal(err.text, "out of memory");
      if (!ok) assert_int_equal(windows_keys(again), 0);
      windows_free(again);
    }
  }
  buf_fini(&all);
  windows_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_record_that_is_undone_leaves_no_trace),
      cmocka_unit_test(without_saving_it_is_the_same),
      cmocka_unit_test(keys_pushed_out_by_an_undone_record_return),
      cmocka_unit_test(records_run_again_from_saved_state_give_the_same),
      cmocka_unit_test(the_order_of_use_is_saved),
      cmocka_unit_test(a_state_past_the_limits_comes_back_record_by_record),
      cmocka_unit_test(only_changes_are_taken),
      cmocka_unit_test(hostile_pairs_are_refused_or_read_as_they_are),
      cmocka_unit_test(memory_that_is_short_is_told_and_nothing_is_lost),
      cmocka_unit_test(a_load_without_memory_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
