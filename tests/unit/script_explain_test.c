// Proves that a script which stumbles over a nil is told which field it was, why, and what to write instead.
#include "script_support.h"

static const char login_record[] =
    "{\"id\":201388127,\"event_type\":{\"id\":6},\"event_severity\":{\"id\":1},\"organisation\":{\"id\":1},"
    "\"user\":{\"id\":84993,\"tags\":[{\"a\":null},{}]},\"description\":null,\"de\\u0020tail\":{\"x\":{}}}";
static const char usage_record[] = "{\"id\":7,\"volume\":{\"total\":1},\"organisation\":{\"id\":1},\"imsi\":"
                                   "\"901405300000170\",\"operator\":{\"id\":1}}";
static const char move_record[] =
    "{\"id\":7,\"event_type\":{\"id\":99},\"organisation\":{\"id\":1},\"detail\":{\"tapcode\":[{\"id\":1}]}}";

struct explain_case {
  const char *record, *body, *expected;
};

static void explained(const struct explain_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char source[1000];
    struct runner r;
    snprintf(source, sizeof source, "local M = { api = 1 }\nfunction M.map(rec, ctx)\n%s\nend\nreturn M",
             cases[i].body);
    runner_open(&r, load(source));
    const char *got = run_record(&r, 0, slice_of(cases[i].record));
    if (strncmp(got, "failed: 3: ", 11) != 0 || strcmp(got + 11, cases[i].expected) != 0)
      fail_msg("%s\n  gives    %s\n  expected %s", cases[i].body, got, cases[i].expected);
    runner_close(&r);
  }
}
#define EXPLAINED(cases) explained(cases, sizeof(cases) / sizeof *(cases))

static void a_field_that_is_nil_is_named(void **state) {
  (void)state;
  static const struct explain_case cases[] = {
      {login_record, "return { mb = rec.detail.volume.total }",
       "rec.detail is nil: events of type 6 (User authentication failed) have no detail; use get(rec, "
       "\"detail.volume.total\")"},
      {login_record, "return { x = rec.event_sevrity.id }",
       "rec.event_sevrity is nil: no record has such a field; did you mean 'event_severity'?"},
      {login_record, "return { x = rec.cost + 1 }",
       "rec.cost is nil: events have no cost; use get(rec, \"cost\", 0)"},
      {login_record, "return { x = 'a' .. rec.description }",
       "rec.description is nil: it is null in this record; use get(rec, \"description\", \"\")"},
      {login_record, "return { x = rec.user.name:upper() }",
       "rec.user.name is nil: this record has none; use get(rec, \"user.name\", \"\")"},
      {login_record, "return { x = rec.event_type.name .. '' }",
       "rec.event_type.name is nil: no record has such a field; event_type has id, description"},
      {login_record, "return { x = rec.user.call() }",
       "rec.user.call is nil: no record has such a field; user has id, username, name"},
      {login_record, "return { x = rec.user.tags[1].a.b }",
       "rec.user.tags[1].a is nil: it is null in this record; check for it first"},
      {login_record, "return { x = rec['de tail'].x.y.z }",
       "rec.de\\u0020tail.x.y is nil: no record has such a field"},
      {login_record, "return { x = #rec.detail }",
       "rec.detail is nil: events of type 6 (User authentication failed) have no detail; check for it first"},
      {login_record, "return { x = rec[{}] .. '' }", "attempt to concatenate a nil value"},
      {login_record, "return { x = rec.user.tags[1.5].a }", "attempt to index a nil value"},
      {usage_record, "return { x = rec.timestamp:sub(1) }",
       "rec.timestamp is nil: usage records have no timestamp; check for it first"},
      {usage_record, "return { x = rec.imsi.imsi:sub(1, 5) }",
       "rec.imsi.imsi is nil: rec.imsi is a string in this record"},
      {usage_record, "return { x = rec.country.name .. '' }",
       "rec.country is nil: no record has such a field; did you mean 'operator.country'?"},
      {move_record, "return { x = rec.detail.pdp_context.apn .. '' }",
       "rec.detail.pdp_context is nil: events of type 99 have no detail.pdp_context; use get(rec, "
       "\"detail.pdp_context.apn\")"},
      {move_record, "return { x = rec.detail.tapcode[1].tapcod .. '' }",
       "rec.detail.tapcode[1].tapcod is nil: no record has such a field; did you mean "
       "'detail.tapcode[].tapcode'?"},
      {move_record, "return { x = rec.detail.tapcode[2].id }",
       "attempt to index a nil value: rec.detail.tapcode[2] is nil: the list ends before; check for it "
       "first"},
  };
  EXPLAINED(cases);
}

#define ORDER                                                                                                \
  "an integer beyond 2^53 is ordered by compare(a, b), as in compare(rec.id, 5) > 0; a table or null has "   \
  "no order"

static void what_orders_large_integers_is_named(void **state) {
  (void)state;
  static const char large[] = "{\"id\":9007199254740993,\"volume\":{},\"organisation\":{\"id\":1}}";
  static const struct explain_case cases[] = {
      {large, "return { x = rec.id > 5 }", ORDER},
      {large, "return { x = 5 > rec.id }", ORDER},
      {large, "return { x = rec.volume <= 5 }", ORDER},
      {large, "return { x = rec.id < '5' }", "attempt to compare userdata with string"},
  };
  EXPLAINED(cases);
}

static void so_is_what_a_local_or_a_comparison_got(void **state) {
  (void)state;
  static const struct explain_case cases[] = {
      {login_record, "local d = rec.detail return { mb = d.volume.total }",
       "attempt to index local 'd' (a nil value): rec.detail is nil: events of type 6 (User authentication "
       "failed) have no detail; use get(rec, \"detail.volume.total\")"},
      {login_record, "return { x = rec.cost > 2 }",
       "attempt to compare number with nil: rec.cost is nil: events have no cost; use get(rec, \"cost\", "
       "0)"},
      {login_record, "return { x = get(rec, 'volume.total') * 2 }",
       "attempt to perform arithmetic on a nil value: get(rec, \"volume.total\") is nil: events have no "
       "volume.total; give it a default: get(rec, \"volume.total\", 0)"},
      {login_record, "return { x = get(rec.user, 'nmae') .. '' }",
       "attempt to concatenate a nil value: get(rec, \"user.nmae\") is nil: no record has such a field; did "
       "you mean 'user.name'?"},
      {login_record, "return { x = string.upper(rec.operator) }",
       "bad argument #1 to 'upper' (string expected, got nil): rec.operator is nil: events have no operator; "
       "check for it first"},
  };
  EXPLAINED(cases);
}

static void what_was_no_look_up_in_the_record_stays(void **state) {
  (void)state;
  static const struct explain_case cases[] = {
      {login_record, "local t = {} return { x = t.foo.bar }", "attempt to index field 'foo' (a nil value)"},
      {login_record, "local n = rec.nope; local t = {} return { x = t.foo.bar }",
       "attempt to index field 'foo' (a nil value)"},
      {login_record, "local x return { x = x.y }", "attempt to index local 'x' (a nil value)"},
      {login_record, "local n = get(rec, 'nope', 1) + nil", "attempt to perform arithmetic on a nil value"},
      {login_record, "error('attempt to do nothing')", "attempt to do nothing"},
  };
  EXPLAINED(cases);
}

static void names_of_functions_are_found(void **state) {
  (void)state;
  static const struct explain_case cases[] = {
      {login_record, "return { x = time.isoo(1) }", "time.isoo is nil; did you mean time.iso?"},
      {login_record, "return { x = string.rpe('x', 3) }", "string.rpe is nil; did you mean string.rep?"},
      {login_record, "return { x = string.frobnicate('x') }",
       "string.frobnicate is nil: there is no such name in string"},
      {login_record, "return { x = ctx.cuont('x') }", "ctx.cuont is nil; did you mean ctx.count?"},
      {login_record, "return { x = jsn.encode(1) }", "global 'jsn' is not known; did you mean 'json'?"},
      {login_record, "local s = 'x' return { x = s:uper() }", "method 'uper' is nil; did you mean 'upper'?"},
      {login_record, "local s = 'x' return { x = s:frobnicate() }",
       "attempt to call method 'frobnicate' (a nil value)"},
  };
  EXPLAINED(cases);
}

static void a_miss_is_forgotten_with_its_record(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("local t = {} return { api = 1, map = function(rec)\n"
                       "if rec.user then return { rec.cost } end\nreturn { t.cost.x } end }"));
  assert_string_equal(run_record(&r, 0, slice_of(login_record)), "{}");
  assert_string_equal(run_record(&r, 0, slice_of(usage_record)),
                      "failed: 3: attempt to index field 'cost' (a nil value)");
  runner_close(&r);
}

static void a_sinks_record_may_have_any_shape(void **state) {
  (void)state;
  struct runner r;
  struct err err = {{0}};
  const char *source = "return { api = 1, map = function(rec)\nreturn { rec.evnt_type.id } end }";
  runner_open(&r, script_load("sink", slice_of(source), SCRIPT_SINK, NULL, &err));
  assert_string_equal(
      run_record(&r, 0, slice_of("{\"x\":1}")),
      "failed: 2: rec.evnt_type is nil: this record has none; use get(rec, \"evnt_type.id\")");
  runner_close(&r);
}

static void keys_may_be_anything(void **state) {
  (void)state;
  struct runner r;
  runner_open(&r, load("return { api = 1, map = function(rec)\n"
                       "for i = 0, 70 do local x = rec[('k\\0'):rep(i)] x = rec[-i] x = rec[i / 7] end\n"
                       "return { rec[('x'):rep(64)] .. '' } end }"));
  assert_non_null(
      strstr(run_record(&r, 0, slice_of(login_record)),
             "rec.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx is nil: no record"));
  runner_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_field_that_is_nil_is_named),
      cmocka_unit_test(what_orders_large_integers_is_named),
      cmocka_unit_test(so_is_what_a_local_or_a_comparison_got),
      cmocka_unit_test(what_was_no_look_up_in_the_record_stays),
      cmocka_unit_test(names_of_functions_are_found),
      cmocka_unit_test(a_miss_is_forgotten_with_its_record),
      cmocka_unit_test(a_sinks_record_may_have_any_shape),
      cmocka_unit_test(keys_may_be_anything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
