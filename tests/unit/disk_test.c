// Proves that files are written, replaced, read and removed whole, and that every failure is seen and says
// why.
#include "base/disk.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
  char folder[64];
  char path[128]; // a name in it
};

static int set_up(void **state) {
  struct place *p = calloc(1, sizeof *p);
  strcpy(p->folder, "/tmp/disk_test.XXXXXX");
  if (!mkdtemp(p->folder)) return -1;
  snprintf(p->path, sizeof p->path, "%s/file", p->folder);
  *state = p;
  return 0;
}

static int tear_down(void **state) {
  struct place *p = *state;
  disk_fail_reset();
  bool removed = disk_remove_folder(p->folder, NULL);
  free(p);
  return removed ? 0 : -1;
}

static int open_new(const char *path) {
  int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  return fd;
}

static void assert_content(const char *path, const char *want) {
  struct err err = {0};
  size_t len;
  char *content = disk_read_file(path, 1000, &len, &err);
  if (!content) fail_msg("%s", err.text);
  assert_string_equal(content, want);
  assert_int_equal(len, strlen(want));
  mem_free(content);
}

static size_t names_in(const char *folder) {
  char command[128], line[16];
  snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
  FILE *out = popen(command, "r");
  assert_non_null(fgets(line, sizeof line, out));
  pclose(out);
  return strtoul(line, NULL, 10);
}

static void writes_land_where_they_belong(void **state) {
  struct place *p = *state;
  int fd = open_new(p->path);
  assert_true(disk_write_at(fd, "world", 5, 6));
  assert_true(disk_write_at(fd, "hello ", 6, 0));
  assert_true(disk_write_at(fd, NULL, 0, 0));
  assert_true(disk_sync(fd));
  assert_true(disk_sync_folder(p->folder));
  close(fd);
  assert_content(p->path, "hello world");
  assert_false(disk_write_at(fd, "x", 1, 0));
  assert_int_equal(errno, EBADF);
}

static void allocated_room_is_real(void **state) {
  struct place *p = *state;
  int fd = open_new(p->path);
  struct stat st;
  assert_true(disk_allocate(fd, 0, 1 << 20));
  assert_int_equal(fstat(fd, &st), 0);
  assert_int_equal(st.st_size, 1 << 20);
  assert_true(st.st_blocks * 512 >= 1 << 20);
  close(fd);
  assert_false(disk_allocate(fd, 0, 1));
  assert_int_equal(errno, EBADF);
}

static void the_nth_call_fails_as_planned(void **state) {
  struct place *p = *state;
  int fd = open_new(p->path);
  disk_fail_at(DISK_WRITE, 2, 2, ENOSPC);
  static const bool want[] = {true, false, false, true};
  for (int i = 0; i < 4; i++) {
    errno = 0;
    assert_int_equal(disk_write_at(fd, "x", 1, i), want[i]);
    assert_int_equal(errno, want[i] ? 0 : ENOSPC);
  }
  assert_int_equal(disk_asked(DISK_WRITE), 4);
  disk_fail_at(DISK_SYNC, 1, 0, EIO);
  for (int i = 0; i < 5; i++) {
    assert_false(i % 2 ? disk_sync(fd) : disk_sync_folder(p->folder));
    assert_int_equal(errno, EIO);
  }
  disk_fail_reset();
  assert_int_equal(disk_asked(DISK_SYNC), 0);
  assert_true(disk_sync(fd));
  disk_fail_at(DISK_ALLOCATE, 1, 1, ENOSPC);
  assert_false(disk_allocate(fd, 0, 4096));
  assert_int_equal(errno, ENOSPC);
  assert_true(disk_allocate(fd, 0, 4096));
  close(fd);
}

static void folders_are_made_with_their_parents(void **state) {
  struct place *p = *state;
  struct err err = {0};
  char deep[128], half[128];
  struct stat st;
  snprintf(half, sizeof half, "%s/a", p->folder);
  snprintf(deep, sizeof deep, "%s/a/b/", p->folder);
  assert_true(disk_make_folder(deep, &err));
  assert_true(disk_make_folder(deep, &err)); // it is there: fine
  assert_int_equal(stat(deep, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  assert_false(disk_remove_folder(half, &err)); // a folder in it is not a file
  assert_non_null(strstr(err.text, half));
  assert_true(disk_remove_folder(deep, NULL));
  assert_true(disk_remove_folder(half, NULL));
  assert_true(disk_remove_folder(half, NULL)); // gone: fine
}

static void a_file_in_the_way_of_a_folder_is_named(void **state) {
  struct place *p = *state;
  struct err err = {0};
  char below[160];
  close(open_new(p->path));
  assert_false(disk_make_folder(p->path, &err));
  assert_non_null(strstr(err.text, p->path));
  assert_non_null(strstr(err.text, "not a folder"));
  snprintf(below, sizeof below, "%s/below", p->path);
  err = (struct err){0};
  assert_false(disk_make_folder(below, &err));
  assert_non_null(strstr(err.text, p->path));
  assert_false(disk_make_folder("", NULL));
  assert_false(disk_remove_folder(p->path, NULL));
}

static void a_folder_that_can_not_be_made_durable_is_refused(void **state) {
  struct place *p = *state;
  struct err err = {0};
  char folder[128];
  snprintf(folder, sizeof folder, "%s/day", p->folder);
  disk_fail_at(DISK_SYNC, 1, 1, EIO);
  assert_false(disk_make_folder(folder, &err));
  assert_non_null(strstr(err.text, strerror(EIO)));
  assert_int_equal(access(folder, F_OK), -1);
}

static void a_removed_folder_takes_its_files_along(void **state) {
  struct place *p = *state;
  char folder[128], name[160];
  snprintf(folder, sizeof folder, "%s/day", p->folder);
  assert_true(disk_make_folder(folder, NULL));
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "%s/%d", folder, i);
    close(open_new(name));
  }
  assert_true(disk_remove_folder(folder, NULL));
  assert_int_equal(access(folder, F_OK), -1);
}

static void files_are_read_up_to_their_limit(void **state) {
  struct place *p = *state;
  struct err err = {0};
  size_t len, bytes = 300000; // several chunks
  char *big = malloc(bytes);
  memset(big, 'x', bytes);
  assert_true(disk_replace_file(p->path, slice_make(big, bytes), 0600, &err));
  char *content = disk_read_file(p->path, bytes, &len, &err);
  assert_non_null(content);
  assert_int_equal(len, bytes);
  assert_memory_equal(content, big, bytes);
  assert_int_equal(content[bytes], 0);
  mem_free(content);
  assert_null(disk_read_file(p->path, bytes - 1, &len, &err));
  assert_non_null(strstr(err.text, "longer than 299999 bytes"));
  free(big);
  assert_true(disk_replace_file(p->path, slice_of(""), 0600, NULL));
  assert_content(p->path, "");
  content = disk_read_file(p->path, 0, NULL, NULL);
  assert_non_null(content);
  mem_free(content);
}

static void what_can_not_be_read_says_why(void **state) {
  struct place *p = *state;
  struct err err = {0};
  size_t len;
  assert_null(disk_read_file(p->path, 10, &len, &err));
  assert_non_null(strstr(err.text, p->path));
  assert_non_null(strstr(err.text, strerror(ENOENT)));
  err = (struct err){0};
  assert_null(disk_read_file(p->folder, 10, &len, &err));
  assert_non_null(strstr(err.text, strerror(EISDIR)));
}

static void a_replaced_file_is_old_or_new_but_never_half(void **state) {
  struct place *p = *state;
  struct err err = {0};
  struct stat st;
  assert_true(disk_replace_file(p->path, slice_of("old"), 0644, &err));
  assert_int_equal(stat(p->path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0644);
  static const enum disk_op ops[] = {DISK_WRITE, DISK_SYNC};
  for (int i = 0; i < 2; i++) {
    err = (struct err){0};
    disk_fail_at(ops[i], 1, 1, ENOSPC);
    assert_false(disk_replace_file(p->path, slice_of("new"), 0600, &err));
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
    assert_content(p->path, "old");
    assert_int_equal(names_in(p->folder), 1);
  }
  disk_fail_at(DISK_SYNC, 2, 1, EIO); // the folder: the new file stands, but the caller must know
  assert_false(disk_replace_file(p->path, slice_of("new"), 0600, NULL));
  disk_fail_reset();
  assert_true(disk_replace_file(p->path, slice_of("newer"), 0600, NULL));
  assert_content(p->path, "newer");
  assert_int_equal(stat(p->path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(names_in(p->folder), 1);
}

static void no_memory_fails_the_read(void **state) {
  struct place *p = *state;
  size_t len;
  assert_true(disk_replace_file(p->path, slice_of("content"), 0600, NULL));
  for (long nth = 1;; nth++) {
    struct err err = {0};
    mem_fail_at(nth);
    char *content = disk_read_file(p->path, 100000, &len, &err);
    mem_fail_at(0);
    if (content) {
      assert_true(nth > 1);
      mem_free(content);
      break;
    }
    assert_true(err.text[0] != 0);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(writes_land_where_they_belong),
      TEST(allocated_room_is_real),
      TEST(the_nth_call_fails_as_planned),
      TEST(folders_are_made_with_their_parents),
      TEST(a_file_in_the_way_of_a_folder_is_named),
      TEST(a_folder_that_can_not_be_made_durable_is_refused),
      TEST(a_removed_folder_takes_its_files_along),
      TEST(files_are_read_up_to_their_limit),
      TEST(what_can_not_be_read_says_why),
      TEST(a_replaced_file_is_old_or_new_but_never_half),
      TEST(no_memory_fails_the_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
