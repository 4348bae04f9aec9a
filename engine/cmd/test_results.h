// test_results.h - what `sluice test` found out: cases by file, and the lines that ran.
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
  char *name, *message, *details; // never NULL; message and details of a failure, "" when there is none
  uint32_t line, failed_line;     // in the file; 0: unknown, or a golden case
  bool ok;
  double seconds;
};

struct test_file {
  char *path;
  struct test_case *cases;
  size_t count, cap, failed;
  double seconds; // of its cases
};

struct test_coverage {
  char *file;
  uint8_t *lines; // enum spec_line
  size_t count;
};

struct test_results {
  struct test_file **files;
  size_t file_count, file_cap;
  size_t passed, failed;
  struct test_coverage *coverage;
  size_t coverage_count, coverage_cap;
};

void test_results_fini(struct test_results *results); // takes zeroed
struct test_file *test_results_file(struct test_results *results,
                                    const char *path); // a new one; results own it
// Copies the texts; they may hold anything.
struct test_case *test_results_case(struct test_results *results, struct test_file *file, bool ok,
                                    struct slice name, struct slice message, struct slice details);
// Adds lines to what is known of the file: a line that ran once has run.
void test_results_cover(struct test_results *results, struct slice file, struct slice lines);
