// Proves that windows give what a naive model gives, and keep their bounds.
#include "base/limits.h"
#include "script/sliding.h"
#include "script/span.h"
#include "windows_support.h"

#include <stdlib.h>

// ---- totals ----

static void a_count_covers_now_minus_span_to_now(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_float_equal(count(w, "k", 10, 0), 1, 0);
  assert_float_equal(count(w, "k", 10, 1), 2, 0);
  assert_float_equal(count(w, "k", 10, 9999), 3, 0);
  assert_float_equal(count(w, "k", 10, 10000), 3, 0); // that of 0 has just left
  assert_float_equal(count(w, "k", 10, 10001), 3, 0);
  assert_float_equal(count(w, "k", 10, 10001), 4, 0);
  assert_float_equal(count(w, "k", 10, 30000), 1, 0);
  assert_float_equal(count(w, "other", 10, -5000), 1, 0);
  assert_float_equal(count(w, "other", 10, -1), 2, 0);
  windows_free(w);
}

static void a_late_record_goes_to_its_place(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_float_equal(count(w, "k", 10, 20000), 1, 0);
  assert_float_equal(count(w, "k", 10, 15000), 1, 0); // the total at 15,000: itself
  assert_float_equal(count(w, "k", 10, 18000), 2, 0);
  assert_float_equal(count(w, "k", 10, 20000), 4, 0);
  assert_float_equal(count(w, "k", 10, 10001), 1, 0);
  assert_float_equal(count(w, "k", 10, 10000), 0, 0); // a span or more behind the newest: counts nothing
  assert_float_equal(count(w, "k", 10, -50000), 0, 0);
  assert_float_equal(count(w, "k", 10, 20000), 6, 0);
  assert_float_equal(count(w, "k", 10, 25000), 5, 0); // without 10,001 and 15,000
  windows_free(w);
}

static void kinds_and_spans_are_windows_of_their_own(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_float_equal(count(w, "k", 10, 0), 1, 0);
  assert_float_equal(count(w, "k", 60, 0), 1, 0);
  assert_float_equal(add(w, WINDOW_SUM, "k", 10, 0, 2.5), 2.5, 0);
  set(w, "k", 0, text("v"), 0);
  assert_false(is_silent(w, "k", 0, 10));
  assert_int_equal(windows_keys(w), 5);
  assert_float_equal(count(w, "k", 10, 15000), 1, 0);
  assert_float_equal(count(w, "k", 60, 15000), 2, 0);
  assert_float_equal(add(w, WINDOW_SUM, "k", 10, 15000, -1), -1, 0);
  windows_free(w);
}

// What was added to one window, all of it that is not a span behind the newest.
struct model {
  uint32_t span_s;
  int64_t newest_ms;
  struct sliding_entry *adds;
  size_t count, cap;
  bool stepped; // it held more than 64 different times once
};

static void model_add(struct model *m, int64_t now_ms, double value) {
  size_t kept = 0;
  if (!m->count || now_ms > m->newest_ms) m->newest_ms = now_ms;
  if (m->count == m->cap) m->adds = realloc(m->adds, (m->cap = m->cap ? m->cap * 2 : 64) * sizeof *m->adds);
  m->adds[m->count++] = (struct sliding_entry){now_ms, value};
  for (size_t i = 0; i < m->count; i++)
    if (m->adds[i].at_ms > m->newest_ms - (int64_t)m->span_s * 1000) m->adds[kept++] = m->adds[i];
  m->count = kept;
}

static double model_sum(const struct model *m, int64_t after_ms, int64_t to_ms) {
  double total = 0;
  for (size_t i = 0; i < m->count; i++)
    if (m->adds[i].at_ms > after_ms && m->adds[i].at_ms <= to_ms) total += m->adds[i].value;
  return total;
}

static void model_note_steps(struct model *m) {
  size_t different = 0;
  if (m->stepped) return;
  for (size_t i = 0; i < m->count; i++) {
    size_t j = 0;
    while (j < i && m->adds[j].at_ms != m->adds[i].at_ms)
      j++;
    different += j == i;
  }
  m->stepped = different > SLIDING_EXACT;
}

static void model_check(const struct model *m, int64_t now_ms, double total) {
  int64_t span_ms = (int64_t)m->span_s * 1000, step_ms = span_ms / SLIDING_EXACT + 1;
  bool late = now_ms < m->newest_ms;
  if (!m->stepped) {
    assert_float_equal(total, model_sum(m, now_ms - span_ms, now_ms), 0);
    return;
  }
  assert_true(total >= model_sum(m, m->newest_ms - span_ms + step_ms, late ? now_ms - step_ms : now_ms));
  assert_true(total <= model_sum(m, now_ms - span_ms, late ? now_ms + step_ms : now_ms));
}

static void totals_are_those_of_a_naive_model(void **state) {
  // Values are multiples of 1/8, so that the order of adding shows in no bit of the model's.
  (void)state;
  enum { KEYS = 24, ADDS = 60000 };
  struct model models[KEYS] = {{0}};
  struct windows *w = fresh();
  int64_t clock = 1700000000000;
  rand_seed(7);
  for (int i = 0; i < KEYS; i++)
    models[i].span_s = (uint32_t[]){1, 7, 60, 600, 3600, 86400}[i % 6];
  for (int n = 0; n < ADDS; n++) {
    size_t i = below(KEYS);
    struct model *m = &models[i];
    char key[16];
    snprintf(key, sizeof key, "key %zu", i / 6);
    clock += (int64_t)below(n % 1000 < 200 ? 20 : 2000);
    int64_t now = clock - (int64_t)(below(4) ? 0 : below(m->span_s * 1200));
    double value = i % 2 ? (double)below(1000) / 8 : 1;
    double total = add(w, i % 2 ? WINDOW_SUM : WINDOW_COUNT, key, m->span_s, now, value);
    int64_t edge = m->newest_ms - (int64_t)m->span_s * 1000,
            step = m->stepped ? m->span_s * 1000 / SLIDING_EXACT + 1 : 0;
    bool counts = !m->count || now > edge, late = m->count && now <= edge - step;
    model_add(m, now, value);
    model_note_steps(m);
    if (counts)
      model_check(m, now, total);
    else if (late) // between the two, the newest may be known to a step only
      assert_float_equal(total, 0, 0);
  }
  for (int i = 0; i < KEYS; i++)
    free(models[i].adds);
  windows_free(w);
}

static void past_64_entries_it_goes_by_steps_and_returns(void **state) {
  (void)state;
  struct windows *w = fresh();
  for (int i = 1; i <= 64; i++)
    assert_float_equal(count(w, "k", 64, i * 10), i, 0);
  for (int i = 65; i <= 5000; i++)
    assert_float_equal(count(w, "k", 64, i * 10), i, 0); // all inside the span
  double total = count(w, "k", 64, 100000);              // 36,000 to 50,000 and itself, less a step of 1,000
  assert_true(total >= 1301 && total <= 1401);
  assert_true(windows_bytes(w) <= 200 + SLIDING_ENTRIES * sizeof(struct sliding_entry));
  assert_float_equal(count(w, "k", 64, 900000), 1, 0);
  assert_float_equal(count(w, "k", 64, 900001), 2, 0);
  assert_float_equal(count(w, "k", 64, 964000), 2, 0);
  windows_free(w);
}

static void a_steady_key_stays_within_a_step(void **state) {
  (void)state;
  struct windows *w = fresh();
  for (int i = 1; i <= 20000; i++) {
    double total = count(w, "k", 600, i * 1000);
    double whole = i < 600 ? i : 600;
    assert_true(total <= whole && total >= whole - 600.0 / 64 - 1);
  }
  windows_free(w);
}

static void times_at_the_ends_of_the_world_do_no_harm(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_float_equal(count(w, "k", LIMIT_SPAN_S, INT64_MIN), 1, 0);
  assert_float_equal(count(w, "k", LIMIT_SPAN_S, 0), 1, 0);
  assert_float_equal(count(w, "k", LIMIT_SPAN_S, INT64_MAX), 1, 0);
  assert_float_equal(count(w, "k", LIMIT_SPAN_S, INT64_MAX - 5), 2, 0);
  for (int i = 0; i < 200; i++)
    count(w, "n", 1, INT64_MIN + i);
  set(w, "v", INT64_MAX, number(1), LIMIT_SPAN_S);
  assert_int_equal(get(w, "v", INT64_MAX).type, WINDOW_NUMBER);
  assert_false(is_silent(w, "v", INT64_MAX, LIMIT_SPAN_S));
  assert_true(is_silent(w, "v", INT64_MAX, LIMIT_SPAN_S));
  windows_free(w);
}

// ---- values and silence ----

static void values_keep_their_type_until_they_end(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_int_equal(get(w, "v", 0).type, WINDOW_NIL);
  set(w, "v", 0, number(0.1), 10);
  assert_float_equal(get(w, "v", 9999).number, 0.1, 0);
  assert_int_equal(get(w, "v", 10000).type, WINDOW_NIL);
  assert_int_equal(get(w, "v", 9999).type, WINDOW_NUMBER); // a late record still sees it
  set(w, "v", 0, text("a\n b"), 0);
  assert_true(slice_is(get(w, "v", INT64_MAX).text, "a\n b"));
  set(w, "v", 0, (struct window_value){.type = WINDOW_FALSE}, 0);
  assert_int_equal(get(w, "v", 0).type, WINDOW_FALSE);
  set(w, "v", 0, (struct window_value){.type = WINDOW_DIGITS, .text = slice_of("898822806670000135")}, 5);
  assert_int_equal(get(w, "v", 0).type, WINDOW_DIGITS);
  set(w, "v", 0, text(""), 0);
  assert_int_equal(get(w, "v", 0).type, WINDOW_TEXT);
  set(w, "v", 0, (struct window_value){.type = WINDOW_NIL}, 0);
  assert_int_equal(get(w, "v", 0).type, WINDOW_NIL);
  assert_int_equal(windows_keys(w), 0);
  assert_int_equal(windows_bytes(w), 0);
  windows_free(w);
}

static void a_key_is_silent_for_its_time(void **state) {
  (void)state;
  struct windows *w = fresh();
  assert_false(is_silent(w, "a", 1000, 300));
  assert_true(is_silent(w, "a", 1000, 300));
  assert_true(is_silent(w, "a", 300999, 300));
  assert_false(is_silent(w, "b", 300999, 0));
  assert_false(is_silent(w, "b", 300999, 0));
  assert_false(is_silent(w, "a", 301000, 1));
  assert_true(is_silent(w, "a", 301999, 1));
  assert_true(is_silent(w, "a", 0, 1)); // a late record raises nothing again
  assert_false(is_silent(w, "a", 302000, 1));
  windows_free(w);
}

// ---- bounds ----

static void what_is_too_long_is_refused_in_words(void **state) {
  (void)state;
  struct windows *w = fresh();
  struct err err = {{0}};
  char long_text[LIMIT_WINDOW_VALUE_BYTES + 1];
  double total;
  struct window_value value = {.type = WINDOW_TEXT, .text = slice_make(long_text, sizeof long_text)};
  memset(long_text, 'x', sizeof long_text);
  windows_begin(w);
  struct slice key = slice_make(long_text, LIMIT_WINDOW_KEY_BYTES + 1);
  assert_false(windows_add(w, WINDOW_COUNT, key, 1, 0, 1, &total, &err));
  assert_string_equal(err.text, "a key has at most 256 bytes, this one has 257");
  err.text[0] = 0;
  assert_false(windows_get(w, key, 0, &value, &err));
  value = (struct window_value){.type = WINDOW_TEXT, .text = slice_make(long_text, sizeof long_text)};
  assert_false(windows_set(w, key, 0, &value, 1, &err));
  err.text[0] = 0;
  assert_false(windows_set(w, slice_of("k"), 0, &value, 1, &err));
  assert_string_equal(err.text, "a text has at most 1024 bytes, this one has 1025");
  value.text.len--;
  key.len--;
  assert_true(windows_set(w, key, 0, &value, 1, &err));
  windows_commit(w);
  assert_int_equal(windows_keys(w), 1);
  windows_free(w);
}

static void one_record_changes_a_hundred_keys(void **state) {
  (void)state;
  struct windows *w = fresh();
  struct err err = {{0}};
  double total;
  windows_begin(w);
  for (int i = 0; i < LIMIT_WINDOW_CHANGES; i++) {
    char key[16];
    snprintf(key, sizeof key, "%d", i);
    for (int again = 0; again < 3; again++) // the same key again is no other
      assert_true(windows_add(w, WINDOW_COUNT, slice_of(key), 60, i, 1, &total, &err));
  }
  assert_false(windows_add(w, WINDOW_COUNT, slice_of("more"), 60, 0, 1, &total, &err));
  assert_string_equal(err.text, "one record may change at most 100 keys");
  windows_commit(w);
  assert_int_equal(windows_keys(w), LIMIT_WINDOW_CHANGES);
  count(w, "more", 60, 0);
  windows_free(w);
}

static void the_least_recently_used_key_goes_first(void **state) {
  (void)state;
  struct windows *w = fresh();
  char key[24];
  for (int i = 0; i < LIMIT_WINDOW_KEYS; i++) {
    numbered(key, i);
    count(w, key, 86400, i);
    if (i % 5000 == 0) get(w, "read only", 0);
    if (i == 10) set(w, "read only", 0, number(1), 0); // takes a place
  }
  assert_int_equal(windows_keys(w), LIMIT_WINDOW_KEYS);
  assert_int_equal(windows_pushed_out(w), 1);
  assert_true(windows_bytes(w) / LIMIT_WINDOW_KEYS < 120);
  numbered(key, 0);
  assert_float_equal(count(w, key, 86400, LIMIT_WINDOW_KEYS), 1, 0); // was out
  numbered(key, 2);
  assert_float_equal(count(w, key, 86400, LIMIT_WINDOW_KEYS), 2, 0);
  numbered(key, 3);
  assert_float_equal(count(w, key, 86400, LIMIT_WINDOW_KEYS), 2, 0);
  for (int i = 0; i < LIMIT_WINDOW_KEYS / 2; i++) {
    numbered(key, -i - 1);
    count(w, key, 86400, LIMIT_WINDOW_KEYS);
    if (i % 5000 == 0) assert_int_equal(get(w, "read only", 0).type, WINDOW_NUMBER);
  }
  assert_int_equal(get(w, "read only", 0).type, WINDOW_NUMBER);
  assert_int_equal(windows_keys(w), LIMIT_WINDOW_KEYS);
  assert_int_equal(windows_pushed_out(w), 2 + LIMIT_WINDOW_KEYS / 2);
  windows_free(w);
}

static void bytes_are_bounded_too(void **state) {
  (void)state;
  struct windows *w = windows_new(false);
  char key[24], value[LIMIT_WINDOW_VALUE_BYTES + 1];
  memset(value, 'v', sizeof value);
  value[LIMIT_WINDOW_VALUE_BYTES] = 0;
  for (int i = 0; i < 40000; i++) {
    numbered(key, i);
    set(w, key, 0, text(value), 0);
    assert_true(windows_bytes(w) <= LIMIT_WINDOW_STATE_BYTES);
  }
  assert_true(windows_bytes(w) > LIMIT_WINDOW_STATE_BYTES - 4096);
  assert_int_equal(windows_keys(w) + windows_pushed_out(w), 40000);
  assert_int_equal(get(w, key, 0).type, WINDOW_TEXT);
  for (int i = 0; i < 40000; i++) {
    numbered(key, i % 900);
    for (int n = 0; n < 2; n++)
      count(w, key, 86400, i * 1000 + n);
    assert_true(windows_bytes(w) <= LIMIT_WINDOW_STATE_BYTES);
  }
  windows_free(w);
}

// ---- spans ----

static void spans_are_read_and_refused_in_words(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint32_t seconds;
    const char *message;
  } cases[] = {
      {"1s", 1, NULL},
      {"10m", 600, NULL},
      {"24h", 86400, NULL},
      {"7d", 604800, NULL},
      {"2w", 1209600, NULL},
      {"366d", 31622400, NULL},
      {"0090s", 90, NULL},
      {"10 minutes", 0, "'10 minutes' is not a span: did you mean '10m'?"},
      {"10min", 0, "'10min' is not a span: did you mean '10m'?"},
      {"5M", 0, "'5M' is not a span: did you mean '5m'?"},
      {"2 housr", 0, "'2 housr' is not a span: did you mean '2h'?"},
      {"1 Week", 0, "'1 Week' is not a span: did you mean '1w'?"},
      {"", 0, "'' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"10", 0, "'10' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"m", 0, "'m' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"1.5h", 0, "'1.5h' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"-5m", 0, "'-5m' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"1\n\xff", 0, "'1 ?' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"3 months", 0, "'3 months' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"0s", 0, "a span is 1s to 366d, not '0s'"},
      {"367d", 0, "a span is 1s to 366d, not '367d'"},
      {"99999999999999999999s", 0, "a span is 1s to 366d, not '99999999999999999999s'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {{0}};
    uint32_t seconds = 0;
    bool ok = span_parse(slice_of(cases[i].text), &seconds, &err);
    assert_int_equal(ok, cases[i].message == NULL);
    assert_string_equal(err.text, cases[i].message ? cases[i].message : "");
    assert_int_equal(seconds, cases[i].seconds);
  }
  uint32_t seconds;
  struct err err = {{0}};
  assert_true(span_of_number(600, &seconds, &err) && seconds == 600);
  assert_false(span_of_number(0.5, &seconds, &err) || span_of_number(0, &seconds, &err) ||
               span_of_number(1e300, &seconds, &err) || span_of_number(0.0 / 0.0, &seconds, &err) ||
               span_of_number(1.5, &seconds, &err));
  assert_string_equal(err.text, "a span is a text such as \"10m\", or whole seconds from 1 to 31622400");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_count_covers_now_minus_span_to_now),
      cmocka_unit_test(a_late_record_goes_to_its_place),
      cmocka_unit_test(kinds_and_spans_are_windows_of_their_own),
      cmocka_unit_test(totals_are_those_of_a_naive_model),
      cmocka_unit_test(past_64_entries_it_goes_by_steps_and_returns),
      cmocka_unit_test(a_steady_key_stays_within_a_step),
      cmocka_unit_test(times_at_the_ends_of_the_world_do_no_harm),
      cmocka_unit_test(values_keep_their_type_until_they_end),
      cmocka_unit_test(a_key_is_silent_for_its_time),
      cmocka_unit_test(what_is_too_long_is_refused_in_words),
      cmocka_unit_test(one_record_changes_a_hundred_keys),
      cmocka_unit_test(the_least_recently_used_key_goes_first),
      cmocka_unit_test(bytes_are_bounded_too),
      cmocka_unit_test(spans_are_read_and_refused_in_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
