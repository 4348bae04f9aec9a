// Proves that the checksum is CRC-32C, whole or in parts, at every length and alignment.
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Bit by bit, from the polynomial.
static uint32_t reference(const unsigned char *p, size_t len) {
  uint32_t crc = ~0u;
  for (; len; p++, len--) {
    crc ^= *p;
    for (int i = 0; i < 8; i++)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

static void known_answers_hold(void **state) { // RFC 3720, B.4, and the usual check value
  (void)state;
  unsigned char bytes[32];
  assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
  assert_int_equal(crc32c(0, "", 0), 0);
  memset(bytes, 0, sizeof bytes);
  assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
  memset(bytes, 0xff, sizeof bytes);
  assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)i;
  assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
}

static void every_length_and_alignment_agrees_with_the_polynomial(void **state) {
  (void)state;
  unsigned char bytes[128];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(i * 167 + 13);
  for (size_t from = 0; from < 9; from++)
    for (size_t len = 0; len <= sizeof bytes - from; len++) {
      assert_int_equal(crc32c(0, bytes + from, len), reference(bytes + from, len));
      assert_int_equal(crc32c_by_table(0, bytes + from, len), reference(bytes + from, len));
    }
}

static void parts_give_what_the_whole_gives(void **state) {
  (void)state;
  static const char text[] = "one block and one sync a group commit";
  uint32_t whole = crc32c(0, text, sizeof text);
  for (size_t cut = 0; cut <= sizeof text; cut++) {
    assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
    assert_int_equal(crc32c_by_table(crc32c_by_table(0, text, cut), text + cut, sizeof text - cut), whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_answers_hold),
      cmocka_unit_test(every_length_and_alignment_agrees_with_the_polynomial),
      cmocka_unit_test(parts_give_what_the_whole_gives),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
