// courier_support.h - a real courier on the test's own thread, with a real journal and store in a folder of their own and a receiver
// on loopback that answers as the test says. Waiting costs no time: in haste whatever is timed is due at once.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"
#include "journal/store.h"
#include "net/http_server.h"
#include "script/worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOT_MOST = 4000, GOT_BODY = 400, ORGANISATION = 7 };

struct got { // one request as the receiver saw it
  char id[BATCH_ID_BYTES], encoding[16];
  char body[GOT_BODY]; // its beginning
  size_t body_len;
};

struct reply {
  int status;
  const char *retry_after; // NULL: none
  const char *body;
};

struct world {
  char folder[64];
  struct store *store;
  struct journal *journal;
  struct pool *pool;
  struct budget budget;
  struct egress egress;
  struct shared_blocks *blocks;
  struct sink_set *sinks;
  struct courier *courier;
  struct http_server *receiver;
  struct definition *definition; // of the one stream
  struct stream *stream;         // the courier's
  struct status *status;
  struct got got[GOT_MOST];
  uint32_t got_count;
  void (*answer)(struct world *w, const struct got *got, struct reply *reply);
  const char *script; // of a stream that is opened; NULL: none
  bool haste;
  int64_t sent; // records so far: ids 1 to sent
  bool (*done)(struct world *w);
  struct loop_timer late;
  bool is_late, obeyed;
};

// ---- the store's commits fail as the test says ----

static atomic_bool commits_fail;
static atomic_int commits_refused;
static atomic_int commits_before; // so many go well first; then what `commits_ended` says happens
static void (*commits_ended)(void);

int mdb_txn_commit(MDB_txn *txn) {
  int (*real)(MDB_txn *) = (int (*)(MDB_txn *))dlsym(RTLD_NEXT, "mdb_txn_commit");
  if (atomic_load(&commits_fail)) {
    mdb_txn_abort(txn);
    atomic_fetch_add(&commits_refused, 1);
    return EIO;
  }
  int result = real(txn);
  if (atomic_load(&commits_before) && atomic_fetch_sub(&commits_before, 1) == 1) commits_ended();
  return result;
}

// ---- turns ----

static void make_due(struct courier *c, struct heap *timers) {
  for (size_t i = 0; i < timers->count; i++) timers->nodes[i]->due = 0;
  if (timers->count) loop_timer_start(c->loop, &c->timer, 0);
}

static void world_turn(void *arg) {
  struct world *w = arg;
  turn_end(w->courier);
  if (w->haste) {
    make_due(w->courier, &w->courier->lane_timers);
    make_due(w->courier, &w->courier->breaker_timers);
  }
  if (w->is_late || (w->done && w->done(w))) loop_stop(w->courier->loop);
}

static void too_late(struct loop_timer *timer) {
  ((struct world *)((char *)timer - offsetof(struct world, late)))->is_late = true;
}

static inline void run_until(struct world *w, bool (*done)(struct world *w)) {
  if (done(w)) return;
  w->done = done;
  w->late.run = too_late;
  loop_timer_start(w->courier->loop, &w->late, 60 * 1000000);
  loop_run(w->courier->loop);
  loop_timer_stop(&w->late);
  w->done = NULL;
  assert_false(w->is_late);
}

// ---- the receiver ----

static void receive(struct http_request *request, void *arg) {
  struct world *w = arg;
  struct got *got = &w->got[w->got_count < GOT_MOST - 1 ? w->got_count : GOT_MOST - 1];
  struct slice body = http_request_body(request);
  const char *id = http_request_header(request, "webhook-id"), *encoding = http_request_header(request, "Content-Encoding");
  snprintf(got->id, sizeof got->id, "%s", id ? id : "");
  snprintf(got->encoding, sizeof got->encoding, "%s", encoding ? encoding : "");
  got->body_len = body.len < GOT_BODY - 1 ? body.len : GOT_BODY - 1;
  memcpy(got->body, body.at, got->body_len);
  got->body[got->body_len] = 0;
  w->got_count++;
  struct reply reply = {.status = 200, .body = ""};
  if (w->answer) w->answer(w, got, &reply);
  if (reply.retry_after) http_answer_header(request, "Retry-After", reply.retry_after);
  http_answer(request, reply.status, "text/plain", slice_of(reply.body));
}

// ---- begin and end ----

static void write_sink(struct world *w, const char *name, const char *source) {
  char path[128];
  struct err err = {0};
  snprintf(path, sizeof path, "%s/sinks/%s", w->folder, name);
  assert_true(disk_replace_file(path, slice_of(source), 0600, &err));
}

static void copy_sink(struct world *w, const char *name) {
  char path[1024];
  struct err err = {0};
  size_t len;
  snprintf(path, sizeof path, "%.*s../../sinks/%s", (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__, name);
  char *source = disk_read_file(path, 1 << 20, &len, &err);
  assert_string_equal(err.text, "");
  write_sink(w, name, source);
  mem_free(source);
}

static void open_folder(struct world *w) {
  struct err err = {0};
  char path[128];
  strcpy(w->folder, "/tmp/courier_test_XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  snprintf(path, sizeof path, "%s/sinks", w->folder);
  assert_true(disk_make_folder(path, &err));
  copy_sink(w, "rest.lua");
  copy_sink(w, "rest_bulk.lua");
}

// `sinks`: name and source in turn, ended by NULL.
static void world_open(struct world *w, const char *const *sinks) {
  struct err err = {0};
  static char journal_folder[128];
  char path[128];
  memset(w, 0, sizeof *w);
  log_set_level(LOG_ERROR + 1);
  atomic_store(&commits_fail, false);
  atomic_store(&commits_refused, 0);
  open_folder(w);
  for (; sinks && *sinks; sinks += 2) write_sink(w, sinks[0], sinks[1]);
  snprintf(path, sizeof path, "%s/sinks", w->folder);
  snprintf(journal_folder, sizeof journal_folder, "%s/journal", w->folder);
  w->sinks = sink_set_load(path, &err);
  w->store = store_open(w->folder, &err);
  struct journal_options journal = {.folder = journal_folder, .retention_ms = (int64_t)30 * 86400000, .segment_bytes = 1 << 20};
  w->journal = journal_open(&journal, &err);
  w->pool = pool_new(&(struct pool_options){.workers = 1}, &err);
  w->blocks = shared_blocks_new(1, &err);
  w->budget.limit = LIMIT_MEMORY_BYTES;
  assert_true(egress_allow(&w->egress, "127.0.0.0/8", &err));
  struct courier_options options = {.journal = w->journal, .store = w->store, .pool = w->pool, .budget = &w->budget,
                                    .blocks = w->blocks, .egress = &w->egress};
  w->courier = courier_new(&options, &err);
  assert_string_equal(err.text, "");
  loop_set_turn_end(w->courier->loop, world_turn, w);
  struct http_server_options server = {.listen = "127.0.0.1:0", .handle = receive, .arg = w};
  w->receiver = http_server_new(w->courier->loop, &server, &err);
  assert_string_equal(err.text, "");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
  (void)st, (void)kind, (void)ftw;
  return remove(path);
}

static bool is_saved(struct world *w) {
  return !w->courier->requests && saver_idle(w->courier->saver);
}

static inline void world_close(struct world *w) {
  atomic_store(&commits_fail, false);
  w->haste = false;
  w->courier->draining = true;
  saver_flush(w->courier->saver);
  run_until(w, is_saved);
  loop_timer_fini(&w->late);
  http_server_free(w->receiver);
  journal_close(w->journal);
  store_close(w->store);
  courier_free(w->courier);
  shared_blocks_free(w->blocks);
  pool_free(w->pool);
  definition_unref(w->definition);
  status_unref(w->status);
  sink_set_free(w->sinks);
  clock_set_ms(0);
  nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

// ---- a stream ----

struct order {
  struct courier_command command; // first
  struct world *world;
};

static void note_obeyed(struct courier_command *command) {
  ((struct order *)command)->world->obeyed = true;
}

static bool has_obeyed(struct world *w) {
  return w->obeyed;
}

static inline void obey(struct world *w, enum courier_order what, struct definition *definition, bool resume) {
  struct order order = {.world = w, .command = {.order = what, .definition = definition, .status = w->status, .resume = resume,
                                                .reply = w->courier->loop, .done = note_obeyed}};
  w->obeyed = false;
  courier_command(w->courier, &order.command);
  run_until(w, has_obeyed);
  assert_string_equal(order.command.err.text, "");
}

// A stream of this sink; `settings` as JSON, with the receiver's URL put in where they have none, `in_flight` lanes.
static inline void stream_open(struct world *w, const char *sink, const char *settings, int in_flight) {
  struct err err = {0};
  char url[64];
  struct definition_world world = {.sinks = w->sinks, .scripts_folder = w->folder};
  json_t *body = json_pack("{s:s, s:s, s:s, s:i, s:i}", "name", "test", "type", "events", "sink", sink, "organisation_id",
                           ORGANISATION, "in_flight", in_flight);
  json_t *all = json_loads(settings, 0, NULL);
  snprintf(url, sizeof url, "http://127.0.0.1:%d/in", http_server_port(w->receiver));
  if (!json_object_get(all, "url")) json_object_set_new(all, "url", json_string(url));
  json_object_set_new(body, "settings", all);
  if (w->script) json_object_set_new(body, "script", json_string(w->script));
  w->definition = definition_create(&world, body, journal_head(w->journal), &err);
  json_decref(body);
  assert_string_equal(err.text, "");
  w->status = status_new();
  obey(w, COURIER_ADD, w->definition, false);
  obey(w, COURIER_OPEN, NULL, false);
  w->stream = courier_stream(w->courier, w->definition->id);
}

static inline void stream_set_active(struct world *w, bool active) {
  struct err err = {0};
  struct definition_world world = {.sinks = w->sinks, .scripts_folder = w->folder};
  struct definition *next = definition_set_active(&world, w->definition, active, &err);
  assert_non_null(next);
  obey(w, COURIER_CHANGE, next, active);
  definition_unref(w->definition);
  w->definition = next;
}

// ---- records ----

struct appending {
  struct journal_append append; // first
  struct world *world;
};

static void appended(struct journal_append *append) {
  ((struct appending *)append)->world->obeyed = true;
}

// One event a number: of these endpoints (NULL: each of its own), with ids that go on from what was sent. The body is {"id":N,...}.
static inline void send_records(struct world *w, int count, const int *endpoints) {
  struct record_header *records = mem_must(mem_zero((size_t)count, sizeof *records));
  struct buf text;
  buf_init(&text, 64 << 20);
  for (int i = 0; i < count; i++) {
    int64_t id = ++w->sent, endpoint = endpoints ? endpoints[i] : id;
    records[i] = (struct record_header){.organisation = ORGANISATION, .id = id, .endpoint = endpoint, .kind = RECORD_EVENT, .event_type = 5};
    records[i].received_ms = clock_ms();
    records[i].offset = (uint32_t)text.len;
    buf_printf(&text, "{\"id\":%lld}", (long long)id);
    records[i].length = (uint32_t)text.len - records[i].offset;
  }
  struct appending a = {.world = w, .append = {.loop = w->courier->loop, .records = records, .count = (size_t)count, .bytes = text.at,
                                               .bytes_len = text.len, .done = appended}};
  w->obeyed = false;
  assert_true(journal_append(w->journal, &a.append));
  run_until(w, has_obeyed);
  assert_int_equal(a.append.accepted, count);
  buf_fini(&text);
  mem_free(records);
}

// ---- what became of them ----

static inline uint64_t count_of(const struct world *w, enum status_count which) {
  return atomic_load(&w->status->counts[which]);
}

static inline bool all_settled(struct world *w) { // and nothing is on its way
  uint64_t done = count_of(w, COUNT_DELIVERED) + count_of(w, COUNT_DEAD);
  return done >= (uint64_t)w->sent && !w->stream->window.count && !w->courier->requests && saver_idle(w->courier->saver);
}

static inline bool is_paused(struct world *w) {
  return stream_state(w->stream) == STREAM_PAUSED && !w->courier->requests && saver_idle(w->courier->saver);
}

static inline const char *last_error(const struct world *w) {
  return w->status->last_error;
}

struct letters {
  int count;
  json_t *last;
};

static bool see_letter(struct slice key, struct slice value, void *arg) {
  (void)key;
  struct letters *letters = arg;
  json_decref(letters->last);
  letters->last = json_loadb(value.at, value.len, 0, NULL);
  assert_non_null(letters->last); // whatever a receiver answered
  letters->count++;
  return true;
}

// The dead letters on disk; the last one is to be given back with json_decref.
static inline struct letters letters_of(struct world *w) {
  struct letters letters = {0};
  const char *id = w->definition->id;
  assert_true(store_each(w->store, STORE_DEAD, slice_make(id, strlen(id) + 1), slice_of(""), see_letter, &letters));
  return letters;
}
