// Proves that a body comes out of its encoding whole or not at all, and that no body unpacks to more than the
// limit.
#include "api/unpack.h"
#include "base/mem.h"
#include "base/rand.h"
#include "flow/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

enum { LIMIT = 1 << 20, ROOM = 64 << 20 };

struct unpacked {
  enum unpack_result result;
  struct buf out;
  struct slice plain;
};

static struct unpacked unpack_to(const char *encoding, struct slice packed, size_t limit) {
  struct unpacked u = {.plain = {NULL, 0}};
  buf_init(&u.out, limit);
  u.result = unpack(encoding, packed, &u.out, &u.plain);
  assert_true(u.out.len <= limit && u.out.cap <= limit); // whatever came of it
  return u;
}

static void assert_unpacks(const char *encoding, struct slice packed, struct slice plain) {
  struct unpacked u = unpack_to(encoding, packed, LIMIT);
  assert_int_equal(u.result, UNPACK_DONE);
  assert_true(slice_equal(u.plain, plain));
  buf_fini(&u.out);
}

static void assert_fails(const char *encoding, struct slice packed, size_t limit, enum unpack_result result) {
  struct unpacked u = unpack_to(encoding, packed, limit);
  assert_int_equal(u.result, result);
  buf_fini(&u.out);
}

// ---- packing ----

static struct buf gzipped(struct slice plain) {
  struct buf packed;
  buf_init(&packed, ROOM);
  assert_true(gzip_pack(plain, &packed));
  return packed;
}

static struct buf zstded(struct slice plain, int level) {
  struct buf packed;
  buf_init(&packed, ROOM);
  assert_true(buf_reserve(&packed, ZSTD_compressBound(plain.len)));
  packed.len = ZSTD_compress(packed.at, packed.cap, plain.at, plain.len, level);
  assert_false(ZSTD_isError(packed.len));
  return packed;
}

static struct buf packed_as(const char *encoding, struct slice plain) {
  return encoding[0] == 'g' ? gzipped(plain) : zstded(plain, 3);
}

// Bytes that pack badly, or as well as a bomb.
static char *bytes(size_t len, bool noise) {
  char *at = malloc(len + 1);
  assert_non_null(at);
  for (size_t i = 0; i < len; i++)
    at[i] = noise ? (char)rand_u64() : (char)32;
  return at;
}

static const char *const encodings[] = {"gzip", "zstd"};

// ---- tests ----

static void without_an_encoding_the_body_is_the_input(void **state) {
  (void)state;
  static const char *const plain[] = {NULL, "identity", "Identity"};
  for (size_t i = 0; i < 3; i++) {
    struct slice body = slice_of("[1,2,3]");
    struct unpacked u = unpack_to(plain[i], body, 2); // the limit is that of unpacking
    assert_int_equal(u.result, UNPACK_DONE);
    assert_ptr_equal(u.plain.at, body.at);
    assert_int_equal(u.plain.len, body.len);
    assert_int_equal(u.out.cap, 0);
    buf_fini(&u.out);
  }
}

static void other_encodings_are_unknown(void **state) {
  (void)state;
  static const char *const others[] = {"", "br", "deflate", "gzip, gzip", "gzi", "gzipp", "zstd2"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_fails(others[i], slice_of("x"), LIMIT, UNPACK_UNKNOWN);
}

static void what_was_packed_comes_out(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 100, 65536, 256 << 10, (256 << 10) + 1, LIMIT - 1, LIMIT};
  rand_seed(1);
  for (size_t e = 0; e < 2; e++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int noise = 0; noise < 2; noise++) {
        char *plain = bytes(sizes[i], noise);
        struct buf packed = packed_as(encodings[e], slice_make(plain, sizes[i]));
        assert_unpacks(encodings[e], buf_slice(&packed), slice_make(plain, sizes[i]));
        buf_fini(&packed);
        free(plain);
      }
  struct buf packed = gzipped(slice_of("x"));
  assert_unpacks("GZIP", buf_slice(&packed), slice_of("x")); // names are without case
  assert_unpacks("x-gzip", buf_slice(&packed), slice_of("x"));
  buf_fini(&packed);
  packed = zstded(slice_of("x"), 19);
  assert_unpacks("Zstd", buf_slice(&packed), slice_of("x"));
  buf_fini(&packed);
}

static void several_members_are_one_body(void **state) {
  (void)state;
  static const char *const parts[] = {"{\"id\":1}\n", "", "{\"id\":2}\n", "{\"id\":3}\n"};
  for (size_t e = 0; e < 2; e++) {
    struct buf all;
    buf_init(&all, LIMIT);
    for (size_t i = 0; i < 4; i++) {
      struct buf one = packed_as(encodings[e], slice_of(parts[i]));
      assert_true(buf_append(&all, one.at, one.len));
      buf_fini(&one);
    }
    assert_unpacks(encodings[e], buf_slice(&all), slice_of("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n"));
    assert_true(buf_append_text(&all, "what is this"));
    assert_fails(encodings[e], buf_slice(&all), LIMIT, UNPACK_BROKEN);
    buf_fini(&all);
  }
}

// 32 MB of spaces in a few KB: stopped at each limit, with no more memory than that.
static void a_bomb_is_stopped_at_the_limit(void **state) {
  (void)state;
  static const size_t limits[] = {1, 100, 4096, 256 << 10, LIMIT, 16 << 20, (32 << 20) - 1};
  char *plain = bytes(32 << 20, false);
  for (size_t e = 0; e < 2; e++) {
    struct buf packed = packed_as(encodings[e], slice_make(plain, 32 << 20));
    assert_true(packed.len < 200 << 10);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
      assert_fails(encodings[e], buf_slice(&packed), limits[i], UNPACK_TOO_LARGE);
    buf_fini(&packed);
  }
  free(plain);
}

// Exactly the limit is within it, also where a checksum or an empty member still comes; one byte more is not.
static void a_body_as_long_as_the_limit_fits(void **state) {
  (void)state;
  static const size_t limits[] = {1, 100, 65536, 256 << 10, (256 << 10) + 1, LIMIT};
  rand_seed(3);
  for (size_t e = 0; e < 2; e++)
    for (size_t i = 0; i < 2 * sizeof limits / sizeof *limits; i++) {
      size_t limit = limits[i / 2];
      char *plain = bytes(limit, i % 2);
      struct buf packed = packed_as(encodings[e], slice_make(plain, limit)), empty = packed_as(encodings[e], slice_of(""));
      assert_true(buf_append(&packed, empty.at, empty.len));
      struct unpacked u = unpack_to(encodings[e], buf_slice(&packed), limit);
      assert_int_equal(u.result, UNPACK_DONE);
      assert_true(slice_equal(u.plain, slice_make(plain, limit)));
      buf_fini(&u.out);
      if (limit > 1) assert_fails(encodings[e], buf_slice(&packed), limit - 1, UNPACK_TOO_LARGE);
      buf_fini(&packed);
      buf_fini(&empty);
      free(plain);
    }
}

// A thousand small members, each within the limit, are together past it.
static void a_bomb_in_many_members_is_stopped_too(void **state) {
  (void)state;
  char *plain = bytes(64 << 10, false);
  for (size_t e = 0; e < 2; e++) {
    struct buf one = packed_as(encodings[e], slice_make(plain, 64 << 10)), all;
    buf_init(&all, ROOM);
    for (int i = 0; i < 1000; i++)
      assert_true(buf_append(&all, one.at, one.len));
    assert_fails(encodings[e], buf_slice(&all), LIMIT, UNPACK_TOO_LARGE);
    buf_fini(&one);
    buf_fini(&all);
  }
  free(plain);
}

// A zstd frame may ask for a window of gigabytes: refused before it is given.
static void a_window_beyond_reason_is_refused(void **state) {
  (void)state;
  static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8 /* 2^31 */, 0x01, 0x00, 0x00};
  static const unsigned char small[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68 /* 2^23 */, 0x01, 0x00, 0x00};
  assert_fails("zstd", slice_make(frame, sizeof frame), LIMIT, UNPACK_BROKEN);
  assert_unpacks("zstd", slice_make(small, sizeof small), slice_of(""));
}

static void a_body_that_ends_early_is_broken_wherever_it_ends(void **state) {
  (void)state;
  rand_seed(2);
  for (size_t e = 0; e < 2; e++)
    for (int noise = 0; noise < 2; noise++) {
      char *plain = bytes(3000, noise);
      struct buf packed = packed_as(encodings[e], slice_make(plain, 3000));
      for (size_t len = 0; len < packed.len; len++) {
        char *part = mem_copy(packed.at, len); // so that a sanitizer sees its end
        assert_fails(encodings[e], slice_make(part, len), LIMIT, UNPACK_BROKEN);
        mem_free(part);
      }
      buf_fini(&packed);
      free(plain);
    }
}

static void random_bytes_are_broken(void **state) {
  (void)state;
  rand_seed(3);
  for (int i = 0; i < 3000; i++) {
    char noise[300];
    size_t len = (size_t)(rand_u64() % sizeof noise);
    for (size_t n = 0; n < len; n++)
      noise[n] = (char)rand_u64();
    if (i % 2 && len > 10)
      memcpy(noise, i % 4 == 1 ? "\x1f\x8b\x08\0\0\0\0\0\0\x03" : "\x28\xb5\x2f\xfd", i % 4 == 1 ? 10 : 4);
    for (size_t e = 0; e < 2; e++) {
      struct unpacked u = unpack_to(encodings[e], slice_make(noise, len), LIMIT);
      assert_int_not_equal(u.result, UNPACK_UNKNOWN);
      assert_int_not_equal(u.result, UNPACK_NO_MEMORY);
      buf_fini(&u.out);
    }
  }
}

// A byte that changed on the way is found out, unless it stands where nothing does. (zstd's frames have a
// check only if their maker put one in.)
static void a_changed_byte_never_changes_what_gzip_said(void **state) {
  (void)state;
  rand_seed(4);
  char *plain = bytes(3000, true);
  struct buf packed = gzipped(slice_make(plain, 3000));
  size_t unnoticed = 0;
  for (size_t i = 10; i < packed.len; i++) { // behind the header, whose time and system do not matter
    packed.at[i] ^= 0x10;
    struct unpacked u = unpack_to("gzip", buf_slice(&packed), LIMIT);
    if (u.result == UNPACK_DONE) assert_true(slice_equal(u.plain, slice_make(plain, 3000)));
    unnoticed += u.result == UNPACK_DONE;
    buf_fini(&u.out);
    packed.at[i] ^= 0x10;
  }
  assert_true(unnoticed < 5);
  buf_fini(&packed);
  free(plain);
}

static void without_memory_it_says_so(void **state) {
  (void)state;
  for (size_t e = 0; e < 2; e++) {
    struct buf packed = packed_as(encodings[e], slice_of("some text"));
    mem_fail_at(1);
    struct unpacked u = unpack_to(encodings[e], buf_slice(&packed), LIMIT);
    mem_fail_at(0);
    assert_int_equal(u.result, UNPACK_NO_MEMORY);
    buf_fini(&u.out);
    buf_fini(&packed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_an_encoding_the_body_is_the_input),
      cmocka_unit_test(other_encodings_are_unknown),
      cmocka_unit_test(what_was_packed_comes_out),
      cmocka_unit_test(several_members_are_one_body),
      cmocka_unit_test(a_bomb_is_stopped_at_the_limit),
      cmocka_unit_test(a_body_as_long_as_the_limit_fits),
      cmocka_unit_test(a_bomb_in_many_members_is_stopped_too),
      cmocka_unit_test(a_window_beyond_reason_is_refused),
      cmocka_unit_test(a_body_that_ends_early_is_broken_wherever_it_ends),
      cmocka_unit_test(random_bytes_are_broken),
      cmocka_unit_test(a_changed_byte_never_changes_what_gzip_said),
      cmocka_unit_test(without_memory_it_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
