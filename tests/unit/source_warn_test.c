// Proves that probable mistakes in a script are found at their line, and that nothing is said of what is
// right.
#include "base/buf.h"
#include "base/mem.h"
#include "script/source_scan.h"
#include "script/source_warn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct warned {
  char text[4096];
};

static void note(void *arg, uint32_t line, const char *text) {
  struct warned *w = arg;
  size_t used = strlen(w->text);
  snprintf(w->text + used, sizeof w->text - used, "%s%u: %s", used ? "\n" : "", line, text);
}

static struct api_names *names[2];

static int open_names(void **state) {
  (void)state;
  struct err err = {{0}};
  for (int role = SCRIPT_STREAM; role <= SCRIPT_SINK; role++)
    names[role] = api_names_new((enum script_role)role, &err);
  return names[0] && names[1] ? 0 : -1;
}

static int close_names(void **state) {
  (void)state;
  api_names_free(names[0]);
  api_names_free(names[1]);
  api_names_free(NULL);
  return 0;
}

// The source in a block of just its length, so that a read behind it is seen by the sanitizer.
static void look(struct warned *w, const char *source, enum script_role role) {
  size_t len = strlen(source);
  char *exact = test_malloc(len);
  memcpy(exact, source, len);
  w->text[0] = 0;
  assert_true(source_warn(slice_make(exact, len), role, names[role], note, w));
  test_free(exact);
}

struct warn_case {
  const char *source, *expected;
};

static void warned(const struct warn_case *cases, size_t count, enum script_role role, const char *frame) {
  for (size_t i = 0; i < count; i++) {
    char source[2048];
    struct warned w;
    snprintf(source, sizeof source, frame, cases[i].source);
    look(&w, source, role);
    if (strcmp(w.text, cases[i].expected) != 0)
      fail_msg("%s\n  gives    %s\n  expected %s", cases[i].source, w.text, cases[i].expected);
  }
}
#define WARNED(cases, role, frame) warned(cases, sizeof(cases) / sizeof *(cases), role, frame)

static const char in_map[] = "local M = { api = 1 }\nfunction M.map(rec, ctx)\n%s\nend\nreturn M";

static void globals_are_found(void **state) {
  (void)state;
  static const struct warn_case cases[] = {
      {"total = 1", "3: global 'total' is assigned, which fails when it runs: use local"},
      {"local a a, b = 1, 2", "3: global 'b' is assigned, which fails when it runs: use local"},
      {"type = 1", "3: global 'type' is assigned, which fails when it runs: use local"},
      {"local f = function()\nlocal g = function() x = 1 end\nend",
       "4: global 'x' is assigned, which fails when it runs: use local"},
      {"function helper() end", "3: global 'helper' is assigned, which fails when it runs: use local"},
      {"do local x = 1 end x = 2", "3: global 'x' is assigned, which fails when it runs: use local"},
      {"for i = 1, 2 do end return i", "3: global 'i' is not known"},
      {"if rec then local y end return { y }", "3: global 'y' is not known"},
      {"while true do local y end return { y, y }", "3: global 'y' is not known"}, // once
      {"return { jsn.encode(rec) }", "3: global 'jsn' is not known; did you mean 'json'?"},
      {"function nothing.more() end", "3: global 'nothing' is not known"},
  };
  WARNED(cases, SCRIPT_STREAM, in_map);
}

static void what_is_right_is_left_alone(void **state) {
  (void)state;
  static const struct warn_case cases[] = {
      {"local t = { a = 1, ['b'] = 2, c = { d = 3 }; e = 4 } t.x = 5 t.y.z, t[1] = 6, 7 t['k'] = 1", ""},
      {"local a, b = 1 a, b = 2, 3 local function f(x, ...) x = 4 return f, ... end f()", ""},
      {"for i, v in ipairs(rec.detail.mnc) do i = v end for n = 1, 2 do n = 3 end", ""},
      {"repeat local done = true until done", ""},
      {"while rec do break end if rec then elseif ctx then local x = 1 x = 2 else local y y = 1 end", ""},
      {"goto out\n::out:: local goto_x = 1 do goto done end ::done::", ""},
      {"local x = [==[ y = 1 ]==] --[[ z = 1\n]] -- w = 1\nlocal q = 'a\\'b' .. \"v = 1\" return { x, q }",
       ""},
      {"local x = 1e-5 + 0x1p+4 + 0xe+1 + .5 + 1..'x' return { x == 1, x ~= 2, x <= 3, x >= 4 }", ""},
      {"local time = {} time.isoo() local rec = {} rec.foo = 1", ""},
      {"local s = rec.description:lower():gsub('x', 'y') return { ('x'):rep(3), #s }", ""},
      {"local o = {} function o:method(a) self.a = a return self end function o.f.g() end", ""},
      {"return { ctx.now, ctx.kind, ctx.stream.name, ctx.parameters.anything, time.iso(rec.timestamp) }", ""},
  };
  WARNED(cases, SCRIPT_STREAM, in_map);
}

static void fields_that_no_record_has_are_found(void **state) {
  (void)state;
  static const struct warn_case cases[] = {
      {"return { rec.evnt_type.id }",
       "3: rec.evnt_type.id: no record has such a field; did you mean 'event_type.id'?"},
      {"return { rec['endpoint'].nmae:lower() }",
       "3: rec.endpoint.nmae: no record has such a field; did you mean 'endpoint.name'?"},
      {"return { rec.detail.tapcode[1].tapcod, rec.detail.tapcode[i].id }",
       "3: rec.detail.tapcode[].tapcod: no record has such a field; did you mean "
       "'detail.tapcode[].tapcode'?\n3: global 'i' is not known"},
      {"return { get(rec, 'detail.volum.total', 0),\nhas(rec, \"user.nmae\") }",
       "3: rec.detail.volum.total: no record has such a field; did you mean 'detail.volume.total'?\n"
       "4: rec.user.nmae: no record has such a field; did you mean 'user.name'?"},
      {"local f = function() return rec.something end", "3: rec.something: no record has such a field"},
      {"rec.id = 5", "3: rec.id is assigned, which fails when it runs: build a new table"},
      {"rec = {} return { rec.something }", ""},
      {"local f = function(rec) return rec.something end", ""},
      {"return { rec[ctx], rec[1], rec.imsi, rec.imsi.imsi, rec.key, rec.cost }", ""},
      {"return { get(ctx, 'something'), get(rec, 'a\\98'), get(rec), has(rec, ctx) }", ""},
  };
  WARNED(cases, SCRIPT_STREAM, in_map);
}

static void hooks_are_known_however_they_are_written(void **state) {
  (void)state;
  const char *expected = "1: rec.no: no record has such a field";
  const struct warn_case cases[] = {
      {"local M = {} function M.filter(r) return r.no end return M", expected},
      {"local M = {} M.alert = function(r) return r.no end return M;", expected},
      {"local M = { map = function(r) return r.no end } return M", expected},
      {"return { api = 1, map = function(r) return r.no end }", expected},
      {"local M = {} local U = {} function U.map(r) return r.no end return M", ""},
      {"local M = {} M.u = {} function M.u.map(r) return r.no end return M", ""},
      {"local M = {} local t = { map = function(r) return r.no end } return M", ""},
      {"local M = {} local function map(r) return r.no end return M", ""},
      {"local M = {} function M.filters(r) return r.no end return M", ""},
      {"local M = {} function M:map(r) return r.no end return M", ""},
  };
  WARNED(cases, SCRIPT_STREAM, "%s");
}

static void names_of_the_api_are_checked(void **state) {
  (void)state;
  static const struct warn_case cases[] = {
      {"return { time.isoo(1) }", "3: time.isoo is not known; did you mean time.iso?"},
      {"return { string.frobnicate('x') }", "3: string.frobnicate is not known"},
      {"return { ctx.cuont('x', '1m') }", "3: ctx.cuont is not known; did you mean ctx.count?"},
      {"return { math.pi, table.concat, json.encode }", ""},
      {"return { base64('x') }", "3: global 'base64' is not known"},
      {"return { hash(rec.id, 'k'), hashs(rec.id) }", "3: global 'hashs' is not known; did you mean 'hash'?"},
  };
  WARNED(cases, SCRIPT_STREAM, in_map);
}

static void a_sink_has_other_records_and_more_names(void **state) {
  (void)state;
  static const struct warn_case cases[] = {
      {"local S = {} function S.map(rec, ctx) return { rec.anything, ctx.settings.x } end return S", ""},
      {"local S = {} function S.map(rec, ctx) return ctx.setings end return S",
       "1: ctx.setings is not known; did you mean ctx.settings?"},
      {"local S = {} function S.request(batch, settings) return { body = base64('x') } end return S", ""},
      {"local S = {} function S.filter(rec, ctx) return ctx.anything end return S", ""},
  };
  WARNED(cases, SCRIPT_SINK, "%s");
}

static void what_does_not_compile_is_survived(void **state) {
  (void)state;
  static const char *const sources[] = {"",
                                        "end end }",
                                        "function",
                                        "local",
                                        "for",
                                        "'",
                                        "'\\",
                                        "[[",
                                        "[==[ ]=",
                                        "--[[",
                                        "return",
                                        "function M.map(",
                                        "local function",
                                        "::",
                                        "get(",
                                        "rec.",
                                        "0x",
                                        "1e-",
                                        "= = =",
                                        "a,",
                                        "{",
                                        "until",
                                        "else",
                                        "M.",
                                        "\x80\xff"};
  struct warned w;
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    look(&w, sources[i], SCRIPT_STREAM);
  size_t len = 60000;
  char *deep = test_malloc(len + 1);
  memset(deep, '(', len);
  deep[len] = 0;
  look(&w, deep, SCRIPT_STREAM);
  for (size_t i = 0; i < len / 2; i++)
    memcpy(deep + 2 * i, "a,", 2);
  memcpy(deep, "local ", 6);
  look(&w, deep, SCRIPT_STREAM);
  test_free(deep);
}

// Every beginning of a whole script: the lexer stops at the end wherever it is.
static void a_source_may_end_anywhere(void **state) {
  (void)state;
  const char *source = "local M={} --[=[x]=] function M.map(rec,ctx) local s='a\\n'..[[b]] for i=1,0x1e5 do "
                       "rec.a[i].b,t.c=get(rec,'x.y',1e-3),{k=v} end return s end return M";
  char part[400];
  struct warned w;
  for (size_t len = 0; len <= strlen(source); len++) {
    snprintf(part, sizeof part, "%.*s", (int)len, source);
    look(&w, part, SCRIPT_STREAM);
  }
}

static void memory_may_run_out(void **state) {
  (void)state;
  const char *source = "local M = {} function M.map(rec) return rec.no end return M";
  for (long nth = 1; nth <= 3; nth++) { // the names, the state, room for Lua
    struct err err = {{0}};
    mem_fail_at(nth);
    struct api_names *none = api_names_new(SCRIPT_SINK, &err);
    mem_fail_at(0);
    assert_null(none);
    assert_non_null(strstr(err.text, "out of memory"));
  }
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    struct warned w = {{0}};
    mem_fail_at(nth);
    bool ok = source_warn(slice_of(source), SCRIPT_STREAM, names[0], note, &w);
    failed = mem_asked() >= nth;
    mem_fail_at(0);
    assert_true(ok != failed);
    assert_string_equal(w.text, ok ? "1: rec.no: no record has such a field" : "");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(globals_are_found),
      cmocka_unit_test(what_is_right_is_left_alone),
      cmocka_unit_test(fields_that_no_record_has_are_found),
      cmocka_unit_test(hooks_are_known_however_they_are_written),
      cmocka_unit_test(names_of_the_api_are_checked),
      cmocka_unit_test(a_sink_has_other_records_and_more_names),
      cmocka_unit_test(what_does_not_compile_is_survived),
      cmocka_unit_test(a_source_may_end_anywhere),
      cmocka_unit_test(memory_may_run_out),
  };
  return cmocka_run_group_tests(tests, open_names, close_names);
}
