// Proves that memory which a burst has left free inside the heap goes back to the system, and only when it is much.
#include "base/mem.h"
#include "base/trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_HEAP 1
#elif defined(__has_feature)
#define OTHER_HEAP (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define OTHER_HEAP 0
#endif

enum { PIECES = 32768, PIECE_BYTES = 2000, MUCH = 32 << 20 };

static size_t resident_bytes(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void holes_between_what_lives_are_given_back(void **state) {
  (void)state;
  static char *pieces[PIECES];
  if (OTHER_HEAP) skip(); // a sanitizer has a heap of its own
  for (int i = 0; i < PIECES; i++) {
    pieces[i] = mem_alloc(PIECE_BYTES);
    memset(pieces[i], 'x', PIECE_BYTES);
  }
  assert_false(trim_now(MUCH)); // nothing is free
  size_t before = resident_bytes();
  for (int i = 0; i < PIECES; i++)
    if (i % 64) mem_free(pieces[i]);
  assert_true(trim_now(MUCH));
  assert_true(resident_bytes() + MUCH < before);
  for (int i = 0; i < PIECES; i += 64) {
    assert_int_equal(pieces[i][PIECE_BYTES - 1], 'x');
    mem_free(pieces[i]);
  }
}

static void its_thread_ends_at_once(void **state) {
  (void)state;
  struct err err = {0};
  for (int i = 0; i < 100; i++) {
    struct trim *trim = trim_start(&err);
    assert_non_null(trim);
    trim_stop(trim);
  }
  trim_stop(NULL);
  mem_fail_at(1);
  assert_null(trim_start(&err));
  mem_fail_at(0);
  assert_string_equal(err.text, "out of memory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holes_between_what_lives_are_given_back),
      cmocka_unit_test(its_thread_ends_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
