// test_files.h - the spec files and golden cases that some paths stand for.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct test_files {
  char **paths; // NAME_spec.lua and NAME.input.ndjson, in order, each once
  size_t count, cap;
};
// A file of either kind, NAME.lua for what lies beside it, or a folder with those in it. False with a message
// on stderr: it can't be read.
bool test_files_add(struct test_files *files, const char *path);
void test_files_fini(struct test_files *files);
