// redrive.c - the dead letters of a script that failed for record after record are taken back when another version is there: the
// records are to be read again, before all that came behind them.
//
// Letters go and the position moves back in one transaction: a crash leaves the letters, or the records to be read. Records that
// failed in a row lie in a row in the window, too, right before what has not been settled; those that do not stay dead letters.
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"
#include "flow/positions.h"

#include <inttypes.h>
#include <string.h>

enum { AGAIN_US = 1000000 };

struct redrive {
  struct store_write write;
  char keys[STREAM_SCRIPT_FAILURES][LETTER_KEY_BYTES];
  struct slice letters[STREAM_SCRIPT_FAILURES];
  struct positions positions;
  struct loop_timer timer;
  struct stream *stream;
  uint32_t count; // of letters
};

static void resume(struct stream *s) {
  if (!s->removed && s->outfit->definition->active && stream_state(s) == STREAM_PAUSED) stream_resume(s);
}

static void redrive_free(struct redrive *r) {
  loop_timer_fini(&r->timer);
  positions_fini(&r->positions);
  mem_free(r);
}

static void end(struct redrive *r) {
  struct stream *s = r->stream;
  s->letters--;
  saver_letter_ended(s);
  resume(s);
  redrive_free(r);
  stream_rest(s);
}

static void submit(struct redrive *r);

static void again(struct loop_timer *timer) {
  struct redrive *r = (struct redrive *)((char *)timer - offsetof(struct redrive, timer));
  if (r->stream->removed) end(r);
  else submit(r);
}

static void again_later(struct redrive *r, const char *why) {
  struct stream *s = r->stream;
  log_error("stream=%s doing=redrive%s note=\"it will be tried again\"", s->outfit->definition->id, log_field("error", why));
  r->timer.run = again;
  if (s->removed || !loop_timer_start(s->courier->loop, &r->timer, AGAIN_US)) end(r);
}

static void written(struct store_write *write) {
  struct redrive *r = (struct redrive *)write;
  if (!write->ok) {
    again_later(r, write->err.text);
    return;
  }
  log_info("stream=%s doing=redrive records=%u", r->stream->outfit->definition->id, r->count);
  end(r);
}

static void submit(struct redrive *r) {
  struct stream *s = r->stream;
  size_t count;
  positions_clear(&r->positions);
  bool fits = positions_add(&r->positions, s);
  for (uint32_t i = 0; fits && i < r->count; i++) fits = positions_delete(&r->positions, STORE_DEAD, r->letters[i]);
  struct store_change *changes = fits ? positions_changes(&r->positions, &count) : NULL;
  if (!changes) {
    again_later(r, "out of memory");
    return;
  }
  r->write = (struct store_write){.loop = s->courier->loop, .changes = changes, .count = count, .done = written};
  store_submit(s->courier->options.store, &r->write);
}

// From the last one on, as far as they lie in a row.
static void take_back(struct stream *s, struct redrive *r) {
  for (uint32_t i = s->row->count; i-- > 0;) {
    const struct failed_record *f = &s->row->records[i];
    if (window_holds(&s->window, f->ordinal) && window_at(&s->window, f->ordinal) != WINDOW_SETTLED) continue; // it has no letter
    if (!window_take_back(&s->window, f->ordinal, f->sequence)) break;
    if (f->ordinal < s->cursor) s->cursor = f->ordinal;
    s->recall.back = true;
    r->letters[r->count] = saver_letter_key(r->keys[r->count], s->outfit->definition->id, f->sequence, 0);
    r->count++;
  }
  status_count(s->status, COUNT_DEAD, (uint64_t)0 - r->count);
  s->letters_kept -= r->count < s->letters_kept ? r->count : s->letters_kept;
  atomic_store(&s->status->unsettled_read, s->window.count);
}

void redrive_go_on(struct stream *s) {
  if (!s->redriving || s->letters) return;
  s->redriving = false;
  bool may = s->row && stream_state(s) == STREAM_PAUSED; // else it went on, and later records would be overtaken
  struct redrive *r = may ? mem_zero(1, sizeof *r) : NULL;
  if (!r) { // they stay dead letters
    resume(s);
    return;
  }
  positions_init(&r->positions);
  r->stream = s;
  take_back(s, r);
  mem_free(s->row);
  s->row = NULL;
  s->letters++;
  saver_letter_begun(s);
  submit(r);
}

void redrive_begin(struct stream *s) {
  s->redriving = true;
  redrive_go_on(s);
}

void redrive_note(struct stream *s, const struct harvest_item *item) {
  if (!s->row && !(s->row = mem_zero(1, sizeof *s->row))) return;
  if (s->script_failures <= 1) s->row->count = 0;
  if (s->row->count < STREAM_SCRIPT_FAILURES)
    s->row->records[s->row->count++] = (struct failed_record){.ordinal = item->ordinal, .sequence = item->sequence};
}

void redrive_forget(struct stream *s) {
  mem_free(s->row);
  s->row = NULL;
}
