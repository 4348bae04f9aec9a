#include "flow/window.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { FLAG_TRACED = 1, FLAG_FRONT = 2 }; // saved; the second: the record at the position is settled
enum { BARRED = 4, FIRST_CAP = 16, KEPT_CAP = 64 }; // kept: by thousands of streams that have nothing to do

void window_fini(struct window *w) {
  mem_free(w->entries);
  mem_free(w->runs);
  *w = (struct window){0};
}

static uint64_t *entry(const struct window *w, uint64_t ordinal) {
  assert(window_holds(w, ordinal));
  return &w->entries[(w->head + (uint32_t)(ordinal - w->base)) & (w->cap - 1)];
}

static bool grow(struct window *w) {
  uint32_t cap = w->cap ? w->cap * 2 : FIRST_CAP;
  uint64_t *entries = mem_alloc(cap * sizeof *entries);
  if (!entries) return false;
  for (uint32_t i = 0; i < w->count; i++) entries[i] = w->entries[(w->head + i) & (w->cap - 1)];
  mem_free(w->entries);
  w->entries = entries;
  w->cap = cap;
  w->head = 0;
  return true;
}

static bool gated(const struct window *w) {
  return w->traced && w->base >= w->gate;
}

static void drop_settled_front(struct window *w) {
  while (w->count && !gated(w) && (w->entries[w->head] & 3) == WINDOW_SETTLED) {
    w->head = (w->head + 1) & (w->cap - 1);
    w->count--;
    w->base++;
  }
  if (w->count || w->cap <= KEPT_CAP) return;
  mem_free(w->entries); // a burst is over: give its room back
  w->entries = NULL;
  w->cap = w->head = 0;
}

bool window_reserve(struct window *w) {
  return w->count < w->cap || grow(w);
}

void window_push(struct window *w, uint64_t sequence, bool settled) {
  if (settled && !w->count && !gated(w)) {
    w->base++;
    return;
  }
  assert(w->count < w->cap);
  enum window_state state = settled ? WINDOW_SETTLED : WINDOW_READ;
  w->entries[(w->head + w->count++) & (w->cap - 1)] = sequence << 3 | state;
}

bool window_holds(const struct window *w, uint64_t ordinal) {
  return ordinal >= w->base && ordinal - w->base < w->count;
}

enum window_state window_at(const struct window *w, uint64_t ordinal) {
  return (enum window_state)(*entry(w, ordinal) & 3);
}

uint64_t window_sequence(const struct window *w, uint64_t ordinal) {
  return *entry(w, ordinal) >> 3;
}

void window_mark(struct window *w, uint64_t ordinal, enum window_state state) {
  uint64_t *at = entry(w, ordinal);
  if ((*at & 3) == WINDOW_UNREAD) w->unread--;
  if (state == WINDOW_UNREAD) w->unread++;
  *at = (*at & ~(uint64_t)(state == WINDOW_UNREAD ? BARRED | 3 : 3)) | state;
  if (state == WINDOW_SETTLED && ordinal == w->base) drop_settled_front(w);
}

void window_open(struct window *w, uint64_t gate) {
  w->gate = gate;
  drop_settled_front(w);
}

void window_bar(struct window *w, uint64_t ordinal) {
  *entry(w, ordinal) |= BARRED;
}

bool window_barred(const struct window *w, uint64_t ordinal) {
  return *entry(w, ordinal) & BARRED;
}

uint64_t window_next_unread(const struct window *w, uint64_t from) {
  if (!w->unread) return window_end(w);
  if (from < w->base) from = w->base;
  while (from < window_end(w) && window_at(w, from) != WINDOW_UNREAD) from++;
  return from;
}

bool window_take_back(struct window *w, uint64_t ordinal, uint64_t sequence) {
  if (window_holds(w, ordinal)) {
    bool settled = window_at(w, ordinal) == WINDOW_SETTLED;
    if (settled) window_mark(w, ordinal, WINDOW_UNREAD);
    return settled;
  }
  if (ordinal + 1 != w->base || !window_reserve(w)) return false;
  w->head = (w->head - 1) & (w->cap - 1);
  w->base--;
  w->count++;
  w->unread++;
  w->entries[w->head] = sequence << 3 | WINDOW_UNREAD;
  return true;
}

void window_unread_all(struct window *w) {
  for (uint64_t o = w->base; o < window_end(w); o++)
    if (window_at(w, o) == WINDOW_READ) window_mark(w, o, WINDOW_UNREAD);
}

uint64_t window_position(const struct window *w, uint64_t next) {
  return w->count ? window_sequence(w, w->base) : next;
}

static bool put_number(struct buf *out, uint64_t n) {
  char bytes[10];
  size_t len = 0;
  do {
    bytes[len++] = (char)((n & 127) | (n > 127 ? 128 : 0));
    n >>= 7;
  } while (n);
  return buf_append(out, bytes, len);
}

static bool get_number(struct slice *in, uint64_t *n) {
  *n = 0;
  for (unsigned shift = 0; in->len && shift < 64; shift += 7) {
    unsigned char byte = (unsigned char)*in->at;
    in->at++;
    in->len--;
    *n |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) return true;
  }
  return false;
}

// A run as the distance from the last run's end and its length. 0, 0 would be no run, so it ends the list.
static bool put_run(struct buf *out, uint64_t *last, uint64_t first, uint64_t end) {
  bool ok = put_number(out, first - *last) && put_number(out, end - first);
  *last = end;
  return ok;
}

// Whether the record at the position is settled: then it waits at the gate, or is of a run of an earlier life.
static bool front_settled(const struct window *w, uint64_t position) {
  if (w->count) return window_at(w, w->base) == WINDOW_SETTLED;
  return w->run_next < w->run_count && w->runs[w->run_next].first <= position && w->runs[w->run_next].last >= position;
}

bool window_save(const struct window *w, uint64_t next, struct buf *out) {
  uint64_t last = window_position(w, next), first = 0, end = 0;
  bool front = front_settled(w, last); // as a run it would end the list
  uint64_t flags = (w->traced ? FLAG_TRACED : 0) | (front ? FLAG_FRONT : 0);
  if (!put_number(out, last)) return false;
  for (uint64_t o = w->base + front; o < window_end(w); o++) {
    bool settled = window_at(w, o) == WINDOW_SETTLED;
    if (settled) {
      end = window_sequence(w, o);
      if (!first) first = end;
    }
    if (first && (!settled || o + 1 == window_end(w))) {
      if (!put_run(out, &last, first, end)) return false;
      first = 0;
    }
  }
  for (uint32_t i = w->run_next; i < w->run_count; i++) { // of an earlier life, not come to yet
    struct window_run run = w->runs[i];
    if (run.first <= last) run.first = last + 1;
    if (run.first <= run.last && !put_run(out, &last, run.first, run.last)) return false;
  }
  return put_number(out, 0) && put_number(out, 0) && (!flags || put_number(out, flags));
}

static bool keep_run(struct window *w, uint64_t first, uint64_t last) {
  if ((w->run_count & (w->run_count - 1)) == 0) { // at powers of two
    struct window_run *runs = mem_grow(w->runs, (w->run_count ? w->run_count * 2 : 1) * sizeof *runs);
    if (!runs) return false;
    w->runs = runs;
  }
  w->runs[w->run_count++] = (struct window_run){first, last};
  return true;
}

static bool keep_front(struct window *w, uint64_t position) {
  if (!keep_run(w, position, position)) return false;
  memmove(&w->runs[1], &w->runs[0], (w->run_count - 1) * sizeof *w->runs);
  w->runs[0] = (struct window_run){position, position};
  return true;
}

bool window_restore(struct window *w, struct slice saved, uint64_t *position, size_t *used) {
  struct slice in = saved;
  if (!get_number(&in, position)) return false;
  uint64_t last = *position, gap, len, flags;
  for (;;) {
    if (!get_number(&in, &gap) || !get_number(&in, &len)) return false;
    if (!gap && !len) break;
    if (!keep_run(w, last + gap, last + gap + len)) return false;
    last += gap + len;
  }
  if (!in.len) flags = 0;
  else if (!get_number(&in, &flags)) return false;
  w->traced = flags & FLAG_TRACED;
  if (flags & FLAG_FRONT && !keep_front(w, *position)) return false;
  *used = saved.len - in.len;
  return true;
}

bool window_was_settled(struct window *w, uint64_t sequence) {
  while (w->run_next < w->run_count && w->runs[w->run_next].last < sequence) w->run_next++;
  if (w->run_next == w->run_count) {
    if (w->runs) {
      mem_free(w->runs);
      w->runs = NULL;
      w->run_count = w->run_next = 0;
    }
    return false;
  }
  return w->runs[w->run_next].first <= sequence;
}
