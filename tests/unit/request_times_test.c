// request_times_test.c - each answered request in its sink's one bucket, whoever counts meanwhile.
#include "base/mem.h"
#include "flow/request_times.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct request_times *of(const char *sink) {
  const struct request_times *found = NULL;
  for (const struct request_times *t = request_times_first(); t; t = t->next) {
    if (strcmp(t->sink, sink) != 0) continue;
    assert_null(found); // one a sink
    found = t;
  }
  return found;
}

// Proves: bounds are inclusive, what is beyond the last is in the bucket behind it, sinks have their own, and the sum is exact.
static void requests_are_in_one_bucket(void **state) {
  (void)state;
  static const uint64_t took[] = {0, 1000, 1001, 60000000, 60000001, UINT32_MAX};
  static const size_t expected[] = {0, 0, 1, REQUEST_BUCKETS - 1, REQUEST_BUCKETS, REQUEST_BUCKETS};
  uint64_t counts[REQUEST_BUCKETS + 1] = {0}, sum = 0;
  assert_null(of("a"));
  for (size_t i = 0; i < sizeof took / sizeof *took; i++) {
    request_times_note("a", took[i]);
    counts[expected[i]]++;
    sum += took[i];
  }
  request_times_note("b", 7);
  for (size_t i = 0; i <= REQUEST_BUCKETS; i++) assert_int_equal(of("a")->buckets[i], counts[i]);
  assert_int_equal(of("a")->sum_us, sum);
  assert_int_equal(of("b")->buckets[0], 1);
  for (size_t i = 1; i < REQUEST_BUCKETS; i++) assert_true(request_bucket_us[i] > request_bucket_us[i - 1]);
}

enum { THREADS = 4, SINKS = 20, NOTES = 1000 };

static void *note_all(void *arg) {
  (void)arg;
  char name[] = "many?";
  for (int i = 0; i < SINKS * NOTES; i++) {
    name[4] = (char)('a' + i % SINKS);
    request_times_note(name, 1);
  }
  return NULL;
}

// Proves: threads that meet at a new sink make one of it, and none of their counts is lost.
static void threads_share_a_sink(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  char name[] = "many?";
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, note_all, NULL), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SINKS; i++) {
    name[4] = (char)('a' + i);
    assert_int_equal(of(name)->buckets[0], THREADS * NOTES);
  }
}

// Proves: without memory for a new sink the request goes uncounted, and the next one is counted.
static void no_memory_leaves_it_uncounted(void **state) {
  (void)state;
  mem_fail_at(1);
  request_times_note("late", 1);
  mem_fail_at(0);
  assert_null(of("late"));
  request_times_note("late", 1);
  assert_int_equal(of("late")->buckets[0], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_in_one_bucket),
      cmocka_unit_test(threads_share_a_sink),
      cmocka_unit_test(no_memory_leaves_it_uncounted),
  };
  return cmocka_run_group_tests_name("request_times", tests, NULL, NULL);
}
