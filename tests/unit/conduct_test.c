// conduct_test.c - when a script has taken too long too often, and when it has ended its worker too often.
#include "flow/conduct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, NOW = 5000 };

static void two_time_outs_within_a_minute_are_too_many(void **state) {
  // Two a minute apart are not; after the penalty counting begins anew.
  (void)state;
  struct conduct c = {0};
  assert_false(conduct_timed_out(&c, NOW));
  assert_false(conduct_timed_out(&c, NOW + MINUTE));
  assert_true(conduct_timed_out(&c, NOW + 2 * MINUTE - 1));
  assert_int_equal(c.penalty_until_ms, NOW + 2 * MINUTE - 1 + 10 * MINUTE);
}

static void time_outs_during_the_penalty_change_nothing(void **state) {
  (void)state;
  struct conduct c = {0};
  conduct_timed_out(&c, NOW);
  assert_true(conduct_timed_out(&c, NOW));
  uint64_t until = c.penalty_until_ms;
  for (uint64_t at = NOW; at < until; at += SECOND)
    assert_false(conduct_timed_out(&c, at));
  assert_int_equal(c.penalty_until_ms, until);
  assert_false(conduct_timed_out(&c, until));
  assert_true(conduct_timed_out(&c, until + 1));
}

static void a_third_strike_within_an_hour_is_the_last(void **state) {
  // Of those before it only what lies within the hour counts; forgiven ones do not.
  (void)state;
  struct conduct c = {0};
  assert_false(conduct_struck(&c, NOW));
  assert_false(conduct_struck(&c, NOW + 30 * MINUTE));
  assert_false(conduct_struck(&c, NOW + 60 * MINUTE));
  assert_true(conduct_struck(&c, NOW + 89 * MINUTE));
  conduct_forgive_strikes(&c);
  assert_false(conduct_struck(&c, NOW + 89 * MINUTE));
  assert_false(conduct_struck(&c, NOW + 89 * MINUTE));
  assert_true(conduct_struck(&c, NOW + 89 * MINUTE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_time_outs_within_a_minute_are_too_many),
      cmocka_unit_test(time_outs_during_the_penalty_change_nothing),
      cmocka_unit_test(a_third_strike_within_an_hour_is_the_last),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
