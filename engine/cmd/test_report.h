// test_report.h - results of `sluice test` for people (pretty), as TAP 13 and as JUnit's XML.
#pragma once
#include "cmd/test_results.h"
#include <stdio.h>

enum test_format { TEST_PRETTY, TEST_TAP, TEST_JUNIT };
bool test_format_of(const char *name, enum test_format *out);

struct test_report {
  FILE *out;
  enum test_format format;
  bool colour;   // pretty alone
  size_t number; // cases told so far
};
// In this order: begin; each file when it is done; end. Pretty and TAP tell as they go, JUnit all at the end.
void test_report_begin(struct test_report *report);
void test_report_file(struct test_report *report, const struct test_file *file);
void test_report_end(struct test_report *report, const struct test_results *results);
// Percent and the lines never run of each script, as lines that begin with `front`.
void test_report_coverage(const struct test_results *results, const char *front, FILE *out);
