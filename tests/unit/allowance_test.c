// Proves that an allowance gives its burst at once, then its rate, and never saves up more than its burst.
#include "flow/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t SECOND = 1000000000;

static unsigned take_all(struct allowance *a, uint64_t now_ns) {
  unsigned taken = 0;
  while (allowance_take(a, now_ns))
    taken++;
  return taken;
}

static void a_new_one_gives_its_burst(void **state) {
  (void)state;
  struct allowance a = {.per_second = 100, .burst = 7};
  assert_int_equal(take_all(&a, SECOND), 7);
  assert_false(allowance_take(&a, SECOND));
}

static void then_it_gives_its_rate(void **state) {
  (void)state;
  struct allowance a = {.per_second = 100, .burst = 7};
  unsigned taken = 0;
  take_all(&a, SECOND);
  for (uint64_t ms = 1; ms <= 1000; ms++)
    taken += take_all(&a, SECOND + ms * 1000000);
  assert_in_range(taken, 99, 100);
}

static void a_pause_saves_up_no_more_than_the_burst(void **state) {
  (void)state;
  struct allowance a = {.per_second = 100, .burst = 7};
  take_all(&a, SECOND);
  assert_int_equal(take_all(&a, 1000 * SECOND), 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_one_gives_its_burst),
      cmocka_unit_test(then_it_gives_its_rate),
      cmocka_unit_test(a_pause_saves_up_no_more_than_the_burst),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
