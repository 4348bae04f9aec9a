// Proves that a spec file's cases run as busted's would, each under the limits, and that want of memory is
// survived.
#include "base/buf.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sluice-spec-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  return disk_remove_folder(folder, NULL) ? 0 : -1;
}

static const char *path(const char *name) {
  static char text[256];
  snprintf(text, sizeof text, "%s/%s", folder, name);
  return text;
}

static void write_file(const char *name, const char *text) {
  struct err err = {{0}};
  if (!disk_replace_file(path(name), slice_of(text), 0600, &err)) fail_msg("%s", err.text);
}

struct seen {
  struct buf text; // a line a case
};

static void begun(void *arg, const char *name, uint32_t line) {
  (void)arg, (void)name, (void)line;
}

static void loading(void *arg, const char *file) {
  (void)arg, (void)file;
}

static void ended(void *arg, const struct spec_case *c) {
  struct seen *seen = arg;
  buf_printf(&seen->text, "%s: %s", c->name, c->ok ? "ok" : "");
  if (!c->ok)
    buf_printf(&seen->text, "%u: %s\n%.*s", c->failed_line, c->message, (int)c->details.len, c->details.at);
  buf_append_byte(&seen->text, '\n');
}

// Runs it; what came out is in seen->text, behind it the error of the file itself.
static bool run(const char *name, const struct spec_options *options, struct seen *seen) {
  struct err err = {{0}};
  const struct spec_report report = {begun, loading, ended, seen};
  char file[256];
  snprintf(file, sizeof file, "%s", path(name));
  buf_init(&seen->text, 1 << 20);
  bool ok = strstr(name, "_spec.lua") ? spec_run(file, options, &report, &err)
                                      : spec_golden_run(file, options, &report, &err);
  if (!ok) buf_printf(&seen->text, "%s\n", err.text);
  return ok;
}

static void check(const char *name, const struct spec_options *options, const char *expected) {
  struct seen seen;
  run(name, options, &seen);
  assert_string_equal(buf_text(&seen.text), expected);
  buf_fini(&seen.text);
}

static const struct spec_options plain = {0};

static void before_each_runs_from_the_outside_in(void **state) {
  (void)state;
  write_file("order_spec.lua",
             "local order = {}\n"
             "local function note(word) return function() order[#order + 1] = word end end\n"
             "before_each(note('file'))\n"
             "describe('outer', function()\n"
             "  it('first', function() assert.same({ 'file', 'outer', 'later' }, order) end)\n"
             "  before_each(note('outer'))\n"
             "  describe('inner', function()\n"
             "    before_each(note('inner'))\n"
             "    it('second', function() assert.same({ 'file', 'outer', 'later', 'inner' },\n"
             "      { order[4], order[5], order[6], order[7] }) end)\n"
             "  end)\n"
             "  before_each(note('later'))\n"
             "end)\n"
             "it('alone', function() assert.equal('file', order[#order]) end)\n");
  check("order_spec.lua", &plain, "outer first: ok\nouter inner second: ok\nalone: ok\n");
}

static void assert_knows_what_it_is_asked(void **state) {
  (void)state;
  write_file("assert_spec.lua",
             "it('holds', function()\n"
             "  assert(true) assert.equal(1, 1) assert.truthy(0) assert.falsy(nil) assert.is_nil(nil) "
             "assert.are.same({}, {})\n"
             "  assert.is_true(true) assert.is_false(false) assert.error(function() error('x') end)\n"
             "  assert.error(function() error('x') end, 'x') assert.error(function() error({ a = 1 }) end, { "
             "a = 1 })\n"
             "  assert.equal(3, select('#', assert(1, 2, 3)))\n"
             "end)\n"
             "it('falsy', function() assert.truthy(nil, 'in own words') end)\n"
             "it('function', function()\n"
             "  assert(nil, 'said')\n"
             "end)\n"
             "it('caught', function()\n"
             "  pcall(assert.equal, 1, 2)\n"
             "  error('another')\n"
             "end)\n");
  check("assert_spec.lua", &plain,
        "holds: ok\n"
        "falsy: 7: assert.truthy: in own words\nexpected anything but nil and false, got nil\n\n"
        "function: 9: said\n\n"
        "caught: 13: another\n\n");
}

static void a_stream_shows_what_it_made(void **state) {
  (void)state;
  write_file("s.lua", "local M = { api = 1 }\n"
                      "function M.filter(rec, ctx) return rec.id ~= 2, 'two' end\n"
                      "function M.map(rec, ctx)\n"
                      "  if rec.id == 3 then return rec.no.where end\n"
                      "  return array { { id = rec.id, p = ctx.parameters.p }, rec }\n"
                      "end\n"
                      "return M\n");
  write_file("fix.ndjson",
             "{\"id\":898822806670000135,\"organisation\":{\"id\":1},\"volume\":1}\n{\"id\":2}\n");
  write_file(
      "s_spec.lua",
      "local s = stream('s.lua', { parameters = { p = 5 } })\n"
      "local function rec(id) return { id = id, organisation = { id = 1 }, volume = {} } end\n"
      "it('keeps', function()\n"
      "  assert.same({ kept = true, alerts = {}, records = { { id = 1, p = 5 }, rec(1) } }, s:run(rec(1)))\n"
      "end)\n"
      "it('drops', function() assert.same({ kept = false, reason = 'two', alerts = {}, records = {} }, "
      "s:run(rec(2))) end)\n"
      "it('fails', function() assert.equal(4, s:run(rec(3)).error.line) end)\n"
      "it('is exact', function()\n"
      "  local f = fixture('fix')\n"
      "  assert.equal('898822806670000135', tostring(s:run(f[1]).records[2].id))\n"
      "  assert.equal(2, #f)\n"
      "end)\n"
      "local kept\n"
      "it('lets go', function() kept = stream('s') end)\n"
      "it('of what it made', function() kept:run(rec(1)) end)\n"
      "it('wants records', function() s:run({}) end)\n"
      "it('shows the error', function()\n"
      "  assert.equal(1, #s:run(rec(3)).records)\n"
      "end)\n");
  char expected[1024];
  snprintf(
      expected, sizeof expected,
      "keeps: ok\ndrops: ok\nfails: ok\nis exact: ok\nlets go: ok\n"
      "of what it made: 15: this stream or sink was made in a case that is over; make it in before_each\n\n"
      "wants records: 16: the engine would reject this record: id is missing\n\n"
      "shows the error: 18: assert.equal\nexpected 1, got 0\n"
      "the script failed: %s:4: rec.no is nil: no record has such a field\n\n",
      path("s.lua"));
  check("s_spec.lua", &plain, expected);
}

static void cases_after_a_broken_limit_run_in_a_new_state(void **state) {
  (void)state;
  write_file("limit_spec.lua", "it('grows', function() local t = {} for i = 1, 1e9 do t[i] = {} end end)\n"
                               "it('goes on', function() end)\n");
  check("limit_spec.lua", &plain, "grows: 1: needs more memory than 65536 KB\n\ngoes on: ok\n");
}

static void only_picks_by_plain_text(void **state) {
  (void)state;
  const struct spec_options only = {.only = "b.c"};
  write_file("only_spec.lua", "it('a b.c d', function() end) it('a bxc d', function() end)");
  check("only_spec.lua", &only, "a b.c d: ok\n");
}

static void a_file_that_is_wrong_says_where(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"\nit('x' function() end)", "2: ')' expected near 'function'"},
      {"it('x')", "1: it takes a name and a function"},
      {"describe('x', function()\n error('boo') end)", "2: boo"},
      {"require('x')", "1: global 'require' is not known"},
      {"before_each(1)", "1: before_each takes a function"},
      {"local function deeper() describe('x', deeper) end deeper()",
       "1: describe stands in 16 others already"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char expected[512];
    write_file("wrong_spec.lua", cases[i][0]);
    snprintf(expected, sizeof expected, "%s:%s\n", path("wrong_spec.lua"), cases[i][1]);
    check("wrong_spec.lua", &plain, expected);
  }
}

static void write_golden(const char *output) {
  write_file("g.lua", "local M = { api = 1 }\nfunction M.map(rec)\n if rec.bad then error('bad') end\n "
                      "return { id = rec.id, v = rec.volume }\nend\nreturn M\n");
  write_file("g.input.ndjson", "{\"id\":1,\"organisation\":{\"id\":1},\"volume\":1.50}\n\n{\"id\":2,"
                               "\"organisation\":{\"id\":1},\"volume\":2}\n");
  write_file("g.output.ndjson", output);
}

static void a_golden_case_compares_by_value(void **state) {
  (void)state;
  write_golden("{\"v\":1.5,\"id\":1}\n{ \"id\": 2, \"v\": 2.0 }\n");
  check("g", &plain, "g golden case: ok\n");
  write_golden("{\"v\":1.5,\"id\":1}\n{\"id\":2,\"v\":\"2\"}\n{\"id\":3}\n");
  char expected[512];
  snprintf(expected, sizeof expected,
           "g golden case: 0: %s is not what the script makes of the input\n"
           "line 2.v: expected \"2\", got 2 (a number)\n  line 2 was made of input line 3\nline 3: missing, "
           "expected {\"id\":3}\n\n",
           path("g.output.ndjson"));
  check("g", &plain, expected);
  write_golden("{\"v\":1.5,\"id\":1}\n");
  snprintf(expected, sizeof expected,
           "g golden case: 0: %s is not what the script makes of the input\nline 2: extra, got "
           "{\"id\":2,\"v\":2} (of input line 3)\n\n",
           path("g.output.ndjson"));
  check("g", &plain, expected);
}

static void a_golden_case_fails_where_the_script_does(void **state) {
  (void)state;
  char expected[512];
  write_golden("");
  write_file("g.input.ndjson", "{\"id\":1,\"bad\":true,\"organisation\":{\"id\":1},\"volume\":1.50}\n");
  snprintf(expected, sizeof expected, "g golden case: 0: %s:3: bad (input line 1)\n\n", path("g.lua"));
  check("g", &(struct spec_options){.update = true}, expected);
  write_file("g.input.ndjson", "{\"id\":1}\n");
  snprintf(expected, sizeof expected,
           "g golden case: 0: %s:1: the engine would reject this record: organisation.id is missing\n\n",
           path("g.input.ndjson"));
  check("g", &plain, expected);
}

static void update_writes_what_was_made(void **state) {
  (void)state;
  size_t len;
  write_golden("old\n");
  check("g", &(struct spec_options){.update = true}, "g golden case: ok\n");
  char *text = disk_read_file(path("g.output.ndjson"), 1000, &len, NULL);
  assert_string_equal(text, "{\"id\":1,\"v\":1.5}\n{\"id\":2,\"v\":2}\n");
  mem_free(text);
  check("g", &plain, "g golden case: ok\n");
}

static void coverage_notes_the_lines_that_ran(void **state) {
  (void)state;
  write_file("c.lua", "local M = { api = 1 }\n"   // 1
                      "local function unused()\n" // 2: a function is made at its end
                      "  return 1\n"              // 3: never
                      "end\n"                     // 4
                      "function M.map(rec)\n"     // 5
                      "  if rec.id == 1 then\n"   // 6
                      "    return rec\n"          // 7
                      "  end\n"                   // 8
                      "  return nil -- never\n"   // 9
                      "end\n"                     // 10
                      "return M\n");              // 11
  write_file("c_spec.lua",
             "it('x', function() stream('c'):run({ id = 1, organisation = { id = 1 }, volume = 1 }) end)");
  struct spec_coverage *coverage = spec_coverage_new();
  struct seen seen;
  assert_true(run("c_spec.lua", &(struct spec_options){.coverage = coverage}, &seen));
  assert_int_equal(spec_coverage_count(coverage), 1);
  struct spec_covered c = spec_coverage_at(coverage, 0);
  char lines[32] = "";
  for (uint32_t i = 0; i < c.count; i++)
    lines[i] = "-NR"[c.lines[i]];
  assert_string_equal(lines, "R-NRRRR-NRR-");
  assert_string_equal(c.file, path("c.lua"));
  spec_coverage_free(coverage);
  buf_fini(&seen.text);
}

struct failing {
  struct seen seen;
  long nth;
  bool reached, ok;
};

static void fail_from_here(void *arg, const char *name, uint32_t line) {
  (void)name, (void)line;
  mem_fail_at(((struct failing *)arg)->nth);
}

static void fail_no_more(void *arg, const struct spec_case *c) {
  struct failing *f = arg;
  f->reached = mem_asked() >= f->nth;
  f->ok = c->ok;
  mem_fail_at(0);
}

// Each allocation of a case fails in turn (but those of a new Lua state, which LuaJIT does not survive): the
// case fails, and no more.
static void want_of_memory_fails_the_case_alone(void **state) {
  (void)state;
  static const char *const bodies[] = {"assert.same({ { id = f.id, p = 5 }, f }, s:run(f).records)",
                                       "assert.equal(3, #s:run(f).records)",
                                       "assert.same(f, fixture('fix')[1])"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    char source[1000];
    long failures = 0;
    struct failing f = {.reached = true};
    const struct spec_report report = {fail_from_here, loading, fail_no_more, &f};
    snprintf(source, sizeof source,
             "local s, f = stream('s.lua', { parameters = { p = 5 } }), fixture('fix')[1]\nit('x', "
             "function() %s end)",
             bodies[i]);
    write_file("m_spec.lua", source);
    for (f.nth = 1; f.reached; f.nth++) {
      struct err err = {{0}};
      assert_true(spec_run(path("m_spec.lua"), &plain, &report, &err));
      failures += f.reached && !f.ok;
    }
    assert_true(failures > 1);
    assert_int_equal(f.ok, i != 1); // with all the memory it wants
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(before_each_runs_from_the_outside_in),
      cmocka_unit_test(assert_knows_what_it_is_asked),
      cmocka_unit_test(a_stream_shows_what_it_made),
      cmocka_unit_test(cases_after_a_broken_limit_run_in_a_new_state),
      cmocka_unit_test(only_picks_by_plain_text),
      cmocka_unit_test(a_file_that_is_wrong_says_where),
      cmocka_unit_test(a_golden_case_compares_by_value),
      cmocka_unit_test(a_golden_case_fails_where_the_script_does),
      cmocka_unit_test(update_writes_what_was_made),
      cmocka_unit_test(coverage_notes_the_lines_that_ran),
      cmocka_unit_test(want_of_memory_fails_the_case_alone),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
