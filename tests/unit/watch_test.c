// Proves that a change of a folder's files is told soon and by name, in whatever way the file or the folder was changed.
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/watch.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
  struct loop *loop;
  struct watch *watch;
  char root[64], folder[128];
  struct loop_timer late;
  const char *awaited; // a name; "": a report of all
  unsigned reports, alls;
  char last[300];
} t;

static void told(void *arg, const char *name) {
  assert_ptr_equal(arg, &t);
  t.reports++;
  if (!name) t.alls++;
  else snprintf(t.last, sizeof t.last, "%s", name);
  if (t.awaited && strcmp(name ? name : "", t.awaited) == 0) {
    t.awaited = NULL;
    loop_stop(t.loop);
  }
}

static void too_late(struct loop_timer *timer) {
  (void)timer;
  loop_stop(t.loop);
}

static void await(const char *name) {
  t.awaited = name;
  t.late.run = too_late;
  loop_timer_start(t.loop, &t.late, 30 * 1000000);
  loop_run(t.loop);
  loop_timer_stop(&t.late);
  assert_null(t.awaited);
}

static const char *in(const char *folder, const char *name) {
  static char paths[4][300];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static void open_watch(void) {
  struct err err = {0};
  t.watch = watch_new(t.loop, t.folder, told, &t, &err);
  assert_string_equal(err.text, "");
  assert_int_equal(t.reports, 0); // not from inside
  await("");
  t.alls = t.reports = 0;
}

static int set_up(void **state) {
  (void)state;
  struct err err = {0};
  memset(&t, 0, sizeof t);
  log_set_level(LOG_ERROR);
  strcpy(t.root, "/tmp/watch_test_XXXXXX");
  if (!mkdtemp(t.root)) return -1;
  snprintf(t.folder, sizeof t.folder, "%s/folder", t.root);
  t.loop = loop_new(&err);
  return t.loop && mkdir(t.folder, 0700) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
  (void)st, (void)kind, (void)ftw;
  return remove(path);
}

static int tear_down(void **state) {
  (void)state;
  watch_free(t.watch);
  loop_timer_fini(&t.late);
  loop_free(t.loop);
  return nftw(t.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void what_is_written_moved_linked_or_removed_is_told_by_name(void **state) {
  (void)state;
  open_watch();
  write_file(in(t.folder, "a.lua"), "1");
  await("a.lua");
  write_file(in(t.folder, "a.lua"), "2"); // in place
  await("a.lua");
  write_file(in(t.root, "new"), "3");
  assert_int_equal(rename(in(t.root, "new"), in(t.folder, "a.lua")), 0); // as editors do
  await("a.lua");
  assert_int_equal(symlink("a.lua", in(t.folder, "b.lua")), 0);
  await("b.lua");
  assert_int_equal(link(in(t.folder, "a.lua"), in(t.folder, "c.lua")), 0);
  await("c.lua");
  assert_int_equal(rename(in(t.folder, "c.lua"), in(t.root, "c")), 0);
  await("c.lua");
  assert_int_equal(unlink(in(t.folder, "a.lua")), 0);
  await("a.lua");
  assert_int_equal(t.alls, 0);
}

// A file is told when it is closed, not while it is half there.
static void a_file_that_is_being_written_is_not_told(void **state) {
  (void)state;
  open_watch();
  FILE *slow = fopen(in(t.folder, "slow.lua"), "w");
  fputs("half", slow);
  fflush(slow);
  write_file(in(t.folder, "other.lua"), "1");
  await("other.lua");
  assert_int_equal(t.reports, 1);
  fclose(slow);
  await("slow.lua");
}

static void many_changes_of_a_file_are_few_reports(void **state) {
  (void)state;
  open_watch();
  for (int i = 0; i < 1000; i++) write_file(in(t.folder, "a.lua"), "x");
  await("a.lua");
  write_file(in(t.folder, "b.lua"), "x");
  await("b.lua");
  assert_in_range(t.reports, 2, 20);
}

static void names_beyond_what_is_kept_are_a_change_of_all(void **state) {
  (void)state;
  open_watch();
  for (int i = 0; i <= WATCH_NAMES; i++) {
    char name[16];
    snprintf(name, sizeof name, "%d", i);
    int fd = open(in(t.folder, name), O_CREAT | O_WRONLY, 0600);
    close(fd);
  }
  await("");
}

// As a mounted ConfigMap is changed: x.lua -> ..data/x.lua, ..data -> ..1, then ..data -> ..2 in one step.
static void a_link_that_files_lead_through_is_a_change_of_all(void **state) {
  (void)state;
  assert_int_equal(mkdir(in(t.folder, "..1"), 0700), 0);
  assert_int_equal(mkdir(in(t.folder, "..2"), 0700), 0);
  assert_int_equal(symlink("..1", in(t.folder, "..data")), 0);
  open_watch();
  assert_int_equal(symlink("..2", in(t.folder, "..tmp")), 0);
  await("");
  assert_int_equal(rename(in(t.folder, "..tmp"), in(t.folder, "..data")), 0);
  await("");
}

static void a_folder_that_is_a_link_is_followed_when_it_turns(void **state) {
  (void)state;
  assert_int_equal(mkdir(in(t.root, "one"), 0700), 0);
  assert_int_equal(mkdir(in(t.root, "two"), 0700), 0);
  assert_int_equal(rmdir(t.folder), 0);
  assert_int_equal(symlink("one", t.folder), 0);
  open_watch();
  write_file(in(t.root, "one/a.lua"), "1");
  await("a.lua");
  assert_int_equal(symlink("two", in(t.root, "next")), 0);
  assert_int_equal(rename(in(t.root, "next"), t.folder), 0);
  await("");
  write_file(in(t.root, "two/b.lua"), "1");
  await("b.lua");
  t.reports = 0;
  write_file(in(t.root, "one/c.lua"), "1"); // of no interest any more
  write_file(in(t.root, "two/d.lua"), "1");
  await("d.lua");
  assert_int_equal(t.reports, 1);
}

static void a_folder_that_is_not_there_is_found_when_it_comes(void **state) {
  (void)state;
  assert_int_equal(rmdir(t.folder), 0);
  open_watch();
  assert_int_equal(mkdir(t.folder, 0700), 0);
  await("");
  write_file(in(t.folder, "a.lua"), "1");
  await("a.lua");
  unlink(in(t.folder, "a.lua"));
  assert_int_equal(rmdir(t.folder), 0);
  await("");
  assert_int_equal(mkdir(t.folder, 0700), 0);
  await("");
  write_file(in(t.folder, "b.lua"), "1");
  await("b.lua");
}

static void without_memory_there_is_no_watch(void **state) {
  (void)state;
  for (long n = 1; n <= 2; n++) {
    struct err err = {0};
    mem_fail_at(n);
    assert_null(watch_new(t.loop, t.folder, told, &t, &err));
    mem_fail_at(0);
    assert_string_equal(err.text, "out of memory");
  }
  open_watch();
  write_file(in(t.folder, "a.lua"), "1");
  mem_fail_at(1); // its name can't be kept
  await("");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_written_moved_linked_or_removed_is_told_by_name, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_file_that_is_being_written_is_not_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(many_changes_of_a_file_are_few_reports, set_up, tear_down),
      cmocka_unit_test_setup_teardown(names_beyond_what_is_kept_are_a_change_of_all, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_link_that_files_lead_through_is_a_change_of_all, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_folder_that_is_a_link_is_followed_when_it_turns, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_found_when_it_comes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_there_is_no_watch, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
