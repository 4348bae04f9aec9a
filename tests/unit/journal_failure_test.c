// journal_failure_test.c - writes, syncs, allocations and memory that fail: what was acknowledged is there
// after a restart, what was not is there whole or not at all.
#include "unit/journal_fixture.h"

#include <errno.h>

enum { ROUNDS = 14, PER = 50, IDS = ROUNDS * PER };

struct model {
  unsigned char acknowledged[IDS];
};

static void init_small(struct fixture *f) {
  fixture_init(f);
  f->options.segment_bytes = 16 << 10;
  f->options.recent_bytes = 1;
  fixture_reopen(f);
}

// Appends all rounds, whatever becomes of them.
static void run_rounds(struct fixture *f, struct model *model) {
  for (int64_t round = 0; round < ROUNDS; round++) {
    bool stored = fixture_append(f, round * PER, (round + 1) * PER, 3) == JOURNAL_STORED;
    for (int64_t id = round * PER; id < (round + 1) * PER; id++)
      model->acknowledged[id] = stored;
  }
}

static void check_model(struct fixture *f, const struct model *model) {
  unsigned char ids[IDS] = {0};
  struct seen seen = {.ids = ids, .most = IDS};
  fixture_read(f, 1, JOURNAL_ALL, &seen);
  assert_int_equal(seen.lost, 0);
  for (int id = 0; id < IDS; id++) {
    assert_true(ids[id] <= 1);
    if (model->acknowledged[id]) assert_int_equal(ids[id], 1);
    assert_int_equal(ids[id], ids[id / PER * PER]); // a request is whole
  }
}

static void fail_nth(enum disk_op op, long nth, long times, int error, bool copy) {
  struct fixture f;
  struct model model = {0};
  init_small(&f);
  disk_fail_at(op, nth, times, error);
  run_rounds(&f, &model);
  disk_fail_reset();
  if (!copy) check_model(&f, &model);
  fixture_reopen(&f);
  check_model(&f, &model);
  assert_int_equal(journal_health(f.journal), JOURNAL_STORED);
  assert_int_equal(fixture_append(&f, 5000, 5050, 3), JOURNAL_STORED);
  fixture_fini(&f);
}

// Proves: the Nth write, sync or allocation may fail, once or from then on, and no acknowledged record is
// lost, none is torn.
static void nth_operation_may_fail(void **state) {
  (void)state;
  for (long nth = 1; nth <= 12; nth++) {
    fail_nth(DISK_WRITE, nth, 1, ENOSPC, false);
    fail_nth(DISK_WRITE, nth, 0, EIO, false);
    fail_nth(DISK_SYNC, nth, 1, EIO, true);
    fail_nth(DISK_ALLOCATE, nth, nth % 2, ENOSPC, false);
  }
}

// Proves: a full disk refuses with JOURNAL_FULL, takes nothing of it, keeps what it has readable, and heals
// by itself.
static void full_disk_heals(void **state) {
  (void)state;
  struct fixture f;
  struct model model = {0};
  init_small(&f);
  assert_int_equal(fixture_append(&f, 0, PER, 3), JOURNAL_STORED);
  disk_fail_at(DISK_ALLOCATE, 1, 0, ENOSPC);
  run_rounds(&f, &model);
  assert_int_equal(journal_health(f.journal), JOURNAL_FULL);
  assert_int_equal(model.acknowledged[IDS - 1], 0);
  uint64_t head = journal_head(f.journal);
  struct batch b = {0};
  batch_add(&b, 1, 9999);
  for (int i = 0; i < 100; i++)
    batch_add(&b, 1, 100000 + i);
  assert_int_equal(batch_store(&f, &b), JOURNAL_FULL);
  assert_int_equal(b.append.accepted + b.append.duplicates, 0);
  assert_int_equal(journal_head(f.journal), head);
  assert_int_equal(fixture_count_all(&f), head - 1);
  disk_fail_reset();
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  assert_int_equal(b.append.accepted, 101); // the refused attempt left no identities behind
  assert_int_equal(journal_health(f.journal), JOURNAL_STORED);
  batch_free(&b);
  fixture_fini(&f);
}

// Proves: room that comes back is noticed without anybody appending.
static void full_disk_heals_unasked(void **state) {
  (void)state;
  struct fixture f;
  struct model model = {0};
  init_small(&f);
  disk_fail_at(DISK_ALLOCATE, 1, 0, ENOSPC);
  run_rounds(&f, &model);
  assert_int_equal(journal_health(f.journal), JOURNAL_FULL);
  disk_fail_reset();
  while (journal_health(f.journal) != JOURNAL_STORED)
    sched_yield();
  assert_int_equal(fixture_append(&f, 5000, 5050, 3), JOURNAL_STORED);
  fixture_fini(&f);
}

// Proves: a segment that lies ready but is too small for what was refused, on a disk with no room to make it
// larger, is no room: the journal says that it is full until there is some, and then takes what it refused.
static void full_disk_is_said_while_it_refuses(void **state) {
  (void)state;
  struct fixture f;
  struct batch large = {0};
  init_small(&f);
  assert_int_equal(fixture_append(&f, 1, 2, 3), JOURNAL_STORED); // into the first segment
  disk_fail_at(DISK_ALLOCATE, 2, 0, ENOSPC);                     // one ahead, and no more
  for (int64_t id = 2; disk_asked(DISK_ALLOCATE) < 1; id += 60)
    assert_int_equal(fixture_append(&f, id, id + 60, 3), JOURNAL_STORED);
  for (int64_t i = 10000; i < 10500; i++)
    batch_add(&large, 1, i);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(batch_store(&f, &large), JOURNAL_FULL);
    assert_int_equal(journal_health(f.journal), JOURNAL_FULL);
  }
  long asked = disk_asked(DISK_ALLOCATE);
  while (disk_asked(DISK_ALLOCATE) < asked + 2) { // it goes on trying, in vain
    assert_int_equal(journal_health(f.journal), JOURNAL_FULL);
    sched_yield();
  }
  disk_fail_reset();
  while (journal_health(f.journal) != JOURNAL_STORED)
    sched_yield();
  assert_int_equal(batch_store(&f, &large), JOURNAL_STORED);
  assert_int_equal(large.append.accepted, 500);
  batch_free(&large);
  fixture_fini(&f);
}

// Proves: after a failed sync nothing is acknowledged or shown any more, however well later syncs would go; a
// restart goes on, and the refused records are no duplicates unless they are there.
static void failed_sync_is_final(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  assert_int_equal(fixture_append(&f, 0, 50, 3), JOURNAL_STORED);
  disk_fail_at(DISK_SYNC, 1, 1, EIO);
  enum journal_result result =
      JOURNAL_STORED; // the maker's syncs may take the failure: it is not final there
  int64_t id = 100;
  for (; result == JOURNAL_STORED; id += 10) {
    result = fixture_append(&f, id, id + 10, 3);
    if (result == JOURNAL_STORED) disk_fail_at(DISK_SYNC, 1, 1, EIO);
  }
  disk_fail_reset();
  assert_int_equal(result, JOURNAL_FAILED);
  uint64_t head = journal_head(f.journal);
  assert_int_equal(fixture_append(&f, 5000, 5010, 3), JOURNAL_FAILED);
  assert_int_equal(journal_health(f.journal), JOURNAL_FAILED);
  assert_int_equal(journal_head(f.journal), head);
  assert_null(journal_recent(f.journal, head));
  assert_int_equal(fixture_count_all(&f), head - 1);
  fixture_reopen(&f);
  assert_int_equal(journal_health(f.journal), JOURNAL_STORED);
  assert_true(journal_head(f.journal) >= head);
  struct batch again = {0};
  for (int64_t i = id - 10; i < id; i++)
    batch_add(&again, 1 + i % 3, i);
  assert_int_equal(batch_store(&f, &again), JOURNAL_STORED);
  assert_int_equal(journal_head(f.journal), head + 10); // stored once, before the restart or after
  batch_free(&again);
  fixture_fini(&f);
}

// Proves: the Nth allocation may fail: opening says so, an append is refused and goes well the next time, a
// fetch makes no progress and goes well the next time; nothing is lost.
static void nth_allocation_may_fail(void **state) {
  (void)state;
  for (long nth = 1; nth <= 36; nth++) {
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    fixture_append(&f, 0, 50, 3);
    journal_close(f.journal);
    mem_fail_at(nth);
    if (!fixture_try_open(&f, &err)) {
      assert_true(strlen(err.text) > 0);
      mem_fail_at(0);
      fixture_open(&f);
    }
    mem_fail_at(0);
    struct batch b = {0};
    for (int64_t id = 50; id < 100; id++)
      batch_add(&b, 1 + id % 3, id);
    mem_fail_at(nth);
    enum journal_result result = batch_store(&f, &b);
    mem_fail_at(0);
    if (result != JOURNAL_STORED) assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
    assert_int_equal(b.append.accepted, 50);
    batch_free(&b);
    mem_fail_at(nth);
    struct journal_fetch got = fixture_fetch(&f, 1, 2).fetch;
    mem_fail_at(0);
    assert_true(got.block || got.next == 1);
    assert_int_equal(got.lost, 0);
    journal_block_unref(got.block);
    struct seen seen = {0};
    fixture_read(&f, 1, JOURNAL_ALL, &seen);
    assert_int_equal(seen.count, 100);
    assert_int_equal(seen.lost, 0);
    fixture_fini(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nth_operation_may_fail),  cmocka_unit_test(full_disk_heals),
      cmocka_unit_test(full_disk_heals_unasked), cmocka_unit_test(failed_sync_is_final),
      cmocka_unit_test(full_disk_is_said_while_it_refuses),
      cmocka_unit_test(nth_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
