// store_test.c - proves that the store keeps what it reported done, in groups, through crashes and full
// disks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "journal/store.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- LMDB's edges, where a test decides what the disk says ----

static int commits_to_fail, commit_error;
static atomic_int commits_made;
static size_t map_bytes; // of the next environment; 0: as asked

int mdb_txn_commit(MDB_txn *txn) {
  int (*real)(MDB_txn *) = (int (*)(MDB_txn *))dlsym(RTLD_NEXT, "mdb_txn_commit");
  atomic_fetch_add(&commits_made, 1);
  if (commits_to_fail == 0) return real(txn);
  commits_to_fail--;
  mdb_txn_abort(txn);
  return commit_error;
}

int mdb_env_set_mapsize(MDB_env *env, size_t bytes) {
  int (*real)(MDB_env *, size_t) = (int (*)(MDB_env *, size_t))dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
  if (map_bytes) bytes = map_bytes;
  map_bytes = 0;
  return real(env, bytes);
}

// ---- a folder and a store a test ----

struct world {
  char folder[64];
  struct store *store;
};

static int set_up(void **state) {
  struct world *w = calloc(1, sizeof *w);
  strcpy(w->folder, "/tmp/store_test_XXXXXX");
  if (!w || !mkdtemp(w->folder)) return -1;
  commits_to_fail = 0;
  w->store = store_open(w->folder, NULL);
  *state = w;
  return w->store ? 0 : -1;
}

static void remove_file(const char *folder, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (unlink(path) != 0) rmdir(path);
}

static int tear_down(void **state) {
  struct world *w = *state;
  static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store/spare", "store", "lock", ""};
  store_close(w->store);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    remove_file(w->folder, names[i]);
  free(w);
  return 0;
}

static void reopen(struct world *w) {
  struct err err = {0};
  store_close(w->store);
  w->store = store_open(w->folder, &err);
  assert_string_equal(err.text, "");
  assert_non_null(w->store);
}

static void put(struct world *w, const char *key, const char *value) {
  struct err err = {0};
  store_put_now(w->store, STORE_DEAD, slice_of(key), slice_of(value), &err);
  assert_string_equal(err.text, "");
}

static void assert_value(struct world *w, const char *key, const char *expected) {
  size_t len = 0;
  char *value = store_get(w->store, STORE_DEAD, slice_of(key), &len);
  if (!expected) {
    assert_null(value);
    return;
  }
  assert_non_null(value);
  assert_int_equal(len, strlen(expected));
  assert_string_equal(value, expected);
  mem_free(value);
}

static bool has_spare(const struct world *w) {
  char path[128];
  struct stat there;
  snprintf(path, sizeof path, "%s/store/spare", w->folder);
  return stat(path, &there) == 0 && there.st_blocks * 512 >= 8 << 20;
}

// ---- many writes and one wait ----

struct counter {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  size_t done, failed;
};

struct counted_write {
  struct store_write write; // first
  struct store_change changes[2];
  struct counter *counter;
  char key[24];
};

static void count_done(struct store_write *write) {
  struct counter *c = ((struct counted_write *)write)->counter;
  pthread_mutex_lock(&c->mutex);
  c->done++;
  c->failed += !write->ok;
  pthread_cond_signal(&c->changed);
  pthread_mutex_unlock(&c->mutex);
}

static void wait_for(struct counter *c, size_t done) {
  pthread_mutex_lock(&c->mutex);
  while (c->done < done)
    pthread_cond_wait(&c->changed, &c->mutex);
  pthread_mutex_unlock(&c->mutex);
}

static void submit_pairs(struct world *w, struct counted_write *writes, size_t count,
                         struct counter *counter) {
  for (size_t i = 0; i < count; i++) {
    struct counted_write *c = &writes[i];
    *c = (struct counted_write){.counter = counter};
    snprintf(c->key, sizeof c->key, "k%06zu", i);
    c->changes[0] =
        (struct store_change){.table = STORE_DEAD, .key = slice_of(c->key), .value = slice_of("dead")};
    c->changes[1] =
        (struct store_change){.table = STORE_POSITIONS, .key = slice_of(c->key), .value = slice_of("at")};
    c->write = (struct store_write){.changes = c->changes, .count = 2, .done = count_done};
    store_submit(w->store, &c->write);
  }
}

#define COUNTER                                                                                              \
  { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

// ---- tests ----

static void keeps_what_was_put(void **state) {
  // Proves: values are read back, replaced, apart by table, and are there after closing and opening again.
  struct world *w = *state;
  put(w, "a", "1");
  put(w, "b", "2");
  put(w, "a", "3");
  assert_value(w, "a", "3");
  assert_null(store_get(w->store, STORE_STREAMS, slice_of("a"), NULL));
  assert_value(w, "c", NULL);
  reopen(w);
  assert_value(w, "a", "3");
  assert_value(w, "b", "2");
}

static void groups_writes(void **state) {
  // Proves: 2,000 writes handed in at once are all done, in far fewer commits than writes.
  struct world *w = *state;
  enum { COUNT = 2000 };
  struct counter counter = COUNTER;
  struct counted_write *writes = calloc(COUNT, sizeof *writes);
  atomic_store(&commits_made, 0);
  submit_pairs(w, writes, COUNT, &counter);
  wait_for(&counter, COUNT);
  assert_int_equal(counter.failed, 0);
  assert_true(atomic_load(&commits_made) < COUNT / 4);
  assert_int_equal(store_count(w->store, STORE_DEAD, slice_of("")), COUNT);
  assert_int_equal(store_count(w->store, STORE_POSITIONS, slice_of("k00199")), 10);
  free(writes);
}

static void close_commits_the_rest(void **state) {
  // Proves: what was handed in before store_close is on disk after it.
  struct world *w = *state;
  enum { COUNT = 3000 };
  struct counter counter = COUNTER;
  struct counted_write *writes = calloc(COUNT, sizeof *writes);
  submit_pairs(w, writes, COUNT, &counter);
  reopen(w);
  assert_int_equal(counter.done, COUNT);
  assert_int_equal(counter.failed, 0);
  assert_int_equal(store_count(w->store, STORE_DEAD, slice_of("")), COUNT);
  free(writes);
}

struct from_loop {
  struct loop *loop;
  struct store_write write;
};

static void stop_loop(struct store_write *write) {
  struct from_loop *f = (struct from_loop *)((char *)write - offsetof(struct from_loop, write));
  assert_true(loop_is_current(f->loop));
  loop_stop(f->loop);
}

static void reports_on_the_loop(void **state) {
  // Proves: with a loop, done runs on the loop's thread.
  struct world *w = *state;
  struct from_loop f = {.loop = loop_new(NULL)};
  struct store_change change = {.table = STORE_STREAMS, .key = slice_of("st_1"), .value = slice_of("{}")};
  f.write = (struct store_write){.loop = f.loop, .changes = &change, .count = 1, .done = stop_loop};
  store_submit(w->store, &f.write);
  loop_run(f.loop);
  assert_true(f.write.ok);
  loop_free(f.loop);
}

static void change_now(struct world *w, struct store_change change) {
  struct counter counter = COUNTER;
  struct counted_write c = {.counter = &counter};
  c.changes[0] = change;
  c.write = (struct store_write){.changes = c.changes, .count = 1, .done = count_done};
  store_submit(w->store, &c.write);
  wait_for(&counter, 1);
  assert_int_equal(counter.failed, 0);
}

static void deletes_one_and_by_prefix(void **state) {
  // Proves: a prefix takes all keys that begin with it and no other; deleting what is absent is fine.
  struct world *w = *state;
  char key[24];
  for (int i = 0; i < 500; i++) {
    snprintf(key, sizeof key, "st_1:%03d", i);
    put(w, key, "x");
    if (i == 0) put(w, "st_0:999", "kept"), put(w, "st_2", "kept"), put(w, "st_1", "kept");
  }
  change_now(w, (struct store_change){.table = STORE_DEAD, .key = slice_of("st_1:"), .prefix = true});
  assert_int_equal(store_count(w->store, STORE_DEAD, slice_of("")), 3);
  change_now(w, (struct store_change){.table = STORE_DEAD, .key = slice_of("st_1")});
  change_now(w, (struct store_change){.table = STORE_DEAD, .key = slice_of("never there")});
  assert_value(w, "st_1", NULL);
  assert_value(w, "st_0:999", "kept");
  assert_value(w, "st_2", "kept");
}

struct page {
  char keys[64], last[STORE_KEY_BYTES + 1];
  int left;
};

static bool take_key(struct slice key, struct slice value, void *arg) {
  struct page *p = arg;
  assert_true(slice_is(value, "v"));
  snprintf(p->last, sizeof p->last, "%.*s", (int)key.len, key.at);
  snprintf(p->keys + strlen(p->keys), sizeof p->keys - strlen(p->keys), "%s ", p->last);
  return --p->left > 0;
}

static void pages_through_a_prefix(void **state) {
  // Proves: pages of three, each beginning behind the last key, show every key of the prefix once, in order.
  struct world *w = *state;
  static const char *const keys[] = {"a", "b1", "b2", "b3", "b4", "b5", "c"};
  for (size_t i = 0; i < 7; i++)
    put(w, keys[i], "v");
  struct page page = {.left = 3};
  assert_true(store_each(w->store, STORE_DEAD, slice_of("b"), slice_of(""), take_key, &page));
  assert_string_equal(page.keys, "b1 b2 b3 ");
  struct page next = {.left = 3};
  assert_true(store_each(w->store, STORE_DEAD, slice_of("b"), slice_of(page.last), take_key, &next));
  assert_string_equal(next.keys, "b4 b5 ");
  struct page behind = {.left = 3}; // a key that was deleted meanwhile, or never was
  assert_true(store_each(w->store, STORE_DEAD, slice_of(""), slice_of("b45"), take_key, &behind));
  assert_string_equal(behind.keys, "b5 c ");
  char endless[600];
  memset(endless, 'b', sizeof endless);
  struct page far = {.left = 3};
  assert_true(
      store_each(w->store, STORE_DEAD, slice_of(""), slice_make(endless, sizeof endless), take_key, &far));
  assert_string_equal(far.keys, "c ");
}

static void survives_a_crash(void **state) {
  // Proves: what was reported done is there after the process ended without closing anything.
  struct world *w = *state;
  store_close(w->store);
  w->store = NULL;
  pid_t child = fork();
  if (child == 0) {
    struct store *store = store_open(w->folder, NULL);
    bool ok = store && store_put_now(store, STORE_DEAD, slice_of("k"), slice_of("v"), NULL);
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  reopen(w);
  assert_value(w, "k", "v");
}

static void refuses_a_second_engine(void **state) {
  // Proves: a folder that is open elsewhere is refused in words, and free again once that one closed.
  struct world *w = *state;
  struct err err = {0};
  char expected[200];
  assert_null(store_open(w->folder, &err));
  snprintf(expected, sizeof expected, "data folder %s is in use by another engine (process %ld)", w->folder,
           (long)getpid());
  assert_string_equal(err.text, expected);
  reopen(w);
}

static void refuses_a_newer_version(void **state) {
  // Proves: a folder that a newer engine wrote is refused and says both versions.
  struct world *w = *state;
  struct err err = {0};
  char expected[200];
  assert_true(store_put_now(w->store, STORE_META, slice_of("version"), slice_of("2"), NULL));
  store_close(w->store);
  w->store = NULL;
  assert_null(store_open(w->folder, &err));
  snprintf(expected, sizeof expected, "data folder %s is of version 2, newer than this engine (1)",
           w->folder);
  assert_string_equal(err.text, expected);
}

static void refuses_a_folder_it_cannot_write(void **state) {
  // Proves: a folder that can't be made or written is refused with its name.
  struct world *w = *state;
  struct err err = {0};
  char path[128];
  snprintf(path, sizeof path, "%s/lock/data", w->folder); // below a file
  assert_null(store_open(path, &err));
  assert_non_null(strstr(err.text, path));
}

static void says_what_to_do_about_a_damaged_store(void **state) {
  // Proves: a file that is no store is refused with its name and a way out, not with LMDB's code alone.
  struct world *w = *state;
  struct err err = {0};
  char path[128], text[8192] = "this is not a database";
  store_close(w->store);
  w->store = NULL;
  snprintf(path, sizeof path, "%s/store/data.mdb", w->folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, sizeof text, file), sizeof text);
  fclose(file);
  assert_null(store_open(w->folder, &err));
  assert_ptr_equal(strstr(err.text, path), err.text);
  assert_non_null(strstr(err.text, "data.mdb is damaged (MDB_INVALID: "));
  assert_non_null(strstr(err.text, "records stay in the journal"));
}

static void full_disk_takes_the_spare(void **state) {
  // Proves: a commit that finds the disk full is done with the spare's room, and the spare is made again.
  struct world *w = *state;
  assert_true(has_spare(w));
  commit_error = ENOSPC;
  commits_to_fail = 1;
  put(w, "k", "v"); // fails, gives up the spare, is done, and finds room for a new one
  assert_int_equal(commits_to_fail, 0);
  assert_value(w, "k", "v");
  assert_true(has_spare(w));
}

static void full_disk_is_reported_to_each(void **state) {
  // Proves: when even the spare does not help, every write hears of it, nothing of it is seen, and the store
  // goes on after.
  struct world *w = *state;
  struct counter counter = COUNTER;
  struct counted_write writes[3];
  commit_error = ENOSPC;
  commits_to_fail = 6; // two for each, should no two be grouped
  submit_pairs(w, writes, 3, &counter);
  wait_for(&counter, 3);
  assert_int_equal(counter.failed, 3);
  assert_string_equal(writes[0].write.err.text, "store: commit failed: No space left on device");
  assert_int_equal(store_count(w->store, STORE_DEAD, slice_of("")), 0);
  assert_false(has_spare(w));
  commits_to_fail = 0;
  put(w, "k", "v");
  assert_true(has_spare(w));
}

static void file_limit_is_survived(void **state) {
  // Proves: with a real refusal of the system to let the file grow, writes fail in words and go on when there
  // is room again.
  struct world *w = *state;
  struct rlimit before, tight = {.rlim_cur = 64 << 10};
  static char big[256 << 10];
  struct err err = {0};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  tight.rlim_max = before.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  bool taken = store_put_now(w->store, STORE_DEAD, slice_of("big"), slice_make(big, sizeof big), &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_false(taken);
  assert_non_null(strstr(err.text, "store: commit failed"));
  assert_true(store_put_now(w->store, STORE_DEAD, slice_of("big"), slice_make(big, sizeof big), NULL));
  reopen(w);
  assert_int_equal(store_count(w->store, STORE_DEAD, slice_of("")), 1);
}

static void *read_on(void *arg) {
  struct world *w = arg;
  for (size_t seen = 0; seen < 64; seen = store_count(w->store, STORE_POSITIONS, slice_of(""))) {
    size_t len;
    char *value = store_get(w->store, STORE_POSITIONS, slice_of("00"), &len);
    if (value && len != 64 << 10) return w;
    mem_free(value);
  }
  return NULL;
}

static void grows_its_map_under_readers(void **state) {
  // Proves: a map that is full is enlarged while readers go on, and nothing is lost.
  struct world *w = *state;
  static char value[64 << 10];
  map_bytes = 1 << 20;
  reopen(w);
  pthread_t readers[2];
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&readers[i], NULL, read_on, w), 0);
  for (int i = 0; i < 64; i++) {
    char key[8];
    snprintf(key, sizeof key, "%02d", i);
    assert_true(
        store_put_now(w->store, STORE_POSITIONS, slice_of(key), slice_make(value, sizeof value), NULL));
  }
  for (int i = 0; i < 2; i++) {
    void *wrong;
    pthread_join(readers[i], &wrong);
    assert_null(wrong);
  }
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      STORE_TEST(keeps_what_was_put),
      STORE_TEST(groups_writes),
      STORE_TEST(close_commits_the_rest),
      STORE_TEST(reports_on_the_loop),
      STORE_TEST(deletes_one_and_by_prefix),
      STORE_TEST(pages_through_a_prefix),
      STORE_TEST(survives_a_crash),
      STORE_TEST(refuses_a_second_engine),
      STORE_TEST(refuses_a_newer_version),
      STORE_TEST(refuses_a_folder_it_cannot_write),
      STORE_TEST(full_disk_takes_the_spare),
      STORE_TEST(full_disk_is_reported_to_each),
      STORE_TEST(file_limit_is_survived),
      STORE_TEST(grows_its_map_under_readers),
      STORE_TEST(says_what_to_do_about_a_damaged_store),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
