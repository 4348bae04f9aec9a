// Proves that what is packed is one gzip member that unpacks to the same bytes, behind whatever stood in the
// buffer.
#include "base/mem.h"
#include "base/rand.h"
#include "flow/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { ROOM = 4 << 20 };

static void assert_unpacks_to(struct slice packed, struct slice plain) {
  static unsigned char out[ROOM];
  z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.at,
                .avail_in = (uInt)packed.len,
                .next_out = out,
                .avail_out = ROOM};
  assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  assert_int_equal(z.avail_in, 0); // nothing behind the member
  assert_int_equal(z.total_out, plain.len);
  if (plain.len) assert_memory_equal(out, plain.at, plain.len);
  inflateEnd(&z);
}

static void any_bytes_come_back(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 2, 255, 1000, 65535, 65536, 1 << 20, 3 << 20};
  static char plain[3 << 20];
  rand_seed(1);
  for (int noisy = 0; noisy < 2; noisy++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct buf out;
      buf_init(&out, ROOM);
      for (size_t n = 0; n < sizes[i]; n++)
        plain[n] = noisy ? (char)rand_u64() : "{\"id\":12345},"[n % 13];
      assert_true(gzip_pack(slice_make(plain, sizes[i]), &out));
      assert_unpacks_to(buf_slice(&out), slice_make(plain, sizes[i]));
      if (!noisy && sizes[i] > 1000) assert_true(out.len < sizes[i] / 10);
      buf_fini(&out);
    }
}

static void what_stood_before_stays(void **state) {
  (void)state;
  struct buf out;
  buf_init(&out, 1000);
  assert_true(buf_append_text(&out, "before"));
  assert_true(gzip_pack(slice_of("some text, some text, some text"), &out));
  assert_memory_equal(out.at, "before", 6);
  assert_unpacks_to(slice_make(out.at + 6, out.len - 6), slice_of("some text, some text, some text"));
  size_t first = out.len;
  assert_true(gzip_pack(slice_of("more"), &out));
  assert_unpacks_to(slice_make(out.at + first, out.len - first), slice_of("more"));
  buf_fini(&out);
}

static void past_its_room_or_without_memory_nothing_is_appended(void **state) {
  (void)state;
  char plain[2000];
  struct buf out;
  rand_seed(2);
  for (size_t i = 0; i < sizeof plain; i++)
    plain[i] = (char)rand_u64();
  buf_init(&out, 1000);
  assert_true(buf_append_text(&out, "before"));
  assert_false(gzip_pack(slice_make(plain, sizeof plain), &out));
  assert_int_equal(out.len, 6);
  buf_fini(&out);
  buf_init(&out, ROOM);
  mem_fail_at(1);
  assert_false(gzip_pack(slice_make(plain, sizeof plain), &out));
  mem_fail_at(0);
  assert_int_equal(out.len, 0);
  buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_bytes_come_back),
      cmocka_unit_test(what_stood_before_stays),
      cmocka_unit_test(past_its_room_or_without_memory_nothing_is_appended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
