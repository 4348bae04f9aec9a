// ring_test.c - bytes through a ring, and words in it that lie.
#include "script/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 2 << 20 };

struct pair {
  int fd;
  struct ring_words *words;
  struct ring producer, consumer;
};

static void open_pair(struct pair *p) {
  p->fd = memfd_create("ring_test", MFD_CLOEXEC);
  assert_int_equal(ftruncate(p->fd, 4096 + SIZE), 0);
  p->words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
  assert_ptr_not_equal(p->words, MAP_FAILED);
  assert_true(ring_map(&p->producer, p->words, p->fd, 4096, SIZE));
  assert_true(ring_map(&p->consumer, p->words, p->fd, 4096, SIZE));
}

static void close_pair(struct pair *p) {
  ring_unmap(&p->producer);
  ring_unmap(&p->consumer);
  munmap(p->words, 4096);
  close(p->fd);
}

static unsigned char pattern(uint64_t at) {
  return (unsigned char)(at * 0x9e3779b97f4a7c15u >> 56);
}

static void put(struct ring *ring, size_t bytes) {
  assert_true(ring_has_room(ring, bytes));
  char *to = ring_back(ring);
  for (size_t i = 0; i < bytes; i++)
    to[i] = (char)pattern(ring->own + i);
  ring_advance(ring, bytes);
  ring_publish(ring);
}

static void take(struct ring *ring, size_t bytes) {
  assert_true(ring_ready(ring) >= bytes);
  const char *from = ring_front(ring);
  size_t wrong = 0;
  for (size_t i = 0; i < bytes; i++)
    wrong += (unsigned char)from[i] != pattern(ring->own + i);
  assert_int_equal(wrong, 0);
  ring_consume(ring, bytes);
}

static void runs_never_break_at_the_end(void **state) {
  // Runs of 1 byte to 1 MB, put and taken at every kind of place, come out whole.
  (void)state;
  struct pair p;
  open_pair(&p);
  for (size_t bytes = 1; bytes <= 1 << 20; bytes = bytes * 3 + 1)
    for (int i = 0; i < 7; i++) {
      put(&p.producer, bytes);
      take(&p.consumer, bytes);
    }
  assert_true(p.producer.own > 3 * SIZE);
  close_pair(&p);
}

static void holds_its_size_and_no_more(void **state) {
  // A full ring has no room for a byte; a byte read makes room for a byte.
  (void)state;
  struct pair p;
  open_pair(&p);
  put(&p.producer, 5);
  take(&p.consumer, 5);
  assert_false(ring_has_room(&p.producer, (size_t)SIZE + 1));
  put(&p.producer, SIZE);
  assert_false(ring_has_room(&p.producer, 1));
  take(&p.consumer, 1);
  assert_true(ring_has_room(&p.producer, 1));
  assert_false(ring_has_room(&p.producer, 2));
  take(&p.consumer, SIZE - 1);
  assert_int_equal(ring_ready(&p.consumer), 0);
  close_pair(&p);
}

static void shows_only_what_is_published(void **state) {
  // What was written but not published is not there for the consumer.
  (void)state;
  struct pair p;
  open_pair(&p);
  assert_true(ring_has_room(&p.producer, 8));
  ring_advance(&p.producer, 8);
  assert_int_equal(ring_ready(&p.consumer), 0);
  ring_publish(&p.producer);
  assert_int_equal(ring_ready(&p.consumer), 8);
  close_pair(&p);
}

static void impossible_positions_break_it(void **state) {
  // Words that can't be right stop this side for good, and nothing outside the ring is ever offered.
  (void)state;
  struct pair p;
  open_pair(&p);
  put(&p.producer, 100);
  take(&p.consumer, 100);
  const uint64_t tails[] = {99, 100 + SIZE + 1, UINT64_MAX, UINT64_C(1) << 63};
  for (size_t i = 0; i < 4; i++) {
    p.consumer.broken = false;
    atomic_store(&p.words->tail, tails[i]);
    assert_int_equal(ring_ready(&p.consumer), 0);
    assert_true(p.consumer.broken);
  }
  atomic_store(&p.words->tail, 100);
  assert_int_equal(ring_ready(&p.consumer), 0);
  const uint64_t heads[] = {101, 100 + SIZE, UINT64_C(1) << 63};
  for (size_t i = 0; i < 3; i++) {
    p.producer.broken = false;
    atomic_store(&p.words->head, heads[i]);
    assert_false(ring_has_room(&p.producer, SIZE));
    assert_true(p.producer.broken);
  }
  assert_false(ring_has_room(&p.producer, 1));
  close_pair(&p);
}

enum { STREAMED = 64 << 20 };

static void *produce(void *arg) {
  struct ring *ring = arg;
  for (uint64_t length = 1; ring->own < STREAMED; length = (length * 31 + 7) % 50000) {
    while (!ring_has_room(ring, length + 8))
      sched_yield();
    memcpy(ring_back(ring), &length, 8);
    memset(ring_back(ring) + 8, (int)(length & 0xff), length);
    ring_advance(ring, length + 8);
    ring_publish(ring);
  }
  return NULL;
}

static void two_threads_stream_through(void **state) {
  // A producer and a consumer at full speed: every run arrives whole and in order.
  (void)state;
  struct pair p;
  open_pair(&p);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, produce, &p.producer), 0);
  uint64_t expected = 1, wrong = 0;
  while (p.consumer.own < STREAMED) {
    if (ring_ready(&p.consumer) == 0) {
      sched_yield();
      continue;
    }
    uint64_t length;
    memcpy(&length, ring_front(&p.consumer), 8);
    const char *from = ring_front(&p.consumer) + 8;
    wrong += length != expected || ring_ready(&p.consumer) < length + 8;
    wrong += length && (from[0] != (char)length || from[length - 1] != (char)length);
    ring_consume(&p.consumer, length + 8);
    expected = (expected * 31 + 7) % 50000;
  }
  pthread_join(thread, NULL);
  assert_int_equal(wrong, 0);
  close_pair(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_never_break_at_the_end),  cmocka_unit_test(holds_its_size_and_no_more),
      cmocka_unit_test(shows_only_what_is_published), cmocka_unit_test(impossible_positions_break_it),
      cmocka_unit_test(two_threads_stream_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
