// Proves that what is written is JSON, reads back the same, and is as short as it can be.
#include "base/json_tape.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/rand.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *real(double value) {
  static char out[JSON_NUMBER_BYTES + 1];
  memset(out, '#', sizeof out);
  size_t len = json_format_real(value, out);
  assert_true(len < JSON_NUMBER_BYTES);
  assert_int_equal(out[len], '#');
  out[len] = 0;
  return out;
}

static void numbers_look_as_people_write_them(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *want;
  } cases[] = {
      {0, "0"},
      {-0.0, "-0"},
      {1, "1"},
      {-1, "-1"},
      {100, "100"},
      {0.1, "0.1"},
      {-0.5, "-0.5"},
      {0.008531, "0.008531"},
      {0.066641, "0.066641"},
      {0.01666025, "0.01666025"},
      {1234.5678, "1234.5678"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"},
      {100.0 / 3, "33.333333333333336"},
      {1e-6, "0.000001"},
      {1.5e-6, "0.0000015"},
      {1e-7, "1e-7"},
      {1.25e-9, "1.25e-9"},
      {999999999999999, "999999999999999"},
      {1e15, "1000000000000000"},
      {9007199254740991, "9007199254740991"},
      {9007199254740992, "9007199254740992"},
      {1e17, "100000000000000000"},
      {123456789012345680000.0, "123456789012345680000"},
      {1e21, "1e+21"},
      {1e22, "1e+22"},
      {1e23, "1e+23"},
      {1.5e300, "1.5e+300"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {5e-324, "5e-324"},
      {-5e-324, "-5e-324"},
      {1.5e-323, "1.5e-323"},
      {0x1p-24, "5.960464477539063e-8"}, // a power of two, where the nearest 16 digits don't read back
      {0x1p-44, "5.684341886080802e-14"},
      {4503599627370495.5, "4503599627370495.5"},
      {0.3, "0.3"},
      {123456.789012345, "123456.789012345"},
      {1e15 + 0.5, "1000000000000000.5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(real(cases[i].value), cases[i].want);
}

static int significant_digits(const char *text) {
  int count = 0, zeros = 0;
  for (; *text && *text != 'e'; text++) {
    if (*text == '.' || *text == '-' || (*text == '0' && !count)) continue;
    count++;
    zeros = *text == '0' ? zeros + 1 : 0;
  }
  return count - zeros;
}

// Shortest: it reads back, and rounding the value to one digit less doesn't.
static void assert_shortest(double value) {
  const char *text = real(value);
  char fewer[64];
  double back = strtod(text, NULL);
  if (memcmp(&back, &value, sizeof back) != 0) fail_msg("%.17g was written %s", value, text);
  int digits = significant_digits(text);
  if (digits < 2) return;
  snprintf(fewer, sizeof fewer, "%.*e", digits - 2, value);
  if (strtod(fewer, NULL) == value) fail_msg("%s was written %s", fewer, text);
}

static void any_double_reads_back_from_its_shortest_form(void **state) {
  (void)state;
  rand_seed(7);
  for (int i = 0; i < 30000; i++) {
    uint64_t bits = rand_u64();
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isfinite(value)) assert_shortest(value);
  }
  for (int exponent = -1074; exponent < 1024; exponent++)
    assert_shortest(ldexp(1, exponent));
}

static void usual_numbers_read_back_from_their_shortest_form(void **state) { // the short way through
  (void)state;
  rand_seed(8);
  for (int i = 0; i < 100000; i++) {
    uint64_t draw = rand_u64();
    double whole = (double)(int64_t)(draw >> 14 >> draw % 40);
    assert_shortest(whole / pow(10, (double)(draw >> 58 & 15)));
    assert_shortest(-whole);
  }
}

static void nan_and_infinity_are_refused(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 100);
  assert_false(json_write_real(&b, NAN));
  assert_false(json_write_real(&b, INFINITY));
  assert_false(json_write_real(&b, -INFINITY));
  assert_int_equal(b.len, 0);
  assert_true(json_write_real(&b, 2.5));
  assert_string_equal(buf_text(&b), "2.5");
  buf_fini(&b);
}

static void the_locale_does_not_matter(void **state) {
  (void)state;
  static const char *const commas[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
  for (size_t i = 0; i < 4 && !setlocale(LC_ALL, commas[i]); i++)
    continue; // as far as one is installed
  assert_string_equal(real(1.0 / 3), "0.3333333333333333");
  assert_string_equal(real(5e-324), "5e-324");
  setlocale(LC_ALL, "C");
}

static void integers_are_written_whole(void **state) {
  (void)state;
  static const struct {
    int64_t value;
    const char *want;
  } cases[] = {{0, "0"},
               {7, "7"},
               {-7, "-7"},
               {1000000, "1000000"},
               {9007199254740993, "9007199254740993"},
               {INT64_MAX, "9223372036854775807"},
               {INT64_MIN, "-9223372036854775808"}};
  struct buf b;
  buf_init(&b, 100);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    b.len = 0;
    assert_true(json_write_integer(&b, cases[i].value));
    assert_string_equal(buf_text(&b), cases[i].want);
  }
  buf_fini(&b);
}

static void strings_are_escaped_and_made_utf8(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
    const char *want;
  } cases[] = {
      {NULL, 0, "\"\""},
      {"plain", 5, "\"plain\""},
      {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
      {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
      {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
      {"\xe2\x82\xac \xf0\x9f\x98\x80", 8, "\"\xe2\x82\xac \xf0\x9f\x98\x80\""},
      {"\xff", 1, "\"\xef\xbf\xbd\""},
      {"a\xc3", 2, "\"a\xef\xbf\xbd\""},
      {"\xe2\x82z", 3, "\"\xef\xbf\xbdz\""},
      {"\x80\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
      {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
      {"0123456789abcdef0123456789abcdef\n", 33, "\"0123456789abcdef0123456789abcdef\\n\""},
  };
  struct buf b;
  buf_init(&b, 1000);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    b.len = 0;
    assert_true(json_write_string(&b, slice_make(cases[i].text, cases[i].len)));
    assert_string_equal(buf_text(&b), cases[i].want);
  }
  buf_fini(&b);
}

static void any_bytes_become_a_valid_string(void **state) { // and those of valid text come back
  (void)state;
  struct buf b;
  struct json_tape t;
  struct json_fault fault;
  buf_init(&b, 10000);
  json_tape_init(&t);
  rand_seed(9);
  for (int i = 0; i < 20000; i++) {
    char text[64], back[400];
    size_t len = rand_u64() % sizeof text;
    bool ascii = i % 2;
    for (size_t k = 0; k < len; k++)
      text[k] = (char)(rand_u64() & (ascii ? 0x7f : 0xff));
    b.len = 0;
    assert_true(json_write_string(&b, slice_make(text, len)));
    assert_true(json_tape_parse(&t, buf_slice(&b), &fault));
    if (!ascii) continue;
    assert_true(t.entries[0].len <= sizeof back);
    assert_int_equal(json_unescape(json_inner(&t, 0), back), len);
    assert_memory_equal(back, text, len);
  }
  json_tape_fini(&t);
  buf_fini(&b);
}

static void a_full_buffer_or_no_memory_fails_the_write(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 300);
  assert_true(buf_reserve(&b, 300));
  b.len = 290;
  assert_false(json_write_string(&b, slice_of("0123456789")));
  assert_false(json_write_string(&b, slice_of("\x01\x02")));
  b.len = 290;
  assert_false(json_write_integer(&b, INT64_MIN));
  assert_false(json_write_real(&b, 0.1 + 0.2));
  assert_true(json_write_string(&b, slice_of("01234567")));
  buf_fini(&b);
  buf_init(&b, 1000);
  mem_fail_at(1);
  assert_false(json_write_string(&b, slice_of("x")));
  mem_fail_at(0);
  assert_true(json_write_string(&b, slice_of("x")));
  buf_fini(&b);
}

static void any_byte_anywhere_is_seen(void **state) {
  // Texts of each length with one byte that needs a closer look, or does not, at each place.
  (void)state;
  char text[40];
  for (size_t len = 1; len < sizeof text; len++)
    for (size_t at = 0; at < len; at++)
      for (int c = 0; c < 256; c++) {
        memset(text, 'x', len);
        text[at] = (char)c;
        bool plain = c >= ' ' && c < 0x80 && c != '"' && c != '\\';
        assert_int_equal(json_write_is_plain(slice_make(text, len)), plain);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_byte_anywhere_is_seen),
      cmocka_unit_test(numbers_look_as_people_write_them),
      cmocka_unit_test(any_double_reads_back_from_its_shortest_form),
      cmocka_unit_test(usual_numbers_read_back_from_their_shortest_form),
      cmocka_unit_test(nan_and_infinity_are_refused),
      cmocka_unit_test(the_locale_does_not_matter),
      cmocka_unit_test(integers_are_written_whole),
      cmocka_unit_test(strings_are_escaped_and_made_utf8),
      cmocka_unit_test(any_bytes_become_a_valid_string),
      cmocka_unit_test(a_full_buffer_or_no_memory_fails_the_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
