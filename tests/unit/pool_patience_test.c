// pool_patience_test.c - a worker runs no more of a script that took too long twice; the penalty worker does.
#include "pool_support.h"
#include "script/worker.h"

#include <sys/resource.h>

static const char ECHO[] = "return { api = 1, map = function(rec) return { id = rec.id } end }";
static struct fixture f;

static int open_one(void **state) {
  (void)state;
  fixture_open(&f, NULL, 1);
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

static void expect_done(const struct run *run) {
  assert_true(run->ended);
  assert_int_equal(run->end, POOL_DONE);
  assert_int_equal(run->results, run->job.count);
}

static void expect_kept(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run, (void)index;
  assert_int_equal(result->outcome, SCRIPT_KEPT);
}

static void expect_put_off(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run;
  assert_int_equal(result->outcome, index == 0 ? SCRIPT_KEPT : index <= 2 ? SCRIPT_TIMEOUT : SCRIPT_PUT_OFF);
}

static void expect_time_outs(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run;
  assert_int_equal(result->outcome, index == 0 ? SCRIPT_KEPT : SCRIPT_TIMEOUT);
}

static void a_second_time_out_puts_off_what_is_behind_it(void **state) {
  (void)state; // In this job and the next, until the program is forgotten; the penalty worker, started for
               // its first job, runs all.
  struct program
      *good = program_of(ECHO, "", "s0"),
      *program = program_of(
          "return { api = 1, map = function(rec) while rec.id > 0 do end return { id = rec.id } end }", "",
          "s");
  struct run run = {.check = expect_put_off}, behind = {.first_id = 1}, other = {.check = expect_kept};
  begin_somehow(0, program, &run, 20);
  begin_somehow(0, program, &behind, 5);
  begin_somehow(0, good, &other, 5);
  run_until(&f, all_ended);
  expect_done(&run);
  expect_done(&other);
  assert_int_equal(behind.outcome, SCRIPT_PUT_OFF);
  pool_forget(f.client, program);
  run = (struct run){.check = expect_put_off};
  begin_somehow(0, program, &run, 4);
  run_until(&f, all_ended);
  expect_done(&run);
  unsigned penalty = pool_penalty_worker(f.pool);
  assert_int_equal(pool_worker_pid(f.pool, penalty), 0);
  run = (struct run){.check = expect_time_outs};
  begin_somehow(penalty, program, &run, 4);
  run_until(&f, all_ended);
  expect_done(&run);
  assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pool_worker_pid(f.pool, penalty)), 19);
  program_unref(program);
  program_unref(good);
}

static void expect_kept_twice(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run;
  assert_int_equal(result->outcome, index < 2 ? SCRIPT_KEPT : SCRIPT_PUT_OFF);
}

static void an_alert_that_takes_too_long_counts_as_well(void **state) {
  // Though its record goes on.
  (void)state;
  struct program *program = program_of("return { api = 1, alert = function() while true do end end, map = "
                                       "function(rec) return { id = rec.id } end }",
                                       "", "s");
  struct run run = {.check = expect_kept_twice};
  begin_somehow(0, program, &run, 10);
  run_until(&f, all_ended);
  expect_done(&run);
  program_unref(program);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_second_time_out_puts_off_what_is_behind_it, open_one, close_all),
      cmocka_unit_test_setup_teardown(an_alert_that_takes_too_long_counts_as_well, open_one, close_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
