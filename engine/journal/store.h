// store.h - the small durable things (LMDB): definitions, positions, dead letters. Changes are grouped, one
// transaction a commit.
//
// A writer thread takes all changes handed in since the last commit, commits them with one sync, and reports
// back. Readers see committed data, from any thread, without waiting. A spare file keeps room for a commit
// when the disk is full.
//
//   DATA/lock         held (flock) by the engine that has the folder open; its process id in it
//   DATA/store/       the LMDB environment, and `spare`
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

struct store;

enum store_table {
  STORE_META,      // "version" -> decimal
  STORE_STREAMS,   // stream id -> JSON definition
  STORE_POSITIONS, // stream id -> position, as position.h writes it
  STORE_DEAD,      // stream id, 0 byte, 8 bytes number (big-endian) -> JSON dead letter
  STORE_SCRIPTS,   // stream id, 0 byte, version -> Lua source (flow/script_versions.h)
  STORE_WINDOWS,   // stream id, 0 byte, key of a pair -> value (script/windows.h)
  STORE_TABLES,
};

enum { STORE_VERSION = 1, STORE_KEY_BYTES = 320 };

// `folder`: DATA. Refuses one that another engine has open, that is not writable, or of a newer version, each
// in words.
struct store *store_open(const char *folder, struct err *err);
void store_close(struct store *store); // commits what was handed in; takes NULL

struct store_change { // value.at NULL: delete; with `prefix`: delete all keys that begin with key
  enum store_table table;
  struct slice key, value;
  bool prefix;
};

// The changes of one caller that belong together: all or none. Keys and values are kept by the caller until
// `done` runs on `loop`.
struct store_write {
  struct loop *loop; // NULL: done runs on the store's thread
  struct store_change *changes;
  size_t count;
  void (*done)(struct store_write *write);
  bool ok;        // for done
  struct err err; // for done when not ok
  struct loop_task task;
  struct store_write *next;
};
void store_submit(struct store *store, struct store_write *write);
// The same, waiting for the commit: for start, commands and tests.
bool store_put_now(struct store *store, enum store_table table, struct slice key, struct slice value,
                   struct err *err);

// Reads one value into a copy (mem_free), NULL when absent.
char *store_get(struct store *store, enum store_table table, struct slice key, size_t *len);
// Calls `each` for keys that begin with `prefix`, in order, beginning behind `after` (empty: at the
// beginning; else it begins with the prefix); it returns false to stop, and must not wait for a write. Key
// and value are borrowed for the call. False when the store can't be read.
bool store_each(struct store *store, enum store_table table, struct slice prefix, struct slice after,
                bool (*each)(struct slice key, struct slice value, void *arg), void *arg);
size_t store_count(struct store *store, enum store_table table, struct slice prefix);
