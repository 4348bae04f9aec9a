// script_files_test.c - shared scripts are written whole or not at all, and only under names that are theirs.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/script_files.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
  (void)st, (void)kind, (void)ftw;
  return remove(path);
}

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/script_files.XXXXXX");
  return mkdtemp(folder) ? 0 : 1;
}

static int teardown(void **state) {
  (void)state;
  disk_fail_reset();
  return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect(const char *name, const char *source) {
  size_t len;
  char *text = script_files_read(folder, name, &len, NULL);
  assert_string_equal(text, source);
  assert_int_equal(len, strlen(source));
  mem_free(text);
}

static void names_are_few_characters(void **state) {
  // Nothing that could be a path, another file, or a spec.
  (void)state;
  char longest[66];
  struct err err = {0};
  memset(longest, 'x', sizeof longest);
  longest[64] = 0;
  assert_true(script_files_check_name("a", NULL) && script_files_check_name("a-b_9", NULL));
  assert_true(script_files_check_name(longest, NULL));
  longest[64] = 'x';
  longest[65] = 0;
  static const char *const wrong[] = {"", "A", "a.b", "..", "a/b", "\xc3\xa9", "a b", "x_spec"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(script_files_check_name(wrong[i], NULL));
  assert_false(script_files_check_name(longest, &err));
  assert_non_null(strstr(err.text, "1 to 64"));
  size_t len;
  assert_null(script_files_read(folder, "../x", &len, NULL));
  assert_false(script_files_write(folder, "../x", slice_of("x"), NULL));
  assert_false(script_files_remove(folder, "../x", NULL));
  assert_false(script_files_has(folder, "../x"));
}

static void what_is_written_is_read_and_removed(void **state) {
  // The folder is made; a newer version takes the place of the older one.
  (void)state;
  struct err err = {0};
  size_t room = strlen(folder);
  snprintf(folder + room, sizeof folder - room, "/deeper");
  assert_true(script_files_write(folder, "one", slice_of("first"), &err));
  expect("one", "first");
  assert_true(script_files_write(folder, "one", slice_of("second"), &err));
  expect("one", "second");
  assert_true(script_files_has(folder, "one"));
  assert_true(script_files_remove(folder, "one", &err));
  assert_false(script_files_has(folder, "one"));
  assert_false(script_files_remove(folder, "one", &err));
  assert_non_null(strstr(err.text, "one.lua"));
  folder[room] = 0;
}

static void a_failing_disk_leaves_the_old_version(void **state) {
  // Each write and sync in turn; no other file stays behind.
  (void)state;
  bool more;
  char names[4][SCRIPT_NAME_BYTES];
  assert_true(script_files_write(folder, "one", slice_of("old"), NULL));
  static const enum disk_op ops[] = {DISK_WRITE, DISK_SYNC};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    struct err err = {0};
    disk_fail_at(ops[i], 1, 1, ENOSPC);
    assert_false(script_files_write(folder, "one", slice_of("new"), &err));
    assert_non_null(strstr(err.text, "one.lua"));
    disk_fail_reset();
    expect("one", "old");
    assert_int_equal(script_files_list(folder, "", 2, names, &more, NULL), 1);
  }
  struct err err = {0};
  disk_fail_at(DISK_SYNC, 1, 1, EIO);
  assert_false(script_files_remove(folder, "one", &err));
  assert_non_null(strstr(err.text, "can't sync"));
}

static void the_list_is_in_order_and_in_pages(void **state) {
  // Of many more files than a page, whatever order the folder has them in.
  (void)state;
  enum { FILES = 57, PAGE = 10 };
  char names[2 * PAGE][SCRIPT_NAME_BYTES], path[128];
  for (int i = 0; i < FILES; i++) {
    char name[16];
    snprintf(name, sizeof name, "n%02d", i * 31 % FILES);
    assert_true(script_files_write(folder, name, slice_of("x"), NULL));
  }
  static const char *const others[] = {"n00_spec.lua", "n00.txt", "N.lua", ".lua", ".x.lua"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, others[i]);
    assert_true(disk_replace_file(path, slice_of("x"), 0644, NULL));
  }
  char after[SCRIPT_NAME_BYTES] = "";
  int seen = 0;
  for (bool more = true; more;) {
    long count = script_files_list(folder, after, PAGE, names, &more, NULL);
    assert_int_equal(count, more ? PAGE : FILES - seen);
    for (long i = 0; i < count; i++) {
      snprintf(path, sizeof path, "n%02d", seen++);
      assert_string_equal(names[i], path);
    }
    memcpy(after, names[count - 1], sizeof after);
  }
  assert_int_equal(seen, FILES);
}

static void there_are_so_many_and_no_more(void **state) {
  // A new one is refused in words; an old one can still be changed.
  (void)state;
  char path[128];
  for (int i = 0; i < LIMIT_SHARED_SCRIPTS; i++) {
    snprintf(path, sizeof path, "%s/n%d.lua", folder, i);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
  }
  struct err err = {0};
  assert_false(script_files_write(folder, "another", slice_of("x"), &err));
  assert_non_null(strstr(err.text, "remove some"));
  assert_true(script_files_write(folder, "n5", slice_of("x"), NULL));
  expect("n5", "x");
}

static void a_folder_that_can_not_be_read_is_an_error(void **state) {
  // One that is not there is empty.
  (void)state;
  bool more;
  char names[2][SCRIPT_NAME_BYTES], file[128];
  struct err err = {0};
  snprintf(file, sizeof file, "%s/file", folder);
  assert_true(disk_replace_file(file, slice_of("x"), 0644, NULL));
  assert_int_equal(script_files_list("/nowhere/at/all", "", 1, names, &more, &err), 0);
  assert_int_equal(script_files_list(file, "", 1, names, &more, &err), -1);
  assert_non_null(strstr(err.text, "can't be read"));
}

static void a_version_is_the_source_s(void **state) {
  // The same for the same text, another for another.
  (void)state;
  char a[SCRIPT_VERSION_BYTES], b[SCRIPT_VERSION_BYTES], c[SCRIPT_VERSION_BYTES];
  script_files_version(slice_of("return 1"), a);
  script_files_version(slice_of("return 1"), b);
  script_files_version(slice_of("return 2"), c);
  assert_string_equal(a, b);
  assert_string_not_equal(a, c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(names_are_few_characters, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_written_is_read_and_removed, setup, teardown),
      cmocka_unit_test_setup_teardown(a_failing_disk_leaves_the_old_version, setup, teardown),
      cmocka_unit_test_setup_teardown(the_list_is_in_order_and_in_pages, setup, teardown),
      cmocka_unit_test_setup_teardown(there_are_so_many_and_no_more, setup, teardown),
      cmocka_unit_test_setup_teardown(a_folder_that_can_not_be_read_is_an_error, setup, teardown),
      cmocka_unit_test(a_version_is_the_source_s),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
