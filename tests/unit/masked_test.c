// masked_test.c - proves that what was made of secrets is not shown, and that all else is.
#include "flow/masked.h"
#include "sink_support.h"

static void assert_shows(const char *text, const char *other, const char *expected) {
  struct buf out;
  buf_init(&out, 1 << 10);
  assert_true(masked_write(slice_of(text), slice_of(other), &out));
  assert_string_equal(buf_text(&out), expected);
  buf_fini(&out);
}

static void words_that_differ_are_stars(void **state) {
  (void)state;
  static const struct {
    const char *text, *other, *expected;
  } cases[] = {
      {"", "", ""},
      {"nothing to hide", "nothing to hide", "nothing to hide"},
      {"Bearer abc", "Bearer nop", "Bearer ********"},
      {"key=abc", "key=nop", "key=********"},
      {"http://h/?k=s3cr3t-a&n=1&z=2", "http://h/?k=f8pe8g-n&n=1&z=2", "http://h/?k=********&n=1&z=2"},
      {"a dXNlcjpzZWNyZXQ= b", "a dXNlcjpmcnBlcmc= b",
       "a ********= b"}, // the same front hints at what is in it
      {"first abc, and then far off: abc.", "first nop, and then far off: nop.",
       "first ********, and then far off: ********."},
      {"a.b.c", "n.o.p", "********"}, // points alone are no reason to stop
      {"n=10, key=ab, end", "n=10, key=nopqr, end",
       "n=10, key=********, end"}, // other lengths: from first to last
      {"all of it", "", "********"},
      {"ab", "abab", "ab"}, // nothing of it differs
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_shows(cases[i].text, cases[i].other, cases[i].expected);
}

static void secrets_keep_their_form(void **state) {
  (void)state;
  static const char source[] =
      "return { api = 1, name = 's', title = 'S', framing = 'lines', request = function() end,\n"
      "  settings = { { 'hook', type = 'url', secret = true }, { 'key', type = 'secret' }, { 'marks', type = "
      "'secret' },\n"
      "               { 'more', type = 'headers', secret = true }, { 'plain', type = 'string' } } }";
  struct err err = {0};
  struct sink *sink = sink_load("s.lua", slice_of(source), &err);
  assert_string_equal(err.text, "");
  json_t *settings =
      json_loads("{\"hook\":\"https://h1/A\",\"key\":\"Ab-z 09\",\"marks\":\"-!-\",\"more\":{\"x\":\"y\"},"
                 "\"plain\":\"as it is\"}",
                 0, NULL);
  json_t *expected =
      json_loads("{\"hook\":\"https://u6/N\",\"key\":\"No-m 54\",\"marks\":\"xxx\",\"more\":{\"x\":\"l\"},"
                 "\"plain\":\"as it is\"}",
                 0, NULL);
  json_t *others;
  assert_true(masked_settings(sink, settings, &others));
  assert_true(json_equal(others, expected));
  json_decref(others);
  json_decref(expected);
  json_decref(settings);
  settings = json_pack("{s:s}", "plain", "as it is");
  assert_true(masked_settings(sink, settings, &others));
  assert_null(others); // no secret is set
  json_decref(settings);
  sink_unref(sink);
}

static void a_text_too_long_is_not_shown_in_part(void **state) {
  (void)state;
  struct buf out;
  buf_init(&out, 10);
  assert_false(masked_write(slice_of("key=abc and more"), slice_of("key=nop and more"), &out));
  buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_that_differ_are_stars),
      cmocka_unit_test(secrets_keep_their_form),
      cmocka_unit_test(a_text_too_long_is_not_shown_in_part),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
