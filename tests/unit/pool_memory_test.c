// pool_memory_test.c - a worker that the kernel kills for want of memory. Needs a control group of its own;
// skipped where none can be made.
#include "pool_support.h"
#include "script/worker.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct fixture f;
static char group[128];

static bool write_file(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", group, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  return ok;
}

// Of control groups version 1, then 2.
static bool make_group(const char *limit) {
  static const struct {
    const char *folder, *limit;
  } versions[] = {{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}};
  for (size_t i = 0; i < 2; i++) {
    snprintf(group, sizeof group, "%s/sluice-test-%d", versions[i].folder, (int)getpid());
    if (mkdir(group, 0755) != 0) continue;
    if (write_file(versions[i].limit, limit)) return true;
    rmdir(group);
  }
  return false;
}

static int open_one(void **state) {
  (void)state;
  fixture_open(&f, NULL, 1);
  return 0;
}

static int close_all(void **state) {
  (void)state;
  fixture_close(&f);
  rmdir(group);
  return 0;
}

static void a_worker_killed_for_want_of_memory_blames_its_script(void **state) {
  // As a crash would; the next worker, outside the group, does the job behind it.
  (void)state;
  char pid[32];
  if (access("/proc/vmstat", R_OK) != 0 || !make_group("4194304")) skip();
  struct program *program = program_of("return { api = 1, map = function(rec)\n"
                                       "  local t = {} for i = 1, 12 do t[i] = ('x'):rep(2 ^ 20 - i) end\n"
                                       "  return { id = rec.id } end }",
                                       "", "s");
  struct run run = {.first_id = 1}, behind = {.first_id = 2};
  snprintf(pid, sizeof pid, "%d", (int)pool_worker_pid(f.pool, 0));
  if (!write_file("cgroup.procs", pid)) skip();
  assert_true(run_begin(&f, 0, program, &run, 1));
  run_until(&f, all_ended);
  assert_int_equal(run.end, POOL_LOST);
  assert_string_equal(run.why, "killed for want of memory");
  assert_true(run.guilty);
  while (!run_begin(&f, 0, program, &behind, 1))
    run_until(&f, has_room);
  run_until(&f, all_ended);
  assert_int_equal(behind.outcome, SCRIPT_KEPT);
  program_unref(program);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
      a_worker_killed_for_want_of_memory_blames_its_script, open_one, close_all)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
