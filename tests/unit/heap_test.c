// Proves that the heap gives what is due first, also after members were moved and taken out from its middle.
#include "base/heap.h"
#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void members_come_out_in_order(void **state) {
  (void)state;
  struct heap h = {0};
  struct heap_node nodes[200] = {0};
  rand_seed(5);
  assert_null(heap_first(&h));
  for (int i = 0; i < 200; i++)
    assert_true(heap_set(&h, &nodes[i], rand_u64() % 50));
  uint64_t last = 0;
  for (int i = 0; i < 200; i++) {
    struct heap_node *first = heap_first(&h);
    assert_true(first->due >= last);
    last = first->due;
    heap_remove(&h, first);
    assert_int_equal(first->place, 0);
  }
  assert_null(heap_first(&h));
  heap_fini(&h);
}

static void random_moves_agree_with_a_search(void **state) {
  (void)state;
  struct heap h = {0};
  struct heap_node nodes[64] = {0};
  rand_seed(6);
  for (int i = 0; i < 50000; i++) {
    uint64_t draw = rand_u64();
    struct heap_node *node = &nodes[draw % 64];
    if (draw >> 62)
      assert_true(heap_set(&h, node, (draw >> 20) % 1000));
    else
      heap_remove(&h, node); // may be in none
    uint64_t least = UINT64_MAX;
    size_t count = 0;
    for (int k = 0; k < 64; k++) {
      if (!nodes[k].place) continue;
      assert_ptr_equal(h.nodes[nodes[k].place - 1], &nodes[k]);
      if (nodes[k].due < least) least = nodes[k].due;
      count++;
    }
    assert_int_equal(h.count, count);
    if (count)
      assert_int_equal(heap_first(&h)->due, least);
    else
      assert_null(heap_first(&h));
  }
  heap_fini(&h);
}

static void no_memory_leaves_the_member_out(void **state) {
  (void)state;
  struct heap h = {0};
  struct heap_node nodes[65] = {0};
  mem_fail_at(1);
  assert_false(heap_set(&h, &nodes[0], 1));
  mem_fail_at(0);
  assert_int_equal(nodes[0].place, 0);
  for (int i = 0; i < 64; i++)
    assert_true(heap_set(&h, &nodes[i], (uint64_t)i));
  mem_fail_at(1);
  assert_true(heap_set(&h, &nodes[9], 99)); // a member that only moves needs no room
  assert_false(heap_set(&h, &nodes[64], 0));
  mem_fail_at(0);
  assert_int_equal(nodes[64].place, 0);
  assert_int_equal(h.count, 64);
  assert_ptr_equal(heap_first(&h), &nodes[0]);
  heap_fini(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_come_out_in_order),
      cmocka_unit_test(random_moves_agree_with_a_search),
      cmocka_unit_test(no_memory_leaves_the_member_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
