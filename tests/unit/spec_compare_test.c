// Proves that two values are told apart by what they hold, and each difference by its path and in words.
#include "script/lua_json.h"
#include "script/spec_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct comparison {
  const char *expected, *got; // Lua expressions
  const char *diff;           // "" when they are the same
};

struct work {
  struct buf *out;
  const char *root;
  bool same;
};

// Argument 2: what the chunk returned, a list of two.
static int compare(lua_State *L) {
  struct work *work = lua_touserdata(L, 1);
  lua_rawgeti(L, 2, 1);
  lua_rawgeti(L, 2, 2);
  work->same = spec_compare(L, 3, 4, work->root, work->out);
  return 0;
}

static void check(const char *root, const struct comparison *c) {
  char source[4096];
  struct err err = {{0}};
  struct lua_failure failure;
  struct buf out;
  struct work work = {&out, root, false};
  buf_init(&out, 1 << 20);
  struct lua_state *s = lua_state_new(NULL, &err);
  assert_non_null(s);
  snprintf(source, sizeof source, "return { [1] = %s, [2] = %s }", c->expected, c->got);
  if (!lua_state_load(s, "test", slice_of(source), &err)) fail_msg("%s", err.text);
  if (!lua_state_protect(s, compare, &work, 1, 0, &failure)) buf_append_text(&out, failure.text);
  const char *diff = buf_text(&out);
  if (strcmp(diff, c->diff) != 0)
    fail_msg("%s and %s\n  give     %s\n  expected %s", c->expected, c->got, diff, c->diff);
  assert_int_equal(work.same, c->diff[0] == 0);
  buf_fini(&out);
  lua_state_free(s);
}

static void check_all(const char *root, const struct comparison *cases, size_t count) {
  for (size_t i = 0; i < count; i++)
    check(root, &cases[i]);
}
#define CHECK(root, cases) check_all(root, cases, sizeof(cases) / sizeof *(cases))

static void what_holds_the_same_is_the_same(void **state) {
  (void)state;
  static const struct comparison cases[] = {
      {"1", "1", ""},
      {"'a'", "'a'", ""},
      {"{ a = 1, b = { 2, 3 } }", "{ b = { 2, 3 }, a = 1 }", ""},
      {"{}", "array {}", ""},
      {"{}", "object {}", ""},
      {"array {}", "array {}", ""},
      {"{ null }", "array { null }", ""},
      {"{ [true] = 1, [1.5] = 2 }", "{ [1.5] = 2, [true] = 1 }", ""},
      {"{ a = nil }", "{}", ""},
  };
  CHECK("", cases);
}

static void a_difference_is_told_by_its_path(void **state) {
  (void)state;
  static const struct comparison cases[] = {
      {"{ records = { { mb = 1.5 } } }", "{ records = { { mb = '1.5' } } }",
       "records[1].mb: expected 1.5, got \"1.5\" (a string)\n"},
      {"{ a = 1, c = 3 }", "{ a = 2, b = 2 }",
       "a: expected 1, got 2\nb: extra, got 2\nc: missing, expected 3\n"},
      {"{ 1, 2 }", "{ 1, 3, 4 }", "[2]: expected 2, got 3\n[3]: extra, got 4\n"},
      {"{ ['a b'] = 1 }", "{}", "[\"a b\"]: missing, expected 1\n"},
      {"{ [2.5] = 1 }", "{}", "[2.5]: missing, expected 1\n"},
      {"{ a = { b = null } }", "{ a = { b = 1 } }", "a.b: expected null, got 1 (a number)\n"},
      {"{ a = { 1 } }", "{ a = 1 }", "a: expected [1], got 1 (a number)\n"},
      {"array {}", "object {}", "expected [], got {}\n"},
      {"{ a = true }", "{ a = 'true' }", "a: expected true, got \"true\" (a string)\n"},
      {"{ a = 'x\\ny' }", "{ a = 'x y' }", "a: expected \"x\\ny\", got \"x y\"\n"},
  };
  CHECK("", cases);
}

static void without_a_path_the_values_stand_alone(void **state) {
  (void)state;
  static const struct comparison cases[] = {
      {"1", "2", "expected 1, got 2\n"},
      {"1", "nil", "expected 1, got nil\n"},
      {"'a'", "print", "expected \"a\", got nil\n"},
      {"'a'", "tostring", "expected \"a\", got a function\n"},
      {"0.3", "0.1 + 0.2", "expected 0.3, got 0.30000000000000004\n"},
      {"1", "0/0", "expected 1, got nan\n"},
      {"-1/0", "1/0", "expected -inf, got inf\n"},
  };
  CHECK("", cases);
  static const struct comparison rooted[] = {{"{ a = 1 }", "{ a = 2 }", "line 3.a: expected 1, got 2\n"},
                                             {"1", "2", "line 3: expected 1, got 2\n"}};
  CHECK("line 3", rooted);
}

static void long_texts_are_cut_and_their_place_told(void **state) {
  (void)state;
  static const struct comparison cases[] = {
      {"('a'):rep(70) .. 'b'", "('a'):rep(70) .. 'c'",
       "expected \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\", "
       "got \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac\"\n"
       "  they part at byte 71: expected ...aaaaaaaaaaaaaaaaaaaaaaaab..., got "
       "...aaaaaaaaaaaaaaaaaaaaaaaac...\n"},
  };
  CHECK("", cases);
}

static void what_has_no_end_is_refused(void **state) {
  (void)state;
  static const struct comparison cases[] = {
      {"(function() local t = {} t.t = t return t end)()", "(function() local t = {} t.t = t return t end)()",
       "the values are nested too deep to be compared"},
      {"(function() local t = {} for i = 1, 40 do t = { t, t } end return t end)()",
       "(function() local t = {} for i = 1, 40 do t = { t, t } end return t end)()",
       "the values are too large to be compared"},
  };
  CHECK("", cases);
}

static void many_differences_are_counted(void **state) {
  (void)state;
  struct buf expected;
  buf_init(&expected, 4096);
  for (int i = 1; i <= SPEC_DIFFERENCES; i++)
    buf_printf(&expected, "[%d]: missing, expected %d\n", i, i);
  buf_append_text(&expected, "and 5 more differences\n");
  const struct comparison c = {"(function() local t = {} for i = 1, 25 do t[i] = i end return t end)()", "{}",
                               buf_text(&expected)};
  check("", &c);
  buf_fini(&expected);
}

// Integers beyond 2^53 come from JSON: they differ in the last digit, and are shown with all of them.
static int compare_exact(lua_State *L) {
  struct work *work = lua_touserdata(L, 1);
  work->same = spec_compare(L, 2, 3, "", work->out);
  return 0;
}

static void exact_integers_keep_their_digits(void **state) {
  (void)state;
  struct err err = {{0}};
  struct lua_failure failure;
  struct buf out;
  struct work work = {&out, "", true};
  buf_init(&out, 4096);
  struct lua_state *s = lua_state_new(NULL, &err);
  assert_true(lua_json_read(s, slice_of("{\"id\":9007199254740993,\"a\":9007199254740995}"), &err));
  assert_true(lua_json_read(s, slice_of("{\"id\":9007199254740992,\"a\":9007199254740995}"), &err));
  assert_true(lua_state_protect(s, compare_exact, &work, 2, 0, &failure));
  assert_string_equal(buf_text(&out), "id: expected 9007199254740993, got 9007199254740992\n");
  buf_fini(&out);
  lua_state_free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_holds_the_same_is_the_same),
      cmocka_unit_test(a_difference_is_told_by_its_path),
      cmocka_unit_test(without_a_path_the_values_stand_alone),
      cmocka_unit_test(long_texts_are_cut_and_their_place_told),
      cmocka_unit_test(what_has_no_end_is_refused),
      cmocka_unit_test(many_differences_are_counted),
      cmocka_unit_test(exact_integers_keep_their_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
