// penalty_test.c - a stream whose script takes too long or ends its worker: where it works, what it loses, when it is stopped.
#include "courier_support.h"

static struct world w;

// Loops for ids below 100; the journal's order is checked by the receiver.
static const char LOOPS[] = "local M = { api = 1 }\n"
                            "function M.map(rec)\n"
                            "  while rec.id < 100 do end\n"
                            "  return { id = rec.id }\n"
                            "end\n"
                            "return M";
// Debian's LuaJIT reads past its end in parsing this.
static const char CRASH[] = "local _\nfor _ in (nil):foo() do end\n";

static int open_world(void **state) {
  (void)state;
  world_open(&w, NULL);
  return 0;
}

static int close_world(void **state) {
  (void)state;
  world_close(&w);
  return 0;
}

static void expect_order(struct world *world, const struct got *got, struct reply *reply) {
  static long last;
  (void)world, (void)reply;
  if (world->got_count == 1) last = 0;
  for (const char *at = got->body; (at = strstr(at, "\"id\":")); at++) {
    long id = strtol(at + 5, NULL, 10);
    assert_true(id > last);
    last = id;
  }
}

static void send_of_one_endpoint(int count) {
  static int endpoints[400];
  assert_true(count <= 400);
  for (int i = 0; i < count; i++) endpoints[i] = 1;
  send_records(&w, count, endpoints);
}

static void two_time_outs_move_a_stream_and_lose_nothing(void **state) {
  // What waited behind them is run by the penalty worker, in order; when the time is over the stream goes home.
  (void)state;
  w.script = LOOPS;
  w.answer = expect_order;
  stream_open(&w, "rest_bulk", "{\"max_records\":10}", 8);
  w.sent = 97; // 98 and 99 loop
  unsigned home = w.stream->worker;
  send_of_one_endpoint(300);
  w.sent = 300;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DEAD), 2);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 298);
  assert_int_equal(home, 0);
  assert_int_equal(w.stream->worker, pool_penalty_worker(w.pool));
  assert_true(atomic_load(&w.status->slowed_until_ms) > clock_ms());
  w.stream->conduct.penalty_until_ms = 1;
  w.sent = 1000;
  send_of_one_endpoint(300);
  w.sent = 600;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 598);
  assert_int_equal(w.stream->worker, home);
  assert_int_equal(atomic_load(&w.status->slowed_until_ms), 0);
}

static void the_penalty_worker_runs_each_record(void **state) {
  // However many time out there.
  (void)state;
  w.script = LOOPS;
  stream_open(&w, "rest_bulk", "{}", 8);
  w.sent = 89;
  send_of_one_endpoint(20); // 90 to 99 loop
  w.sent = 20;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DEAD), 10);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 10);
  struct pool_numbers numbers;
  pool_numbers(w.pool, &numbers);
  assert_int_equal(numbers.kills + numbers.restarts, 0);
}

static void a_new_version_starts_afresh(void **state) {
  // Among the others, with neither time-outs nor strikes to its name.
  (void)state;
  struct err err = {0};
  w.script = LOOPS;
  stream_open(&w, "rest_bulk", "{}", 8);
  w.sent = 97;
  send_of_one_endpoint(5);
  w.sent = 5;
  run_until(&w, all_settled);
  assert_int_equal(w.stream->worker, pool_penalty_worker(w.pool));
  struct definition_world world = {.sinks = w.sinks, .scripts_folder = w.folder};
  json_t *change = json_pack("{s:s}", "script", "return { api = 1 }");
  struct definition *next = definition_change(&world, w.definition, change, &err);
  json_decref(change);
  assert_string_equal(err.text, "");
  obey(&w, COURIER_CHANGE, next, false);
  definition_unref(w.definition);
  w.definition = next;
  w.sent = 200;
  send_of_one_endpoint(5);
  w.sent = 10;
  run_until(&w, all_settled);
  assert_int_equal(w.stream->worker, 0);
  assert_int_equal(w.stream->conduct.penalty_until_ms, 0);
}

static void the_third_crash_disables_the_script(void **state) {
  // Each record that crashed is a dead letter; the rest waits. Activated, it has three more.
  (void)state;
  w.script = CRASH;
  stream_open(&w, "rest_bulk", "{}", 8);
  send_of_one_endpoint(10);
  run_until(&w, is_paused);
  assert_int_equal(count_of(&w, COUNT_DEAD), 3);
  assert_non_null(strstr(last_error(&w), "the script is disabled: it ended its worker 3 times within an hour, the last time it crashed"));
  stream_set_active(&w, true);
  run_until(&w, is_paused);
  assert_int_equal(count_of(&w, COUNT_DEAD), 6);
  assert_int_equal(w.stream->window.count, 4);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(two_time_outs_move_a_stream_and_lose_nothing, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_penalty_worker_runs_each_record, open_world, close_world),
      cmocka_unit_test_setup_teardown(a_new_version_starts_afresh, open_world, close_world),
      cmocka_unit_test_setup_teardown(the_third_crash_disables_the_script, open_world, close_world),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
