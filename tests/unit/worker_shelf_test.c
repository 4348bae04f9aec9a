// worker_shelf_test.c - Lua states come and go within their budget; sources and contexts stay.
#include "base/limits.h"
#include "base/mem.h"
#include "script/worker_run.h"
#include "script/worker_shelf.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char SCRIPT[] = "return { api = 1, map = function(rec, ctx) return ctx.parameters.n end }";
static const struct script_limits LIMITS = {0};

static void add_source(struct shelf *shelf, uint32_t id, struct slice source) {
  struct message_script head = {
      .id = id, .role = SCRIPT_STREAM, .name_bytes = 1, .source_bytes = (uint32_t)source.len};
  alignas(8) char message[sizeof head + 200];
  assert_true(source.len < 200);
  char *at = message_append(message, &head, sizeof head);
  message_append(message_append(at, "x", 1), source.at, source.len);
  shelf_add_script(shelf, (const void *)message);
}

static void add_script(struct shelf *shelf, uint32_t id) {
  add_source(shelf, id, slice_of(SCRIPT));
}

// A program whose script returns its id.
static void add_program(struct shelf *shelf, uint32_t id, uint32_t script, unsigned client) {
  alignas(8) char message[200];
  char *context = message + sizeof(struct message_program);
  int len = snprintf(context, 100, "{\"stream\":{},\"parameters\":{\"n\":{\"id\":%u}}}", id);
  struct message_program head = {.id = id, .script_id = script, .context_bytes = (uint32_t)len};
  memcpy(message, &head, sizeof head);
  shelf_add_program(shelf, (const void *)message, client);
}

static void expect_run(struct shelf *shelf, struct runner *runner, uint32_t id) {
  struct record_header header = {.kind = RECORD_EVENT};
  struct shelf_program *program = shelf_program(shelf, id);
  char expected[32];
  snprintf(expected, sizeof expected, "{\"id\":%u}", id);
  const struct script_result *result = runner_run(runner, shelf, program, &header, slice_of("{\"id\":1}"));
  assert_string_equal(result->text, "");
  assert_int_equal(result->output_count, 1);
  assert_true(slice_is(slice_make(result->bytes.at + result->outputs[0].body_at, result->outputs[0].body_len),
                       expected));
  shelf_settle(shelf, &program->script);
}

static void states_stay_within_their_budget(void **state) {
  // With room for a few, fifty scripts in turn all run; the memory of their states keeps to the budget.
  (void)state;
  struct shelf shelf;
  struct runner runner;
  assert_true(runner_init(&runner));
  shelf_init(&shelf, &LIMITS, 256 << 10);
  for (uint32_t id = 1; id <= 50; id++) {
    add_script(&shelf, id);
    add_program(&shelf, id, id, 0);
  }
  for (int round = 0; round < 3; round++)
    for (uint32_t id = 1; id <= 50; id++) {
      expect_run(&shelf, &runner, id);
      assert_true(shelf.memory <= shelf.budget);
    }
  assert_non_null(shelf_program(&shelf, 50)->script.script->state);
  assert_null(shelf_program(&shelf, 1)->script.script->state);
  runner_fini(&runner);
  shelf_fini(&shelf);
}

static void one_state_serves_many_programs(void **state) {
  // Past the most contexts that a state keeps, each program still sees its own.
  (void)state;
  struct shelf shelf;
  struct runner runner;
  assert_true(runner_init(&runner));
  shelf_init(&shelf, &LIMITS, LIMIT_WORKER_BYTES);
  add_script(&shelf, 1);
  for (uint32_t id = 1; id <= LIMIT_WORKER_CONTEXTS + 100; id++)
    add_program(&shelf, id, 1, 0);
  for (uint32_t id = 1; id <= LIMIT_WORKER_CONTEXTS + 100; id++)
    expect_run(&shelf, &runner, id);
  expect_run(&shelf, &runner, 1);
  struct shelf_script *script = shelf_program(&shelf, 1)->script.script;
  assert_int_equal(script->context_count, LIMIT_WORKER_CONTEXTS);
  assert_false(list_linked(&shelf_program(&shelf, 2)->script.set));
  runner_fini(&runner);
  shelf_fini(&shelf);
}

static void windows_outlive_states(void **state) {
  // With room for few states, each program counts on from where it was whenever its state is made again.
  (void)state;
  struct shelf shelf;
  struct runner runner;
  assert_true(runner_init(&runner));
  shelf_init(&shelf, &LIMITS, 256 << 10);
  for (uint32_t id = 1; id <= 50; id++) {
    add_source(&shelf, id, slice_of("return { api = 1, map = function(rec, ctx) return { id = ctx.count('k', '1h') } end }"));
    add_program(&shelf, id, id, 0);
  }
  for (uint32_t round = 1; round <= 3; round++)
    for (uint32_t id = 1; id <= 50; id++) {
      struct record_header header = {.kind = RECORD_EVENT};
      char expected[32];
      struct shelf_program *program = shelf_program(&shelf, id);
      const struct script_result *result = runner_run(&runner, &shelf, program, &header, slice_of("{\"id\":1}"));
      snprintf(expected, sizeof expected, "{\"id\":%u}", round);
      assert_int_equal(result->output_count, 1);
      assert_true(slice_is(slice_make(result->bytes.at, result->outputs[0].body_len), expected));
      assert_true(runner.pairs.len > 0);
      shelf_settle(&shelf, &program->script);
    }
  assert_null(shelf_program(&shelf, 1)->script.script->state);
  assert_non_null(shelf_program(&shelf, 1)->windows);
  assert_true(shelf.windows_bytes > 0);
  for (uint32_t id = 1; id <= 50; id++)
    shelf_forget(&shelf, id, 0);
  assert_int_equal(shelf.windows_bytes, 0);
  runner_fini(&runner);
  shelf_fini(&shelf);
}

static void windows_keep_to_what_a_worker_has_for_them(void **state) {
  // A record that would add more fails in words and changes nothing; others that add nothing go on.
  (void)state;
  struct shelf shelf;
  struct runner runner;
  struct record_header header = {.kind = RECORD_EVENT};
  assert_true(runner_init(&runner));
  shelf_init(&shelf, &LIMITS, LIMIT_WORKER_BYTES);
  add_source(&shelf, 1, slice_of("return { api = 1, map = function(rec, ctx) ctx.set(rec.id, 1) return { id = rec.id } end }"));
  add_program(&shelf, 1, 1, 0);
  struct shelf_program *program = shelf_program(&shelf, 1);
  assert_int_equal(runner_run(&runner, &shelf, program, &header, slice_of("{\"id\":1}"))->outcome, SCRIPT_KEPT);
  shelf.windows_bytes += LIMIT_WORKER_WINDOWS_BYTES;
  const struct script_result *result = runner_run(&runner, &shelf, program, &header, slice_of("{\"id\":2}"));
  assert_int_equal(result->outcome, SCRIPT_FAILED);
  assert_non_null(strstr(result->text, "256 MB"));
  assert_int_equal(runner.pairs.len, 0);
  assert_int_equal(runner_run(&runner, &shelf, program, &header, slice_of("{\"id\":1}"))->outcome, SCRIPT_KEPT);
  shelf.windows_bytes -= LIMIT_WORKER_WINDOWS_BYTES;
  runner_fini(&runner);
  shelf_fini(&shelf);
}

static void a_program_stays_while_one_client_has_it(void **state) {
  // Forgotten by both clients it goes, and with the last of its programs the script.
  (void)state;
  struct shelf shelf;
  shelf_init(&shelf, &LIMITS, LIMIT_WORKER_BYTES);
  add_script(&shelf, 1);
  add_program(&shelf, 10, 1, 0);
  add_program(&shelf, 10, 1, 63);
  add_program(&shelf, 11, 1, 0);
  shelf_forget(&shelf, 10, 0);
  shelf_forget(&shelf, 10, 0);
  assert_non_null(shelf_program(&shelf, 10));
  shelf_forget(&shelf, 10, 63);
  assert_null(shelf_program(&shelf, 10));
  assert_int_equal(shelf.scripts.count, 1);
  shelf_forget(&shelf, 11, 0);
  assert_int_equal(shelf.scripts.count, 0);
  shelf_fini(&shelf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_stay_within_their_budget),
      cmocka_unit_test(one_state_serves_many_programs),
      cmocka_unit_test(windows_outlive_states),
      cmocka_unit_test(windows_keep_to_what_a_worker_has_for_them),
      cmocka_unit_test(a_program_stays_while_one_client_has_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
