// masked_test.c - proves that what was made of secrets is not printed, and that all else is.
#include "cmd/masked.h"
#include "sink_support.h"

#include <stdlib.h>

static void assert_prints(const char *text, const char *other, const char *expected) {
  char *printed = NULL;
  size_t len = 0;
  FILE *out = open_memstream(&printed, &len);
  assert_non_null(out);
  masked_print(slice_of(text), slice_of(other), out);
  fclose(out);
  assert_string_equal(printed, expected);
  free(printed);
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
      {"a dXNlcjpzZWNyZXQ= b", "a dXNlcjpmcnBlcmc= b", "a ********= b"}, // the same front hints at what is in it
      {"first abc, and then far off: abc.", "first nop, and then far off: nop.",
       "first ********, and then far off: ********."},
      {"a.b.c", "n.o.p", "********"},             // points alone are no reason to stop
      {"n=10, key=ab, end", "n=10, key=nopqr, end", "n=10, key=********, end"}, // other lengths: from first to last
      {"all of it", "", "********"},
      {"ab", "abab", "ab"}, // nothing of it differs
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_prints(cases[i].text, cases[i].other, cases[i].expected);
}

static void secrets_keep_their_form(void **state) {
  (void)state;
  static const char source[] =
      "return { api = 1, name = 's', title = 'S', framing = 'lines', request = function() end,\n"
      "  settings = { { 'hook', type = 'url', secret = true }, { 'key', type = 'secret' }, { 'marks', type = 'secret' },\n"
      "               { 'more', type = 'headers', secret = true }, { 'plain', type = 'string' } } }";
  struct err err = {0};
  struct sink *sink = sink_load("s.lua", slice_of(source), &err);
  assert_string_equal(err.text, "");
  json_t *settings = json_loads("{\"hook\":\"https://h1/A\",\"key\":\"Ab-z 09\",\"marks\":\"-!-\",\"more\":{\"x\":\"y\"},"
                                "\"plain\":\"as it is\"}", 0, NULL);
  json_t *expected = json_loads("{\"hook\":\"https://u6/N\",\"key\":\"No-m 54\",\"marks\":\"xxx\",\"more\":{\"x\":\"l\"},"
                                "\"plain\":\"as it is\"}", 0, NULL);
  json_t *others = masked_settings(sink, settings);
  assert_true(json_equal(others, expected));
  json_decref(others);
  json_decref(expected);
  json_decref(settings);
  settings = json_pack("{s:s}", "plain", "as it is");
  assert_null(masked_settings(sink, settings)); // no secret is set
  json_decref(settings);
  sink_unref(sink);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_that_differ_are_stars),
      cmocka_unit_test(secrets_keep_their_form),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
