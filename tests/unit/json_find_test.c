// Proves that members are found by key and path, strings unescape, and a value can be stepped over unread.
#include "base/json_tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_support.h"

static uint32_t at(const struct json_tape *t, const char *path) {
  return json_path(t, 0, slice_of(path));
}

static void members_are_found_by_key_and_path(void **state) {
  (void)state;
  struct json_tape t = json_parsed(json_sample);
  assert_true(slice_is(json_raw(&t, at(&t, "operator.country.name")), "\"France\""));
  assert_true(slice_is(json_raw(&t, at(&t, "cost")), "0.01666025"));
  assert_true(slice_is(json_raw(&t, at(&t, "tags")), "[\"a\\\"b\",\"\\u20ac\",[],{},null]"));
  assert_int_equal(at(&t, "operator.country.nam"), JSON_NONE);
  assert_int_equal(at(&t, "operator.country.names"), JSON_NONE);
  assert_int_equal(at(&t, "operator.country.name.more"), JSON_NONE);
  assert_int_equal(at(&t, "tags.id"), JSON_NONE);
  assert_int_equal(at(&t, ""), JSON_NONE);
  assert_int_equal(at(&t, "operator."), JSON_NONE);
  assert_int_equal(json_find(&t, at(&t, "id"), slice_of("id")), JSON_NONE);
  json_tape_fini(&t);
}

static void keys_compare_unescaped_and_the_last_wins(void **state) {
  (void)state;
  struct json_tape t = json_parsed(
      "{\"a\":1,\"\\u0061\":2,\"b\":3,\"\":4,\"\\u0000\":5,\"\\ud83d\\ude00\":6,\"a\\/\":7,\"\\u00e9\":8}");
  assert_true(slice_is(json_raw(&t, at(&t, "a")), "2"));
  assert_true(slice_is(json_raw(&t, at(&t, "")), "4"));
  assert_true(slice_is(json_raw(&t, json_find(&t, 0, slice_make("", 1))), "5"));
  assert_true(slice_is(json_raw(&t, at(&t, "\xf0\x9f\x98\x80")), "6"));
  assert_true(slice_is(json_raw(&t, at(&t, "a/")), "7"));
  assert_true(slice_is(json_raw(&t, at(&t, "\xc3\xa9")), "8"));
  assert_int_equal(at(&t, "\xf0\x9f\x98"), JSON_NONE);
  assert_int_equal(at(&t, "a/b"), JSON_NONE);
  json_tape_fini(&t);
}

static void skip_steps_over_what_a_tape_will_not_take(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
  } cases[] = {
      {"[[[1]]],2", 7},
      {" {\"a]\":\"\\\"}\"} ,", 13},
      {"\"a\\\\\",1", 5},
      {"12 ,3", 2},
      {"true]", 4},
      {"nul", 3},
      {"", 0},
      {"  ", 0},
      {",1", 0},
      {"]", 0},
      {"[1,", 0},
      {"\"a\\\"", 0},
      {"\"a\\", 0},
      {"[\"\xff\x80]\"]x", 7},
      {":", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (json_skip(slice_of(cases[i].text)) != cases[i].len) fail_msg("%s", cases[i].text);
}

static void strings_unescape(void **state) {
  (void)state;
  static const struct {
    const char *inner, *want;
    size_t len;
  } cases[] = {
      {"plain", "plain", 5},
      {"", "", 0},
      {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
      {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac", 6},
      {"a\\u0000b", "a\0b", 3},
      {"\\ud83d\\ude00!", "\xf0\x9f\x98\x80!", 5},
      {"\\udbff\\udfff", "\xf4\x8f\xbf\xbf", 4},
      {"\\ud83d", "\xef\xbf\xbd", 3},
      {"\\ude00", "\xef\xbf\xbd", 3},
      {"\\udc00\\udc00", "\xef\xbf\xbd\xef\xbf\xbd", 6},
      {"\\ud83dx", "\xef\xbf\xbdx", 4},
      {"\\ud83d\\n", "\xef\xbf\xbd\n", 4},
      {"\\ud83d\\u0041",
       "\xef\xbf\xbd"
       "A",
       4},
      {"\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t room = strlen(cases[i].inner);
    char *out = malloc(room + 1); // of exactly this size, so that writing past it shows
    size_t len = json_unescape(slice_of(cases[i].inner), out);
    assert_int_equal(len, cases[i].len);
    assert_memory_equal(out, cases[i].want, len);
    free(out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_are_found_by_key_and_path),
      cmocka_unit_test(keys_compare_unescaped_and_the_last_wins),
      cmocka_unit_test(skip_steps_over_what_a_tape_will_not_take),
      cmocka_unit_test(strings_unescape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
