// Proves that an integer is read exactly or not at all, and any number as the nearest double.
#include "base/buf.h"
#include "base/json_tape.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_support.h"

static void integers_are_exact_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool fits;
    int64_t value;
  } cases[] = {
      {"0", true, 0},
      {"-0", true, 0},
      {"9007199254740993", true, 9007199254740993},
      {"9223372036854775807", true, INT64_MAX},
      {"9223372036854775808", false, 0},
      {"-9223372036854775808", true, INT64_MIN},
      {"-9223372036854775809", false, 0},
      {"18446744073709551616", false, 0},
      {"9999999999999999999", false, 0},
      {"100000000000000000000000", false, 0},
      {"1.0", false, 0},
      {"1e2", false, 0},
      {"\"1\"", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct json_tape t = json_parsed(cases[i].text);
    int64_t value = 77;
    assert_int_equal(json_tape_integer(&t, 0, &value), cases[i].fits);
    assert_int_equal(value, cases[i].fits ? cases[i].value : 77);
    json_tape_fini(&t);
  }
}

static void reals_are_the_nearest_double(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0",
      "-0",
      "-0.0",
      "1",
      "0.008531",
      "1e22",
      "1e23",
      "9007199254740993",
      "0.1",
      "1E-7",
      "1e400",
      "-1e400",
      "1e-400",
      "5e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "2.2250738585072011e-308",
      "1.7976931348623157e308",
      "1.7976931348623159e308",
      "9007199254740992.5",
      "0.000000000000000000000000000000000000000000000000001e51",
      "123456789012345678901234567890",
      "0.30000000000000004",
      "1e99999999999999999999",
      "1e-99999999999999999999",
      "0e99999999999999999999",
      "-12.5e+1",
      "-92233720368547758081e1", // 20 digits: more than 64 bits hold
      "18446744073709551617",
      "1844674407370955161.7",
      "18446744073709551.617",
      "8.5",
      "12345678901234567890",
      "0.00000000000000000001234567890123456789",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct json_tape t = json_parsed(texts[i]);
    double want = strtod(texts[i], NULL), got = json_tape_real(&t, 0);
    if (memcmp(&want, &got, sizeof want) != 0) fail_msg("%s: %.17g, not %.17g", texts[i], got, want);
    json_tape_fini(&t);
  }
}

static double long_number(struct buf *b, const char *head, char fill, size_t count, const char *tail) {
  b->len = 0;
  buf_append_text(b, head);
  for (size_t i = 0; i < count; i++)
    buf_append_byte(b, fill);
  buf_append_text(b, tail);
  struct json_tape t = json_parsed(buf_text(b));
  double value = json_tape_real(&t, 0);
  assert_true(value == strtod(buf_text(b), NULL));
  json_tape_fini(&t);
  return value;
}

static void numbers_of_any_length_are_read(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 1 << 20);
  assert_true(long_number(&b, "1", '0', 5000, "e-5000") == 1);
  assert_true(long_number(&b, "0.", '0', 5000, "1e5001") == 1);
  // 2^53 + 1 is halfway between two doubles: one digit far behind the point decides.
  assert_true(long_number(&b, "9007199254740993.", '0', 2000, "1") == 9007199254740994);
  assert_true(long_number(&b, "9007199254740993.", '0', 2000, "0") == 9007199254740992);
  assert_true(isinf(long_number(&b, "9", '9', 400, "")));
  buf_fini(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_are_exact_or_refused),
      cmocka_unit_test(reals_are_the_nearest_double),
      cmocka_unit_test(numbers_of_any_length_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
