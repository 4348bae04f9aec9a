// pool_windows_test.c - what a stream keeps from record to record is in the worker what the engine loaded, and what results brought.
#include "pool_support.h"
#include "script/worker.h"

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

static void expect_done(const struct run *run) {
  assert_int_equal(run->end, POOL_DONE);
  assert_int_equal(run->results, run->job.count);
  assert_false(run->out_of_order);
}

static void begin_somehow(unsigned worker, struct program *program, struct run *run, uint32_t count) {
  while (!run_begin(&f, worker, program, run, count))
    run_until(&f, has_room);
}

static struct buf kept_pairs; // of all results
static int windowed, alerted;

static void keep_pairs(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run, (void)index;
  assert_true(buf_append(&kept_pairs, result->windows.at, result->windows.len));
  windowed += result->windows.len > 0;
  for (uint32_t i = 0; i < result->alert_count; i++, alerted++)
    assert_string_equal(result->alerts[i].title, "many");
}

// Each record's output is how many there were; past `many` it is an alert.
static const char COUNTS[] = "return { api = 1,\n"
                             "  alert = function(rec, ctx) if (ctx.get('n') or 0) >= 2 then\n"
                             "    return { key = 'k', title = 'many', for_s = 0 } end end,\n"
                             "  map = function(rec, ctx) local n = (ctx.get('n') or 0) + 1\n"
                             "    ctx.set('n', n) return { n = n } end }";

static uint32_t counted; // by the last record, as its output says

static void keep_count(struct run *run, uint32_t index, const struct pool_result *result) {
  keep_pairs(run, index, result);
  assert_int_equal(result->outcome, SCRIPT_KEPT);
  assert_int_equal(sscanf(result->outputs[0].body.at, "{\"n\":%u}", &counted), 1);
}

static void count_records(struct program *program, uint32_t records, uint32_t expected) {
  struct run run = {.first_id = 1, .check = keep_count};
  begin_somehow(0, program, &run, records);
  run_until(&f, all_ended);
  expect_done(&run);
  assert_int_equal(counted, expected);
}

static void windows_are_what_was_loaded_and_what_results_changed(void **state) {
  // Each result brings what its record changed; loaded anew, with those pairs or none, the windows go on from there.
  (void)state;
  struct program *program = program_of(COUNTS, "", "s");
  buf_init(&kept_pairs, 1 << 20);
  windowed = alerted = 0;
  count_records(program, 4, 4);
  assert_int_equal(windowed, 4);
  assert_int_equal(alerted, 2);
  count_records(program, 1, 5);
  assert_true(pool_load_windows(f.client, 0, program, slice_of(""), true));
  count_records(program, 1, 1);
  kept_pairs.len = 0;
  count_records(program, 1, 2);
  assert_true(pool_load_windows(f.client, 0, program, slice_of(""), true));
  assert_true(pool_load_windows(f.client, 0, program, buf_slice(&kept_pairs), false));
  count_records(program, 1, 3);
  buf_fini(&kept_pairs);
  program_unref(program);
}

static void windows_that_can_not_be_loaded_fail_each_record(void **state) {
  // Until they are loaded anew: nothing counts on from nothing.
  (void)state;
  struct program *program = program_of(COUNTS, "", "s");
  struct run run = {.first_id = 1};
  buf_init(&kept_pairs, 1 << 20);
  assert_true(pool_load_windows(f.client, 0, program, slice_of("\3abc\3def"), true));
  begin_somehow(0, program, &run, 2);
  run_until(&f, all_ended);
  expect_done(&run);
  assert_int_equal(run.outcome, SCRIPT_FAILED);
  assert_non_null(strstr(run.text, "saved windows"));
  assert_true(pool_load_windows(f.client, 0, program, slice_of(""), true));
  count_records(program, 1, 1);
  buf_fini(&kept_pairs);
  program_unref(program);
}

static void what_fails_in_the_sink_leaves_no_trace(void **state) {
  // The script went well and the sink's map did not: its windows are as they were, and it raises no alert.
  (void)state;
  struct program *program = program_of(COUNTS, "return { api = 1, map = function(rec) error('no ' .. rec.n) end }", "s");
  struct run run = {.first_id = 1, .check = keep_pairs};
  buf_init(&kept_pairs, 1 << 20);
  windowed = alerted = 0;
  begin_somehow(0, program, &run, 5);
  run_until(&f, all_ended);
  expect_done(&run);
  assert_int_equal(run.outcome, SCRIPT_FAILED);
  assert_non_null(strstr(run.text, "no 1")); // of the fifth, too
  assert_int_equal(windowed + alerted, 0);
  buf_fini(&kept_pairs);
  program_unref(program);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(windows_are_what_was_loaded_and_what_results_changed),
      cmocka_unit_test(windows_that_can_not_be_loaded_fail_each_record),
      cmocka_unit_test(what_fails_in_the_sink_leaves_no_trace),
  };
  return cmocka_run_group_tests(tests, open_one, close_all);
}
