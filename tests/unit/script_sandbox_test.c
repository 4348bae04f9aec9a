// Proves that a script that means harm reaches nothing, ends in time and in memory, and can't hold what ends
// it.
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script_support.h"

static const char *const endless[] = {
    "while true do end",
    "repeat until false",
    "for i = 1, 1e300 do end",
    "local function f() return f() end f()",
    "while true do pcall(error) end",
    "while true do pcall(function() while true do end end) end",
    "local function f() pcall(f) while true do end end f()",
    "pcall(function() while true do end end) while true do end",
    "repeat local ok = pcall(function() while true do end end) until ok",
    "while true do pcall(pcall, pcall, pcall, error) end",
    "local t = setmetatable({}, { __index = function() end }) while true do pcall(next, t, 1) end",
    "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "('x'):gsub('x', function() while true do end end)",
    "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
    "for _ in function() return 1 end do end",
};

static void endless_scripts_end_in_time(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
    char source[512];
    struct runner r;
    snprintf(source, sizeof source, "local M = { api = 1 } function M.filter(rec) %s end return M",
             endless[i]);
    runner_open(&r, load(source));
    uint64_t begin = clock_mono_ms();
    const char *got = run(&r);
    if (strncmp(got, "timeout: 1: took longer than 50 ms", 34) != 0)
      fail_msg("%s\n  gives %s", endless[i], got);
    assert_in_range(clock_mono_ms() - begin, 50, 2000);
    assert_true(script_worn(r.script));
    assert_int_equal(run(&r)[0], 't'); // and stays ended
    runner_close(&r);
  }
}

static void a_time_limit_is_the_callers(void **state) {
  (void)state;
  struct err err = {{0}};
  struct script_limits limits = {.call_ms = 5};
  struct runner r;
  runner_open(&r, script_load("x", slice_of("return { api = 1, map = function() while true do end end }"),
                              SCRIPT_STREAM, &limits, &err));
  assert_string_equal(run(&r), "timeout: 1: took longer than 5 ms");
  runner_close(&r);
}

static const char *const greedy[] = {
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "local t = {} for i = 1, 1e9 do t[i] = { i } end",
    "local s = ('x'):rep(2 ^ 20) while true do s = s .. s end",
    "local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(2 ^ 16) .. #t end) end",
    "local t = {} for i = 1, 1e9 do t[i] = function() return t, i end end",
    "local t = {} for i = 1, 20 do t[i] = ('x'):rep(2 ^ 20) end local s = table.concat(t)",
};

static void greedy_scripts_end_at_the_cap(void **state) {
  (void)state;
  struct script_limits limits = {.call_ms = 20000}; // under a sanitizer it takes its time
  for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
    char source[512];
    struct runner r;
    struct err err = {{0}};
    snprintf(source, sizeof source, "local M = { api = 1 } function M.filter(rec) %s end return M",
             greedy[i]);
    runner_open(&r, script_load("x", slice_of(source), SCRIPT_STREAM, &limits, &err));
    const char *got = run(&r);
    if (strcmp(got, "memory: needs more memory than 16384 KB") != 0)
      fail_msg("%s\n  gives %s", greedy[i], got);
    assert_in_range(script_memory(r.script), 1, LIMIT_SCRIPT_BYTES);
    assert_true(script_worn(r.script));
    runner_close(&r);
  }
}

static void a_greedy_chunk_is_refused_at_load(void **state) {
  (void)state;
  struct err err = {{0}};
  struct script_limits limits = {.memory_bytes = 100 << 10};
  const char *source = "local t = {} for i = 1, 1e5 do t[i] = i end return { api = 1 }";
  assert_null(script_load("x", slice_of(source), SCRIPT_STREAM, &limits, &err));
  assert_string_equal(err.text, "x: needs more memory than 100 KB");
}

static void what_would_work_too_long_in_c_is_refused(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { ('x'):rep(2 ^ 30) }", "failed: 1: string.rep makes at most 1048576 bytes"},
      {"return { ('x'):rep(1e300) }", "failed: 1: string.rep makes at most 1048576 bytes"},
      {"return { ('x'):rep(10, ('y'):rep(2 ^ 20)) }", "failed: 1: string.rep makes at most 1048576 bytes"},
      {"return { #('x'):rep(2 ^ 20), (''):rep(1e300), ('x'):rep(-5), ('x'):rep(0 / 0), ('ab'):rep(2, '-') }",
       "[1048576,\"\",\"\",\"\",\"ab-ab\"]"},
      {"local t = {} for i = 1, 10001 do t[i] = i end table.sort(t)",
       "failed: 1: table.sort takes at most 10000 elements"},
      {"return { string.format(('x'):rep(2000)) }",
       "failed: 1: string.format takes a format of at most 1000 bytes"},
      {"local function f() return (('x'):gsub('x', f)) end f()",
       "failed: 1: too many calls inside each other"},
      {"local function f() table.sort({ 1, 2 }, f) end f()", "failed: 1: too many calls inside each other"},
      {"local function f() return tostring(setmetatable({}, { __tostring = f })) end f()",
       "failed: 1: too many calls inside each other"},
      {"local function f() local ok, e = pcall(f) error(e, 0) end f()",
       "failed: 1: too many calls inside each other"},
      {"local function f() return 1 + f() end f()", "failed: 1: stack overflow"},
      {"local function f() return 1 + f() end return { pcall(f) }", "[false,\"stack overflow\"]"},
      {"return { unpack({}, 1, 1e7) }", "failed: 1: too many results to unpack"},
  };
  RUN_BODIES(cases);
}

static void the_white_list_is_all_there_is(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"local t = {} for _, n in ipairs{ 'io', 'os', 'debug', 'package', 'jit', 'ffi', 'bit', 'coroutine', "
       "'load', 'loadstring', 'loadfile', 'dofile', "
       "'require', 'module', 'newproxy', 'xpcall', 'rawget', 'rawset', 'setfenv', 'getfenv', "
       "'collectgarbage', 'gcinfo', 'print', '_G', '_VERSION', '_ENV' } "
       "do if get(t, n) then error(n) end end "
       "return { io, os, debug, package, jit, ffi, bit, coroutine, load, loadstring, loadfile, dofile, "
       "require, module, newproxy, xpcall, rawget, rawset, "
       "setfenv, getfenv, collectgarbage, gcinfo, print, _G, _VERSION }",
       "{}"},
      {"return { string.dump, string.gfind, math.randomseed, table.foreach, table.getn, table.maxn, "
       "('').dump }",
       "{}"},
      {"return { getmetatable(''), getmetatable(rec), getmetatable(null), getmetatable(1), "
       "getmetatable(rec.big), getmetatable(tostring) }",
       "{}"},
      {"return { getmetatable('').__index }", "failed: 1: attempt to index a nil value"},
      {"setmetatable('', {})", "failed: 1: bad argument #1 to 'setmetatable' (table expected, got string)"},
      {"setmetatable(rec, {})",
       "failed: 1: bad argument #1 to 'setmetatable' (table expected, got userdata)"},
      {"setmetatable(array{}, {})", "failed: 1: cannot change a protected metatable"},
      {"setmetatable(ctx, {})", "failed: 1: cannot change a protected metatable"},
      {"return { getmetatable(array{}), getmetatable(object{}), getmetatable(ctx) }",
       "[\"array\",\"object\",\"ctx\"]"},
      {"local m = {} return { getmetatable(setmetatable({}, m)) == m, getmetatable(setmetatable({}, { "
       "__metatable = 5 })) }",
       "[true,5]"},
      {"return { string.format('%p', {}) }", "failed: 1: string.format has no '%p'"},
      {"return { string.format('%s %s %5.1f|%-3d|%q|%%|%x', {}, tostring, 1.5, 7, 'a', 255) }",
       "[\"table function   1.5|7  |\\\"a\\\"|%|ff\"]"},
      {"return { string.format('%') }", "failed: 1: string.format: a '%' without its conversion"},
      {"return { string.format('%\\0') }", "failed: 1: string.format has no '%?'"},
      {"return { string.format('%d') }", "failed: 1: bad argument #2 to 'format' (no value)"},
      {"x = 1", "failed: 1: global 'x' can't be assigned: use local"},
      {"tostring = 1", "failed: 1: global 'tostring' can't be assigned: use local"},
      {"function helper() end", "failed: 1: global 'helper' can't be assigned: use local"},
      {"return { ('x'):upper(), ('abc'):find('b'), (('abc'):gsub('b', 'x')), #('a,b'):match('[^,]+') }",
       "[\"X\",2,\"axc\",1]"},
      {"for _, v in ipairs{ rec, rec.big, null, {}, tostring, pairs } do if tostring(v):find('0x') then "
       "error('address') end end return {}",
       "{}"},
      {"local ok, e = pcall(error, { code = 5 }) return { ok, e.code, pcall(function() return 1, nil, 3 end) "
       "}",
       "failed: 1: result of map: numbers as keys must be 1 to n without holes (null fills one)"},
      {"return { select('#', pcall(error)), select(2, pcall(error, 'x', 0)) }", "[2,\"x\"]"},
      {"return { tonumber('0x10'), tonumber('10', 2), tonumber(' 5 '), tonumber('x') == nil, tonumber(7) }",
       "[16,2,5,true,7]"},
  };
  RUN_BODIES(cases);
}

static void a_record_kept_past_its_call_is_an_error(void **state) {
  (void)state;
  static const char *const uses[] = {"kept.id",       "kept.endpoint",        "#kept",
                                     "next(kept)",    "get(kept, 'id')",      "has(kept, 'id')",
                                     "array(kept)",   "unpack(kept)",         "json.encode(kept)",
                                     "pairs(kept)()", "ipairs(kept)(kept, 0)"};
  for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
    char source[512];
    struct runner r;
    snprintf(source, sizeof source,
             "local kept return { api = 1, map = function(rec) if kept then return { x = %s } end kept = rec "
             "return rec end }",
             uses[i]);
    runner_open(&r, load(source));
    assert_string_equal(run(&r), event_record);
    const char *got = run_record(&r, 0, slice_of("{}"));
    if (strcmp(got, "failed: 1: a record can't be used after its call: copy what you need") != 0)
      fail_msg("%s gives %s", uses[i], got);
    assert_false(script_worn(r.script));
    runner_close(&r);
  }
}

static void kept_steps_and_results_are_errors_too(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("local step, kept return { api = 1, map = function(rec) if step then return { step() "
                       "} end step = pairs(rec) return rec end }"));
  run(&r);
  assert_string_equal(run_record(&r, 0, slice_of("{}")),
                      "failed: 1: a record can't be used after its call: copy what you need");
  runner_close(&r);
  runner_open(
      &r,
      load("local kept return { api = 1, map = function(rec) kept = kept or { r = rec } return kept end }"));
  assert_int_equal(run(&r)[0], '{');
  assert_string_equal(run_record(&r, 0, slice_of("{}")),
                      "failed: 1: a record can't be used after its call: copy what you need");
  runner_close(&r);
  runner_open(&r, load("local last return { api = 1, map = function(rec) local same = last == rec last = rec "
                       "return { same = same } end }"));
  run(&r);
  assert_string_equal(run(&r), "{\"same\":false}");
  runner_close(&r);
}

static void a_state_wears_out_before_calls_are_numbered_anew(void **state) {
  // So no record kept from a call is ever taken for one of another.
  (void)state;
  struct runner r;
  struct json_fault fault;
  runner_open(&r,
              load("local kept return { api = 1, filter = function(rec) kept = kept or rec return rec.a end, "
                   "map = function(rec) return kept end }"));
  assert_true(json_tape_parse(&r.tape, slice_of("{\"a\":false}"), &fault));
  r.header.kind = RECORD_EVENT;
  uint32_t runs = 0;
  for (; !script_worn(r.script) && runs < UINT32_MAX; runs++)
    script_run(r.script, 0, &r.header, &r.tape, &r.result);
  assert_int_equal(runs, SCRIPT_RUNS);
  // Run on all the same, it is an error or the new record, never a crash.
  assert_non_null(run_record(&r, 0, slice_of("{\"a\":true}")));
  runner_close(&r);
}

// Each allocation in turn fails, in the state and around it: a clean refusal, never a crash.
static void out_of_memory_is_a_refusal(void **state) {
  (void)state;
  struct json_tape tape;
  struct json_fault fault;
  struct record_header header = {.kind = RECORD_EVENT};
  const char *source = "return { api = 1, map = function(rec) local t = {} for i = 1, 50 do t[i] = { ('k' .. "
                       "i):rep(20) } end return { t = t, r = rec.endpoint } end }";
  json_tape_init(&tape);
  assert_true(json_tape_parse(&tape, slice_of(event_record), &fault));
  size_t refused = 0;
  for (long nth = 1; nth < 200; nth++) {
    struct script *script = load(source);
    struct script_result result;
    script_result_init(&result);
    mem_fail_at(nth);
    script_run(script, 0, &header, &tape, &result);
    bool reached = mem_asked() >= nth;
    mem_fail_at(0);
    refused += result.outcome == SCRIPT_MEMORY || result.outcome == SCRIPT_FAILED;
    if (!reached) assert_int_equal(result.outcome, SCRIPT_KEPT);
    script_result_fini(&result);
    script_free(script);
    if (!reached) break;
  }
  assert_in_range(refused, 5, 199);
  json_tape_fini(&tape);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(endless_scripts_end_in_time),
      cmocka_unit_test(a_time_limit_is_the_callers),
      cmocka_unit_test(greedy_scripts_end_at_the_cap),
      cmocka_unit_test(a_greedy_chunk_is_refused_at_load),
      cmocka_unit_test(what_would_work_too_long_in_c_is_refused),
      cmocka_unit_test(the_white_list_is_all_there_is),
      cmocka_unit_test(a_record_kept_past_its_call_is_an_error),
      cmocka_unit_test(kept_steps_and_results_are_errors_too),
      cmocka_unit_test(a_state_wears_out_before_calls_are_numbered_anew),
      cmocka_unit_test(out_of_memory_is_a_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
