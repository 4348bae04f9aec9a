// Proves that hooks read a record as it is, that what they return becomes the JSON it should be, and that
// failures name the place.
#include "base/limits.h"
#include "script_support.h"

#include <stdlib.h>

static void a_record_reads_like_a_table(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { a = rec.id, b = rec.endpoint.id, c = rec.cost, d = rec.alert }",
       "{\"a\":174000001,\"b\":8000135,\"c\":0.008531,\"d\":false}"},
      {"return { a = rec.organisation.name }", "{\"a\":\"Customer \\\"80000\\\" \xe2\x82\xac\"}"},
      {"return { a = rec.endpoint.name == nil, b = rec.nothing == nil, c = has(rec, 'endpoint.name'), d = "
       "has(rec, 'no.name') }",
       "{\"a\":true,\"b\":true,\"c\":true,\"d\":false}"},
      {"return { a = get(rec, 'endpoint.name', 'none'), b = get(rec, 'detail.volume.total'), c = get(rec, "
       "'x.y', 0), d = get(nil, 'x', 1) }",
       "{\"a\":\"none\",\"b\":1.5,\"c\":0,\"d\":1}"},
      {"local t = { a = { b = rec, n = null } } return { get(t, 'a.b.endpoint.id'), get(t, 'a.n', 2), has(t, "
       "'a.n'), has(t, 'a.x') }",
       "[8000135,2,true,false]"},
      {"return { type(rec), type(rec.endpoint), type(rec.id), type(rec.big), type(null), type('') }",
       "[\"table\",\"table\",\"number\",\"number\",\"null\",\"string\"]"},
      {"return { #rec.endpoint.tags, #rec.none, #rec.endpoint, rec.endpoint.tags[2], rec.endpoint.tags[4], "
       "rec.endpoint.tags[1] }",
       "[4,0,0,\"truck\",7,\"fleet\"]"},
      {"return { tostring(rec.endpoint.tags[3]), tostring(rec.endpoint.tags[5]), "
       "tostring(rec.endpoint.tags[0]), tostring(rec.endpoint.tags[1.5]) }",
       "[\"nil\",\"nil\",\"nil\",\"nil\"]"},
      {"local t = {} for i, v in ipairs(rec.endpoint.tags) do t[i] = v end return t",
       "[\"fleet\",\"truck\"]"},
      {"local t = {} for k, v in pairs(rec.endpoint.tags) do t[#t + 1] = k .. v end return t",
       "[\"1fleet\",\"2truck\",\"47\"]"},
      {"local t = {} for k, v in pairs(rec.endpoint) do t[k] = v end return t",
       "{\"id\":8000135,\"tags\":[\"fleet\",\"truck\",null,7]}"},
      {"local t = {} for k, v in pairs(rec.empty) do t[k] = v end return t", "{}"},
      {"local k, v = next(rec.endpoint) local k2 = next(rec.endpoint, k) return { k, v, k2, next(rec.empty) "
       "== nil }",
       "[\"id\",8000135,\"tags\",true]"},
      {"return { table.concat(rec.detail and { 'a', 'b' }, ','), (unpack(rec.endpoint.tags)) }",
       "[\"a,b\",\"fleet\"]"},
      {"return { rec.detail == rec.detail, rec.detail == rec.endpoint, rec.detail.volume == rec }",
       "[true,false,false]"},
      {"local t = {} t[rec.detail] = 1 return { t[rec.detail], t[rec.endpoint] == nil }", "[1,true]"},
      {"return { null.x }", "failed: 1: attempt to index a null value"},
      {"null.x = 1", "failed: 1: attempt to index a null value"},
      {"return { #null }", "failed: 1: attempt to get length of a null value"},
      {"rec.id = 5", "failed: 1: records can't be changed: build a new table"},
      {"return { a = rec.nothing.more }", "failed: 1: rec.nothing is nil: no record has such a field"},
      {"return { tostring(rec), tostring(print), tostring(tostring), tostring({}), tostring(null) }",
       "[\"table\",\"nil\",\"function\",\"table\",\"null\"]"},
  };
  RUN_BODIES(cases);
}

static void large_integers_are_exact(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { rec.big, rec.huge, rec.small, rec.edge }",
       "[898822806670000135,18446744073709551616,-9007199254740993,9007199254740992]"},
      {"return { rec.big == rec.big, rec.big ~= rec.huge, rec.big == 898822806670000135, rec.big < rec.huge, "
       "rec.huge <= rec.small }",
       "[true,true,false,true,false]"},
      {"local t = {} t[rec.big] = 'x' return { t[rec.big], tostring(t[rec.huge]) }", "[\"x\",\"nil\"]"},
      {"return { 'id:' .. rec.big, rec.huge .. '!', tostring(rec.small), rec.big .. rec.huge }",
       "[\"id:898822806670000135\",\"18446744073709551616!\",\"-9007199254740993\","
       "\"89882280667000013518446744073709551616\"]"},
      {"return { compare(rec.big, rec.huge), compare(rec.big, 5), compare(5, rec.big), compare(rec.small, "
       "-9007199254740992), compare(1, 1.5), "
       "compare(rec.big, rec.big), compare(rec.huge, 1 / 0), compare(rec.small, -1 / 0), compare(rec.huge, 2 "
       "^ 64) }",
       "[-1,1,-1,-1,-1,0,-1,1,0]"},
      {"return { string.format('%d %s %5d', rec.big, rec.small, 7), tonumber(rec.big) }",
       "[\"898822806670000135 -9007199254740993     7\",898822806670000135]"},
      {"return { tostring(862789030000135), tostring(1e15), tostring(0.1), string.format('%s', rec.edge) }",
       "[\"862789030000135\",\"1000000000000000\",\"0.1\",\"9007199254740992\"]"},
      {"return { rec.big + 1 }",
       "failed: 1: arithmetic on an integer beyond 2^53 would lose digits (tonumber(tostring(x)) rounds it)"},
      {"return { #rec.big }", "failed: 1: attempt to get length of a number value"},
      {"return { string.match(rec.big, '^%d%d%d'), string.find(rec.huge, 446), (string.gsub(rec.small, '-', "
       "rec.big)), "
       "(string.gsub('x', 'x', function() return rec.big end)), string.rep(rec.big, 2, rec.huge), "
       "string.gmatch(rec.big, '35$')() }",
       "[\"898\",3,\"8988228066700001359007199254740993\",\"898822806670000135\","
       "\"89882280667000013518446744073709551616898822806670000135\",\"35\"]"},
      {"return { string.len(rec.big), string.sub(rec.big, -4), string.byte(rec.big), string.lower(rec.big), "
       "string.upper(rec.big), "
       "string.reverse(rec.big), string.len(500), ('Abc'):sub(2), ('Abc'):lower(), string.upper('Abc') }",
       "[18,\"0135\",56,\"898822806670000135\",\"898822806670000135\",\"531000076608228898\",3,\"bc\","
       "\"abc\",\"ABC\"]"},
      {"return { string.sub({}, 1) }", "failed: 1: bad argument #1 to 'sub' (string expected, got table)"},
      {"return { table.concat({ rec.big, 1, 'x', 0.5 }, '-'), table.concat({}), table.concat({ 1, 2, 3 }, "
       "',', 2), table.concat({ 1, 2, 3 }, ',', "
       "2, 2), table.concat(array{ 'a' }, 5), table.concat({ 1, 2 }, rec.cost) }",
       "[\"898822806670000135-1-x-0.5\",\"\",\"2,3\",\"2\",\"a\",\"10.0085312\"]"},
      {"return { table.concat({ 1, {} }) }",
       "failed: 1: invalid value (table) at index 2 in table for 'concat'"},
      {"return { table.concat({ 1 }, '', 1, 2 ^ 30) }",
       "failed: 1: invalid value (nil) at index 2 in table for 'concat'"},
      {"return { compare('a', 1) }", "failed: 1: bad argument #1 to 'compare' (number expected, got string)"},
  };
  RUN_BODIES(cases);
}

static void results_become_json(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return rec.detail", "{\"volume\":{\"total\":1.50,\"tx\":0}}"},
      {"return { x = rec.detail.volume, y = rec.endpoint.tags, z = rec.none, w = rec.empty }",
       "{\"w\":{},\"x\":{\"total\":1.50,\"tx\":0},\"y\":[\"fleet\",\"truck\",null,7],\"z\":[]}"},
      {"return {}", "{}"},
      {"return { a = {}, b = array{}, c = object{}, d = { {} }, e = null, f = array{ null, 1 } }",
       "{\"a\":{},\"b\":[],\"c\":{},\"d\":[{}],\"e\":null,\"f\":[null,1]}"},
      {"return { bb = 1, b = 2, a = 3, ab = 4, ['\xc3\xa4'] = 5, B = 6, [''] = 7 }",
       "{\"\":7,\"B\":6,\"a\":3,\"ab\":4,\"b\":2,\"bb\":1,\"\xc3\xa4\":5}"},
      {"return { 0.1, 1e300, -0.5, 1 / 3, 100, -5, 2 ^ 53, true, false }",
       "[0.1,1e+300,-0.5,0.3333333333333333,100,-5,9007199254740992,true,false]"},
      {"return { ['a\"b'] = 'line\\n\\0\\\\', c = '\xff', d = '\xe2\x82\xac' }",
       "{\"a\\\"b\":\"line\\n\\u0000\\\\\",\"c\":\"\xef\xbf\xbd\",\"d\":\"\xe2\x82\xac\"}"},
      {"return nil", "filtered: map"},
      {"return", "filtered: map"},
      {"return array{}", "filtered: map"},
      {"return array{ { a = 1 }, rec.detail, array{ 1, 2 } }",
       "{\"a\":1} | {\"volume\":{\"total\":1.50,\"tx\":0}} | [1,2]"},
      {"return array(rec.endpoint.tags)",
       "failed: 1: map must return a table, the record, array{...} of these, or nil: not a string"},
      {"return { array(rec.endpoint.tags), object(rec.detail), #array(rec.endpoint.tags) }",
       "failed: 1: result of map: field '[1]': numbers as keys must be 1 to n without holes (null fills "
       "one)"},
      {"return { { 1 }, { 2 } }", "[[1],[2]]"},
      {"return setmetatable({ a = 1 }, { __index = { b = 2 } })", "{\"a\":1}"},
      {"return { json.encode({ b = 1, a = rec.none }), json.encode('x'), json.encode(null), "
       "json.encode(rec.big) }",
       "[\"{\\\"a\\\":[],\\\"b\\\":1}\",\"\\\"x\\\"\",\"null\",\"898822806670000135\"]"},
  };
  RUN_BODIES(cases);
}

static void what_is_no_json_is_an_error_that_names_the_field(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { a = { { b = 0 / 0 } } }", "failed: 1: result of map: field 'a[1].b': is not a number (NaN)"},
      {"return { a = 1 / 0 }", "failed: 1: result of map: field 'a': is infinite"},
      {"return { a = { f = function() end } }",
       "failed: 1: result of map: field 'a.f': a function can't be written as JSON"},
      {"return { a = { [1] = 1, [3] = 1 } }",
       "failed: 1: result of map: field 'a': numbers as keys must be 1 to n without holes (null fills one)"},
      {"return { a = { [0] = 1 } }",
       "failed: 1: result of map: field 'a': keys must be texts, or 1 to n without holes"},
      {"return { a = { [true] = 1 } }",
       "failed: 1: result of map: field 'a': keys must be texts, not a boolean beside them"},
      {"return { 1, a = 2 }", "failed: 1: result of map: a list with a key that is a string"},
      {"local t = {} t.t = t return t", "failed: 1: result of map: field 't.t.t.t.t.t.t.t.t.t.t.t.t.t.t.t': "
                                        "more than 16 tables inside each other"},
      {"local t = {} for i = 1, 2001 do t[i] = i end return t",
       "failed: 1: result of map: more than 2000 values"},
      {"local t = {} for i = 1, 2001 do t['k' .. i] = i end return t",
       "failed: 1: result of map: field 'k998': more than 2000 values"},
      {"local t = {} for i = 1, 100 do t[i] = {} for j = 1, 30 do t[i][j] = j end end return t",
       "failed: 1: result of map: field '[65][15]': more than 2000 values"},
      {"local t = array{} for i = 1, 1500 do t[i] = { i } end return t",
       "failed: 1: result of map: more than 2000 values"},
      {"return { a = 'x', b = ('x'):rep(300000) }",
       "failed: 1: result of map: field 'b': the result is longer than 262144 bytes"},
      {"return 5",
       "failed: 1: map must return a table, the record, array{...} of these, or nil: not a number"},
      {"return null",
       "failed: 1: map must return a table, the record, array{...} of these, or nil: not a null"},
      {"return array{ 1 }",
       "failed: 1: map must return a table, the record, array{...} of these, or nil: not a number"},
      {"json.encode({ a = 0 / 0 })", "failed: 1: json.encode: field 'a': is not a number (NaN)"},
  };
  RUN_BODIES(cases);
}

static void limits_of_a_result_are_exact(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"local t = {} for i = 1, 1999 do t[i] = 1 end log(#json.encode(t)) return { n = #json.encode(t) }",
       "{\"n\":3999}"},
      {"return { n = #json.encode(('x'):rep(262142)) }", "{\"n\":262144}"},
      {"return { n = json.encode(('x'):rep(262143)) }",
       "failed: 1: json.encode: the result is longer than 262144 bytes"},
      {"local t = 1 for i = 1, 16 do t = array{ t, 2 } end return { #json.encode(t) }", "[65]"},
      {"local t = {} for i = 1, 15 do t = { t } end return { json.encode(t) }",
       "[\"[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]\"]"},
  };
  RUN_BODIES(cases);
}

static void keys_are_sorted_by_bytes_in_tables_of_any_size(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec) local t = {} for i = 1, rec.n do t['k' .. i * "
                       "7919 % 1000] = { b = i, a = {} } end "
                       "return t end }"));
  for (int n = 1; n < 400; n += 7) {
    char record[32], *at, last[16] = "", key[16];
    snprintf(record, sizeof record, "{\"n\":%d}", n);
    run_record(&r, 0, slice_of(record));
    assert_int_equal(r.result.outcome, SCRIPT_KEPT);
    int seen = 0;
    at = (char *)buf_text(&r.result.bytes);
    for (; (at = strstr(at, "\"k")) != NULL && sscanf(at, "\"%15[^\"]\":{\"a\":{},\"b\":", key) == 1;
         at++, seen++) {
      assert_true(strcmp(last, key) < 0);
      strcpy(last, key);
    }
    assert_int_equal(seen, n);
  }
  runner_close(&r);
}

static void a_whole_record_may_be_longer_than_a_result(void **state) {
  (void)state;
  size_t len = 900000;
  char *record = test_malloc(len + 64);
  int head = sprintf(record, "{\"id\":1,\"organisation\":{\"id\":2},\"event_type\":{\"id\":1},\"x\":\"");
  memset(record + head, 'y', len - (size_t)head);
  memcpy(record + len, "\"}", 2);
  struct slice text = slice_make(record, len + 2);
  struct runner r;
  runner_open(&r, load("local M = { api = 1 } function M.map(rec) return rec end return M"));
  run_record(&r, 0, text);
  assert_int_equal(r.result.outcome, SCRIPT_KEPT);
  assert_int_equal(r.result.bytes.len, text.len);
  assert_memory_equal(r.result.bytes.at, text.at, text.len);
  runner_close(&r);
  runner_open(&r, load("local M = { api = 1 } function M.map(rec) return { r = rec } end return M"));
  assert_string_equal(run_record(&r, 0, text),
                      "failed: 1: result of map: field 'r': the result is longer than 262144 bytes");
  runner_close(&r);
  runner_open(&r, load("local M = { api = 1 } function M.map(rec) return array{ rec, rec } end return M"));
  assert_string_equal(run_record(&r, 0, text), "failed: 1: the result is too long");
  runner_close(&r);
  test_free(record);
}

static void filter_keeps_or_says_why_not(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return true", "{\"id\":1}"},
      {"return 'yes'", "{\"id\":1}"},
      {"return false", "filtered: filter"},
      {"return nil", "filtered: filter"},
      {"return false, 'too small'", "filtered: too small"},
      {"return false, 5", "filtered: filter"},
      {"return false, ''", "filtered: filter"},
      {"return false, ('\xe2\x82\xac'):rep(40)", // 21 characters of 3 bytes fit 64
       "filtered: "
       "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
       "\x82\xac"
       "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
       "\x82\xac\xe2\x82\xac"
       "\xe2\x82\xac\xe2\x82\xac"},
      {"return false, 'a\\n\\tb\\255c\\0'", "filtered: a b?c "},
      {"\n\nerror('no')", "failed: 3: no"},
      {"error('no', 0)", "failed: 1: no"},
      {"error({ code = 5 })", "failed: 1: error value is a table"},
      {"error()", "failed: 1: error value is a nil"},
      {"local x = nil + 1", "failed: 1: attempt to perform arithmetic on a nil value"},
      {"return fliter(rec)", "failed: 1: global 'fliter' is not known"},
      {"return frobnicate(rec, 'x')", "failed: 1: global 'frobnicate' is not known"},
      {"return tostirng(rec)", "failed: 1: global 'tostirng' is not known; did you mean 'tostring'?"},
      {"return unknown == nil", "{\"id\":1}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char source[2048];
    struct runner r;
    snprintf(
        source, sizeof source,
        "return { api = 1, filter = function(rec, ctx) %s end, map = function(rec) return { id = 1 } end }",
        cases[i].source);
    runner_open(&r, load(source));
    const char *got = run(&r);
    if (strcmp(got, cases[i].expected) != 0)
      fail_msg("%s\n  gives    %s\n  expected %s", cases[i].source, got, cases[i].expected);
    runner_close(&r);
  }
}

static void without_map_the_record_passes_as_it_is(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("return { api = 1, filter = function() return true end }"));
  assert_string_equal(run(&r), event_record);
  runner_close(&r);
  runner_open(&r, load("return { api = 1, match = { event_type = { 5 } } }"));
  assert_string_equal(
      run_record(&r, 0, slice_of("  {\"id\":1, \"organisation\":{\"id\":2},\"event_type\":{\"id\":5}} ")),
      "{\"id\":1, \"organisation\":{\"id\":2},\"event_type\":{\"id\":5}}");
  assert_string_equal(
      run_record(&r, 0, slice_of("{\"id\":1,\"organisation\":{\"id\":2},\"event_type\":{\"id\":6}}")),
      "filtered: match");
  assert_string_equal(run_record(&r, 0, slice_of("{\"id\":1,\"organisation\":{\"id\":2},\"volume\":{}}")),
                      "filtered: match");
  runner_close(&r);
}

static void duplicate_and_escaped_keys_are_found(void **state) {
  (void)state;
  struct runner r;
  runner_open(
      &r, load("return { api = 1, map = function(rec) return { rec.a, rec['b\"'], get(rec, 'a') } end }"));
  assert_string_equal(run_record(&r, 0, slice_of("{\"a\":1,\"b\\\"\":2,\"\\u0061\":3}")), "[3,2,3]");
  runner_close(&r);
}

static void times_are_read_in_all_forms(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { time.iso('2019-07-17T16:28:00.000+0000'), time.iso('2019-12-11T05:49:29'), "
       "time.iso('2019-07-17 08:21:11') }",
       "[\"2019-07-17T16:28:00.000Z\",\"2019-12-11T05:49:29.000Z\",\"2019-07-17T08:21:11.000Z\"]"},
      {"return { time.parse('1970-01-01T00:00:01Z'), time.parse('1970-01-01 02:00:00.5+02:00'), "
       "time.parse('1970-01-01T00:00:00-0130'), "
       "time.parse('1969-12-31'), time.parse('2000-02-29'), time.parse(5.9) }",
       "[1000,500,5400000,-86400000,951782400000,5]"},
      {"return { time.iso(951782400123), time.iso(-1), tostring(time.iso(nil)), tostring(time.parse(nil)) }",
       "[\"2000-02-29T00:00:00.123Z\",\"1969-12-31T23:59:59.999Z\",\"nil\",\"nil\"]"},
      {"local n = 0 for _, s in ipairs{ '', 'x', '2019', '2019-13-01', '2019-02-29', '2019-00-01', "
       "'2019-01-32', '2019-01-01T', '2019-01-01T24:00:00', "
       "'2019-01-01T00:60', '2019-01-01T00:00:00+', '2019-01-01T00:00:00.Z', '2019-01-01T00:00:00Zx', "
       "'19-01-01', '2019-1-1', '2019-01-01x00:00' } "
       "do if time.parse(s) ~= nil then error(s) end n = n + 1 end return { n = n }",
       "{\"n\":16}"},
      {"return { select(2, time.parse('x')) }", "[\"not a time\"]"},
      {"time.iso('gestern')", "failed: 1: time.iso: not a time: gestern"},
      {"time.iso({})", "failed: 1: time.iso: not a time: table"},
      {"time.iso(1e300)", "failed: 1: time.iso: not a time: number"},
  };
  RUN_BODIES(cases);
}

static void a_context_is_the_streams_own(void **state) {
  (void)state;
  struct err err = {{0}};
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec, ctx) return { k = ctx.kind, n = ctx.now, s = "
                       "ctx.stream, p = ctx.parameters, "
                       "x = ctx.nothing } end }"));
  assert_string_equal(run(&r), "{\"k\":\"event\",\"n\":1795132800049}");
  assert_true(script_set_context(r.script, 1,
                                 slice_of("{\"stream\":{\"id\":\"st_1\",\"organisation_id\":null},"
                                          "\"parameters\":{\"l\":[],\"b\":12345678901234567890}}"),
                                 &err));
  assert_true(script_set_context(r.script, 70000,
                                 slice_of("{\"stream\":{\"id\":\"st_2\"},\"parameters\":{}}"), &err));
  assert_string_equal(run_record(&r, 1, slice_of("{\"end_timestamp\":\"1970-01-01T00:00:02\",\"volume\":1}")),
                      "{\"k\":\"event\",\"n\":2000,\"p\":{\"b\":12345678901234567890,\"l\":[]},\"s\":{\"id\":"
                      "\"st_1\",\"organisation_id\":null}}");
  assert_string_equal(
      run_record(&r, 70000, slice_of("{\"id\":1,\"organisation\":{\"id\":1},\"start_timestamp\":\"never\"}")),
      "{\"k\":\"usage\",\"n\":1000,\"p\":{},\"s\":{\"id\":\"st_2\"}}");
  assert_true(script_set_context(r.script, 1, slice_of("{\"parameters\":{}}"), &err));
  assert_string_equal(run(&r), "{\"k\":\"event\",\"n\":1795132800049}");
  assert_string_equal(run_record(&r, 1, slice_of(event_record)),
                      "{\"k\":\"event\",\"n\":1795132800049,\"p\":{}}");
  script_forget_context(r.script, 1);
  script_forget_context(r.script, 5);
  assert_string_equal(run_record(&r, 1, slice_of(event_record)), "{\"k\":\"event\",\"n\":1795132800049}");
  assert_false(script_set_context(r.script, 2, slice_of("{"), &err));
  assert_non_null(strstr(err.text, "context: at byte 1: "));
  err = (struct err){{0}};
  assert_false(script_set_context(r.script, 2, slice_of("5"), &err));
  assert_string_equal(err.text, "context: not an object");
  assert_false(script_worn(r.script));
  runner_close(&r);
}

static void keep_line(void *arg, const char *text, size_t len) {
  char *line = arg;
  snprintf(line, 2000, "%.*s", (int)len, text);
}

static void a_script_writes_to_its_log(void **state) {
  (void)state;
  char line[2000] = "";
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec) log('a\\nb', 1.5, rec.big, nil, {}, rec, "
                       "('\xe2\x82\xac'):rep(500)) end }"));
  assert_string_equal(run(&r), "filtered: map"); // without a receiver it goes nowhere
  script_set_log(r.script, keep_line, line);
  run(&r);
  assert_memory_equal(line, "a b 1.5 898822806670000135 nil table table \xe2\x82\xac", 46);
  assert_in_range(strlen(line), LIMIT_SCRIPT_LOG_BYTES - 3, LIMIT_SCRIPT_LOG_BYTES);
  assert_int_equal((unsigned char)line[strlen(line) - 1], 0xac); // no character is cut in two
  runner_close(&r);
}

static void a_sink_maps_to_any_body_and_a_key(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { id = rec.id }, rec.endpoint.id", "{\"id\":174000001} key 8000135"},
      {"return rec.detail, 'k'", "{\"volume\":{\"total\":1.50,\"tx\":0}} key k"},
      {"return 'a,b', rec.big", "\"a,b\" key 898822806670000135"},
      {"return array{ 1, 2 }", "[1,2]"},
      {"return nil, 'k'", "filtered: map"},
      {"return raw('a b=1 \"q\"'), 'k'", "a b=1 \"q\" key k"},
      {"return raw(base64(hmac_sha256('k', sha256('a'))))",
       "YjRjZWMzNDYzMzgzMzk0ZjMzMGRiOGQwMDI5NDE0YmJmMTM4NWMyZDUyNTMzYzViOTQ0ODZkYWMwZTMzMmNjMQ=="},
      {"return { a = raw('a') }", "failed: 1: result of map: field 'a': what raw() makes is a body, not a part of one"},
      {"return raw('')", "failed: 1: raw: the text is empty"},
      {"local t = raw(5) return t", "failed: 1: bad argument #1 to 'raw' (string expected, got number)"},
      {"return {}, {}", "failed: 1: map: a key is a string or a number, not a table"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char source[512];
    struct runner r;
    struct err err = {{0}};
    snprintf(source, sizeof source, "return { api = 1, name = 'x', map = function(rec, ctx) %s end }",
             cases[i].source);
    struct script *script = script_load("sink", slice_of(source), SCRIPT_SINK, NULL, &err);
    assert_non_null(script);
    runner_open(&r, script);
    assert_string_equal(run(&r), cases[i].expected);
    runner_close(&r);
  }
}

static void one_script_runs_many_records(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("return { api = 1, filter = function(rec) return rec.n % 2 == 0, 'odd' end,"
                       " map = function(rec) if rec.n == 500 then error('five') end return { n = rec.n, s = "
                       "'x' .. rec.n, l = rec.l } end }"));
  size_t most = 0;
  for (int n = 0; n < 20000; n++) {
    char record[100], expected[100];
    snprintf(record, sizeof record, "{\"n\":%d,\"l\":[%d]}", n, n);
    snprintf(expected, sizeof expected, "{\"l\":[%d],\"n\":%d,\"s\":\"x%d\"}", n, n, n);
    const char *got = run_record(&r, 0, slice_of(record));
    assert_string_equal(got, n % 2 ? "filtered: odd" : n == 500 ? "failed: 1: five" : expected);
    if (script_memory(r.script) > most) most = script_memory(r.script);
  }
  assert_in_range(most, 1, 400 << 10);
  assert_false(script_worn(r.script));
  runner_close(&r);
}

// {"k0":0, ... } with `count` members, of which every key but the first three is there twice.
static struct slice wide_record(char *out, size_t room, int count) {
  size_t len = (size_t)snprintf(out, room, "{\"k0\":0,\"k1\":1,\"k2\":2");
  for (int i = 3; i < count; i++)
    len += (size_t)snprintf(out + len, room - len, ",\"%s%d\":%d", i % 5 ? "k" : "longer key ", 3 + i / 2, i);
  len += (size_t)snprintf(out + len, room - len, "}");
  return slice_make(out, len);
}

static void the_last_of_equal_keys_counts(void **state) {
  // However many members a record has, and whether or not a key is written with escapes.
  (void)state;
  char record[4096];
  struct runner r;
  runner_open(
      &r, load("return { api = 1, map = function(rec) return { rec.k0, rec.k2, rec.k6, rec['longer key 5'], "
               "rec.k == nil, rec['k' .. rec.k1 .. '000'] == nil } end }"));
  for (int count = 8; count < 100; count++) {
    struct slice wide = wide_record(record, sizeof record, count);
    assert_string_equal(run_record(&r, 0, wide), "[0,2,7,5,true,true]");
  }
  const char *escaped = "{\"k0\":1,\"k1\":1,\"k2\":2,\"k6\":3,\"longer key 5\":4,\"k\\u0030\":9}";
  assert_string_equal(run_record(&r, 0, slice_of(escaped)), "[9,2,3,4,true,true]");
  runner_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_record_reads_like_a_table),
      cmocka_unit_test(the_last_of_equal_keys_counts),
      cmocka_unit_test(large_integers_are_exact),
      cmocka_unit_test(results_become_json),
      cmocka_unit_test(what_is_no_json_is_an_error_that_names_the_field),
      cmocka_unit_test(limits_of_a_result_are_exact),
      cmocka_unit_test(keys_are_sorted_by_bytes_in_tables_of_any_size),
      cmocka_unit_test(a_whole_record_may_be_longer_than_a_result),
      cmocka_unit_test(filter_keeps_or_says_why_not),
      cmocka_unit_test(without_map_the_record_passes_as_it_is),
      cmocka_unit_test(duplicate_and_escaped_keys_are_found),
      cmocka_unit_test(times_are_read_in_all_forms),
      cmocka_unit_test(a_context_is_the_streams_own),
      cmocka_unit_test(a_script_writes_to_its_log),
      cmocka_unit_test(a_sink_maps_to_any_body_and_a_key),
      cmocka_unit_test(one_script_runs_many_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
