// Proves that scripts count, sum and keep values over record time, that alerts are checked and silenced, and
// that a record which fails leaves no trace in them.
#include "base/buf.h"
#include "base/mem.h"
#include "script/windows.h"
#include "script_support.h"

#include <stdlib.h>

// A login that failed, at that second of a day.
static const char *login(struct runner *r, uint32_t context, int64_t id, int at_s, const char *user) {
  char record[400];
  snprintf(record, sizeof record,
           "{\"id\":%lld,\"timestamp\":\"2026-11-20T%02d:%02d:%02d.000+0000\",\"event_type\":{\"id\":6},"
           "\"organisation\":{\"id\":1},\"user\":{\"id\":%s}}",
           (long long)id, at_s / 3600, at_s / 60 % 60, at_s % 60, user);
  return run_record(r, context, slice_of(record));
}

static void open_with(struct runner *r, const char *source) {
  runner_open(r, load(source));
}

static const char CONTRACT[] =
    "local M = { api = 1 }\n"
    "function M.alert(rec, ctx)\n"
    "  if rec.event_type.id == 6 and ctx.count('login:' .. rec.user.id, '10m') == 5 then\n"
    "    return { key = 'login:' .. rec.user.id, title = '5 failed logins in 10 minutes', severity = "
    "'critical' }\n"
    "  end\n"
    "end\n"
    "return M";

static void five_failed_logins_raise_one_alert(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, CONTRACT);
  for (int i = 1; i <= 12; i++) {
    login(&r, 0, i, i * 60, "7");
    assert_int_equal(r.result.outcome, SCRIPT_KEPT);
    assert_int_equal(r.result.alert_count, i == 5);
    assert_false(r.result.alert_failed);
    login(&r, 0, i, i * 700, "8");
    assert_int_equal(r.result.alert_count, 0);
  }
  login(&r, 0, 5, 10000, "9");
  for (int i = 0; i < 4; i++)
    login(&r, 0, 5, 10001, "9");
  assert_int_equal(r.result.alert_count, 1);
  assert_string_equal(r.result.alerts[0].key, "login:9");
  assert_string_equal(r.result.alerts[0].title, "5 failed logins in 10 minutes");
  assert_string_equal(script_severity_name(r.result.alerts[0].severity), "critical");
  assert_int_equal(r.result.alerts[0].for_s, 300);
  assert_int_equal(r.result.alerts[0].at_ms, INT64_C(1795142801000)); // 02:46:41
  runner_close(&r);
}

static void windows_are_used_from_any_hook(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, "local M = { api = 1 }\n"
                "function M.filter(rec, ctx) return ctx.count('n', 3600) ~= 2, 'second' end\n"
                "function M.map(rec, ctx)\n"
                "  local last = ctx.get('last') ctx.set('last', rec.id, '1m')\n"
                "  return { n = ctx.sum(rec.user.id, 0.5, '1h'), last = last } end\n"
                "return M");
  assert_string_equal(login(&r, 0, 11, 0, "7"), "{\"n\":0.5}");
  assert_string_equal(login(&r, 0, 12, 1, "7"), "filtered: second"); // and it counts all the same
  assert_string_equal(login(&r, 0, 13, 2, "7"), "{\"last\":11,\"n\":1}");
  assert_string_equal(login(&r, 0, 14, 62, "\"7\""), "{\"n\":1.5}"); // a number is its text
  runner_close(&r);
}

static void values_come_back_as_they_were(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"ctx.set('a', true) ctx.set('b', false) ctx.set('c', 0.1) ctx.set('d', 'x') ctx.set('e', rec.big)\n"
       "return { ctx.get('a'), ctx.get('b'), ctx.get('c'), ctx.get('d'), ctx.get('e'), ctx.get('e') == "
       "rec.big }",
       "[true,false,0.1,\"x\",898822806670000135,true]"},
      {"ctx.set('a', 1) ctx.set('a', nil) ctx.set('b', 1) ctx.set('b', null) return { n = ctx.get('a'), m = "
       "ctx.get('b') }",
       "{}"},
      {"ctx.set(5, 'five') ctx.set(rec.big, 'big') ctx.set(0.5, 'half') ctx.set('', 'none')\n"
       "return { ctx.get('5'), ctx.get('898822806670000135'), ctx.get('0.5'), ctx.get('') }",
       "[\"five\",\"big\",\"half\",\"none\"]"},
      {"return { ctx.sum('s', rec.big, '1h'), ctx.sum('s', 0.1, 3600), ctx.sum('s', -1, '60m') }",
       "[898822806670000100,898822806670000100,898822806670000100]"},
      {"return { ctx.count('k', '10m'), ctx.count('k', 600), ctx.count('k', '600s'), ctx.count('k', '1h') }",
       "[1,2,3,1]"},
      {"ctx.set('a', 'x', '1s') return { ctx.get('a') }", "[\"x\"]"},
  };
  RUN_BODIES(cases);
}

static void wrong_use_is_told_in_words(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"ctx.count('k', '10 minutes')",
       "failed: 1: ctx.count: '10 minutes' is not a span: did you mean '10m'?"},
      {"ctx.count('k')", "failed: 1: ctx.count: a span is a text such as \"10m\", not nil"},
      {"ctx.count('k', 0.5)",
       "failed: 1: ctx.count: a span is a text such as \"10m\", or whole seconds from 1 to 31622400"},
      {"ctx.count(nil, '10m')", "failed: 1: ctx.count: the key must be a text or a number, not nil"},
      {"ctx.count(rec, '10m')", "failed: 1: ctx.count: the key must be a text or a number, not table"},
      {"ctx.count(null, '10m')", "failed: 1: ctx.count: the key must be a text or a number, not null"},
      {"ctx.count(0/0, '10m')", "failed: 1: ctx.count: the key is not a number (NaN)"},
      {"ctx:count('k', '10m')",
       "failed: 1: ctx.count: 'k' is not a span: write a whole number and s, m, h, d or w, such as \"10m\""},
      {"ctx:get('k')",
       "failed: 1: ctx.get: the key must be a text or a number, not a table (write ctx.get with a dot)"},
      {"ctx.count(('k'):rep(257), '10m')",
       "failed: 1: ctx.count: a key has at most 256 bytes, this one has 257"},
      {"ctx.sum('k', nil, '1h')",
       "failed: 1: ctx.sum: the value is nil (get(rec, \"path\", 0) gives 0 for a field that is not there)"},
      {"ctx.sum('k', '5', '1h')", "failed: 1: ctx.sum: the value must be a number, not string"},
      {"ctx.sum('k', 1/0, '1h')", "failed: 1: ctx.sum: the value is too large or not a number (NaN)"},
      {"ctx.sum('k', 0/0, '1h')", "failed: 1: ctx.sum: the value is too large or not a number (NaN)"},
      {"ctx.sum('k', 1, '1 our')", "failed: 1: ctx.sum: '1 our' is not a span: did you mean '1h'?"},
      {"ctx.set('k', {}, '1h')", "failed: 1: ctx.set: a value is nil, a boolean, a number or a text, not "
                                 "table (json.encode makes a text of it)"},
      {"ctx.set('k', rec.detail)", "failed: 1: ctx.set: a value is nil, a boolean, a number or a text, not "
                                   "table (json.encode makes a text of it)"},
      {"ctx.set('k', 0/0)", "failed: 1: ctx.set: the value is not a number (NaN)"},
      {"ctx.set('k', ('x'):rep(1025))",
       "failed: 1: ctx.set: a text has at most 1024 bytes, this one has 1025"},
      {"ctx.set('k', 1, '400d')", "failed: 1: ctx.set: a span is 1s to 366d, not '400d'"},
      {"for i = 1, 101 do ctx.count(i, '1h') end",
       "failed: 1: ctx.count: one record may change at most 100 keys"},
      {"for i = 1, 101 do pcall(ctx.count, i, '1h') end return { ctx.count(100, '1h'), (pcall(ctx.set, 101, "
       "1)) }",
       "[2,false]"},
  };
  RUN_BODIES(cases);
}

static void a_sink_has_no_windows(void **state) {
  (void)state;
  static const char *const names[] = {"count", "sum", "get", "set"};
  for (size_t i = 0; i < 4; i++) {
    char source[200], expected[100];
    struct err err = {{0}};
    struct runner r;
    snprintf(source, sizeof source,
             "return { api = 1, name = 'x', map = function(rec, ctx) return { ctx.%s('k', 1, 1) } end }",
             names[i]);
    runner_open(&r, script_load("test", slice_of(source), SCRIPT_SINK, NULL, &err));
    snprintf(expected, sizeof expected, "failed: 1: ctx.%s: a sink has no windows; a stream's script has",
             names[i]);
    assert_string_equal(run(&r), expected);
    runner_close(&r);
  }
}

static void a_failed_record_leaves_no_trace(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, "local M = { api = 1 }\n"
                "function M.alert(rec, ctx)\n"
                "  return { key = 'k', title = 'n' .. ctx.count('a', '1h') } end\n"
                "function M.map(rec, ctx)\n"
                "  ctx.set('last', rec.id)\n"
                "  local n = ctx.count('m', '1h')\n"
                "  if rec.user.id == 0 then error('no') end\n"
                "  if rec.user.id == -1 then while true do end end\n"
                "  return { n = n } end\n"
                "return M");
  assert_string_equal(login(&r, 0, 1, 0, "0"), "failed: 7: no");
  assert_int_equal(r.result.alert_count, 0);
  assert_int_equal(windows_keys(script_windows(r.script, 0)), 0);
  assert_string_equal(login(&r, 0, 1, 0, "1"), "{\"n\":1}");
  assert_int_equal(r.result.alert_count, 1);
  assert_string_equal(r.result.alerts[0].title, "n1");
  assert_string_equal(login(&r, 0, 2, 400, "0"), "failed: 7: no");
  assert_int_equal(r.result.alert_count, 0);
  assert_string_equal(login(&r, 0, 2, 400, "5"), "{\"n\":2}"); // redriven
  assert_int_equal(r.result.alert_count, 1);
  assert_string_equal(r.result.alerts[0].title, "n2");
  struct buf before, after;
  buf_init(&before, 4096);
  buf_init(&after, 4096);
  assert_true(windows_dump(script_windows(r.script, 0), &before));
  login(&r, 0, 3, 401, "-1");
  assert_int_equal(r.result.outcome, SCRIPT_TIMEOUT);
  assert_true(script_worn(r.script));
  assert_true(windows_dump(script_windows(r.script, 0), &after));
  assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
  buf_fini(&before);
  buf_fini(&after);
  runner_close(&r);
}

static void a_failed_alert_lets_the_record_go_on(void **state) {
  (void)state;
  static const struct {
    const char *body, *text;
    bool worn;
  } cases[] = {
      {"error('no')", "no", false},
      {"return rec.nothing.more", "rec.nothing is nil: no record has such a field", false},
      {"return 5", "alert must return nil or { key = ..., title = ... }, not a number", false},
      {"return rec", "alert must return nil or { key = ..., title = ... }, not a table", false},
      {"return {}", "alert: the table needs a key", false},
      {"return { key = 'k', titel = 'x' }", "alert: field 'titel' is not known; did you mean 'title'?",
       false},
      {"return { key = 'k', zzz = 'x' }",
       "alert: field 'zzz' is not known: key, title, severity and for_s are", false},
      {"return { key = 'k', 'x' }", "alert: the table has a key that is a number", false},
      {"return { key = {} }", "alert: key must be a text or a number, not a table", false},
      {"return { key = 'k', title = true }", "alert: title must be a text or a number, not a boolean", false},
      {"return { key = 'k', severity = 'critcal' }",
       "alert: severity 'critcal' is not known; did you mean 'critical'?", false},
      {"return { key = 'k', severity = 'high' }",
       "alert: severity 'high' is not known: \"info\", \"warn\" or \"critical\"", false},
      {"return { key = 'k', for_s = '5m' }", "alert: for_s must be a number of seconds from 0 to 31622400",
       false},
      {"return { key = 'k', for_s = -1 }", "alert: for_s must be a number of seconds from 0 to 31622400",
       false},
      {"while true do end", "took longer than 300 ms", true},
      {"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(100000) .. i end", "needs more memory than 4096 KB",
       true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct script_limits limits = {.call_ms = 300, .memory_bytes = 4 << 20};
    struct err err = {{0}};
    struct runner r;
    char source[600];
    snprintf(source, sizeof source,
             "return { api = 1, alert = function(rec, ctx) ctx.count('a', '1h') %s end,\n"
             "map = function(rec, ctx) local t = {} for i = 1, 5000 do t[i] = i end return { n = "
             "ctx.count('m', '1h') } end }",
             cases[i].body);
    runner_open(&r, script_load("test", slice_of(source), SCRIPT_STREAM, &limits, &err));
    assert_non_null(r.script);
    assert_string_equal(login(&r, 0, 1, 0, "1"), "{\"n\":1}");
    assert_true(r.result.alert_failed);
    assert_int_equal(r.result.alert_count, 0);
    assert_int_equal(r.result.alert_line, 1);
    assert_string_equal(r.result.alert_text, cases[i].text);
    assert_int_equal(script_worn(r.script), cases[i].worn);
    assert_int_equal(windows_keys(script_windows(r.script, 0)), 1); // what alert counted is taken back
    runner_close(&r);
  }
}

static void alerts_are_cut_and_have_defaults(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, "return { api = 1, alert = function(rec, ctx)\n"
                "  if rec.id == 1 then return { key = rec.user.id } end\n"
                "  if rec.id == 2 then return { key = ('k\\n'):rep(300), title = ('t\\0\\255'):rep(300), "
                "severity = 'info', for_s = 0.5 } end\n"
                "  return false end }");
  login(&r, 0, 1, 0, "898822806670000135");
  assert_int_equal(r.result.alert_count, 1);
  assert_string_equal(r.result.alerts[0].key, "898822806670000135");
  assert_string_equal(r.result.alerts[0].title, "898822806670000135");
  assert_int_equal(r.result.alerts[0].severity, SCRIPT_WARN);
  login(&r, 0, 2, 0, "1");
  assert_int_equal(r.result.alert_count, 1);
  assert_int_equal(strlen(r.result.alerts[0].key), 256);
  assert_int_equal(strlen(r.result.alerts[0].title), 200);
  assert_null(strpbrk(r.result.alerts[0].title, "\n\xff"));
  assert_int_equal(r.result.alerts[0].for_s, 0);
  login(&r, 0, 3, 0, "1");
  assert_int_equal(r.result.alert_count, 0);
  assert_false(r.result.alert_failed);
  runner_close(&r);
}

static void alert_comes_first_and_sees_what_matches(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, "local order = ''\n"
                "return { api = 1, match = { event_type = { 6 } },\n"
                "  alert = function(rec) order = order .. 'a' return { key = 'k', for_s = 10 } end,\n"
                "  filter = function(rec) order = order .. 'f' return rec.id > 1, order end,\n"
                "  map = function(rec) order = order .. 'm' return { order = order } end }");
  assert_string_equal(login(&r, 0, 1, 0, "1"), "filtered: af");
  assert_int_equal(r.result.alert_count, 1); // of a record that is dropped
  assert_string_equal(login(&r, 0, 2, 9, "1"), "{\"order\":\"afafm\"}");
  assert_int_equal(r.result.alert_count, 0); // silent
  assert_string_equal(run(&r), "filtered: match");
  assert_int_equal(r.result.alert_count, 0);
  assert_string_equal(login(&r, 0, 2, 10, "1"), "{\"order\":\"afafmafm\"}");
  assert_int_equal(r.result.alert_count, 1);
  runner_close(&r);
}

static void it_is_not_called_for_alerts(void **state) {
  (void)state;
  struct runner r;
  struct json_fault fault;
  open_with(&r, "return { api = 1, alert = function(rec) return { key = 'k' } end }");
  assert_true(json_tape_parse(&r.tape, slice_of("{\"id\":1,\"alert\":true}"), &fault));
  r.header = (struct record_header){.kind = RECORD_ALERT};
  script_run(r.script, 0, &r.header, &r.tape, &r.result);
  assert_int_equal(r.result.outcome, SCRIPT_KEPT);
  assert_int_equal(r.result.alert_count, 0);
  r.header.kind = RECORD_EVENT;
  script_run(r.script, 0, &r.header, &r.tape, &r.result);
  assert_int_equal(r.result.alert_count, 1);
  runner_close(&r);
}

static const char COUNTING[] = "local first\n"
                               "return { api = 1, map = function(rec, ctx) first = first or ctx\n"
                               "  return { n = first.count('k', '1h') } end }";

static void each_context_has_its_own(void **state) {
  (void)state;
  struct runner r;
  struct err err = {{0}};
  open_with(&r, COUNTING);
  assert_true(script_set_context(r.script, 1, slice_of("{\"stream\":{\"id\":\"a\"}}"), &err));
  assert_true(script_set_context(r.script, 2, slice_of("{\"stream\":{\"id\":\"b\"}}"), &err));
  assert_null(script_windows(r.script, 1));
  assert_string_equal(login(&r, 1, 1, 0, "1"), "{\"n\":1}");
  assert_string_equal(login(&r, 1, 1, 0, "1"), "{\"n\":2}");
  assert_string_equal(login(&r, 2, 1, 0, "1"), "{\"n\":1}"); // though it calls another stream's ctx
  assert_string_equal(login(&r, 1, 1, 0, "1"), "{\"n\":3}");
  script_forget_context(r.script, 1);
  assert_null(script_windows(r.script, 1));
  assert_string_equal(login(&r, 1, 1, 0, "1"), "{\"n\":1}");
  assert_string_equal(login(&r, 2, 1, 0, "1"), "{\"n\":2}");
  runner_close(&r);
}

static void they_outlive_their_script(void **state) {
  (void)state;
  struct runner r, next;
  open_with(&r, COUNTING);
  login(&r, 3, 1, 0, "1");
  struct windows *w = script_take_windows(r.script, 3);
  assert_non_null(w);
  assert_null(script_take_windows(r.script, 3));
  assert_string_equal(login(&r, 3, 1, 0, "1"), "{\"n\":1}");
  runner_close(&r);
  open_with(&next, COUNTING);
  assert_true(script_give_windows(next.script, 3, w));
  assert_string_equal(login(&next, 3, 1, 0, "1"), "{\"n\":2}");
  runner_close(&next);
}

static void records_run_again_from_saved_windows_give_the_same(void **state) {
  (void)state;
  static const char source[] =
      "return { api = 1, alert = function(rec, ctx)\n"
      "  local n = ctx.count(rec.user.id, '10m')\n"
      "  if n % 3 == 0 then return { key = rec.user.id, title = n, for_s = 20 } end end,\n"
      "map = function(rec, ctx) return { s = ctx.sum(rec.user.id % 3, rec.id / 7, '5m'), l = ctx.get('l'), x "
      "= ctx.set('l', rec.id, '10s') } end }";
  enum { RECORDS = 400, SAVED = 137 };
  static char seen[RECORDS][400];
  struct runner r;
  struct buf saved;
  struct err err = {{0}};
  struct slice rest, key, value;
  buf_init(&saved, 1 << 20);
  open_with(&r, source);
  script_save_windows(r.script, true);
  for (int pass = 0; pass < 2; pass++) {
    for (int i = pass ? SAVED : 0; i < RECORDS; i++) {
      char user[8], line[400];
      snprintf(user, sizeof user, "%d", i * 31 % 7);
      const char *out = login(&r, 0, i, i * 11 - i % 5 * 20 + 100, user);
      snprintf(line, sizeof line, "%u %s %.100s", r.result.alert_count,
               r.result.alert_count ? r.result.alerts[0].title : "", out);
      if (pass) assert_string_equal(seen[i], line);
      strcpy(seen[i], line);
      if (!pass && i < SAVED) assert_true(windows_take(script_windows(r.script, 0), &saved));
    }
    if (pass) break;
    struct windows *w = windows_new(true);
    for (rest = buf_slice(&saved); windows_next_pair(&rest, &key, &value, &err);)
      if (!windows_load(w, key, value, &err)) fail_msg("%s", err.text);
    assert_true(script_give_windows(r.script, 0, w));
  }
  buf_fini(&saved);
  runner_close(&r);
}

static void memory_that_is_short_fails_the_record_only(void **state) {
  (void)state;
  struct runner r;
  open_with(&r, "return { api = 1, alert = function(rec, ctx) if rec.id > 0 then return { key = 'a' .. "
                "ctx.count('a', '1h') } end end,\n"
                "  map = function(rec, ctx) return { n = ctx.count('k', '1h') } end }");
  assert_string_equal(login(&r, 0, 1, 0, "1"), "{\"n\":1}");
  for (long nth = 1; nth < 30; nth++) {
    struct buf before, after;
    buf_init(&before, 4096);
    buf_init(&after, 4096);
    assert_true(windows_dump(script_windows(r.script, 0), &before));
    mem_fail_at(nth);
    const char *out = login(&r, 0, 1, 0, "1");
    mem_fail_at(0);
    if (r.result.outcome != SCRIPT_KEPT) {
      assert_true(windows_dump(script_windows(r.script, 0), &after));
      assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
      assert_non_null(strstr(out, "memory"));
    }
    buf_fini(&before);
    buf_fini(&after);
    if (script_worn(r.script)) break;
  }
  runner_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(five_failed_logins_raise_one_alert),
      cmocka_unit_test(windows_are_used_from_any_hook),
      cmocka_unit_test(values_come_back_as_they_were),
      cmocka_unit_test(wrong_use_is_told_in_words),
      cmocka_unit_test(a_sink_has_no_windows),
      cmocka_unit_test(a_failed_record_leaves_no_trace),
      cmocka_unit_test(a_failed_alert_lets_the_record_go_on),
      cmocka_unit_test(alerts_are_cut_and_have_defaults),
      cmocka_unit_test(alert_comes_first_and_sees_what_matches),
      cmocka_unit_test(it_is_not_called_for_alerts),
      cmocka_unit_test(each_context_has_its_own),
      cmocka_unit_test(they_outlive_their_script),
      cmocka_unit_test(records_run_again_from_saved_windows_give_the_same),
      cmocka_unit_test(memory_that_is_short_fails_the_record_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
