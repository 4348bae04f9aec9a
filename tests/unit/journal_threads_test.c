// journal_threads_test.c - many appenders, followers and readers of the past at once; run under the thread
// sanitizer, too.
#include "unit/journal_fixture.h"

#include <pthread.h>

enum { APPENDERS = 3, APPENDS = 250, PER = 40, FOLLOWERS = 2, TOTAL = APPENDERS * APPENDS * PER };

struct thread {
  pthread_t id;
  struct fixture f; // the journal, with a loop of its own
  int64_t number;
};

static void *append_all(void *arg) {
  struct thread *t = arg;
  struct batch b[3] = {0}; // three outstanding
  for (int i = 0; i < APPENDS; i++) {
    struct batch *one = &b[i % 3];
    if (i >= 3) batch_wait(&t->f, one);
    batch_free(one);
    for (int64_t n = 0; n < PER; n++)
      batch_add(one, 1 + n % 5, (t->number * APPENDS + i) * PER + n);
    while (!batch_hand_in(&t->f, one))
      sched_yield();
  }
  for (int i = 0; i < 3; i++) {
    assert_int_equal(batch_wait(&t->f, &b[i]), JOURNAL_STORED);
    batch_free(&b[i]);
  }
  return NULL;
}

struct follower {
  struct journal_listener listener;
  struct loop *loop;
};

static void wake(struct loop_task *task) {
  struct follower *w = (struct follower *)(void *)((char *)task - offsetof(struct journal_listener, task));
  loop_stop(w->loop);
}

// Reads all by memory where it can, else from disk, and waits for more when it has everything.
static void *follow(void *arg) {
  struct thread *t = arg;
  static struct follower followers[FOLLOWERS]; // the journal keeps them
  struct follower *w = &followers[t->number];
  *w = (struct follower){.listener = {.loop = t->f.loop, .task = {.run = wake}}, .loop = t->f.loop};
  journal_listen(t->f.journal, &w->listener);
  uint64_t at = 1;
  while (at <= TOTAL) {
    if (at == journal_head(t->f.journal)) {
      loop_run(t->f.loop);
      continue;
    }
    struct journal_block *block = journal_recent(t->f.journal, at);
    if (!block) {
      struct fetch got = fixture_fetch(&t->f, at, JOURNAL_ALL);
      assert_int_equal(got.fetch.lost, 0);
      block = got.fetch.block;
    }
    if (!block) continue;
    assert_true(block->first <= at && at < block->end);
    for (uint32_t i = 0; i < block->count; i++)
      fixture_check_row(block, &block->rows[i]);
    at = block->end;
    journal_block_unref(block);
  }
  return NULL;
}

static void *read_the_past(void *arg) {
  struct thread *t = arg;
  struct seen seen = {0};
  for (int round = 0; seen.count < TOTAL / 5 && round < 10000; round++) {
    seen = (struct seen){0};
    fixture_read(&t->f, 1, 3, &seen);
    assert_int_equal(seen.lost, 0);
    assert_true(journal_count(t->f.journal, 3, 14, 1) >= seen.count);
    struct journal_numbers numbers;
    journal_numbers(t->f.journal, &numbers);
    journal_expire(t->f.journal);
  }
  assert_int_equal(seen.count, TOTAL / 5);
  return NULL;
}

static void start(struct thread *t, struct fixture *f, int64_t number, void *(*run)(void *)) {
  struct err err = {0};
  t->f = *f;
  t->f.loop = loop_new(&err);
  t->number = number;
  assert_non_null(t->f.loop);
  assert_int_equal(pthread_create(&t->id, NULL, run, t), 0);
}

static void finish(struct thread *t) {
  pthread_join(t->id, NULL);
}

// Proves: with appenders, followers and readers of the past at once, everything is seen once, in order,
// whole.
static void everybody_at_once(void **state) {
  (void)state;
  struct fixture f;
  struct thread appenders[APPENDERS], followers[FOLLOWERS], past;
  fixture_init(&f);
  f.options.segment_bytes = 128 << 10;
  f.options.recent_bytes = 100 << 10;
  f.options.dedupe_bytes = 64 << 10;
  fixture_reopen(&f);
  for (int i = 0; i < FOLLOWERS; i++)
    start(&followers[i], &f, i, follow);
  start(&past, &f, 0, read_the_past);
  for (int i = 0; i < APPENDERS; i++)
    start(&appenders[i], &f, i, append_all);
  for (int i = 0; i < APPENDERS; i++)
    finish(&appenders[i]);
  for (int i = 0; i < FOLLOWERS; i++)
    finish(&followers[i]);
  finish(&past);
  struct seen seen = {.ids = calloc(TOTAL, 1), .most = TOTAL};
  fixture_read(&f, 1, JOURNAL_ALL, &seen);
  assert_int_equal(seen.count, TOTAL);
  for (int i = 0; i < TOTAL; i++)
    assert_int_equal(seen.ids[i], 1);
  free(seen.ids);
  journal_close(f.journal); // before the loops it posts to
  f.journal = NULL;
  for (int i = 0; i < FOLLOWERS; i++)
    loop_free(followers[i].f.loop);
  for (int i = 0; i < APPENDERS; i++)
    loop_free(appenders[i].f.loop);
  loop_free(past.f.loop);
  fixture_fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_at_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
