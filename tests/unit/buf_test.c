// Proves that a buffer grows up to its maximum and no further, and is unharmed by what it refuses.
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void what_is_appended_stands_in_order(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 1000);
  assert_true(buf_append(&b, "ab", 2));
  assert_true(buf_append(&b, NULL, 0));
  assert_true(buf_append_text(&b, "cd"));
  assert_true(buf_append_byte(&b, 'e'));
  assert_true(buf_printf(&b, "-%d-%s", 42, "f"));
  assert_string_equal(buf_text(&b), "abcde-42-f");
  assert_int_equal(b.len, 10);
  assert_true(slice_is(buf_slice(&b), "abcde-42-f"));
  buf_fini(&b);
  assert_null(b.at);
  assert_int_equal(b.max, 1000);
  buf_fini(&b);
}

static void the_maximum_holds_to_the_byte(void **state) {
  (void)state;
  struct buf b;
  char text[600];
  memset(text, 'x', sizeof text);
  buf_init(&b, sizeof text);
  for (size_t i = 0; i < sizeof text; i++)
    assert_true(buf_append(&b, text + i, 1));
  assert_false(buf_append_byte(&b, 'y'));
  assert_false(buf_append(&b, text, sizeof text));
  assert_false(buf_reserve(&b, SIZE_MAX));
  assert_false(buf_printf(&b, "y"));
  assert_null(buf_text(&b)); // no room for its NUL
  assert_int_equal(b.len, sizeof text);
  assert_int_equal(b.cap, sizeof text);
  assert_memory_equal(b.at, text, sizeof text);
  buf_fini(&b);
}

static void a_buffer_without_room_takes_nothing(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 0);
  assert_true(buf_append(&b, "", 0));
  assert_false(buf_append_byte(&b, 'x'));
  assert_null(b.at);
  buf_fini(&b);
}

static void taken_bytes_are_the_callers(void **state) {
  (void)state;
  struct buf b;
  size_t len;
  buf_init(&b, 100);
  assert_true(buf_append_text(&b, "mine"));
  char *mine = buf_take(&b, &len);
  assert_int_equal(len, 4);
  assert_memory_equal(mine, "mine", 4);
  mem_free(mine);
  assert_null(b.at);
  assert_true(buf_append_text(&b, "again"));
  assert_string_equal(buf_text(&b), "again");
  buf_fini(&b);
}

static void no_memory_changes_nothing(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 10000);
  assert_true(buf_append_text(&b, "kept"));
  char big[1000] = {0};
  mem_fail_at(1);
  assert_false(buf_append(&b, big, sizeof big));
  mem_fail_at(0);
  assert_string_equal(buf_text(&b), "kept");
  assert_true(buf_append(&b, big, sizeof big));
  buf_fini(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_appended_stands_in_order),    cmocka_unit_test(the_maximum_holds_to_the_byte),
      cmocka_unit_test(a_buffer_without_room_takes_nothing), cmocka_unit_test(taken_bytes_are_the_callers),
      cmocka_unit_test(no_memory_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
