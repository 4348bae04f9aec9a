// journal_dedupe_test.c - who was seen before: within one group, in sets, in runs, after a restart, and no
// longer than is promised.
#include "unit/journal_fixture.h"

#include "base/limits.h"
#include "base/rand.h"
#include "journal/dedupe.h"
#include "journal/dedupe_parts.h"
#include "journal/dedupe_run.h"

// Proves: the second of two in one append, in the next append and after a restart is a duplicate; another
// kind, organisation or id is not.
static void duplicates_are_told(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  struct batch b = {0};
  batch_add_long(&b, 1, 5, RECORD_EVENT, 100);
  batch_add_long(&b, 1, 5, RECORD_USAGE, 100);
  batch_add_long(&b, 2, 5, RECORD_EVENT, 100);
  batch_add_long(&b, 1, 5, RECORD_EVENT, 100);
  batch_add_long(&b, 1, 6, RECORD_EVENT, 100);
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  assert_int_equal(b.append.accepted, 4);
  assert_int_equal(b.append.duplicates, 1);
  for (int round = 0; round < 2; round++) {
    assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
    assert_int_equal(b.append.accepted, 0);
    assert_int_equal(b.append.duplicates, 5);
    assert_int_equal(journal_head(f.journal), 5);
    fixture_reopen(&f);
  }
  struct journal_numbers numbers;
  fixture_append(&f, 5, 6, 1);
  journal_numbers(f.journal, &numbers);
  assert_int_equal(numbers.dedupe_window_ms, 7 * 86400000);
  batch_free(&b);
  fixture_fini(&f);
}

// ---- the module alone, with a small budget so that runs are many ----

struct bench {
  char folder[64];
  struct dedupe *dedupe;
  struct dedupe_options options;
};

static void bench_open(struct bench *b, uint64_t head) {
  struct err err = {0};
  b->options.folder = b->folder;
  b->options.head = head;
  b->dedupe = dedupe_open(&b->options, &err);
  assert_non_null(b->dedupe);
}

static void bench_init(struct bench *b, size_t bytes) {
  log_set_level(LOG_ERROR);
  *b = (struct bench){
      .folder = "/tmp/journal_test_XXXXXX",
      .options = {.seed = {1, 2, 3, 4}, .max_bytes = bytes, .window_ms = (int64_t)7 * 86400000}};
  assert_non_null(mkdtemp(b->folder));
  bench_open(b, 1);
}

static void bench_fini(struct bench *b) {
  dedupe_close(b->dedupe);
  nftw(b->folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// Ids from <= id < to as one put; how many were new.
static size_t put(struct bench *b, int64_t from, int64_t to, bool settle) {
  size_t count = (size_t)(to - from);
  struct dedupe_key *keys = malloc(count * sizeof *keys);
  bool *duplicate = malloc(count);
  struct dedupe_group group;
  dedupe_group_begin(&group, keys, duplicate);
  for (int64_t id = from; id < to; id++)
    dedupe_group_add(&group, b->dedupe, &(struct record_header){.organisation = 3, .kind = 1, .id = id});
  size_t fresh = dedupe_put(b->dedupe, &group);
  if (settle)
    dedupe_settle(b->dedupe, 1 + (uint64_t)to, clock_ms());
  else
    dedupe_undo(b->dedupe);
  free(keys);
  free(duplicate);
  return fresh;
}

// Waits, by asking, until the background thread has made runs of all frozen sets.
static void wait_covered(struct bench *b, uint64_t least) {
  while (dedupe_covered(b->dedupe) < least)
    sched_yield();
}

// Proves: through frozen sets, runs and merged runs everything settled is known and nothing else is; so after
// a restart, as far as runs cover it.
static void runs_know_what_was_settled(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 4 << 20); // sets of some 32,000 keys
  enum { MANY = 200000, STEP = 5000 };
  for (int64_t at = 0; at < MANY; at += STEP) {
    assert_int_equal(put(&b, at, at + STEP, true), STEP);
    wait_covered(&b, at > 50000 ? (uint64_t)at - 50000 : 0);
  }
  for (int64_t at = 0; at < MANY; at += STEP)
    assert_int_equal(put(&b, at, at + STEP, false), 0);
  assert_int_equal(put(&b, MANY, MANY + STEP, false), STEP);
  for (int64_t id = 0; id < MANY; id += 997)
    assert_int_equal(put(&b, id, id + 1, false), 0);
  wait_covered(&b, 150000);
  uint64_t covered = dedupe_covered(b.dedupe);
  assert_int_equal(dedupe_known_since(b.dedupe), INT64_MIN);
  dedupe_close(b.dedupe);
  bench_open(&b, MANY + 1);
  assert_true(dedupe_covered(b.dedupe) >= covered);
  covered = dedupe_covered(b.dedupe);
  for (int64_t at = 0; at < MANY; at += STEP) {
    size_t expected = at + STEP < (int64_t)covered ? 0
                      : at >= (int64_t)covered - 1 ? STEP
                                                   : (size_t)(at + STEP - ((int64_t)covered - 1));
    assert_int_equal(put(&b, at, at + STEP, false), expected);
  }
  bench_fini(&b);
}

// Proves: an undone put leaves no trace, however the keys collide.
static void undo_leaves_no_trace(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 1 << 20);
  for (int64_t at = 0; at < 20000; at += 100) {
    assert_int_equal(put(&b, at, at + 100, false), 100);
    assert_int_equal(put(&b, at, at + 100, true), 100);
    assert_int_equal(put(&b, at, at + 100, false), 0);
  }
  bench_fini(&b);
}

// Ids from <= id < to are lost; how many of them were not before.
static size_t forget(struct bench *b, int64_t from, int64_t to) {
  size_t count = (size_t)(to - from);
  struct record_header *headers = calloc(count, sizeof *headers);
  for (int64_t id = from; id < to; id++)
    headers[id - from] = (struct record_header){.organisation = 3, .kind = 1, .id = id};
  size_t forgotten = dedupe_forget(b->dedupe, headers, count);
  free(headers);
  return forgotten;
}

// The ids as one put: which of them are new, as '1' and '0'.
static void expect_new(struct bench *b, const int64_t *ids, const char *expected) {
  struct dedupe_key keys[8];
  bool duplicate[8];
  char told[9] = "";
  struct dedupe_group group;
  dedupe_group_begin(&group, keys, duplicate);
  for (size_t i = 0; i < strlen(expected); i++)
    dedupe_group_add(&group, b->dedupe, &(struct record_header){.organisation = 3, .kind = 1, .id = ids[i]});
  size_t fresh = dedupe_put(b->dedupe, &group), ones = 0;
  for (size_t i = 0; i < group.count; i++) {
    told[i] = duplicate[i] ? '0' : '1';
    ones += !duplicate[i];
  }
  assert_string_equal(told, expected);
  assert_int_equal(fresh, ones);
  dedupe_settle(b->dedupe, 1, clock_ms());
}

// Proves: lost identities, in the set and in runs, are new once when they come again, and lost still when
// that is undone; others stay what they are.
static void lost_ones_are_new_once(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 1 << 20); // sets of some 8,000 keys
  enum { MANY = 20000, STEP = 1000 };
  for (int64_t at = 0; at < MANY; at += STEP)
    assert_int_equal(put(&b, at, at + STEP, true), STEP);
  wait_covered(&b, 5000);
  assert_int_equal(forget(&b, 100, 200), 100);
  assert_int_equal(forget(&b, 150, 250), 50);
  assert_int_equal(forget(&b, MANY - 100, MANY), 100);
  assert_int_equal(put(&b, 0, 1000, false), 150);
  assert_int_equal(put(&b, 0, 1000, false), 150); // undone
  expect_new(&b, (int64_t[]){99, 100, 100, MANY - 1, MANY - 1, 30000, 250, 249}, "01010101");
  expect_new(&b, (int64_t[]){99, 100, 100, MANY - 1, MANY - 1, 30000, 250, 249}, "00000000");
  assert_int_equal(put(&b, 0, MANY, true), 148 + 99);
  assert_int_equal(put(&b, 0, MANY, true), 0);
  assert_int_equal(forget(&b, 40000, 40010), 10); // it was not known anyway
  expect_new(&b, (int64_t[]){40000, 40000}, "10");
  expect_new(&b, (int64_t[]){40000, 40001}, "01");
  bench_fini(&b);
}

// Proves: no more than their limit are kept, and without memory none: the rest stay duplicates.
static void lost_ones_are_bounded(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 48 << 20);
  enum { MANY = LIMIT_DEDUPE_LOST + 1000 };
  assert_int_equal(put(&b, 0, MANY, true), MANY);
  for (long nth = 1; nth <= 2; nth++) {
    mem_fail_at(nth);
    assert_int_equal(forget(&b, 0, 100), 0);
  }
  mem_fail_at(0);
  assert_int_equal(forget(&b, 0, 500), 500);
  assert_int_equal(forget(&b, 0, MANY), LIMIT_DEDUPE_LOST - 500);
  assert_int_equal(forget(&b, 0, MANY), 0);
  assert_int_equal(put(&b, 0, MANY, true), LIMIT_DEDUPE_LOST);
  assert_int_equal(forget(&b, 0, 1), 1);
  bench_fini(&b);
}

// Proves: past the budget the oldest are forgotten and the window says so; the newest stay known.
static void budget_forgets_the_oldest(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 256 << 10);
  for (int64_t at = 0; at < 300000; at += 500) {
    put(&b, at, at + 500, true);
    if (at % 5000 == 0) wait_covered(&b, (uint64_t)(at > 10000 ? at - 10000 : 0));
  }
  while (dedupe_known_since(b.dedupe) == INT64_MIN)
    sched_yield();
  assert_true(dedupe_known_since(b.dedupe) <= clock_ms());
  assert_int_equal(put(&b, 299500, 300000, false), 0);
  assert_int_equal(put(&b, 0, 500, false), 500);
  bench_fini(&b);
}

// Proves: runs of records the journal does not have, and runs before a hole, are not believed.
static void useless_runs_are_removed(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b, 1 << 20);
  for (int64_t at = 0; at < 50000; at += 500)
    put(&b, at, at + 500, true);
  wait_covered(&b, 20000);
  dedupe_close(b.dedupe);
  bench_open(&b, 1);
  assert_int_equal(put(&b, 0, 500, false), 500);
  for (int64_t at = 0; at < 50000; at += 500)
    put(&b, at, at + 500, true);
  wait_covered(&b, 20000);
  dedupe_close(b.dedupe);
  b.options.replay_from = 1000000;
  bench_open(&b, 2000000);
  assert_int_equal(put(&b, 0, 500, false), 500);
  assert_int_equal(dedupe_covered(b.dedupe), 1000000);
  bench_fini(&b);
}

// Proves: a set gives its keys in order wherever they lie, wrapped around its end too.
static void sets_are_sorted(void **state) {
  (void)state;
  enum { KEYS = 700 };
  rand_seed(3);
  for (int round = 0; round < 50; round++) {
    struct dedupe_set set;
    struct dedupe_key sorted[KEYS];
    assert_true(dedupe_set_init(&set, KEYS));
    while (set.count < KEYS) {
      struct dedupe_key key = {rand_u64() | (round % 2 ? UINT64_MAX << 58 : 0), rand_u64()};
      size_t slot = dedupe_set_find(&set, key);
      if (dedupe_set_has(&set, key)) continue;
      set.slots[slot] = key;
      set.count++;
    }
    dedupe_set_sorted(&set, sorted);
    for (int i = 1; i < KEYS; i++)
      assert_true(dedupe_key_less(sorted[i - 1], sorted[i]));
    for (int i = 0; i < KEYS; i++)
      assert_true(dedupe_set_has(&set, sorted[i]));
    dedupe_set_fini(&set);
  }
}

// Proves: a run finds each of its keys, and its filter lets few strangers by.
static void runs_find_their_keys(void **state) {
  (void)state;
  enum { KEYS = 50000 };
  struct err err = {0};
  char folder[] = "/tmp/journal_test_XXXXXX";
  assert_non_null(mkdtemp(folder));
  struct dedupe_set set;
  struct dedupe_key *keys = malloc(KEYS * sizeof *keys);
  assert_true(dedupe_set_init(&set, KEYS));
  rand_seed(4);
  while (set.count < KEYS) {
    struct dedupe_key key = {rand_u64(), rand_u64()};
    set.slots[dedupe_set_find(&set, key)] = key;
    set.count++;
  }
  struct dedupe_part part = {.set = &set, .span = {.first = 1, .end = KEYS + 1}};
  struct dedupe_run *run = dedupe_parts_write(&part, folder, 9, &err);
  assert_non_null(run);
  dedupe_set_sorted(&set, keys);
  for (int i = 0; i < KEYS; i++)
    assert_true(dedupe_run_has(run, keys[i]));
  int passed = 0;
  for (int i = 0; i < KEYS; i++) {
    struct dedupe_key stranger = {rand_u64(), rand_u64()};
    passed += dedupe_run_may_have(run, stranger);
    assert_false(dedupe_run_has(run, stranger));
  }
  assert_true(passed < KEYS * 3 / 200);
  char path[PATH_MAX];
  strcpy(path, run->path);
  dedupe_run_close(run);
  assert_null(dedupe_run_open(path, 10, &err)); // another journal's
  assert_int_equal(truncate(path, 8000), 0);
  assert_null(dedupe_run_open(path, 9, &err));
  dedupe_set_fini(&set);
  free(keys);
  nftw(folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// Proves: the newest four runs of about one size are merged, unless that makes too large or too long a run.
static void merging_is_decided(void **state) {
  (void)state;
  struct dedupe_run runs[8] = {0};
  struct dedupe_part parts[8] = {0};
  struct dedupe_parts p = {.at = parts, .count = 8};
  struct dedupe_merge_limits limits = {.least = 100, .most = 2000, .span_ms = 1000};
  size_t from, to;
  for (size_t i = 0; i < 8; i++) {
    runs[i].count = i < 2 ? 400 : 100;
    parts[i] = (struct dedupe_part){
        .run = &runs[i], .span = {.oldest_ms = (int64_t)i * 100, .newest_ms = (int64_t)i * 100 + 99}};
  }
  assert_true(dedupe_parts_to_merge(&p, &limits, &from, &to));
  assert_int_equal(from, 4);
  assert_int_equal(to, 8);
  p.count = 5; // 400 400 100 100 100
  assert_false(dedupe_parts_to_merge(&p, &limits, &from, &to));
  p.count = 6;
  assert_true(dedupe_parts_to_merge(&p, &limits, &from, &to));
  limits.most = 399;
  assert_false(dedupe_parts_to_merge(&p, &limits, &from, &to));
  limits.most = 2000;
  limits.span_ms = 398;
  assert_false(dedupe_parts_to_merge(&p, &limits, &from, &to));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(duplicates_are_told),      cmocka_unit_test(runs_know_what_was_settled),
      cmocka_unit_test(undo_leaves_no_trace),     cmocka_unit_test(lost_ones_are_new_once),
      cmocka_unit_test(lost_ones_are_bounded),    cmocka_unit_test(budget_forgets_the_oldest),
      cmocka_unit_test(useless_runs_are_removed), cmocka_unit_test(sets_are_sorted),
      cmocka_unit_test(runs_find_their_keys),     cmocka_unit_test(merging_is_decided),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
