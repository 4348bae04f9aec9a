// test_child.h - one spec file or golden case in a process of its own, since a crash of LuaJIT must not end
// the run.
#pragma once
#include "cmd/test_results.h"

struct test_child_options {
  const char *only; // NULL: all cases
  bool update, coverage;
};

// Runs `file` (NAME_spec.lua or NAME.input.ndjson) and adds what it says to the results. What ends the
// process early is a failed case.
void test_child_run(const char *file, const struct test_child_options *options, struct test_results *results,
                    struct test_file *into);
