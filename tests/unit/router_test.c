// Proves that a block reaches exactly the streams that some of its records concern, and that a refusal for
// want of memory changes nothing.
#include "base/mem.h"
#include "base/rand.h"
#include "flow/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STREAMS = 300, ROWS = 500 };

struct stream {
  struct router_entry entry; // first
  bool routed;
  uint32_t records, calls; // as router_match told
};

struct world {
  struct router router;
  struct stream streams[STREAMS];
  struct record_header rows[ROWS];
  struct journal_block block;
};

static size_t below(size_t n) {
  return (size_t)(rand_u64() % n);
}

// Few, negative, zero and the extremes, so that organisations meet.
static int64_t some_organisation(void) {
  static const int64_t odd[] = {0, -1, INT64_MAX, INT64_MIN + 1, 80025};
  return below(4) ? (int64_t)below(40) : odd[below(sizeof odd / sizeof *odd)];
}

static int by_organisation(const void *a, const void *b) {
  const struct record_header *left = a, *right = b;
  if (left->organisation != right->organisation) return left->organisation < right->organisation ? -1 : 1;
  return left->sequence < right->sequence ? -1 : 1;
}

static void make_block(struct world *w) {
  uint32_t count = (uint32_t)below(ROWS + 1);
  for (uint32_t i = 0; i < count; i++)
    w->rows[i] = (struct record_header){
        .sequence = i + 1, .organisation = some_organisation(), .kind = (uint8_t)(RECORD_EVENT + below(3))};
  qsort(w->rows, count, sizeof *w->rows, by_organisation);
  w->block = (struct journal_block){.first = 1, .end = count + 1, .count = count, .rows = w->rows};
}

static uint32_t concerned(const struct world *w, const struct router_entry *entry) {
  uint32_t records = 0;
  for (uint32_t i = 0; i < w->block.count; i++) {
    const struct record_header *row = &w->block.rows[i];
    bool ours = entry->organisation == JOURNAL_ALL || entry->organisation == row->organisation;
    records += ours && (entry->kinds >> row->kind & 1);
  }
  return records;
}

static void matched(struct router_entry *entry, uint32_t records, void *arg) {
  uint32_t *calls = arg;
  struct stream *s = (struct stream *)entry;
  s->records += records;
  s->calls++;
  ++*calls;
}

// What is looked at ahead are streams of the router, all of them in place.
static void ahead(struct router_entry *const *entries, size_t count, void *arg) {
  (void)arg;
  assert_in_range(count, 0, ROUTER_AHEAD);
  for (size_t i = 0; i < count; i++) assert_true(((struct stream *)entries[i])->routed);
}

static void check_block(struct world *w) {
  uint32_t calls = 0, expected = 0;
  make_block(w);
  for (size_t i = 0; i < STREAMS; i++)
    w->streams[i].records = w->streams[i].calls = 0;
  router_match(&w->router, &w->block, &(struct router_visit){ahead, matched, &calls});
  for (size_t i = 0; i < STREAMS; i++) {
    struct stream *s = &w->streams[i];
    uint32_t records = s->routed ? concerned(w, &s->entry) : 0;
    assert_int_equal(s->records, records);
    assert_int_equal(s->calls, records > 0); // once a block
    expected += records > 0;
  }
  assert_int_equal(calls, expected);
}

static void toggle(struct world *w, struct stream *s) {
  if (s->routed) {
    router_remove(&w->router, &s->entry);
    s->routed = false;
    return;
  }
  s->entry = (struct router_entry){.organisation = below(6) ? some_organisation() : JOURNAL_ALL,
                                   .kinds = (unsigned)below(8) << RECORD_EVENT};
  assert_true(router_add(&w->router, &s->entry));
  s->routed = true;
}

static void random_streams_and_blocks_agree_with_a_search(void **state) {
  (void)state;
  static struct world w;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    rand_seed(seed);
    memset(&w, 0, sizeof w);
    for (int step = 0; step < 2000; step++) {
      toggle(&w, &w.streams[below(seed % 4 ? STREAMS : 8)]);
      if (step % 20 == 0) check_block(&w);
    }
    for (size_t i = 0; i < STREAMS; i++)
      if (w.streams[i].routed) toggle(&w, &w.streams[i]);
    check_block(&w);
    assert_int_equal(w.router.by_organisation.count, 0); // no empty route is kept
    assert_null(w.router.all);
    router_fini(&w.router);
  }
}

static void what_is_left_is_freed_with_the_router(void **state) {
  (void)state;
  static struct world w;
  rand_seed(7);
  router_fini(&w.router);
  for (size_t i = 0; i < STREAMS; i++)
    toggle(&w, &w.streams[i]);
  router_fini(&w.router);
  router_fini(&w.router);
}

// A hundred thousand streams of others cost a block nothing but its own look-ups: only the streams it
// concerns are called.
static void only_streams_that_it_concerns_are_looked_at(void **state) {
  (void)state;
  enum { MANY = 100000 };
  struct router router = {0};
  struct stream *all = calloc(MANY, sizeof *all);
  struct record_header row = {.sequence = 1, .organisation = 4711, .kind = RECORD_USAGE};
  struct journal_block block = {.first = 1, .end = 2, .count = 1, .rows = &row};
  uint32_t calls = 0;
  assert_non_null(all);
  for (int i = 0; i < MANY; i++) {
    all[i].routed = true;
    all[i].entry = (struct router_entry){.organisation = i, .kinds = 1u << RECORD_USAGE};
    assert_true(router_add(&router, &all[i].entry));
  }
  for (int i = 0; i < 100000; i++)
    router_match(&router, &block, &(struct router_visit){ahead, matched, &calls});
  assert_int_equal(calls, 100000);
  assert_int_equal(all[4711].records, 100000);
  router_fini(&router);
  free(all);
}

// The nth allocation fails, for each n: the stream is not routed, the others still are, and the next try
// works.
static void without_memory_a_stream_is_refused_and_the_others_stay(void **state) {
  (void)state;
  static struct world w;
  for (long nth = 1; nth <= 200; nth++) {
    rand_seed(9);
    memset(&w, 0, sizeof w);
    mem_fail_at(nth);
    for (size_t i = 0; i < STREAMS; i++) {
      struct stream *s = &w.streams[i];
      s->entry = (struct router_entry){.organisation = i % 5 ? (int64_t)(i % 40) : JOURNAL_ALL, .kinds = 6};
      s->routed = router_add(&w.router, &s->entry);
    }
    mem_fail_at(0);
    check_block(&w);
    size_t refused = 0;
    for (size_t i = 0; i < STREAMS; i++) {
      if (w.streams[i].routed) continue;
      refused++;
      w.streams[i].routed = router_add(&w.router, &w.streams[i].entry);
      assert_true(w.streams[i].routed);
    }
    assert_true(refused <= 1);
    if (nth == 1) assert_int_equal(refused, 1);
    check_block(&w);
    router_fini(&w.router);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_streams_and_blocks_agree_with_a_search),
      cmocka_unit_test(what_is_left_is_freed_with_the_router),
      cmocka_unit_test(only_streams_that_it_concerns_are_looked_at),
      cmocka_unit_test(without_memory_a_stream_is_refused_and_the_others_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
