// work_desk_test.c - work is done beside the loop, in order, and told on the loop.
#include "base/mem.h"
#include "net/work_desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PIECES = 50 };

struct piece {
  struct work work; // first
  unsigned number;
  bool beside, done;
};

static struct loop *loop;
static unsigned run_count, done_count;

static void run(struct work *work) {
  struct piece *piece = (struct piece *)work;
  piece->beside = !loop_is_current(loop);
  piece->number = ++run_count; // the desk's thread alone
}

static void done(struct work *work) {
  ((struct piece *)work)->done = loop_is_current(loop);
  if (++done_count == PIECES) loop_stop(loop);
}

static void hand_in(struct work_desk *desk, struct piece *pieces) {
  run_count = done_count = 0;
  for (int i = 0; i < PIECES; i++) {
    pieces[i] = (struct piece){.work = {.loop = loop, .run = run, .done = done}};
    work_desk_do(desk, &pieces[i].work);
  }
}

static void work_is_done_in_order_and_told_on_the_loop(void **state) {
  // Fifty pieces handed in at once.
  (void)state;
  struct err err = {0};
  struct piece pieces[PIECES];
  loop = loop_new(&err);
  struct work_desk *desk = work_desk_new(&err);
  assert_non_null(desk);
  hand_in(desk, pieces);
  loop_run(loop);
  for (unsigned i = 0; i < PIECES; i++)
    assert_true(pieces[i].beside && pieces[i].done && pieces[i].number == i + 1);
  work_desk_free(desk);
  loop_free(loop);
}

static void what_waits_is_done_before_the_desk_goes(void **state) {
  // Though nobody is told any more.
  (void)state;
  struct err err = {0};
  struct piece pieces[PIECES];
  loop = loop_new(&err);
  struct work_desk *desk = work_desk_new(&err);
  hand_in(desk, pieces);
  work_desk_free(desk);
  assert_int_equal(run_count, PIECES);
  assert_int_equal(done_count, 0);
  loop_free(loop);
}

static void a_desk_needs_memory(void **state) {
  // And is an error without.
  (void)state;
  struct err err = {0};
  mem_fail_at(1);
  assert_null(work_desk_new(&err));
  mem_fail_at(0);
  assert_string_equal(err.text, "out of memory");
  work_desk_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(work_is_done_in_order_and_told_on_the_loop),
      cmocka_unit_test(what_waits_is_done_before_the_desk_goes),
      cmocka_unit_test(a_desk_needs_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
