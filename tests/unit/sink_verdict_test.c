// sink_verdict_test.c - proves that each form of a verdict is understood, and a wrong one refused in words.
#include "sink_support.h"

static void reads_verdicts(void **state) {
  // Proves: each form of a verdict is understood, and a wrong one is an error in words.
  (void)state;
  struct bound b;
  open_bound(
      &b,
      load("local S = { api = 1, name = 't' }\nfunction S.request() return { url = 'http://h/' } end\n"
           "function S.verdict(response, batch, settings)\n"
           "  local v = {\n"
           "    [200] = { 'delivered' }, [201] = { 'retry', 2.5 }, [202] = { 'retry' }, [203] = { "
           "'reject', 'bad\\n' .. response.body },\n"
           "    [204] = { 'pause', 'why' }, [205] = { 'again', 'file\\t7' }, [206] = { 'halve' }, "
           "[207] = { 'maybe' },\n"
           "    [208] = { { 'delivered', { 'reject', 'r' } } }, [209] = { { 'delivered' } }, [210] = "
           "{ { 'delivered', 'halve' } },\n"
           "    [211] = { 'retry', response.retry_after }, [212] = { 'retry', 'soon' }, [0] = { "
           "'pause', response.error },\n"
           "    [213] = { { { 'retry', 1 }, 'delivered' } }, [214] = { { 'pause', { 'pause', 'full' } } },\n"
           "    [215] = { 'again', response.headers.etag .. response.headers['x-amz-request-id'] },\n"
           "  }\n"
           "  local found = v[response.status]\n"
           "  if found then return found[1], found[2] end\n"
           "end\nreturn S"),
      "{}");
  static const struct {
    int status;
    enum sink_verdict_kind kind;
    double seconds;
    const char *why;
  } cases[] = {
      {200, SINK_DELIVERED, -1, ""},   {201, SINK_RETRY, 2.5, ""},   {202, SINK_RETRY, -1, ""},
      {203, SINK_REJECT, -1, "bad x"}, {204, SINK_PAUSE, -1, "why"}, {205, SINK_AGAIN, -1, "file\t7"},
      {206, SINK_HALVE, -1, ""},       {211, SINK_RETRY, 7, ""},     {0, SINK_PAUSE, -1, "broke off"},
      {215, SINK_AGAIN, -1, "\"9b\"R"},
      {500, SINK_DEFAULT, -1, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(verdict(&b, cases[i].status, "x"));
    assert_int_equal(b.verdict.kind, cases[i].kind);
    assert_true(b.verdict.seconds == cases[i].seconds);
    assert_string_equal(b.verdict.why, cases[i].why);
    assert_null(b.verdict.each);
  }
  assert_true(verdict(&b, 208, ""));
  assert_int_equal(b.verdict.each[0].kind, SINK_DELIVERED);
  assert_int_equal(b.verdict.each[1].kind, SINK_REJECT);
  assert_string_equal(b.verdict.each[1].why, "r");
  assert_true(verdict(&b, 213, ""));
  assert_true(b.verdict.each[0].kind == SINK_RETRY && b.verdict.each[0].seconds == 1);
  assert_true(verdict(&b, 214, ""));
  assert_true(b.verdict.each[0].kind == SINK_PAUSE && b.verdict.each[1].kind == SINK_PAUSE);
  assert_string_equal(b.verdict.each[0].why, "");
  assert_string_equal(b.verdict.each[1].why, "full");
  assert_false(verdict(&b, 207, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: must be nil, \"delivered\", \"retry\", \"reject\", "
                                  "\"pause\", \"halve\", \"again\" or a list");
  assert_false(verdict(&b, 209, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: a list of 1 for 2 records");
  assert_false(verdict(&b, 210, ""));
  assert_string_equal(b.err.text,
                      "t.lua: verdict: of a record it is \"delivered\", \"retry\", \"reject\" or \"pause\"");
  assert_false(verdict(&b, 212, ""));
  assert_string_equal(b.err.text, "t.lua: verdict: \"retry\" takes a number of seconds");
  close_bound(&b);
}

static void without_verdict_hook_it_is_the_default(void **state) {
  // Proves: a sink without verdict() leaves the judgement to the engine.
  (void)state;
  struct bound b;
  open_bound(&b, shipped("rest"), "{\"url\":\"http://h/\"}");
  assert_true(verdict(&b, 200, ""));
  assert_int_equal(b.verdict.kind, SINK_DEFAULT);
  close_bound(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_verdicts),
      cmocka_unit_test(without_verdict_hook_it_is_the_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
