// journal_back_test.c - reading backwards: what is newest comes first, all of it, once, from memory and disk,
// and with memory short.
#include "unit/journal_fixture.h"

enum { ALERTS = 1 << RECORD_ALERT, RECORDS = 9000, ORGANISATIONS = 7 };

static struct journal_fetch fetch_back(struct fixture *f, uint64_t below, int64_t organisation) {
  struct fetch fetch = {.stop = f->loop,
                        .fetch = {.loop = f->loop,
                                  .sequence = below,
                                  .organisation = organisation,
                                  .back = true,
                                  .kinds = ALERTS,
                                  .done = fetch_done}};
  journal_fetch(f->journal, &fetch.fetch);
  while (!fetch.done)
    loop_run(f->loop);
  return fetch.fetch;
}

struct listed {
  size_t count, calls;
  uint64_t last;
};

// The alerts of one block, newest first; at most `most` in all. Returns where to go on.
static uint64_t list_block(struct listed *l, const struct journal_fetch *got, int64_t organisation,
                           size_t most) {
  for (uint32_t i = got->block->count; i-- > 0;) {
    const struct record_header *row = &got->block->rows[got->block->by_sequence[i]];
    bool wanted = row->kind == RECORD_ALERT && row->sequence < l->last &&
                  (organisation == JOURNAL_ALL || row->organisation == organisation);
    if (!wanted) continue;
    fixture_check_row(got->block, row);
    l->last = row->sequence;
    if (++l->count % most == 0) return l->last; // goes on in the middle of the block
  }
  return got->next;
}

static struct listed list_all(struct fixture *f, int64_t organisation, size_t most) {
  struct listed l = {.last = UINT64_MAX};
  for (uint64_t at = UINT64_MAX;;) {
    struct journal_fetch got = fetch_back(f, at, organisation);
    l.calls++;
    assert_true(got.block ? got.next < at : got.next <= at || got.next == journal_first(f->journal));
    if (!got.block && got.next <= journal_first(f->journal)) return l;
    at = got.block ? list_block(&l, &got, organisation, most) : got.next;
    journal_block_unref(got.block);
  }
}

static size_t alerts_of(int64_t organisation) { // as the fixture makes them
  size_t count = 0;
  for (int64_t id = 0; id < RECORDS; id++)
    count += id % 3 == 2 && (organisation == JOURNAL_ALL || 1 + id % ORGANISATIONS == organisation);
  return count;
}

static void open_with(struct fixture *f, size_t recent_bytes) {
  fixture_init(f);
  f->options.segment_bytes = 256 << 10;
  f->options.recent_bytes = recent_bytes;
  fixture_reopen(f);
  for (int64_t id = 0; id < RECORDS; id += 300)
    assert_int_equal(fixture_append(f, id, id + 300, ORGANISATIONS), JOURNAL_STORED);
}

static void check_lists(struct fixture *f) {
  static const size_t pages[] = {1, 7, 100000};
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
    assert_int_equal(list_all(f, JOURNAL_ALL, pages[i]).count, alerts_of(JOURNAL_ALL));
    assert_int_equal(list_all(f, 3, pages[i]).count, alerts_of(3));
  }
  assert_int_equal(list_all(f, 1000, 1).count, 0);
}

// Proves: newest first, each once, all of them; from memory alone, from both, and from disk after a restart.
static void everything_is_listed_backwards(void **state) {
  (void)state;
  static const size_t memory[] = {64 << 20, 200 << 10, 1};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
    struct fixture f;
    open_with(&f, memory[i]);
    check_lists(&f);
    fixture_reopen(&f);
    check_lists(&f);
    fixture_fini(&f);
  }
}

// Proves: an empty journal, and a place at or before its first record, end at once.
static void there_may_be_nothing(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  static const uint64_t places[] = {0, 1, 2, UINT64_MAX};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    struct journal_fetch got = fetch_back(&f, places[i], JOURNAL_ALL);
    assert_null(got.block);
    assert_int_equal(got.next, 1);
  }
  assert_int_equal(fixture_append(&f, 2, 3, 1), JOURNAL_STORED); // one alert
  assert_null(fetch_back(&f, 1, JOURNAL_ALL).block);
  struct journal_fetch got = fetch_back(&f, 2, JOURNAL_ALL);
  assert_non_null(got.block);
  assert_int_equal(got.next, 1);
  journal_block_unref(got.block);
  fixture_fini(&f);
}

// Proves: blocks without an alert are not read, whatever their number: one call finds the one far behind.
static void blocks_without_any_are_passed_by_their_index(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.options.recent_bytes = 1;
  fixture_reopen(&f);
  assert_int_equal(fixture_append(&f, 2, 3, 1), JOURNAL_STORED); // an alert
  for (int64_t id = 3; id < 600; id += 3)
    assert_int_equal(fixture_append(&f, id, id + 2, 1), JOURNAL_STORED); // none
  fixture_reopen(&f);
  struct journal_fetch got = fetch_back(&f, UINT64_MAX, JOURNAL_ALL);
  assert_non_null(got.block);
  assert_int_equal(got.block->count, 1);
  assert_int_equal(got.block->rows[0].id, 2);
  journal_block_unref(got.block);
  fixture_fini(&f);
}

// Proves: with the nth allocation failing, for each n, a call ends without a block and says where to go on;
// going on finds all.
static void short_of_memory_it_goes_on_later(void **state) {
  (void)state;
  struct fixture f;
  open_with(&f, 1);
  long n = 0;
  do {
    fixture_reopen(&f);
    mem_fail_at(++n);
    assert_int_equal(list_all(&f, 5, 10).count, alerts_of(5));
  } while (mem_asked() >= n);
  mem_fail_at(0);
  assert_true(n > 20);
  fixture_fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_is_listed_backwards),
      cmocka_unit_test(there_may_be_nothing),
      cmocka_unit_test(blocks_without_any_are_passed_by_their_index),
      cmocka_unit_test(short_of_memory_it_goes_on_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
