// Proves that a block is read once for all couriers: one reads, the others are told, each has it once, and a
// read that brings nothing holds nobody up.
#include "flow/shared_blocks.h"
#include "journal/block_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct courier {         // as far as it matters here
  struct loop_task told; // first
  unsigned times;
};

struct fixture {
  struct loop *loop;
  struct shared_blocks *shared;
  struct courier a, b, c;
  struct loop_task stop;
};

static void told(struct loop_task *task) {
  ((struct courier *)task)->times++;
}

static void stop(struct loop_task *task) {
  struct fixture *f = (struct fixture *)(void *)((char *)task - offsetof(struct fixture, stop));
  loop_stop(f->loop);
}

static void open_fixture(struct fixture *f, unsigned couriers) {
  struct err err = {0};
  *f = (struct fixture){.stop = {.run = stop}};
  f->a.told.run = f->b.told.run = f->c.told.run = told;
  f->loop = loop_new(&err);
  f->shared = shared_blocks_new(couriers, &err);
  assert_string_equal(err.text, "");
}

static void close_fixture(struct fixture *f) {
  shared_blocks_free(f->shared);
  shared_blocks_free(NULL);
  loop_free(f->loop);
}

static void run_posted(struct fixture *f) {
  loop_post(f->loop, &f->stop);
  loop_run(f->loop);
}

static enum shared_answer get(struct fixture *f, struct courier *courier, uint64_t sequence,
                              struct journal_block **block) {
  *block = NULL;
  return shared_blocks_get(f->shared, sequence, f->loop, &courier->told, block);
}

static struct journal_block *make_block(uint64_t first, uint64_t end) {
  struct journal_block *block = block_memory_new(0, 0);
  assert_non_null(block);
  block->first = first;
  block->end = end;
  return block;
}

// What its reader brings; the reader has no use for it any more.
static struct journal_block *bring(struct fixture *f, uint64_t sequence, uint64_t first, uint64_t end) {
  struct journal_block *block = make_block(first, end);
  shared_blocks_put(f->shared, sequence, block);
  journal_block_unref(block);
  return block;
}

static void a_lone_courier_reads_for_itself(void **state) {
  (void)state;
  struct fixture f;
  struct journal_block *block;
  open_fixture(&f, 1);
  assert_int_equal(get(&f, &f.a, 1, &block), SHARED_READ);
  bring(&f, 1, 1, 10); // is not kept: a sanitizer would see it
  assert_int_equal(get(&f, &f.a, 1, &block), SHARED_READ);
  close_fixture(&f);
}

static void one_reads_and_the_others_are_told(void **state) {
  (void)state;
  struct fixture f;
  struct journal_block *block, *brought;
  open_fixture(&f, 3);
  assert_int_equal(get(&f, &f.a, 5, &block), SHARED_READ);
  for (int i = 0; i < 200; i++)
    assert_int_equal(get(&f, &f.b, 5, &block), SHARED_COMING); // asks again and again
  assert_int_equal(get(&f, &f.c, 5, &block), SHARED_COMING);
  run_posted(&f);
  assert_int_equal(f.b.times, 0);
  brought = bring(&f, 5, 5, 20);
  run_posted(&f);
  assert_int_equal(f.a.times, 0);
  assert_int_equal(f.b.times, 1);
  assert_int_equal(f.c.times, 1);
  assert_int_equal(get(&f, &f.b, 5, &block), SHARED_HERE);
  assert_ptr_equal(block, brought);
  journal_block_unref(block);
  assert_int_equal(get(&f, &f.c, 7, &block), SHARED_HERE); // from anywhere inside
  assert_ptr_equal(block, brought);
  journal_block_unref(block);
  assert_int_equal(get(&f, &f.a, 5, &block), SHARED_READ); // all have had it: it is gone
  close_fixture(&f);
}

static void a_read_that_brings_nothing_of_what_was_asked_lets_the_next_try(void **state) {
  (void)state;
  struct fixture f;
  struct journal_block *block;
  open_fixture(&f, 2);
  assert_int_equal(get(&f, &f.a, 5, &block), SHARED_READ);
  assert_int_equal(get(&f, &f.b, 5, &block), SHARED_COMING);
  shared_blocks_put(f.shared, 5, NULL);
  run_posted(&f);
  assert_int_equal(f.b.times, 1);
  assert_int_equal(get(&f, &f.b, 5, &block), SHARED_READ);
  assert_int_equal(get(&f, &f.a, 5, &block), SHARED_COMING);
  bring(&f, 5, 9, 20); // 5 to 8 are lost
  run_posted(&f);
  assert_int_equal(f.a.times, 1);
  assert_int_equal(get(&f, &f.a, 5, &block), SHARED_READ);
  assert_int_equal(get(&f, &f.b, 9, &block), SHARED_HERE);
  journal_block_unref(block);
  close_fixture(&f);
}

// More different reads at once than there are places: each reads for itself, and all ends well.
static void with_all_places_taken_everybody_reads(void **state) {
  (void)state;
  struct fixture f;
  struct journal_block *block;
  open_fixture(&f, 2);
  for (uint64_t s = 0; s < 100; s++)
    assert_int_equal(get(&f, &f.a, 10 * s, &block), SHARED_READ);
  for (uint64_t s = 0; s < 100; s++)
    bring(&f, 10 * s, 10 * s, 10 * s + 10);
  unsigned here = 0;
  for (uint64_t s = 0; s < 100; s++) {
    here += get(&f, &f.b, 10 * s, &block) == SHARED_HERE;
    journal_block_unref(block);
  }
  assert_in_range(here, 1, 99);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lone_courier_reads_for_itself),
      cmocka_unit_test(one_reads_and_the_others_are_told),
      cmocka_unit_test(a_read_that_brings_nothing_of_what_was_asked_lets_the_next_try),
      cmocka_unit_test(with_all_places_taken_everybody_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
