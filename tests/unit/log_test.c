// log_test.c - proves that a text from outside stays one value of a log line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static void escapes_what_would_end_a_value(void **state) {
  // Proves: quotes, backslashes and control characters are written so that the value ends where it should.
  (void)state;
  assert_string_equal(log_field("error", "plain, ümlaut"), " error=\"plain, ümlaut\"");
  assert_string_equal(log_field("error", "say \"no\"\nor a\\b\r\t"),
                      " error=\"say \\\"no\\\"\\nor a\\\\b\\r\\t\"");
  assert_string_equal(log_field("error", "\033[1m\x7f"), " error=\"\\u001b[1m\\u007f\"");
}

static void leaves_out_what_is_not_there(void **state) {
  // Proves: no text, no field.
  (void)state;
  assert_string_equal(log_field("reason", ""), "");
  assert_string_equal(log_field("reason", NULL), "");
}

static void cuts_long_texts_between_characters(void **state) {
  // Proves: however long the text is, the field fits, is closed, and its last character is whole.
  (void)state;
  char text[3000], one[8];
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'a', shift);
    for (size_t i = shift; i + 3 < sizeof text; i += 3)
      memcpy(text + i, "€", 4);
    const char *field = log_field("error", text);
    size_t len = strlen(field);
    assert_true(len < LOG_FIELD_BYTES && len > LOG_FIELD_BYTES - 16);
    assert_string_equal(field + len - 4, "...\"");
    memcpy(one, field + len - 7, 3);
    one[3] = 0;
    assert_string_equal(one, "€");
  }
  memset(text, '"', sizeof text - 1);
  text[sizeof text - 1] = 0;
  const char *field = log_field("error", text);
  assert_string_equal(field + strlen(field) - 6, "\\\"...\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escapes_what_would_end_a_value),
      cmocka_unit_test(leaves_out_what_is_not_there),
      cmocka_unit_test(cuts_long_texts_between_characters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
