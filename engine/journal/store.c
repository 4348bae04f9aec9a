// store.c - the LMDB environment: a writer thread that groups changes, and readers that never wait for it.
#include "journal/store.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/store_folder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  LOCK_FILE_BYTES = 16 << 10, // LMDB's table of readers, about 250 of them
  MAP_DOUBLINGS = 8,          // up to 1 TB of address space
};

static const char *const table_names[STORE_TABLES] = {"meta", "streams", "positions", "dead", "scripts", "windows"};

struct store {
  struct store_folder folder;
  MDB_env *env;
  MDB_dbi tables[STORE_TABLES];
  pthread_rwlock_t map; // readers share it; the map is moved under it alone
  pthread_t writer;
  bool writing; // the writer thread was started
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  struct store_write *first, **last; // queue; under mutex
  bool closing;                      // under mutex
};

static MDB_val value_of(struct slice s) {
  return (MDB_val){s.len, (void *)(uintptr_t)s.at};
}

static struct slice slice_from(const MDB_val *v) {
  return slice_make(v->mv_data, v->mv_size);
}

static bool begins_with(const MDB_val *key, struct slice prefix) {
  return key->mv_size >= prefix.len && (prefix.len == 0 || memcmp(key->mv_data, prefix.at, prefix.len) == 0);
}

// ---- one transaction ----

static int delete_prefix(MDB_txn *txn, MDB_dbi table, struct slice prefix) {
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(txn, table, &cursor);
  if (rc) return rc;
  for (;;) {
    MDB_val key = value_of(prefix), value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (rc || !begins_with(&key, prefix)) break;
    rc = mdb_cursor_del(cursor, 0);
    if (rc) break;
  }
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply_change(struct store *s, MDB_txn *txn, const struct store_change *change) {
  MDB_dbi table = s->tables[change->table];
  MDB_val key = value_of(change->key), value = value_of(change->value);
  if (change->prefix) return delete_prefix(txn, table, change->key);
  if (change->value.at) return mdb_put(txn, table, &key, &value, 0);
  int rc = mdb_del(txn, table, &key, NULL);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

// Without a sync of LMDB's head page the last commit may be undone by a power cut. For positions, and the
// windows that go with them, that means to deliver once more; a definition or a dead letter must stay.
static bool must_stay(const struct store_write *group) {
  for (; group; group = group->next)
    for (size_t i = 0; i < group->count; i++)
      if (group->changes[i].table != STORE_POSITIONS && group->changes[i].table != STORE_WINDOWS) return true;
  return false;
}

static int commit_once(struct store *s, const struct store_write *group) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
  if (rc) return rc;
  for (const struct store_write *w = group; w && !rc; w = w->next)
    for (size_t i = 0; i < w->count && !rc; i++)
      rc = apply_change(s, txn, &w->changes[i]);
  if (rc) {
    mdb_txn_abort(txn);
    return rc;
  }
  rc = mdb_txn_commit(txn);
  return rc || !must_stay(group) ? rc : mdb_env_sync(s->env, 1);
}

static bool grow_map(struct store *s) {
  MDB_envinfo info;
  mdb_env_info(s->env, &info);
  if (info.me_mapsize >= (size_t)LIMIT_STORE_MAP_MB << (20 + MAP_DOUBLINGS)) return false;
  pthread_rwlock_wrlock(&s->map);
  int rc = mdb_env_set_mapsize(s->env, info.me_mapsize * 2);
  pthread_rwlock_unlock(&s->map);
  return rc == 0;
}

// LMDB says EIO for a write that the disk took only in part.
static bool lacks_room(const struct store *s, int rc) {
  return rc == ENOSPC || rc == EDQUOT || (rc == EIO && store_folder_is_full(&s->folder));
}

static int commit(struct store *s, const struct store_write *group) {
  for (;;) {
    int rc = commit_once(s, group);
    if (rc == MDB_MAP_FULL && grow_map(s)) continue;
    if (!lacks_room(s, rc)) return rc;
    if (!store_folder_release_spare(&s->folder)) return ENOSPC;
  }
}

// ---- the writer thread ----

static void run_done(struct loop_task *task) {
  struct store_write *write = list_item(task, struct store_write, task);
  write->done(write);
}

static void report(struct store_write *write, int rc) {
  write->ok = rc == 0;
  write->err = (struct err){0};
  if (rc) err_set(&write->err, "store: commit failed: %s", mdb_strerror(rc));
  if (write->loop)
    loop_post(write->loop, &write->task);
  else
    write->done(write);
}

static void commit_group(struct store *s, struct store_write *group) {
  int rc = commit(s, group);
  if (rc)
    log_error("store=%s doing=commit error=\"%s\"", s->folder.store_path, mdb_strerror(rc));
  else
    store_folder_restore_spare(&s->folder);
  while (group) {
    struct store_write *next = group->next; // `done` may free the write
    report(group, rc);
    group = next;
  }
}

// Up to LIMIT_STORE_GROUP writes off the queue; NULL when the store is closing and all is written.
static struct store_write *take_group(struct store *s) {
  pthread_mutex_lock(&s->mutex);
  while (!s->first && !s->closing)
    pthread_cond_wait(&s->wake, &s->mutex);
  struct store_write *group = s->first, **end = &s->first;
  for (int n = 0; n < LIMIT_STORE_GROUP && *end; n++)
    end = &(*end)->next;
  s->first = *end;
  *end = NULL;
  if (!s->first) s->last = &s->first;
  pthread_mutex_unlock(&s->mutex);
  return group;
}

static void *write_all(void *arg) {
  struct store *s = arg;
  struct store_write *group;
  while ((group = take_group(s)))
    commit_group(s, group);
  return NULL;
}

static bool sound(const struct store_change *change) {
  return (unsigned)change->table < STORE_TABLES && change->key.len > 0 && change->key.len <= STORE_KEY_BYTES;
}

void store_submit(struct store *s, struct store_write *write) {
  for (size_t i = 0; i < write->count; i++)
    assert(sound(&write->changes[i]));
  write->task.run = run_done;
  write->next = NULL;
  pthread_mutex_lock(&s->mutex);
  assert(!s->closing);
  *s->last = write;
  s->last = &write->next;
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->mutex);
}

struct waiter {
  struct store_write write;
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  bool has_ended;
};

static void wake_waiter(struct store_write *write) {
  struct waiter *w = list_item(write, struct waiter, write);
  pthread_mutex_lock(&w->mutex);
  w->has_ended = true;
  pthread_cond_signal(&w->ended);
  pthread_mutex_unlock(&w->mutex);
}

bool store_put_now(struct store *s, enum store_table table, struct slice key, struct slice value,
                   struct err *err) {
  struct store_change change = {.table = table, .key = key, .value = value};
  struct waiter w = {.write = {.changes = &change, .count = 1, .done = wake_waiter},
                     .mutex = PTHREAD_MUTEX_INITIALIZER,
                     .ended = PTHREAD_COND_INITIALIZER};
  store_submit(s, &w.write);
  pthread_mutex_lock(&w.mutex);
  while (!w.has_ended)
    pthread_cond_wait(&w.ended, &w.mutex);
  pthread_mutex_unlock(&w.mutex);
  return w.write.ok || err_set(err, "%s", w.write.err.text);
}

// ---- open and close ----

// A reader's slot must not be the moment when a full disk is found out, for it is a write to mapped memory:
// have it all there.
static bool allocate_lock_file(const struct store *s, struct err *err) {
  char path[4096 + 16];
  snprintf(path, sizeof path, "%s/lock.mdb", s->folder.store_path);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return err_set_errno(err, "%s", path);
  int rc = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
  close(fd);
  errno = rc;
  return rc == 0 || err_set_errno(err, "%s", path);
}

static int open_tables(struct store *s) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
  if (rc) return rc;
  for (int t = 0; t < STORE_TABLES && !rc; t++)
    rc = mdb_dbi_open(txn, table_names[t], MDB_CREATE, &s->tables[t]);
  if (!rc) return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc;
}

static int open_env(struct store *s) {
  int rc = mdb_env_create(&s->env);
  if (!rc) rc = mdb_env_set_maxdbs(s->env, STORE_TABLES);
  if (!rc) rc = mdb_env_set_mapsize(s->env, (size_t)LIMIT_STORE_MAP_MB << 20);
  if (!rc) rc = mdb_env_open(s->env, s->folder.store_path, MDB_NOMETASYNC | MDB_NOTLS, 0600);
  return rc ? rc : open_tables(s);
}

// The version stands for the whole data folder: journal and store.
static bool check_version(struct store *s, const char *folder, struct err *err) {
  size_t len;
  char text[16], *found = store_get(s, STORE_META, slice_of("version"), &len);
  if (!found) {
    snprintf(text, sizeof text, "%d", STORE_VERSION);
    return store_put_now(s, STORE_META, slice_of("version"), slice_of(text), err);
  }
  long version = strtol(found, NULL, 10);
  mem_free(found);
  if (version > STORE_VERSION)
    return err_set(err, "data folder %s is of version %ld, newer than this engine (%d)", folder, version,
                   STORE_VERSION);
  return version == STORE_VERSION || err_set(err, "data folder %s has no version that can be read", folder);
}

// What LMDB says at the start, in words for the person who can mend it. The journal's records do not depend
// on it: streams, positions and dead letters do.
static bool refuse_store(const struct store *s, const char *folder, int rc, struct err *err) {
  const char *path = s->folder.store_path;
  switch (rc) {
  case MDB_INVALID:
  case MDB_CORRUPTED:
  case MDB_PAGE_NOTFOUND:
  case MDB_PANIC:
    return err_set(
        err,
        "%s/data.mdb is damaged (%s): put back a copy of %s, or move %s away: the engine then "
        "begins without its streams, their positions and dead letters; records stay in the journal",
        path, mdb_strerror(rc), folder, path);
  case MDB_VERSION_MISMATCH:
    return err_set(err, "%s/data.mdb was written by another version of LMDB: use the engine that wrote it",
                   path);
  case MDB_INCOMPATIBLE:
    return err_set(err, "%s/data.mdb holds something else than an engine's store: choose another data folder",
                   path);
  case EACCES:
  case EPERM:
  case EROFS:
    return err_set(err,
                   "%s can't be opened (%s): the engine's user must own data folder %s and may write there",
                   path, strerror(rc), folder);
  case ENOSPC:
  case EDQUOT:
    return err_set(
        err, "%s can't be opened: there is no room on the disk: make some, or choose another data folder",
        path);
  case ENOMEM:
    return err_set(err, "%s can't be mapped: %d MB of address space are not to be had (see `ulimit -v`)",
                   path, LIMIT_STORE_MAP_MB);
  default:
    return err_set(err, "%s can't be opened: %s", path, mdb_strerror(rc));
  }
}

static bool open_parts(struct store *s, const char *folder, struct err *err) {
  if (!store_folder_open(&s->folder, folder, err) || !allocate_lock_file(s, err)) return false;
  int rc = open_env(s);
  if (rc) return refuse_store(s, folder, rc, err);
  if (pthread_create(&s->writer, NULL, write_all, s) != 0)
    return err_set(err, "store: no thread could be started");
  s->writing = true;
  return check_version(s, folder, err);
}

struct store *store_open(const char *folder, struct err *err) {
  struct store *s = mem_zero(1, sizeof *s);
  if (!s) {
    err_set(err, "out of memory");
    return NULL;
  }
  s->last = &s->first;
  pthread_rwlock_init(&s->map, NULL);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_cond_init(&s->wake, NULL);
  if (open_parts(s, folder, err)) return s;
  store_close(s);
  return NULL;
}

static void stop_writer(struct store *s) {
  pthread_mutex_lock(&s->mutex);
  s->closing = true;
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->mutex);
  pthread_join(s->writer, NULL);
}

void store_close(struct store *s) {
  if (!s) return;
  if (s->writing) stop_writer(s);
  if (s->env) mdb_env_close(s->env);
  store_folder_close(&s->folder);
  pthread_cond_destroy(&s->wake);
  pthread_mutex_destroy(&s->mutex);
  pthread_rwlock_destroy(&s->map);
  mem_free(s);
}

// ---- readers ----

static MDB_txn *begin_read(struct store *s) {
  MDB_txn *txn;
  pthread_rwlock_rdlock(&s->map);
  if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) == 0) return txn;
  pthread_rwlock_unlock(&s->map);
  return NULL;
}

static void end_read(struct store *s, MDB_txn *txn) {
  mdb_txn_abort(txn);
  pthread_rwlock_unlock(&s->map);
}

char *store_get(struct store *s, enum store_table table, struct slice key, size_t *len) {
  if (key.len == 0 || key.len > STORE_KEY_BYTES) return NULL;
  MDB_txn *txn = begin_read(s);
  if (!txn) return NULL;
  MDB_val k = value_of(key), value;
  char *copy = NULL;
  if (mdb_get(txn, s->tables[table], &k, &value) == 0) {
    copy = mem_copy(value.mv_data, value.mv_size);
    if (len) *len = value.mv_size;
  }
  end_read(s, txn);
  return copy;
}

// Puts the cursor on the first key at or behind `prefix`, or behind `after` when that is not empty.
static int seek(MDB_cursor *cursor, struct slice prefix, struct slice after, MDB_val *key, MDB_val *value) {
  // No key is longer, so what is behind a longer `after` is what is behind its beginning.
  if (after.len > STORE_KEY_BYTES) after.len = STORE_KEY_BYTES;
  *key = value_of(after.len ? after : prefix);
  if (key->mv_size == 0) return mdb_cursor_get(cursor, key, value, MDB_FIRST);
  int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
  if (!rc && after.len && slice_equal(slice_from(key), after))
    rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
  return rc;
}

bool store_each(struct store *s, enum store_table table, struct slice prefix, struct slice after,
                bool (*each)(struct slice key, struct slice value, void *arg), void *arg) {
  assert(prefix.len <= STORE_KEY_BYTES);
  MDB_txn *txn = begin_read(s);
  if (!txn) return false;
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(txn, s->tables[table], &cursor);
  if (!rc) {
    MDB_val key, value;
    rc = seek(cursor, prefix, after, &key, &value);
    while (!rc && begins_with(&key, prefix) && each(slice_from(&key), slice_from(&value), arg))
      rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
  }
  end_read(s, txn);
  return rc == 0 || rc == MDB_NOTFOUND;
}

static bool count_one(struct slice key, struct slice value, void *arg) {
  (void)key, (void)value;
  ++*(size_t *)arg;
  return true;
}

size_t store_count(struct store *s, enum store_table table, struct slice prefix) {
  size_t count = 0;
  store_each(s, table, prefix, slice_make(NULL, 0), count_one, &count);
  return count;
}
