// program_test.c - what a program copies, shares and numbers.
#include "base/limits.h"
#include "base/mem.h"
#include "script/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct program *make(const char *script, const char *name, const char *sink, int64_t scope) {
  struct program from = {
      .script = slice_of(script), .script_name = name, .sink = slice_of(sink), .sink_name = "sink"};
  from.context = slice_of("{\"stream\":1}");
  from.sink_context = slice_of("{\"settings\":2}");
  return program_new(&from, scope);
}

static void copies_all_it_is_given(void **state) {
  // A program keeps its texts when the caller's are gone.
  (void)state;
  char text[] = "return 1", name[] = "a", context[] = "{}";
  struct program from = {.script = slice_of(text), .script_name = name, .context = slice_of(context)};
  struct program *p = program_new(&from, 7);
  memset(text, 'x', sizeof text - 1);
  memset(name, 'x', sizeof name - 1);
  memset(context, 'x', sizeof context - 1);
  assert_true(slice_is(p->script, "return 1"));
  assert_string_equal(p->script_name, "a");
  assert_true(slice_is(p->context, "{}"));
  assert_int_equal(p->sink_id, 0);
  assert_true(p->script_id > 0);
  program_unref(p);
}

static void ids_tell_what_may_share_a_state(void **state) {
  // Equal text, name and scope give one script id and one copy of the text; any difference gives another.
  // Sinks have no scope.
  (void)state;
  struct program *a = make("x", "n", "s", 1), *b = make("x", "n", "s", 1), *scope = make("x", "n", "s", 2);
  struct program *text = make("y", "n", "s", 1), *name = make("x", "m", "s", 1),
                 *as_sink = make("s", "sink", "x", 0);
  assert_int_not_equal(a->id, b->id);
  assert_int_equal(a->script_id, b->script_id);
  assert_ptr_equal(a->script.at, b->script.at);
  assert_int_not_equal(a->script_id, scope->script_id);
  assert_int_equal(a->sink_id, scope->sink_id);
  assert_int_not_equal(a->script_id, text->script_id);
  assert_int_not_equal(a->script_id, name->script_id);
  assert_int_not_equal(a->script_id, as_sink->sink_id);
  assert_int_not_equal(a->sink_id, as_sink->script_id);
  struct program *all[] = {a, b, scope, text, name, as_sink};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    program_unref(all[i]);
}

static void ids_are_never_given_again(void **state) {
  // A script that is gone and comes back is another one to the workers, who may have forgotten it.
  (void)state;
  struct program *first = make("x", "n", "s", 1);
  uint32_t script_id = first->script_id, id = first->id;
  program_ref(first);
  program_unref(first);
  assert_true(slice_is(first->script, "x"));
  program_unref(first);
  struct program *again = make("x", "n", "s", 1);
  assert_int_not_equal(again->script_id, script_id);
  assert_int_not_equal(again->id, id);
  program_unref(again);
}

static void survives_memory_running_out(void **state) {
  // Whichever allocation fails, there is no program, nothing leaks, and the next one can be made.
  (void)state;
  struct program *done = NULL;
  int failures = 0;
  for (long nth = 1; !done; nth++) {
    mem_fail_at(nth);
    done = make("only here", "n", "and this sink", 3);
    failures += !done;
  }
  mem_fail_at(0);
  assert_true(failures >= 3);
  assert_true(slice_is(done->sink, "and this sink"));
  program_unref(done);
}

static void refuses_texts_that_no_ring_could_carry(void **state) {
  // Past LIMIT_PROGRAM_BYTES there is no program.
  (void)state;
  char *long_text = mem_zero(1, LIMIT_PROGRAM_BYTES + 1);
  struct program from = {.context = slice_make(long_text, LIMIT_PROGRAM_BYTES + 1)};
  assert_null(program_new(&from, 0));
  from.context.len--;
  struct program *p = program_new(&from, 0);
  assert_non_null(p);
  program_unref(p);
  mem_free(long_text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_all_it_is_given),
      cmocka_unit_test(ids_tell_what_may_share_a_state),
      cmocka_unit_test(ids_are_never_given_again),
      cmocka_unit_test(survives_memory_running_out),
      cmocka_unit_test(refuses_texts_that_no_ring_could_carry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
