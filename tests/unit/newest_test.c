// newest_test.c - the newest records of an organisation: the right ones, in order, however they lie in
// blocks.
#include "flow/newest.h"
#include "journal_fixture.h"

static const unsigned ANY = 1u << RECORD_EVENT | 1u << RECORD_USAGE | 1u << RECORD_ALERT;

static struct fixture f;
static struct newest newest;

static void newest_done(struct newest *n) {
  loop_stop(n->loop);
}

static void ask(int64_t organisation, unsigned kinds, uint32_t wanted) {
  newest = (struct newest){.loop = f.loop,
                           .journal = f.journal,
                           .organisation = organisation,
                           .kinds = kinds,
                           .wanted = wanted,
                           .done = newest_done};
  newest_begin(&newest);
  loop_run(f.loop);
}

static bool is_asked_for(int64_t id, int64_t organisations, int64_t organisation, unsigned kinds) {
  bool of_it = organisation == JOURNAL_ALL || 1 + id % organisations == organisation;
  return of_it && kinds >> (1 + id % 3) & 1;
}

// Records 0 <= id < most were appended in order, of so many organisations in turn.
static void expect_newest(int64_t most, int64_t organisations, int64_t organisation, unsigned kinds,
                          uint32_t wanted) {
  char text[4096];
  ask(organisation, kinds, wanted);
  assert_true(newest.ok);
  uint32_t at = newest.count, matches = 0;
  for (int64_t id = 0; id < most; id++)
    matches += is_asked_for(id, organisations, organisation, kinds);
  assert_int_equal(newest.count, matches < wanted ? matches : wanted);
  for (int64_t id = most - 1; id >= 0; id--) {
    if (!is_asked_for(id, organisations, organisation, kinds)) continue;
    if (at == 0) break;
    const struct newest_record *record = &newest.records[--at];
    assert_int_equal(record->header.id, id);
    assert_int_equal(record->bytes.len, fixture_length(id));
    fixture_text(1 + id % organisations, id, text, record->bytes.len);
    assert_memory_equal(record->bytes.at, text, record->bytes.len);
  }
  newest_fini(&newest);
}

static int setup(void **state) {
  (void)state;
  fixture_init(&f);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  fixture_fini(&f);
  return 0;
}

static void an_empty_journal_has_none(void **state) {
  // Answered all the same.
  (void)state;
  ask(JOURNAL_ALL, ANY, 10);
  assert_true(newest.ok);
  assert_int_equal(newest.count, 0);
}

static void they_are_found_in_large_blocks(void **state) {
  // Of all, of one organisation, of one kind; from memory and, after a restart, from disk.
  (void)state;
  enum { MOST = 6000 };
  for (int64_t id = 0; id < MOST; id += 1500)
    assert_int_equal(fixture_append(&f, id, id + 1500, 4), JOURNAL_STORED);
  for (int round = 0; round < 2; round++) {
    expect_newest(MOST, 4, JOURNAL_ALL, ANY, 100);
    expect_newest(MOST, 4, 3, ANY, 100);
    expect_newest(MOST, 4, 2, 1u << RECORD_USAGE, 7);
    expect_newest(MOST, 4, JOURNAL_ALL, 1u << RECORD_ALERT, 1);
    ask(99, ANY, 10);
    assert_true(newest.ok && newest.count == 0);
    fixture_reopen(&f);
  }
}

static void they_are_found_in_blocks_of_one(void **state) {
  // More blocks than are read of one stretch.
  (void)state;
  enum { MOST = 250 };
  for (int64_t id = 0; id < MOST; id++)
    assert_int_equal(fixture_append(&f, id, id + 1, 4), JOURNAL_STORED);
  expect_newest(MOST, 4, JOURNAL_ALL, ANY, 100);
  assert_int_equal(newest.count, 0); // given back
  expect_newest(MOST, 4, 1, ANY, 40);
  ask(JOURNAL_ALL, ANY, 100);
  assert_int_equal(newest.count, 100);
  newest_fini(&newest);
}

static void fewer_than_wanted_are_all_there_are(void **state) {
  // Both the first and the last of the journal among them.
  (void)state;
  assert_int_equal(fixture_append(&f, 0, 9, 1), JOURNAL_STORED);
  ask(1, ANY, 100);
  assert_int_equal(newest.count, 9);
  assert_int_equal(newest.records[0].header.id, 0);
  assert_int_equal(newest.records[8].header.id, 8);
  newest_fini(&newest);
}

static void long_ones_are_left_out_oldest_first(void **state) {
  // Six of 900 KB are more than a trial takes: the newest four come.
  (void)state;
  for (int64_t id = 0; id < 6; id++) {
    struct batch b = {0};
    batch_add_long(&b, 1, id, RECORD_EVENT, 900000);
    assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
    batch_free(&b);
  }
  ask(1, ANY, 100);
  assert_true(newest.ok);
  assert_int_equal(newest.count, 4);
  assert_int_equal(newest.records[3].header.id, 5);
  newest_fini(&newest);
}

static void short_memory_is_told_and_leaks_nothing(void **state) {
  // Each allocation in turn, on this thread or on the journal's.
  (void)state;
  assert_int_equal(fixture_append(&f, 0, 50, 1), JOURNAL_STORED);
  fixture_reopen(&f);
  unsigned failed = 0;
  for (long nth = 1; nth <= 40; nth++) {
    mem_fail_at(nth);
    ask(1, ANY, 20);
    mem_fail_at(0);
    failed += !newest.ok;
    assert_true(!newest.ok || newest.count == 20);
    newest_fini(&newest);
  }
  assert_true(failed > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_empty_journal_has_none, setup, teardown),
      cmocka_unit_test_setup_teardown(they_are_found_in_large_blocks, setup, teardown),
      cmocka_unit_test_setup_teardown(they_are_found_in_blocks_of_one, setup, teardown),
      cmocka_unit_test_setup_teardown(fewer_than_wanted_are_all_there_are, setup, teardown),
      cmocka_unit_test_setup_teardown(long_ones_are_left_out_oldest_first, setup, teardown),
      cmocka_unit_test_setup_teardown(short_memory_is_told_and_leaks_nothing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
