// Proves that what a script's state remembers from record to record (shapes of tables, texts of numbers, the
// kind) never shows in a later one.
#include "script_support.h"

static void tables_of_other_shapes_are_written_right(void **state) {
  // One after the other and inside each other: as many members, other keys, orders and lengths.
  (void)state;
  struct runner r;
  runner_open(
      &r, load("local n = 0\n"
               "local shapes = { { b = 1, a = 2 }, { d = 1, c = 2 }, { b = { z = 1, y = { x = 2, w = 3 } }, "
               "a = 2 },\n"
               "  { ['a long key, longer than most are'] = 1, b = 2 }, { ['\\n'] = 1, ['\xc3\xa4'] = 2 } }\n"
               "return { api = 1, map = function() n = n + 1 return shapes[(n - 1) % 5 + 1] end }"));
  for (int round = 0; round < 3; round++) {
    assert_string_equal(run(&r), "{\"a\":2,\"b\":1}");
    assert_string_equal(run(&r), "{\"c\":2,\"d\":1}");
    assert_string_equal(run(&r), "{\"a\":2,\"b\":{\"y\":{\"w\":3,\"x\":2},\"z\":1}}");
    assert_string_equal(run(&r), "{\"a long key, longer than most are\":1,\"b\":2}");
    assert_string_equal(run(&r), "{\"\\n\":1,\"\xc3\xa4\":2}");
  }
  runner_close(&r);
}

static void tables_that_begin_alike_are_told_apart(void **state) {
  // A shape is taken from key to key, and what is no key of a text ends it.
  (void)state;
  struct runner r;
  runner_open(&r, load("local n = 0\n"
                       "return { api = 1, map = function(rec) n = n + 1 local t = {}\n"
                       "  for i = 1, n % 12 do t['k' .. i] = i end\n"
                       "  local key = ({ true, 2.5, rec, null, rec.big, t })[n % 7]\n"
                       "  if key then t[key] = 1 end\n"
                       "  local ok, text = pcall(json.encode, t)\n"
                       "  return { ok = ok, text = text } end }"));
  for (int n = 1; n < 200; n++) {
    char *got = test_malloc(1024), *at = got;
    strcpy(got, run(&r));
    if (n % 7 && n % 12) {
      assert_non_null(strstr(got, "{\"ok\":false,\"text\":\"json.encode: "));
    } else if (n % 12) {
      assert_non_null(strstr(got, "{\"ok\":true,\"text\":\"{"));
      for (int i = 1; i <= n % 12; i++) {
        char member[32];
        snprintf(member, sizeof member, "\\\"k%d\\\":%d", i, i);
        assert_non_null(strstr(got, member));
      }
      int members = 0;
      for (; (at = strchr(at, 'k')) != NULL; at++)
        members += at[-1] == '"' && at[1] != '"';
      assert_int_equal(members, n % 12);
    }
    test_free(got);
  }
  runner_close(&r);
}

static void a_field_is_named_in_a_table_of_a_known_shape(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("local n = 0\n"
                       "return { api = 1, map = function() n = n + 1\n"
                       "  return { x = 1, list = { { b = n % 2 == 0 and 0 / 0 or n, c = 1 } } } end }"));
  for (int round = 0; round < 3; round++) {
    char kept[64];
    snprintf(kept, sizeof kept, "{\"list\":[{\"b\":%d,\"c\":1}],\"x\":1}", 2 * round + 1);
    assert_string_equal(run(&r), kept);
    assert_string_equal(run(&r), "failed: 2: result of map: field 'list[1].b': is not a number (NaN)");
  }
  runner_close(&r);
}

static void keys_that_come_once_are_written_right(void **state) {
  // Texts are collected all the time, and others take their places.
  (void)state;
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec) local n = rec.n return { ['b' .. n] = n, ['a' "
                       ".. n % 89] = { ['k' .. n % 13] = n }, fixed = 0 } end }"));
  for (int n = 0; n < 20000; n++) {
    char record[32], expected[100];
    snprintf(record, sizeof record, "{\"n\":%d}", n);
    snprintf(expected, sizeof expected, "{\"a%d\":{\"k%d\":%d},\"b%d\":%d,\"fixed\":0}", n % 89, n % 13, n, n,
             n);
    assert_string_equal(run_record(&r, 0, slice_of(record)), expected);
  }
  assert_in_range(script_memory(r.script), 1, 400 << 10);
  runner_close(&r);
}

static void keys_alike_are_told_apart(void **state) {
  // Of one length and one first byte; empty; longer than any usual one by a multiple of 256.
  (void)state;
  char record[1024], source[1024], name[300];
  memset(name, 'k', 258);
  name[258] = 0;
  snprintf(record, sizeof record,
           "{\"ka\":1,\"kb\":2,\"%s\":3,\"kkk\":4,\"\":5,\"volume_a\":6,\"volume_b\":7}", name);
  snprintf(
      source, sizeof source,
      "return { api = 1, map = function(rec) return { rec.ka, rec.kb, rec['%s'] or 0, rec.kkk, rec[''] "
      "or 0, rec.volume_a, rec.volume_b or 0, rec.kc == nil, rec.volume_c == nil, rec['\"'] == nil } end }",
      name);
  struct runner r;
  runner_open(&r, load(source));
  assert_string_equal(run_record(&r, 0, slice_of(record)), "[1,2,3,4,5,6,7,true,true,true]");
  assert_string_equal(run_record(&r, 0, slice_of("{\"ka\":1,\"kb\":2,\"kkk\":4,\"volume_a\":6}")),
                      "[1,2,0,4,0,6,0,true,true,true]");
  runner_close(&r);
}

static void numbers_read_are_written_in_their_shortest_form(void **state) {
  // Whatever a record writes, and whether or not another record has written the same number otherwise.
  (void)state;
  static const struct {
    const char *read, *written;
  } numbers[] = {
      {"1.50", "1.5"},
      {"1.5", "1.5"},
      {"0", "0"},
      {"0.0", "0"},
      {"0", "0"},
      {"-0", "-0"},
      {"-0.0", "-0"},
      {"-0e5", "-0"},
      {"-7", "-7"},
      {"-7.25", "-7.25"},
      {"5", "5"},
      {"5.0", "5"},
      {"5e0", "5"},
      {"1e3", "1000"},
      {"1E3", "1000"},
      {"1000", "1000"},
      {"0.000001", "0.000001"},
      {"0.0000012", "0.0000012"},
      {"0.0000001", "1e-7"},
      {"123456789.123456", "123456789.123456"},
      {"0.12345678901234", "0.12345678901234"},
      {"0.30000000000001", "0.30000000000001"},
      {"9007199254740992", "9007199254740992"},
      {"9007199254740993", "9007199254740993"},
      {"1234567890123456", "1234567890123456"},
      {"12345678901.5000", "12345678901.5"},
      {"1e22", "1e+22"},
      {"0.1000000000000000055511151231257827", "0.1"},
  };
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec) return { rec.n } end }"));
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
      char record[100], expected[100];
      snprintf(record, sizeof record, "{\"n\":%s}", numbers[i].read);
      snprintf(expected, sizeof expected, "[%s]", numbers[i].written);
      assert_string_equal(run_record(&r, 0, slice_of(record)), expected);
    }
  runner_close(&r);
}

static void a_context_gives_the_kind_of_each_record(void **state) {
  // By itself, without a place among its fields; what a script sets is the script's own.
  (void)state;
  static const char event[] = "{\"id\":1,\"organisation\":{\"id\":1},\"event_type\":{\"id\":1}}",
                    usage[] = "{\"id\":1,\"organisation\":{\"id\":1},\"volume\":{}}";
  struct err err = {{0}};
  struct runner r;
  runner_open(&r, load("local first\n"
                       "return { api = 1, map = function(rec, ctx) first = first or ctx\n"
                       "  if rec.set then ctx.kind = rec.set end\n"
                       "  local fields = 0 for _ in pairs(ctx) do fields = fields + 1 end\n"
                       "  return { ctx.kind, first.kind, fields } end }"));
  assert_true(script_set_context(r.script, 1, slice_of("{\"stream\":{}}"), &err));
  assert_true(script_set_context(r.script, 2, slice_of("{\"stream\":{}}"), &err));
  for (int round = 0; round < 3; round++) {
    assert_string_equal(run_record(&r, 1, slice_of(event)), "[\"event\",\"event\",1]");
    assert_string_equal(run_record(&r, 1, slice_of(usage)), "[\"usage\",\"usage\",1]");
    assert_string_equal(run_record(&r, 2, slice_of(usage)), "[\"usage\",\"usage\",1]");
  }
  assert_string_equal(run_record(&r, 2, slice_of("{\"set\":\"mine\"}")), "[\"mine\",\"event\",2]");
  assert_string_equal(run_record(&r, 2, slice_of(usage)), "[\"mine\",\"usage\",2]");
  runner_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables_of_other_shapes_are_written_right),
      cmocka_unit_test(tables_that_begin_alike_are_told_apart),
      cmocka_unit_test(a_field_is_named_in_a_table_of_a_known_shape),
      cmocka_unit_test(keys_that_come_once_are_written_right),
      cmocka_unit_test(keys_alike_are_told_apart),
      cmocka_unit_test(numbers_read_are_written_in_their_shortest_form),
      cmocka_unit_test(a_context_gives_the_kind_of_each_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
