// pool_isolation_test.c - a worker an organisation: started on demand, never used for another one, ended when
// nobody needs it.
#include "base/limits.h"
#include "pool_support.h"
#include "script/worker.h"

#include <sys/resource.h>

static const char ECHO[] = "return { api = 1, map = function(rec) return { id = rec.id } end }";
static const char LOOP[] = "return { api = 1, map = function() while true do end end }";
static struct fixture f;

static int open_isolated(void **state) {
  (void)state;
  struct pool_options options = {.workers = 1, .isolated = true};
  fixture_open_with(&f, &options);
  return 0;
}

static int close_all(void **state) {
  (void)state;
  fixture_close(&f);
  return 0;
}

static void begin_somehow(unsigned worker, struct program *program, struct run *run, uint32_t count) {
  while (!run_begin(&f, worker, program, run, count))
    run_until(&f, has_room);
}

static void run_one(unsigned worker, struct program *program) {
  struct run run;
  do {
    run = (struct run){0};
    begin_somehow(worker, program, &run, 3);
    run_until(&f, all_ended);
  } while (run.end == POOL_LOST && !run.guilty); // its worker was about to rest
  assert_int_equal(run.end, POOL_DONE);
  assert_int_equal(run.results, 3);
}

static void await_no_process(unsigned worker) {
  for (int i = 0; i < 10000 && pool_worker_pid(f.pool, worker); i++)
    usleep(1000);
  assert_int_equal(pool_worker_pid(f.pool, worker), 0);
}

static void each_organisation_has_a_worker_of_its_own(void **state) {
  // Its streams share it; it is started with its first job.
  (void)state;
  struct program *program = program_of(ECHO, "", "s");
  await_no_process(0); // the one that showed that workers can be started
  unsigned seven = pool_join(f.pool, 7, 1), eight = pool_join(f.pool, 8, 1), again = pool_join(f.pool, 7, 2);
  assert_int_equal(seven, again);
  assert_int_not_equal(seven, eight);
  assert_int_equal(pool_worker_pid(f.pool, seven), 0);
  run_one(seven, program);
  assert_int_not_equal(pool_worker_pid(f.pool, seven), 0);
  assert_int_equal(pool_worker_pid(f.pool, eight), 0);
  program_unref(program);
}

static void a_process_never_serves_two_organisations(void **state) {
  // When the last stream has left, the process ends before its place is given away.
  (void)state;
  struct program *program = program_of(ECHO, "", "s");
  unsigned seven = pool_join(f.pool, 7, 1);
  run_one(seven, program);
  pid_t pid = pool_worker_pid(f.pool, seven);
  assert_int_not_equal(pid, 0);
  pool_join(f.pool, 7, 2);
  pool_leave(f.pool, seven);
  assert_int_equal(pool_worker_pid(f.pool, seven), pid); // one is left
  pool_leave(f.pool, seven);
  for (int64_t organisation = 100; organisation < 110; organisation++) {
    unsigned other = pool_join(f.pool, organisation, 3);
    assert_true(other != seven || pool_worker_pid(f.pool, seven) == 0);
  }
  await_no_process(seven);
  struct pool_numbers numbers;
  pool_numbers(f.pool, &numbers);
  assert_int_equal(numbers.kills, 0);
  program_unref(program);
}

static void past_the_last_worker_organisations_share(void **state) {
  // All of them get one, by the hash of the stream.
  (void)state;
  unsigned seen[POOL_WORKERS] = {0};
  await_no_process(0);
  for (int64_t organisation = 1; organisation <= POOL_WORKERS; organisation++)
    seen[pool_join(f.pool, organisation, 5)]++;
  for (unsigned i = 0; i < POOL_WORKERS; i++)
    assert_int_equal(seen[i], 1);
  assert_int_equal(pool_join(f.pool, 1000, 5), 5);
  assert_int_equal(pool_join(f.pool, 1001, POOL_WORKERS + 6), 6);
}

static void expect_time_out(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run, (void)index;
  assert_int_equal(result->outcome, SCRIPT_TIMEOUT);
}

static void scripts_that_take_long_are_put_off_nowhere(void **state) {
  // They keep their owner's other streams waiting, nobody else's; the worker can be slowed down.
  (void)state;
  struct program *program = program_of(LOOP, "", "s");
  unsigned worker = pool_join(f.pool, 7, 1);
  struct run run = {.check = expect_time_out};
  begin_somehow(worker, program, &run, 4);
  run_until(&f, all_ended);
  assert_int_equal(run.end, POOL_DONE);
  assert_int_equal(run.results, 4);
  pool_slow_down(f.pool, worker);
  assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pool_worker_pid(f.pool, worker)), 19);
  program_unref(program);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_organisation_has_a_worker_of_its_own, open_isolated, close_all),
      cmocka_unit_test_setup_teardown(a_process_never_serves_two_organisations, open_isolated, close_all),
      cmocka_unit_test_setup_teardown(past_the_last_worker_organisations_share, open_isolated, close_all),
      cmocka_unit_test_setup_teardown(scripts_that_take_long_are_put_off_nowhere, open_isolated, close_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
