// journal_fixture.h - for the journal's tests: a journal in a folder of its own, records whose bytes follow
// from their ids, and appends and fetches that wait.
#pragma once
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
  char folder[64];
  struct loop *loop;
  struct journal *journal;
  struct journal_options options;
};

// ---- records ----

enum { FIXTURE_TEXT = 64 };

static inline size_t fixture_length(int64_t id) {
  return id % 97 == 0 ? 3000 : FIXTURE_TEXT + hash_u64((uint64_t)id) % 200;
}

// The one text a record of this organisation and id can have.
static inline void fixture_text(int64_t organisation, int64_t id, char *out, size_t len) {
  char head[FIXTURE_TEXT];
  int n = snprintf(head, sizeof head, "{\"id\":%lld,\"organisation\":{\"id\":%lld},\"x\":\"", (long long)id,
                   (long long)organisation);
  memcpy(out, head, (size_t)n < len ? (size_t)n : len);
  for (size_t i = (size_t)n; i < len; i++)
    out[i] = (char)('a' + hash_u64((uint64_t)id * 31 + i / 8) % 26);
}

struct batch {
  struct journal_append append;
  struct record_header *records;
  char *bytes;
  size_t count, cap;
  size_t len, bytes_cap;
  bool done;
  struct loop *stop; // stopped when done
};

static inline void batch_add_long(struct batch *b, int64_t organisation, int64_t id, uint8_t kind,
                                  size_t len) {
  if (b->count == b->cap) b->records = realloc(b->records, (b->cap = b->cap * 2 + 16) * sizeof *b->records);
  while (b->len + len > b->bytes_cap)
    b->bytes = realloc(b->bytes, b->bytes_cap = b->bytes_cap * 2 + 4096);
  b->records[b->count++] = (struct record_header){.organisation = organisation,
                                                  .id = id,
                                                  .endpoint = id % 7,
                                                  .kind = kind,
                                                  .event_type = (uint16_t)(kind == RECORD_EVENT ? id % 9 : 0),
                                                  .offset = (uint32_t)b->len,
                                                  .length = (uint32_t)len};
  fixture_text(organisation, id, b->bytes + b->len, len);
  b->len += len;
}

static inline void batch_add(struct batch *b, int64_t organisation, int64_t id) {
  batch_add_long(b, organisation, id, (uint8_t)(1 + (uint64_t)id % 3), fixture_length(id));
}

static inline void batch_free(struct batch *b) {
  free(b->records);
  free(b->bytes);
  *b = (struct batch){0};
}

static inline void batch_done(struct journal_append *append) {
  struct batch *b = (struct batch *)(void *)append;
  b->done = true;
  if (b->stop) loop_stop(b->stop);
}

static inline bool batch_hand_in(struct fixture *f, struct batch *b) {
  b->append = (struct journal_append){.loop = f->loop,
                                      .records = b->records,
                                      .count = b->count,
                                      .bytes = b->bytes,
                                      .bytes_len = b->len,
                                      .done = batch_done};
  b->stop = f->loop;
  b->done = false;
  return journal_append(f->journal, &b->append);
}

static inline enum journal_result batch_wait(struct fixture *f, struct batch *b) {
  while (!b->done)
    loop_run(f->loop);
  return b->append.result;
}

static inline enum journal_result batch_store(struct fixture *f, struct batch *b) {
  assert_true(batch_hand_in(f, b));
  return batch_wait(f, b);
}

// Records from <= id < to, of organisations in turn, as one append. Returns the result.
static inline enum journal_result fixture_append(struct fixture *f, int64_t from, int64_t to,
                                                 int64_t organisations) {
  struct batch b = {0};
  for (int64_t id = from; id < to; id++)
    batch_add(&b, 1 + id % organisations, id);
  enum journal_result result = batch_store(f, &b);
  batch_free(&b);
  return result;
}

static inline void fixture_check_row(const struct journal_block *block, const struct record_header *row) {
  char text[4096];
  struct slice bytes = journal_block_record(block, row);
  if (bytes.len > sizeof text) return;
  fixture_text(row->organisation, row->id, text, bytes.len);
  assert_memory_equal(bytes.at, text, bytes.len);
  assert_int_equal(row->endpoint, row->id % 7);
}

// ---- the journal ----

static inline bool fixture_try_open(struct fixture *f, struct err *err) {
  f->options.folder = f->folder;
  f->journal = journal_open(&f->options, err);
  return f->journal != NULL;
}

static inline void fixture_open(struct fixture *f) {
  struct err err = {0};
  if (!fixture_try_open(f, &err)) fail_msg("%s", err.text);
}

static inline void fixture_reopen(struct fixture *f) {
  journal_close(f->journal);
  fixture_open(f);
}

static inline void fixture_init(struct fixture *f) {
  struct err err = {0};
  log_set_level(LOG_ERROR);
  *f = (struct fixture){.folder = "/tmp/journal_test_XXXXXX"};
  f->options = (struct journal_options){
      .retention_ms = (int64_t)30 * 86400000, .zstd_level = -1, .segment_bytes = 1 << 20};
  assert_non_null(mkdtemp(f->folder));
  f->loop = loop_new(&err);
  assert_non_null(f->loop);
  fixture_open(f);
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
  (void)st, (void)kind, (void)ftw;
  return remove(path);
}

static inline void fixture_fini(struct fixture *f) {
  journal_close(f->journal);
  loop_free(f->loop);
  nftw(f->folder, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct fetch {
  struct journal_fetch fetch;
  bool done;
  struct loop *stop;
};

static inline void fetch_done(struct journal_fetch *fetch) {
  struct fetch *f = (struct fetch *)(void *)fetch;
  f->done = true;
  loop_stop(f->stop);
}

static inline struct fetch fixture_fetch(struct fixture *f, uint64_t sequence, int64_t organisation) {
  struct fetch fetch = {
      .stop = f->loop,
      .fetch = {.loop = f->loop, .sequence = sequence, .organisation = organisation, .done = fetch_done}};
  journal_fetch(f->journal, &fetch.fetch);
  while (!fetch.done)
    loop_run(f->loop);
  return fetch;
}

struct seen { // what a whole reading found
  size_t count;
  uint64_t lost;
  uint64_t last;      // sequence
  unsigned char *ids; // seen[id], for ids below `most`; may be NULL
  int64_t most;
};

static inline void fixture_see_row(struct seen *seen, const struct journal_block *block,
                                   const struct record_header *row) {
  fixture_check_row(block, row);
  assert_true(row->sequence > seen->last);
  seen->last = row->sequence;
  seen->count++;
  if (seen->ids && row->id >= 0 && row->id < seen->most) seen->ids[row->id]++;
}

// Reads everything of one organisation, or all, and checks each record's bytes and the order.
static inline void fixture_read(struct fixture *f, uint64_t from, int64_t organisation, struct seen *seen) {
  for (uint64_t at = from;;) {
    struct journal_fetch got = fixture_fetch(f, at, organisation).fetch;
    seen->lost += got.lost;
    if (!got.block) {
      assert_true(got.next >= at);
      return;
    }
    assert_true(got.next > at && got.next == got.block->end);
    for (uint32_t i = 0; i < got.block->count; i++) {
      const struct record_header *row = &got.block->rows[got.block->by_sequence[i]];
      if (row->sequence >= from && (organisation == JOURNAL_ALL || row->organisation == organisation))
        fixture_see_row(seen, got.block, row);
    }
    journal_block_unref(got.block);
    at = got.next;
  }
}

static inline size_t fixture_count_all(struct fixture *f) {
  struct seen seen = {0};
  fixture_read(f, 1, JOURNAL_ALL, &seen);
  return seen.count;
}
