// Proves that results are told in each format as its readers take them, whatever the texts hold.
#include "cmd/test_report.h"
#include "script/spec_coverage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct test_results *r, struct test_file *file, bool ok, const char *name,
                const char *message, const char *details) {
  struct test_case *c = test_results_case(r, file, ok, slice_of(name), slice_of(message), slice_of(details));
  c->line = 3;
  c->failed_line = ok ? 0 : 5;
}

static void fill(struct test_results *r) {
  struct test_file *file = test_results_file(r, "a_spec.lua");
  add(r, file, true, "adds # up", "", "");
  add(r, file, false, "says \"<&>\"", "assert.same", "a: expected 1, got \"\001\"\nb: extra, got 2\n");
  test_results_file(r, "empty_spec.lua");
}

// All that the format prints; to be freed.
static char *told(enum test_format format, bool colour, const struct test_results *r) {
  char *text = NULL;
  size_t len;
  struct test_report report = {.out = open_memstream(&text, &len), .format = format, .colour = colour};
  test_report_begin(&report);
  for (size_t i = 0; i < r->file_count; i++)
    test_report_file(&report, r->files[i]);
  test_report_end(&report, r);
  fclose(report.out);
  return text;
}

static void check(enum test_format format, bool colour, const char *expected) {
  struct test_results results = {0};
  fill(&results);
  char *text = told(format, colour, &results);
  assert_string_equal(text, expected);
  free(text);
  test_results_fini(&results);
}

static void pretty_names_the_place_and_the_difference(void **state) {
  (void)state;
  check(TEST_PRETTY, false,
        "a_spec.lua\n"
        "  ok      adds # up\n"
        "  FAILED  says \"<&>\"\n"
        "          a_spec.lua:5: assert.same\n"
        "          a: expected 1, got \"\001\"\n"
        "          b: extra, got 2\n"
        "\n1 passed, 1 failed\n");
}

static void colour_is_for_terminals(void **state) {
  (void)state;
  struct test_results results = {0};
  add(&results, test_results_file(&results, "a_spec.lua"), true, "x", "", "");
  char *text = told(TEST_PRETTY, true, &results);
  assert_string_equal(text, "\033[1ma_spec.lua\033[0m\n  \033[32mok    \033[0m  x\n\n1 passed, 0 failed\n");
  free(text);
  test_results_fini(&results);
}

static void tap_is_version_13(void **state) {
  (void)state;
  check(TEST_TAP, true,
        "TAP version 13\n"
        "ok 1 - a_spec.lua: adds \\# up\n"
        "not ok 2 - a_spec.lua: says \"<&>\"\n"
        "  ---\n"
        "  message: \"assert.same\"\n"
        "  file: \"a_spec.lua\"\n"
        "  line: 5\n"
        "  details: |2\n"
        "    a: expected 1, got \"\001\"\n"
        "    b: extra, got 2\n"
        "  ...\n"
        "1..2\n");
}

static void junit_is_well_formed(void **state) {
  (void)state;
  check(TEST_JUNIT, true,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"sluice\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.000000\">\n"
        "  <testsuite name=\"a_spec.lua\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" "
        "time=\"0.000000\">\n"
        "    <testcase name=\"adds # up\" classname=\"a_spec.lua\" file=\"a_spec.lua\" line=\"3\" "
        "time=\"0.000000\"/>\n"
        "    <testcase name=\"says &quot;&lt;&amp;&gt;&quot;\" classname=\"a_spec.lua\" file=\"a_spec.lua\" "
        "line=\"3\" time=\"0.000000\">\n"
        "      <failure message=\"assert.same: a: expected 1, got &quot;?&quot;\">a_spec.lua:5: "
        "assert.same&#10;"
        "a: expected 1, got &quot;?&quot;&#10;b: extra, got 2&#10;</failure>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "  <testsuite name=\"empty_spec.lua\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" "
        "time=\"0.000000\">\n"
        "  </testsuite>\n"
        "</testsuites>\n");
}

static void junit_takes_only_characters_of_xml(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"}, // the euro sign and a face
      {"\xff", "?"},
      {"\xc3", "?"},
      {"\xc0\x80", "??"},
      {"\xe0\x80\x80", "???"},
      {"\xed\xa0\x80", "???"},
      {"\xef\xbf\xbf", "???"},
      {"\xf4\x90\x80\x80", "????"},
      {"\x7f", "\x7f"},
      {"a\tb\r", "a&#9;b&#13;"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct test_results results = {0};
    char expected[64];
    add(&results, test_results_file(&results, "a"), true, cases[i][0], "", "");
    char *text = told(TEST_JUNIT, false, &results);
    snprintf(expected, sizeof expected, "<testcase name=\"%s\" classname", cases[i][1]);
    if (!strstr(text, expected)) fail_msg("%s has no %s", text, expected);
    free(text);
    test_results_fini(&results);
  }
}

static void formats_have_names(void **state) {
  (void)state;
  enum test_format format;
  assert_true(test_format_of("junit", &format) && format == TEST_JUNIT);
  assert_true(test_format_of("tap", &format) && format == TEST_TAP);
  assert_true(test_format_of("pretty", &format) && format == TEST_PRETTY);
  assert_false(test_format_of("xml", &format));
}

static void coverage_is_put_together_over_files(void **state) {
  (void)state;
  enum { E = SPEC_LINE_EMPTY, N = SPEC_LINE_NEVER, R = SPEC_LINE_RAN };
  static const uint8_t first[] = {E, R, N, N, E, N, R, N}, second[] = {E, N, N, R, E, N, N, N}, all[] = {R};
  struct test_results results = {0};
  char *text = NULL;
  size_t len;
  test_results_cover(&results, slice_of("a.lua"), slice_make(first, sizeof first));
  test_results_cover(&results, slice_of("a.lua"), slice_make(second, sizeof second));
  test_results_cover(&results, slice_of("b.lua"), slice_make(all, sizeof all));
  FILE *out = open_memstream(&text, &len);
  test_report_coverage(&results, "# ", out);
  fclose(out);
  assert_string_equal(text, "#  50.0 %  a.lua, never run: line 3, 6, 8\n# 100.0 %  b.lua\n");
  free(text);
  test_results_fini(&results);
}

static void lines_never_run_are_told_in_stretches(void **state) {
  (void)state;
  static const uint8_t lines[] = {SPEC_LINE_NEVER, SPEC_LINE_EMPTY, SPEC_LINE_NEVER,
                                  SPEC_LINE_EMPTY, SPEC_LINE_RAN,   SPEC_LINE_NEVER};
  struct test_results results = {0};
  char *text = NULL;
  size_t len;
  test_results_cover(&results, slice_of("a.lua"), slice_make(lines, sizeof lines));
  FILE *out = open_memstream(&text, &len);
  test_report_coverage(&results, "", out);
  fclose(out);
  assert_string_equal(text, " 25.0 %  a.lua, never run: line 1-3, 6\n");
  free(text);
  test_results_fini(&results);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pretty_names_the_place_and_the_difference),
      cmocka_unit_test(colour_is_for_terminals),
      cmocka_unit_test(tap_is_version_13),
      cmocka_unit_test(junit_is_well_formed),
      cmocka_unit_test(junit_takes_only_characters_of_xml),
      cmocka_unit_test(formats_have_names),
      cmocka_unit_test(coverage_is_put_together_over_files),
      cmocka_unit_test(lines_never_run_are_told_in_stretches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
