// Proves that jansson's values are written compactly, numbers as short as they read back the same, and that what is written is read
// again as the same values, kinds of numbers included.
#include "flow/json_text.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void writes_what_reads_back_the_same(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0.008531", "0.1", "5.0", "-0.0", "1e+300", "123456789012345680000.0", "5e-324", "9007199254740993", "-9223372036854775808",
      "null", "true", "false", "\"\"", "\"a\\\"\\\\\\n\\u0001/\xc3\xa9\"", "[]", "{}", "[1,[2.5],{}]",
      "{\"b\":1,\"a\":{\"c\":[null,\"x\"]},\"\\\"\":0.30000000000000004}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct buf out;
    buf_init(&out, 1000);
    json_t *value = json_loads(texts[i], JSON_DECODE_ANY, NULL);
    assert_true(json_text_write(&out, value));
    assert_string_equal(buf_text(&out), texts[i]);
    json_decref(value);
    buf_fini(&out);
  }
}

static void no_room_is_said_wherever_it_ends(void **state) {
  (void)state;
  json_t *value = json_loads("{\"a\":[1,2.5,\"x\",true,false,null,{}],\"b\":5.0}", 0, NULL);
  struct buf out;
  size_t room = 0;
  for (bool ok = false; !ok; room++) {
    buf_init(&out, room);
    ok = json_text_write(&out, value);
    assert_true(!ok || room == out.len);
    buf_fini(&out);
  }
  json_decref(value);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_what_reads_back_the_same),
      cmocka_unit_test(no_room_is_said_wherever_it_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
