// pool_test.c - jobs through real worker processes, and what happens when those die.
#include "base/clock.h"
#include "base/limits.h"
#include "pool_support.h"
#include "script/worker.h"

#include <signal.h>

static const char ECHO[] =
    "return { api = 1, map = function(rec, ctx) return { id = rec.id, s = ctx.stream.name } end }";
static const char SINK[] =
    "return { api = 1, name = 'sink', title = 'Sink', settings = {},\n"
    "  map = function(rec, ctx) return { got = rec.id, tag = ctx.settings.tag }, 'k' end,\n"
    "  request = function() return {} end }";
// Debian's LuaJIT reads past its end in parsing this.
static const char CRASH[] = "local _\nfor _ in (nil):foo() do end\n";

static struct fixture f;

static int open_two(void **state) {
  (void)state;
  fixture_open(&f, NULL, 2);
  return 0;
}

static int close_all(void **state) {
  (void)state;
  fixture_close(&f);
  return 0;
}

static void expect_output(const struct pool_result *result, const char *key, const char *format, ...) {
  char expected[300];
  va_list args;
  va_start(args, format);
  vsnprintf(expected, sizeof expected, format, args);
  va_end(args);
  assert_int_equal(result->outcome, SCRIPT_KEPT);
  assert_int_equal(result->output_count, 1);
  assert_int_equal(result->outputs[0].body.len, strlen(expected));
  assert_memory_equal(result->outputs[0].body.at, expected, strlen(expected));
  assert_true(slice_is(result->outputs[0].key, key));
}

static void expect_done(const struct run *run) {
  assert_true(run->ended);
  assert_int_equal(run->end, POOL_DONE);
  assert_false(run->out_of_order);
  assert_int_equal(run->results, run->job.count);
}

// ---- ordinary work ----

static void expect_echo(struct run *run, uint32_t index, const struct pool_result *result) {
  expect_output(result, "", "{\"id\":%llu,\"s\":\"s%llu\"}", (unsigned long long)(run->first_id + index),
                (unsigned long long)(run->first_id / 1000 % 10));
}

static void begin_somehow(unsigned worker, struct program *program, struct run *run, uint32_t count) {
  while (!run_begin(&f, worker, program, run, count))
    run_until(&f, has_room);
}

static void every_record_of_many_jobs_and_programs_comes_back(void **state) {
  // 200 jobs of ten programs that share one script, on two workers: each result is that record's and that
  // program's.
  (void)state;
  enum { PROGRAMS = 10, JOBS = 200 };
  static struct run runs[JOBS];
  struct program *programs[PROGRAMS];
  for (int i = 0; i < PROGRAMS; i++) {
    char name[8];
    snprintf(name, sizeof name, "s%d", i);
    programs[i] = program_of(ECHO, "", name);
  }
  for (unsigned i = 0; i < JOBS; i++) {
    runs[i] = (struct run){.first_id = 1000 * i, .check = expect_echo};
    begin_somehow(i % 2, programs[i % PROGRAMS], &runs[i], 1 + i * 7 % LIMIT_JOB_RECORDS);
  }
  run_until(&f, all_ended);
  for (int i = 0; i < JOBS; i++)
    expect_done(&runs[i]);
  for (int i = 0; i < PROGRAMS; i++)
    program_unref(programs[i]);
}

static void expect_itself(struct run *run, uint32_t index, const struct pool_result *result) {
  size_t room = run->record_bytes + 200;
  char *record = mem_must(mem_alloc(room));
  size_t len = write_record(record, room, run->first_id + index, run->record_bytes);
  assert_int_equal(result->outcome, SCRIPT_KEPT);
  assert_int_equal(result->output_count, 1);
  assert_int_equal(result->outputs[0].body.len, len);
  assert_memory_equal(result->outputs[0].body.at, record, len);
  mem_free(record);
}

static void records_of_every_length_pass(void **state) {
  // Without script and sink a record comes back as it is, from the shortest to the longest, around the rings
  // several times.
  (void)state;
  struct program *program = program_of("", "", "s");
  static struct run runs[40];
  for (unsigned i = 0; i < 40; i++) {
    size_t bytes = i % 8 == 7 ? LIMIT_RECORD_BYTES : (size_t)1 << (i % 20);
    runs[i] = (struct run){.first_id = i, .record_bytes = bytes, .check = expect_itself};
    begin_somehow(0, program, &runs[i], 1);
  }
  run_until(&f, all_ended);
  for (int i = 0; i < 40; i++)
    expect_done(&runs[i]);
  program_unref(program);
}

static void expect_sink(struct run *run, uint32_t index, const struct pool_result *result) {
  expect_output(result, "k", "{\"got\":%llu,\"tag\":\"t\"}", (unsigned long long)(run->first_id + index));
}

static void the_sinks_map_follows_the_script(void **state) {
  // A sink's map sees what the script made, or the record where there is no script; its key comes along.
  (void)state;
  struct program *both = program_of(ECHO, SINK, "s"), *alone = program_of("", SINK, "s");
  struct run with = {.first_id = 5, .check = expect_sink}, without = {.first_id = 70, .check = expect_sink};
  begin_somehow(0, both, &with, 30);
  begin_somehow(0, alone, &without, 30);
  run_until(&f, all_ended);
  expect_done(&with);
  expect_done(&without);
  program_unref(both);
  program_unref(alone);
}

static void expect_two(struct run *run, uint32_t index, const struct pool_result *result) {
  assert_int_equal(result->output_count, 2);
  for (uint32_t i = 0; i < 2; i++) {
    struct pool_result one = {.outcome = result->outcome, .outputs = &result->outputs[i], .output_count = 1};
    expect_output(&one, "k", "{\"got\":%llu,\"tag\":\"t\"}",
                  (unsigned long long)(10 * (run->first_id + index) + i));
  }
}

static void several_outputs_each_pass_the_sinks_map(void **state) {
  // array{a, b} from a script is two outputs of the sink, in order.
  (void)state;
  struct program *program = program_of("return { api = 1, map = function(rec) return array{ { id = rec.id * "
                                       "10 }, { id = rec.id * 10 + 1 } } end }",
                                       SINK, "s");
  struct run run = {.first_id = 3, .check = expect_two};
  begin_somehow(0, program, &run, 20);
  run_until(&f, all_ended);
  expect_done(&run);
  program_unref(program);
}

static void expect_log(struct run *run, uint32_t index, const struct pool_result *result) {
  char expected[64];
  int len = snprintf(expected, sizeof expected, "saw %llu\nand 'it'  ", (unsigned long long)run->first_id + index);
  assert_int_equal(result->log.len, len);
  assert_memory_equal(result->log.at, expected, (size_t)len);
}

static void what_a_script_logs_comes_with_its_result(void **state) {
  (void)state;
  struct program *program = program_of(
      "return { api = 1, filter = function(rec) log('saw', rec.id) log(\"and 'it' \\1\") log(string.rep('x', 2000)) end }", "", "s");
  struct run run = {.first_id = 3, .check = expect_log};
  begin_somehow(0, program, &run, 20);
  run_until(&f, all_ended);
  expect_done(&run);
  program_unref(program);
}

static void add_record(unsigned worker, const struct program *program, uint64_t id, bool fits) {
  char bytes[200];
  size_t len = write_record(bytes, sizeof bytes, id, 0);
  struct record_header header = {.sequence = id, .id = (int64_t)id, .kind = RECORD_EVENT, .organisation = 7, .length = (uint32_t)len};
  assert_int_equal(pool_add(f.client, worker, program, &header, slice_make(bytes, len)), fits);
}

static void expect_streams_by_turns(struct run *run, uint32_t index, const struct pool_result *result) {
  (void)run;
  const char *expected = index % 2 ? "\"two\"" : "\"one\"";
  assert_int_equal(result->output_count, 1);
  assert_true(memmem(result->outputs[0].body.at, result->outputs[0].body.len, expected, strlen(expected)) != NULL);
}

static void records_of_many_programs_travel_in_one_job(void **state) {
  // A program that the worker does not know yet begins the next job.
  (void)state;
  static const char script[] = "return { api = 1, map = function(rec, ctx) return { name = ctx.stream.name } end }";
  struct program *one = program_of(script, "", "one"), *two = program_of(script, "", "two");
  struct run first = {.first_id = 1}, second = {.first_id = 2}, both = {.first_id = 1, .check = expect_streams_by_turns};
  begin_somehow(0, one, &first, 1);
  begin_somehow(0, two, &second, 1);
  run_until(&f, all_ended);
  both.job = (struct pool_job){.results = note_results, .ended = note_end};
  struct program *new = program_of(script, "", "new");
  assert_true(pool_begin(f.client, 0, one, &both.job, 200));
  for (uint64_t id = 1; id <= 100; id++)
    add_record(0, id % 2 ? one : two, id, true);
  add_record(0, new, 101, false);
  pool_commit(f.client, 0);
  runs_open++;
  run_until(&f, all_ended);
  assert_int_equal(both.results, 100);
  program_unref(one);
  program_unref(two);
  program_unref(new);
}

static void a_script_that_does_not_load_fails_each_record(void **state) {
  // The message of the loader stands in every result; the worker goes on.
  (void)state;
  struct program *program = program_of("return { api = 1, map = }", "", "s");
  struct run run = {0};
  begin_somehow(0, program, &run, 3);
  run_until(&f, all_ended);
  expect_done(&run);
  assert_int_equal(run.outcome, SCRIPT_FAILED);
  assert_non_null(strstr(run.text, "test:1:"));
  program_unref(program);
}

static void a_script_out_of_time_ends_alone(void **state) {
  // An endless loop times out in the worker itself; the next record gets a new state and is run as well.
  (void)state;
  struct program *program = program_of(
      "return { api = 1, map = function(rec) while rec.id == 1 do end return { id = rec.id } end }", "", "s");
  struct run run = {.first_id = 1}, next = {.first_id = 2};
  pid_t pid = pool_worker_pid(f.pool, 0);
  begin_somehow(0, program, &run, 1);
  begin_somehow(0, program, &next, 1);
  run_until(&f, all_ended);
  expect_done(&run);
  expect_done(&next);
  assert_int_equal(run.outcome, SCRIPT_TIMEOUT);
  assert_int_equal(next.outcome, SCRIPT_KEPT);
  assert_int_equal(pool_worker_pid(f.pool, 0), pid);
  program_unref(program);
}

static void a_full_ring_says_no_and_later_that_there_is_room(void **state) {
  // Begin refuses when a worker does not keep up; `room` comes once it does, not before.
  (void)state;
  struct program *program = program_of("", "", "s");
  static struct run runs[64];
  unsigned begun = 0;
  kill(pool_worker_pid(f.pool, 0), SIGSTOP);
  f.rooms = 0;
  for (; begun < 64; begun++) {
    runs[begun] = (struct run){.record_bytes = 180000, .check = expect_itself};
    if (!run_begin(&f, 0, program, &runs[begun], 1)) break;
  }
  assert_in_range(begun, 5, 20);
  assert_int_equal(f.rooms, 0);
  kill(pool_worker_pid(f.pool, 0), SIGCONT);
  run_until(&f, has_room);
  begin_somehow(0, program, &runs[begun], 1);
  run_until(&f, all_ended);
  for (unsigned i = 0; i <= begun; i++)
    expect_done(&runs[i]);
  program_unref(program);
}

static void a_forgotten_program_can_come_back(void **state) {
  // Forgotten between uses, scripts and programs are told of again.
  (void)state;
  struct program *program = program_of(ECHO, "", "s0"), *other = program_of(ECHO, "", "s0");
  for (unsigned i = 0; i < 4; i++) {
    struct run run = {.first_id = 0, .check = expect_echo};
    begin_somehow(0, i % 2 ? program : other, &run, 2);
    pool_forget(f.client, program);
    if (i == 1) pool_forget(f.client, other);
    run_until(&f, all_ended);
    expect_done(&run);
  }
  program_unref(program);
  program_unref(other);
}

static void jobs_of_a_freed_client_hold_nobody_up(void **state) {
  // A client goes away with results unread; another one's jobs on the same worker are done.
  (void)state;
  struct err err = {0};
  struct program *program = program_of("", "", "s");
  struct pool_client *ours = f.client;
  struct pool_client_events events = {.room = room_again, .arg = &f};
  f.client = pool_client_new(f.pool, f.loop, &events, &err);
  assert_non_null(f.client);
  static struct run runs[9];
  for (int i = 0; i < 9; i++) {
    runs[i] = (struct run){.record_bytes = 150000};
    assert_true(run_begin(&f, 0, program, &runs[i], 1));
  }
  pool_client_free(f.client);
  runs_open = 0;
  f.client = ours;
  struct run run = {.check = expect_itself};
  begin_somehow(0, program, &run, 10);
  run_until(&f, all_ended);
  expect_done(&run);
  for (int i = 0; i < 9; i++)
    assert_false(runs[i].ended);
  program_unref(program);
}

// ---- deaths ----

static void a_killed_worker_is_replaced_and_blames_nobody(void **state) {
  // kill -9 before or in the middle of jobs: they end as lost in order, none guilty; begun again, all is
  // done.
  (void)state;
  struct program *program = program_of(ECHO, "", "s0");
  struct pool_numbers before, after;
  pool_numbers(f.pool, &before);
  for (int round = 0; round < 10; round++) {
    struct run runs[4] = {0};
    bool before_all = round % 2;
    if (before_all) kill(pool_worker_pid(f.pool, 0), SIGSTOP);
    for (int i = 0; i < 4; i++)
      begin_somehow(0, program, &runs[i], LIMIT_JOB_RECORDS);
    kill(pool_worker_pid(f.pool, 0), SIGKILL);
    run_until(&f, all_ended);
    for (int i = 0; i < 4; i++) {
      assert_false(runs[i].guilty);
      assert_false(runs[i].out_of_order);
      assert_int_equal(runs[i].results, runs[i].end == POOL_DONE ? LIMIT_JOB_RECORDS : runs[i].at);
      if (runs[i].end == POOL_LOST) assert_string_equal(runs[i].why, "killed (signal 9)");
    }
    if (before_all) assert_int_equal(runs[0].end, POOL_LOST);
    struct run again;
    do { // when all jobs were done before the kill, this one may still meet the worker that dies
      again = (struct run){.check = expect_echo};
      begin_somehow(0, program, &again, 3);
      run_until(&f, all_ended);
      assert_false(again.guilty);
    } while (again.end == POOL_LOST);
    expect_done(&again);
  }
  pool_numbers(f.pool, &after);
  assert_int_equal(after.restarts - before.restarts, 10);
  assert_int_equal(after.kills, before.kills);
  program_unref(program);
}

static void a_script_that_crashes_its_worker_is_guilty(void **state) {
  // Records before the crash have their results, the record in work is named, the jobs behind it are lost
  // without guilt.
  (void)state;
  struct program *good = program_of(ECHO, "", "s0"), *bad = program_of(CRASH, "", "s0");
  struct run first = {.check = expect_echo}, crash = {0}, behind = {.check = expect_echo};
  begin_somehow(1, good, &first, 5);
  begin_somehow(1, bad, &crash, 5);
  begin_somehow(1, good, &behind, 5);
  run_until(&f, all_ended);
  expect_done(&first);
  assert_int_equal(crash.end, POOL_LOST);
  assert_int_equal(crash.at, 0);
  assert_true(crash.guilty);
  assert_non_null(strstr(crash.why, "crashed (signal"));
  assert_int_equal(behind.end, POOL_LOST);
  assert_false(behind.guilty);
  begin_somehow(1, good, &behind, 5);
  run_until(&f, all_ended);
  expect_done(&behind);
  program_unref(good);
  program_unref(bad);
}

// ---- checks ----

static unsigned checks_open;

static void check_done(struct pool_check *check) {
  (void)check;
  checks_open--;
}

static bool checks_ended(struct fixture *fixture) {
  (void)fixture;
  return checks_open == 0;
}

static void begin_check(struct pool_check *check, const char *source) {
  *check = (struct pool_check){
      .loop = f.loop, .name = "mine", .source = slice_of(source), .role = SCRIPT_STREAM, .done = check_done};
  checks_open++;
  pool_check(f.pool, check);
}

static void checks_tell_what_a_script_is(void **state) {
  // Accepted with its facts, refused with file and line, or crashed in words: many at once, each its own
  // answer.
  (void)state;
  enum { EACH = 4 };
  struct pool_check good[EACH], wrong[EACH], crash[EACH];
  for (int i = 0; i < EACH; i++) {
    begin_check(&good[i],
                "return { api = 1, match = { event_type = { 5, 6 } }, filter = function() return true end }");
    begin_check(&wrong[i], "return {\n  api = 1,\n  map = function( end\n}");
    begin_check(&crash[i], CRASH);
  }
  run_until(&f, checks_ended);
  for (int i = 0; i < EACH; i++) {
    assert_string_equal(good[i].err.text, "");
    assert_true(good[i].ok && good[i].facts.has_filter && !good[i].facts.has_map);
    assert_int_equal(good[i].facts.event_type_count, 2);
    assert_false(wrong[i].ok);
    assert_non_null(strstr(wrong[i].err.text, "mine:3:"));
    assert_false(crash[i].ok);
    assert_string_equal(crash[i].err.text, "mine: the script crashed the compiler");
  }
}

static void a_source_too_long_is_not_even_compiled(void **state) {
  // One byte past the limit is refused in words.
  (void)state;
  char *source = mem_must(mem_zero(1, LIMIT_SCRIPT_SOURCE_BYTES + 2));
  memset(source, ' ', LIMIT_SCRIPT_SOURCE_BYTES + 1);
  struct pool_check check;
  begin_check(&check, source);
  run_until(&f, checks_ended);
  assert_false(check.ok);
  assert_string_equal(check.err.text, "mine: longer than 65536 bytes");
  mem_free(source);
}

// ---- start ----

static void a_pool_that_can_not_start_says_why(void **state) {
  // No such executable: an error with its name and no pool.
  (void)state;
  struct err err = {0};
  struct pool_options options = {.workers = 1, .executable = "/nowhere/sluice"};
  assert_null(pool_new(&options, &err));
  assert_non_null(strstr(err.text, "/nowhere/sluice"));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_record_of_many_jobs_and_programs_comes_back),
      cmocka_unit_test(records_of_every_length_pass),
      cmocka_unit_test(the_sinks_map_follows_the_script),
      cmocka_unit_test(several_outputs_each_pass_the_sinks_map),
      cmocka_unit_test(what_a_script_logs_comes_with_its_result),
      cmocka_unit_test(records_of_many_programs_travel_in_one_job),
      cmocka_unit_test(a_script_that_does_not_load_fails_each_record),
      cmocka_unit_test(a_script_out_of_time_ends_alone),
      cmocka_unit_test(a_full_ring_says_no_and_later_that_there_is_room),
      cmocka_unit_test(a_forgotten_program_can_come_back),
      cmocka_unit_test(jobs_of_a_freed_client_hold_nobody_up),
      cmocka_unit_test(a_killed_worker_is_replaced_and_blames_nobody),
      cmocka_unit_test(a_script_that_crashes_its_worker_is_guilty),
      cmocka_unit_test(checks_tell_what_a_script_is),
      cmocka_unit_test(a_source_too_long_is_not_even_compiled),
      cmocka_unit_test(a_pool_that_can_not_start_says_why),
  };
  return cmocka_run_group_tests(tests, open_two, close_all);
}
