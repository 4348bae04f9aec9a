// saver.c - positions and dead letters on their way to the store.
//
// Positions of the streams that moved go together, a few times a second; one write is out at a time. A record with a dead letter is
// settled only when the letter is on disk; letters have their record's sequence as key, so a second run of it makes no second letter.
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"
#include "flow/positions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAVE_SOON_US = 20000, SAVE_EVERY_US = 250000, SAVE_STREAM_US = 100, SAVE_STREAMS = 4096, LETTER_RETRY_MS = 1000 };

struct saved { // a stream in the write
  char id[DEFINITION_ID_BYTES];
  uint64_t base; // its records below are done in it
};

struct saver {
  struct courier *courier;
  struct list dirty;
  struct loop_timer timer;
  struct store_write write;
  struct positions positions;
  struct saved saved[SAVE_STREAMS];
  size_t count; // of streams
  bool writing;
  uint64_t wrote_ms; // when the last write began
  uint32_t letters; // on their way
};

static void save(struct saver *saver);

// Soon after a pause, so that little is sent again after a crash; else at its interval, longer the more streams there are.
static void save_later(struct saver *saver) {
  uint64_t every = SAVE_EVERY_US + SAVE_STREAM_US * saver->count, gone = (courier_now_ms() - saver->wrote_ms) * 1000;
  uint64_t wait = gone + SAVE_SOON_US < every ? every - gone : SAVE_SOON_US;
  if (!loop_timer_start(saver->courier->loop, &saver->timer, wait)) save(saver); // out of memory: rather too early than never
}

static void written(struct store_write *write) {
  struct saver *saver = (struct saver *)((char *)write - offsetof(struct saver, write));
  saver->writing = false;
  if (!write->ok) log_error("store doing=save%s note=\"positions: will be tried again\"", log_field("error", write->err.text));
  for (size_t i = 0; i < saver->count; i++) {
    struct stream *s = courier_stream(saver->courier, saver->saved[i].id);
    if (s && !write->ok) saver_touch(s);
    else if (s && s->window.traced) recall_saved(s, saver->saved[i].base);
  }
  if (!list_empty(&saver->dirty)) save_later(saver);
}

static void due(struct loop_timer *timer) {
  save((struct saver *)((char *)timer - offsetof(struct saver, timer)));
}

bool saver_position(struct stream *s, struct buf *out) {
  uint64_t next = s->caught_up && s->next < s->courier->routed ? s->courier->routed : s->next;
  if (!status_save(s->status, out) || !window_save(&s->window, next, out)) return false;
  atomic_store(&s->status->position, window_position(&s->window, next));
  atomic_store(&s->status->unsettled_read, s->window.count);
  return true;
}

// As many streams as there is room for.
static void gather(struct saver *saver) {
  positions_clear(&saver->positions);
  for (saver->count = 0; saver->count < SAVE_STREAMS && !list_empty(&saver->dirty); saver->count++) {
    struct stream *s = list_item(saver->dirty.next, struct stream, dirty_link);
    struct saved *saved = &saver->saved[saver->count];
    if (!positions_add(&saver->positions, s)) return;
    memcpy(saved->id, s->outfit->definition->id, sizeof saved->id);
    saved->base = s->window.base;
    list_remove(&s->dirty_link);
  }
}

static void touch_again(struct saver *saver) {
  for (size_t i = 0; i < saver->count; i++) {
    struct stream *s = courier_stream(saver->courier, saver->saved[i].id);
    if (s && !list_linked(&s->dirty_link)) list_push_back(&saver->dirty, &s->dirty_link);
  }
  saver->count = 0;
}

static void save(struct saver *saver) {
  struct store_change *changes = NULL;
  size_t count;
  if (saver->writing) return;
  gather(saver);
  if (saver->count) changes = positions_changes(&saver->positions, &count);
  if (!changes) { // nothing to save, or out of memory
    touch_again(saver);
    if (!list_empty(&saver->dirty)) loop_timer_start(saver->courier->loop, &saver->timer, SAVE_EVERY_US);
    return;
  }
  saver->write = (struct store_write){.loop = saver->courier->loop, .changes = changes, .count = count, .done = written};
  saver->writing = true;
  saver->wrote_ms = courier_now_ms();
  store_submit(saver->courier->options.store, &saver->write);
}

struct saver *saver_new(struct courier *courier, struct err *err) {
  struct saver *saver = mem_zero(1, sizeof *saver);
  if (!saver) return err_set(err, "out of memory"), NULL;
  saver->courier = courier;
  saver->timer.run = due;
  list_init(&saver->dirty);
  positions_init(&saver->positions);
  return saver;
}

void saver_free(struct saver *saver) {
  if (!saver) return;
  loop_timer_fini(&saver->timer);
  positions_fini(&saver->positions);
  mem_free(saver);
}

void saver_touch(struct stream *s) {
  struct saver *saver = s->courier->saver;
  if (s->removed || list_linked(&s->dirty_link)) return;
  if (list_empty(&saver->dirty) && !saver->writing) save_later(saver);
  list_push_back(&saver->dirty, &s->dirty_link);
}

void saver_flush(struct saver *saver) {
  save(saver);
}

bool saver_idle(const struct saver *saver) {
  return !saver->writing && !saver->letters && list_empty(&saver->dirty);
}

// ---- dead letters ----

struct letter {
  struct store_write write;
  struct store_change change;
  struct journal_fetch fetch;
  struct loop_timer timer;
  struct stream *stream;
  uint64_t ordinal, sequence;
  uint32_t number, line, attempts;
  int http_status;
  bool settles;
  char *reason, *answer;
  char version[20];
  struct buf key, value;
};

static void letter_free(struct letter *l) {
  loop_timer_fini(&l->timer);
  buf_fini(&l->key);
  buf_fini(&l->value);
  mem_free(l->reason);
  mem_free(l->answer);
  mem_free(l);
}

void saver_letter_begun(struct stream *s) {
  s->courier->saver->letters++;
}

void saver_letter_ended(struct stream *s) {
  s->courier->saver->letters--;
}

// What it was to settle is run again unless that is done.
static void letter_end(struct letter *l, bool written) {
  struct stream *s = l->stream;
  s->letters--;
  s->courier->saver->letters--;
  if (!s->removed) {
    if (!written) stream_again(s, l->ordinal);
    else if (l->settles) stream_settle(s, l->ordinal);
    if (written) stream_dead_letter_counted(s, l->reason, l->line);
    stream_wake(s);
    delivery_offer(s); // it may have waited for this
    redrive_go_on(s);
  }
  letter_free(l);
  stream_rest(s);
}

static void send_letter(struct letter *l);

static void letter_due(struct loop_timer *timer) {
  struct letter *l = (struct letter *)((char *)timer - offsetof(struct letter, timer));
  if (l->stream->removed) letter_end(l, false);
  else send_letter(l);
}

// The record stays unsettled until its letter is safe.
static void letter_later(struct letter *l, const char *why) {
  struct stream *s = l->stream;
  log_error("stream=%s doing=dead-letter%s note=\"it will be tried again\"", s->outfit->definition->id, log_field("error", why));
  l->timer.run = letter_due;
  if (s->removed || !loop_timer_start(s->courier->loop, &l->timer, LETTER_RETRY_MS * 1000)) letter_end(l, false);
}

static void letter_written(struct store_write *write) {
  struct letter *l = (struct letter *)write;
  if (write->ok) letter_end(l, true);
  else letter_later(l, write->err.text);
}

static void submit(struct letter *l) {
  l->change = (struct store_change){.table = STORE_DEAD, .key = buf_slice(&l->key), .value = buf_slice(&l->value)};
  l->write = (struct store_write){.loop = l->stream->courier->loop, .changes = &l->change, .count = 1, .done = letter_written};
  store_submit(l->stream->courier->options.store, &l->write);
}

static bool put_number(struct buf *b, const char *name, int64_t n) {
  return buf_printf(b, ",\"%s\":", name) && (n ? json_write_integer(b, n) : buf_append_text(b, "null"));
}

static bool put_text(struct buf *b, const char *name, const char *text) {
  return buf_printf(b, ",\"%s\":", name) && (text ? json_write_string(b, slice_of(text)) : buf_append_text(b, "null"));
}

static bool write_value(struct letter *l, const struct record_header *row, struct slice record) {
  char iso[CLOCK_ISO_BYTES];
  struct buf *b = &l->value;
  bool ok = buf_printf(b, "{\"id\":\"%" PRIu64, l->sequence) && (!l->number || buf_printf(b, ".%" PRIu32, l->number)) &&
            buf_append_text(b, "\",\"record\":") && (record.len ? buf_append(b, record.at, record.len) : buf_append_text(b, "null"));
  return ok && put_text(b, "kind", row ? record_kind_name(row->kind) : NULL) && put_text(b, "reason", l->reason) &&
         put_number(b, "line", l->line) && put_number(b, "http_status", l->http_status) && put_text(b, "answer", l->answer) &&
         put_text(b, "script_version", l->version[0] ? l->version : NULL) && put_text(b, "at", clock_iso(clock_ms(), iso)) &&
         put_number(b, "attempts", l->attempts) && buf_append_byte(b, '}');
}

struct slice saver_letter_key(char out[LETTER_KEY_BYTES], const char *id, uint64_t sequence, uint32_t number) {
  size_t len = strlen(id) + 1;
  memcpy(out, id, len);
  for (int i = 0; i < 8; i++) out[len++] = (char)(sequence >> (56 - 8 * i));
  for (int i = 0; i < 4; i++) out[len++] = (char)(number >> (24 - 8 * i));
  return slice_make(out, len);
}

static bool write_key(struct letter *l) {
  char bytes[LETTER_KEY_BYTES];
  struct slice key = saver_letter_key(bytes, l->stream->outfit->definition->id, l->sequence, l->number);
  return buf_append(&l->key, key.at, key.len);
}

static void write_letter(struct letter *l, const struct journal_block *block) {
  const struct record_header *row = NULL;
  for (uint32_t i = 0; block && i < block->count && !row; i++)
    if (block->rows[i].sequence == l->sequence) row = &block->rows[i];
  l->key.len = l->value.len = 0;
  if (l->stream->removed) letter_end(l, false);
  else if (write_key(l) && write_value(l, row, row ? journal_block_record(block, row) : slice_of(""))) submit(l);
  else letter_later(l, "out of memory");
}

static void letter_fetched(struct journal_fetch *fetch) {
  struct letter *l = (struct letter *)((char *)fetch - offsetof(struct letter, fetch));
  if (!fetch->block && fetch->next <= l->sequence) letter_later(l, "its record can't be read now");
  else write_letter(l, fetch->block);
  journal_block_unref(fetch->block);
}

// With its record: from memory, or from disk.
static void send_letter(struct letter *l) {
  struct stream *s = l->stream;
  struct journal_block *block = journal_recent(s->courier->options.journal, l->sequence);
  if (block) {
    write_letter(l, block);
    journal_block_unref(block);
    return;
  }
  l->fetch = (struct journal_fetch){.loop = s->courier->loop, .sequence = l->sequence,
                                    .organisation = s->outfit->definition->organisation, .done = letter_fetched};
  journal_fetch(s->courier->options.journal, &l->fetch);
}

static struct letter *letter_new(struct stream *s, const struct dead_letter *from) {
  struct letter *l = mem_zero(1, sizeof *l);
  if (!l) return NULL;
  l->stream = s;
  l->ordinal = from->ordinal;
  l->sequence = from->sequence;
  l->number = from->number;
  l->line = from->line;
  l->attempts = from->attempts;
  l->http_status = from->http_status;
  l->settles = from->settles;
  memcpy(l->version, s->outfit->definition->script_version, sizeof l->version);
  buf_init(&l->key, STORE_KEY_BYTES);
  buf_init(&l->value, 2 * LIMIT_RECORD_BYTES);
  l->reason = mem_copy(from->reason, strlen(from->reason));
  l->answer = from->answer.len ? mem_copy(from->answer.at, from->answer.len) : NULL;
  if (l->reason && (l->answer || !from->answer.len)) return l;
  letter_free(l);
  return NULL;
}

bool saver_try_dead_letter(struct stream *s, const struct dead_letter *from) {
  struct letter *l = letter_new(s, from);
  if (!l) return false;
  s->letters++;
  s->courier->saver->letters++;
  send_letter(l);
  return true;
}

void saver_dead_letter(struct stream *s, const struct dead_letter *from) {
  if (saver_try_dead_letter(s, from)) return;
  stream_again(s, from->ordinal);
  stream_wake(s);
}
