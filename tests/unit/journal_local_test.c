// journal_local_test.c - the embedded journal end to end: what is acknowledged is there, in order, once, for
// all and for one.
#include "unit/journal_fixture.h"

// Proves: records come back from memory with their sequences, times, fields and bytes, rows in order of
// organisation.
static void appended_records_are_in_memory(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  assert_int_equal(journal_head(f.journal), 1);
  assert_int_equal(fixture_append(&f, 100, 600, 5), JOURNAL_STORED);
  assert_int_equal(journal_head(f.journal), 501);
  struct journal_block *block = journal_recent(f.journal, 250);
  assert_non_null(block);
  assert_int_equal(block->count, 500);
  for (uint32_t i = 0; i < block->count; i++) {
    const struct record_header *row = &block->rows[i];
    fixture_check_row(block, row);
    if (i)
      assert_true(row->organisation > row[-1].organisation ||
                  (row->organisation == row[-1].organisation && row->sequence > row[-1].sequence));
    assert_int_equal(block->rows[block->by_sequence[i]].sequence, 1 + i);
    assert_int_equal(block->rows[block->by_sequence[i]].id, 100 + i);
    assert_true(row->received_ms > 0);
  }
  uint32_t from = 0, to;
  journal_block_rows(block, 3, &from, &to);
  assert_int_equal(to - from, 100);
  journal_block_rows(block, 77, &from, &to);
  assert_int_equal(to - from, 0);
  journal_block_unref(block);
  assert_null(journal_recent(f.journal, 501));
  fixture_fini(&f);
}

// Proves: an empty append is answered and stores nothing.
static void empty_append_is_answered(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  struct batch b = {0};
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  assert_int_equal(b.append.accepted + b.append.duplicates, 0);
  assert_int_equal(journal_head(f.journal), 1);
  fixture_fini(&f);
}

// Proves: over many segments and a restart everything is read back once, for all, for one organisation, and
// from the middle.
static void everything_is_read_back(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.options.segment_bytes = 256 << 10;
  f.options.recent_bytes = 64 << 10;
  fixture_reopen(&f);
  for (int64_t id = 0; id < 20000; id += 500)
    assert_int_equal(fixture_append(&f, id, id + 500, 11), JOURNAL_STORED);
  for (int round = 0; round < 2; round++) {
    struct seen all = {0}, one = {0}, rest = {0}, none = {0};
    fixture_read(&f, 1, JOURNAL_ALL, &all);
    fixture_read(&f, 1, 4, &one);
    fixture_read(&f, 12345, JOURNAL_ALL, &rest);
    fixture_read(&f, 1, 99, &none);
    assert_int_equal(all.count, 20000);
    assert_int_equal(one.count, 1818);
    assert_int_equal(rest.count, 20000 - 12344);
    assert_int_equal(none.count, 0);
    assert_int_equal(all.lost + one.lost + rest.lost + none.lost, 0);
    assert_int_equal(journal_count(f.journal, JOURNAL_ALL, 14, 1), 20000);
    assert_int_equal(journal_count(f.journal, 4, 14, 1), 1818);
    assert_int_equal(journal_count(f.journal, 4, 1 << RECORD_USAGE, 1), 606);
    assert_int_equal(journal_count(f.journal, JOURNAL_ALL, 14, 777), 20000 - 776);
    fixture_reopen(&f);
    assert_int_equal(journal_head(f.journal), 20001);
  }
  fixture_fini(&f);
}

// Proves: a fetch at the head says so, and one past what is kept counts what retention took.
static void fetch_at_the_head_ends(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  struct journal_fetch got = fixture_fetch(&f, 1, JOURNAL_ALL).fetch;
  assert_null(got.block);
  assert_int_equal(got.next, 1);
  fixture_append(&f, 0, 10, 1);
  got = fixture_fetch(&f, 11, JOURNAL_ALL).fetch;
  assert_null(got.block);
  assert_int_equal(got.next, 11);
  got = fixture_fetch(&f, 1, 99).fetch;
  assert_null(got.block);
  assert_int_equal(got.next, 11);
  fixture_fini(&f);
}

static void listened(struct loop_task *task) {
  (void)task;
}

struct counter {
  struct journal_listener listener;
  struct loop *loop;
  int runs;
};

static void count_run(struct loop_task *task) {
  struct counter *c = (struct counter *)(void *)((char *)task - offsetof(struct journal_listener, task));
  c->runs++;
  loop_stop(c->loop);
}

// Proves: every listener runs when new blocks are there.
static void listeners_are_told(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  struct journal_listener other = {.loop = f.loop, .task = {.run = listened}};
  struct counter c = {.listener = {.loop = f.loop, .task = {.run = count_run}}, .loop = f.loop};
  journal_listen(f.journal, &other);
  journal_listen(f.journal, &c.listener);
  fixture_append(&f, 0, 10, 1);
  while (!c.runs)
    loop_run(f.loop);
  assert_true(c.runs >= 1);
  fixture_fini(&f);
}

// Proves: a request larger than a segment gets one of its own, and a record of 1 MB comes back whole.
static void large_appends_fit(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.options.zstd_level = JOURNAL_COMPRESS_NONE;
  f.options.segment_bytes = 128 << 10;
  f.options.recent_bytes = 1;
  fixture_reopen(&f);
  struct batch b = {0};
  for (int64_t id = 1; id <= 3; id++)
    batch_add_long(&b, 1, id, RECORD_EVENT, 1 << 20);
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  fixture_append(&f, 10, 20, 2);
  struct journal_fetch got = fixture_fetch(&f, 1, JOURNAL_ALL).fetch;
  assert_non_null(got.block);
  assert_int_equal(got.block->count, 3);
  for (int i = 0; i < 3; i++) {
    struct slice bytes = journal_block_record(got.block, &got.block->rows[i]);
    assert_int_equal(bytes.len, 1 << 20);
    assert_memory_equal(bytes.at, b.bytes + ((size_t)i << 20), bytes.len);
  }
  journal_block_unref(got.block);
  batch_free(&b);
  fixture_fini(&f);
}

// Proves: past the limit of what may wait an append is refused at once and nothing of it is taken.
static void queue_is_bounded(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  enum { MANY = 4 }; // three would be past the limit
  struct batch b[MANY] = {0};
  bool refused = false;
  size_t stored = 0;
  for (int i = 0; i < MANY; i++)
    batch_add_long(&b[i], 1, i, RECORD_EVENT, 9 << 20);
  for (int i = 0; i < MANY; i++) {
    if (!batch_hand_in(&f, &b[i])) refused = true, b[i].done = true, b[i].append.accepted = 0;
  }
  for (int i = 0; i < MANY; i++) {
    batch_wait(&f, &b[i]);
    stored += b[i].append.accepted;
    batch_free(&b[i]);
  }
  assert_true(refused);
  assert_int_equal(journal_head(f.journal), 1 + stored);
  struct journal_numbers numbers;
  journal_numbers(f.journal, &numbers);
  assert_int_equal(numbers.queued_bytes, 0);
  fixture_fini(&f);
}

// Proves: organisations may have any id of 64 bits: blocks and indexes with ids that lie further apart than a
// signed number can say are read back, from disk, too.
static void organisations_far_apart_are_read_back(void **state) {
  (void)state;
  static const int64_t ids[] = {INT64_MIN, 3, 5, INT64_MAX};
  enum { IDS = sizeof ids / sizeof *ids };
  struct fixture f;
  fixture_init(&f);
  f.options.recent_bytes = 1; // the newest block alone
  fixture_reopen(&f);
  struct batch b = {0};
  for (int64_t i = 0; i < 20 * IDS; i++)
    batch_add(&b, ids[i % IDS], i);
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  batch_free(&b);
  assert_int_equal(fixture_append(&f, 1000, 1001, 1), JOURNAL_STORED);
  for (int round = 0; round < 2; round++) {
    struct seen all = {0};
    fixture_read(&f, 1, JOURNAL_ALL, &all);
    assert_int_equal(all.count, 20 * IDS + 1);
    for (size_t i = 1; i < IDS; i++) { // the first stands for all of them
      struct seen one = {0};
      fixture_read(&f, 1, ids[i], &one);
      assert_int_equal(one.count, 20);
      assert_int_equal(journal_count(f.journal, ids[i], 14, 1), 20);
    }
    fixture_reopen(&f);
  }
  fixture_fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appended_records_are_in_memory),
      cmocka_unit_test(empty_append_is_answered),
      cmocka_unit_test(everything_is_read_back),
      cmocka_unit_test(fetch_at_the_head_ends),
      cmocka_unit_test(listeners_are_told),
      cmocka_unit_test(large_appends_fit),
      cmocka_unit_test(queue_is_bounded),
      cmocka_unit_test(organisations_far_apart_are_read_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
