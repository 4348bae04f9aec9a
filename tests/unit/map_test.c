// Proves that the map keeps what was put in, whatever was taken out in between.
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static char things[512];

static void a_value_is_found_until_it_is_removed(void **state) {
  (void)state;
  struct map m = {0};
  assert_null(map_get(&m, 0));
  assert_null(map_remove(&m, 0));
  assert_true(map_put(&m, 0, &things[0]));
  assert_true(map_put(&m, UINT64_MAX, &things[1]));
  assert_true(map_put(&m, 0, &things[2])); // replaces
  assert_int_equal(m.count, 2);
  assert_ptr_equal(map_get(&m, 0), &things[2]);
  assert_ptr_equal(map_remove(&m, 0), &things[2]);
  assert_null(map_get(&m, 0));
  assert_null(map_remove(&m, 0));
  assert_ptr_equal(map_get(&m, UINT64_MAX), &things[1]);
  assert_int_equal(m.count, 1);
  map_fini(&m);
  map_fini(&m);
}

// Against a plain array, over few keys so that slots collide, wrap around and are moved back.
static void random_changes_agree_with_an_array(void **state) {
  (void)state;
  struct map m = {0};
  void *model[512] = {0};
  size_t count = 0;
  rand_seed(3);
  for (int i = 0; i < 200000; i++) {
    uint64_t draw = rand_u64();
    size_t keys = i / 20000 % 2 ? 12 : 512, key = draw % keys;
    void *value = &things[(draw >> 32) % sizeof things];
    if (draw >> 63) {
      assert_true(map_put(&m, key, value));
      count += !model[key];
      model[key] = value;
    } else {
      assert_ptr_equal(map_remove(&m, key), model[key]);
      count -= model[key] != NULL;
      model[key] = NULL;
    }
    assert_int_equal(m.count, count);
    size_t probe = (draw >> 16) % 512;
    assert_ptr_equal(map_get(&m, probe), model[probe]);
  }
  for (size_t key = 0; key < 512; key++)
    assert_ptr_equal(map_get(&m, key), model[key]);
  map_fini(&m);
}

static void a_walk_meets_each_once(void **state) {
  (void)state;
  struct map m = {0};
  int met[100] = {0};
  size_t i = 0;
  assert_null(map_each(&m, &i));
  for (uint64_t key = 0; key < 100; key++)
    assert_true(map_put(&m, key * 1000003, &things[key]));
  char *thing;
  for (i = 0; (thing = map_each(&m, &i));)
    met[thing - things]++;
  for (int k = 0; k < 100; k++)
    assert_int_equal(met[k], 1);
  map_fini(&m);
}

static void no_memory_keeps_what_there_is(void **state) {
  (void)state;
  struct map m = {0};
  mem_fail_at(1);
  assert_false(map_put(&m, 1, &things[1]));
  mem_fail_at(0);
  uint64_t key = 0;
  for (; key < 12; key++)
    assert_true(map_put(&m, key, &things[key])); // the 13th needs a larger table
  mem_fail_at(1);
  assert_false(map_put(&m, key, &things[key]));
  mem_fail_at(0);
  assert_int_equal(m.count, 12);
  for (uint64_t k = 0; k < 12; k++)
    assert_ptr_equal(map_get(&m, k), &things[k]);
  assert_true(map_put(&m, key, &things[key]));
  map_fini(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_value_is_found_until_it_is_removed),
      cmocka_unit_test(random_changes_agree_with_an_array),
      cmocka_unit_test(a_walk_meets_each_once),
      cmocka_unit_test(no_memory_keeps_what_there_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
