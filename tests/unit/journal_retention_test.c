// journal_retention_test.c - days that are too old go, whole and no sooner, and nothing else changes.
#include "unit/journal_fixture.h"

#include <dirent.h>

enum { DAY = 86400000 };
#define START ((int64_t)20000 * DAY + 5000) // five seconds past midnight

static size_t day_folders(const struct fixture *f) {
  size_t count = 0;
  DIR *dir = opendir(f->folder);
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir));)
    count += e->d_name[0] == '2';
  closedir(dir);
  return count;
}

static void init_at_start(struct fixture *f) {
  clock_set_ms(START);
  fixture_init(f);
  f->options.retention_ms = (int64_t)2 * DAY;
  f->options.segment_bytes = 64 << 10;
  f->options.recent_bytes = 1;
  fixture_reopen(f);
}

static void fini(struct fixture *f) {
  fixture_fini(f);
  clock_set_ms(0);
}

struct told {
  uint64_t first_kept;
  int calls;
};

static void tell(uint64_t first_kept, void *arg) {
  struct told *told = arg;
  told->first_kept = first_kept;
  told->calls++;
}

// Proves: a day goes when its newest record is older than retention, after the callback, and a reader of it
// hears how many are lost.
static void old_days_go(void **state) {
  (void)state;
  struct fixture f;
  struct told told = {0};
  init_at_start(&f);
  journal_set_expiring(f.journal, tell, &told);
  for (int64_t day = 0; day < 5; day++) {
    clock_set_ms(START + day * DAY);
    assert_int_equal(fixture_append(&f, day * 1000, day * 1000 + 500, 3), JOURNAL_STORED);
  }
  assert_int_equal(day_folders(&f), 5);
  clock_set_ms(START + 3 * (int64_t)DAY -
               1); // the second day's records are a millisecond short of two days old
  journal_expire(f.journal);
  assert_int_equal(day_folders(&f), 4);
  assert_int_equal(journal_first(f.journal), 501);
  assert_int_equal(told.calls, 1);
  assert_int_equal(told.first_kept, 501);
  clock_set_ms(START + 3 * (int64_t)DAY + 1);
  journal_expire(f.journal);
  assert_int_equal(day_folders(&f), 3);
  assert_int_equal(journal_first(f.journal), 1001);
  struct seen seen = {0};
  fixture_read(&f, 1, JOURNAL_ALL, &seen);
  assert_int_equal(seen.lost, 1000);
  assert_int_equal(seen.count, 1500);
  fixture_reopen(&f);
  assert_int_equal(journal_first(f.journal), 1001);
  assert_int_equal(journal_head(f.journal), 2501);
  assert_int_equal(journal_count(f.journal, JOURNAL_ALL, 14, 1), 1500);
  fini(&f);
}

// Proves: when all is too old all goes, the newest segment too, and sequences are never given twice, not even
// after a restart.
static void sequences_outlive_their_records(void **state) {
  (void)state;
  struct fixture f;
  init_at_start(&f);
  fixture_append(&f, 0, 700, 3);
  clock_set_ms(START + 10 * (int64_t)DAY);
  journal_expire(f.journal);
  assert_int_equal(journal_first(f.journal), 701);
  assert_int_equal(journal_head(f.journal), 701);
  assert_int_equal(fixture_count_all(&f), 0);
  fixture_reopen(&f);
  assert_int_equal(journal_head(f.journal), 701);
  clock_set_ms(START + 11 * (int64_t)DAY);
  assert_int_equal(fixture_append(&f, 1000, 1100, 3), JOURNAL_STORED);
  clock_set_ms(START + 20 * (int64_t)DAY);
  journal_expire(f.journal);
  assert_int_equal(fixture_append(&f, 2000, 2010, 3), JOURNAL_STORED);
  fixture_reopen(&f);
  assert_int_equal(journal_first(f.journal), 801);
  assert_int_equal(journal_head(f.journal), 811);
  struct seen seen = {0};
  fixture_read(&f, 801, JOURNAL_ALL, &seen);
  assert_int_equal(seen.count, 10);
  assert_int_equal(seen.lost, 0);
  fini(&f);
}

// Proves: today's records stay, however short the retention.
static void today_stays(void **state) {
  (void)state;
  struct fixture f;
  init_at_start(&f);
  f.options.retention_ms = 1;
  fixture_reopen(&f);
  fixture_append(&f, 0, 10, 1);
  clock_set_ms(START + 60000);
  journal_expire(f.journal);
  assert_int_equal(fixture_count_all(&f), 10);
  fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(old_days_go),
      cmocka_unit_test(sequences_outlive_their_records),
      cmocka_unit_test(today_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
