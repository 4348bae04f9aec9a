// Proves when a failed batch goes again: full jitter under a ceiling that doubles, unless the receiver says
// when.
#include "base/rand.h"
#include "flow/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MINUTES_5 = 300000, HOUR = 3600000 };

static const struct {
  uint32_t attempt;
  uint64_t most_ms;
} ceilings[] = {
    {1, 1000},       {2, 2000},       {3, 4000},         {4, 8000},
    {5, 16000},      {6, 32000},      {7, 64000},        {8, 128000},
    {9, 256000},     {10, MINUTES_5}, {11, MINUTES_5},   {63, MINUTES_5},
    {64, MINUTES_5}, {65, MINUTES_5}, {1000, MINUTES_5}, {UINT32_MAX, MINUTES_5},
};

static void the_ceiling_doubles_up_to_five_minutes(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ceilings / sizeof *ceilings; i++) {
    uint64_t most = ceilings[i].most_ms;
    assert_int_equal(retry_delay_ms(ceilings[i].attempt, -1, 0), 0);
    assert_int_equal(retry_delay_ms(ceilings[i].attempt, -1, most), most);  // reached
    assert_int_equal(retry_delay_ms(ceilings[i].attempt, -1, most + 1), 0); // not passed
    assert_true(retry_delay_ms(ceilings[i].attempt, -1, UINT64_MAX) <= most);
  }
}

static void the_jitter_is_full(void **state) {
  (void)state;
  uint64_t tenths[10] = {0};
  rand_seed(1);
  for (int i = 0; i < 100000; i++) {
    uint64_t delay = retry_delay_ms(10, -1, rand_u64());
    assert_true(delay <= MINUTES_5);
    tenths[delay == MINUTES_5 ? 9 : delay * 10 / MINUTES_5]++;
  }
  for (int i = 0; i < 10; i++)
    assert_in_range(tenths[i], 9500, 10500);
}

static void the_receiver_decides_up_to_an_hour(void **state) {
  (void)state;
  static const struct {
    int64_t after_ms;
    uint64_t delay_ms;
  } cases[] = {{0, 0},       {1, 1},           {1500, 1500},     {HOUR - 1, HOUR - 1},
               {HOUR, HOUR}, {HOUR + 1, HOUR}, {INT64_MAX, HOUR}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (uint32_t attempt = 1; attempt < 30; attempt++)
      assert_int_equal(retry_delay_ms(attempt, cases[i].after_ms, 123456789), cases[i].delay_ms);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_ceiling_doubles_up_to_five_minutes),
      cmocka_unit_test(the_jitter_is_full),
      cmocka_unit_test(the_receiver_decides_up_to_an_hour),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
