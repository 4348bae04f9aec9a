#include "flow/recall.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"
#include "script/message.h"

#include <string.h>

enum { PARTS_A_TURN = 8, STORE_AGAIN_MS = 1000 };

struct trace {
  struct list link;
  uint64_t ordinal;
  size_t len;
  char pairs[];
};

static struct trace *trace_of(struct list *link) {
  return list_item(link, struct trace, link);
}

// ---- traces ----

static void drop(struct stream *s, struct trace *t) {
  list_remove(&t->link);
  s->recall.bytes -= sizeof *t + t->len;
  budget_give(s->courier->options.budget, sizeof *t + t->len);
  mem_free(t);
}

static void drop_below(struct stream *s, uint64_t ordinal) {
  struct list *link;
  while (s->recall.bytes && (link = list_first(&s->recall.traces)) && trace_of(link)->ordinal < ordinal) drop(s, trace_of(link));
}

static void drop_from(struct stream *s, uint64_t ordinal) {
  while (s->recall.bytes && trace_of(s->recall.traces.prev)->ordinal >= ordinal) drop(s, trace_of(s->recall.traces.prev));
}

static void forget_place(struct recall *r) {
  mem_free(r->after);
  r->after = NULL;
  r->after_len = 0;
}

void recall_fini(struct stream *s) {
  drop_from(s, 0);
  forget_place(&s->recall);
}

bool recall_in_order(const struct stream *s) {
  return s->window.traced && s->outfit->definition->program;
}

// What has run before has left none; it is run again all the same, from the position on.
void recall_begin(struct stream *s) {
  s->window.traced = true;
  window_open(&s->window, s->window.base);
  stream_stale_jobs(s);
}

bool recall_keep(struct stream *s, uint64_t ordinal, struct slice pairs) {
  struct recall *r = &s->recall;
  if (!pairs.len) return true;
  struct trace *t = mem_alloc(sizeof *t + pairs.len);
  if (!t) return false;
  *t = (struct trace){.ordinal = ordinal, .len = pairs.len};
  memcpy(t->pairs, pairs.at, pairs.len);
  if (!list_linked(&r->traces)) list_init(&r->traces);
  list_push_back(&r->traces, &t->link);
  r->bytes += sizeof *t + t->len;
  budget_take(s->courier->options.budget, sizeof *t + t->len);
  return true;
}

void recall_open(struct stream *s, uint64_t gate) {
  uint64_t base = s->window.base;
  window_open(&s->window, gate);
  if (s->window.base == base) return;
  atomic_store_explicit(&s->status->unsettled_read, s->window.count, memory_order_relaxed);
  saver_touch(s);
}

// While the worker is being given them none goes, so that must not wait for room.
bool recall_full(const struct stream *s) {
  return !s->recall.loading && s->recall.bytes >= LIMIT_TRACE_BYTES;
}

bool recall_full_twice(const struct stream *s) {
  return s->recall.bytes >= 2 * LIMIT_TRACE_BYTES;
}

bool recall_each_done(const struct stream *s, bool (*each)(struct slice pairs, void *arg), void *arg) {
  const struct list *all = &s->recall.traces;
  if (!s->recall.bytes) return true;
  for (struct list *link = all->next; link != all && trace_of(link)->ordinal < s->window.base; link = link->next)
    if (!each(slice_make(trace_of(link)->pairs, trace_of(link)->len), arg)) return false;
  return true;
}

void recall_saved(struct stream *s, uint64_t base) {
  bool full = recall_full(s);
  s->recall.saved = base;
  if (s->recall.loading) return; // the worker has not got them yet, and may have got what the store had before
  drop_below(s, base);
  if (full) stream_wake(s);
}

// ---- to the worker ----

struct part { // of what the store has
  struct buf pairs;
  size_t prefix;
  struct slice last; // the key that was read last, as long as the store is being read
  char *after;
  size_t after_len;
  bool more, ok;
};

static bool put_bytes(struct buf *out, struct slice bytes) {
  size_t len = bytes.len;
  for (; len >= 0x80; len >>= 7)
    if (!buf_append_byte(out, (char)(len | 0x80))) return false;
  return buf_append_byte(out, (char)len) && buf_append(out, bytes.at, bytes.len);
}

static bool add_stored(struct slice key, struct slice value, void *arg) {
  struct part *p = arg;
  size_t before = p->pairs.len;
  struct slice own = slice_make(key.at + p->prefix, key.len - p->prefix);
  if (put_bytes(&p->pairs, own) && put_bytes(&p->pairs, value) && p->pairs.len <= MESSAGE_WINDOWS_BYTES) {
    mem_free(p->after);
    p->after = mem_copy(key.at, key.len);
    p->after_len = key.len;
    p->ok = p->after != NULL;
    return p->ok;
  }
  p->more = p->ok = before > 0;
  p->pairs.len = before;
  return false;
}

static bool give(struct stream *s, struct slice pairs) {
  struct courier *c = s->courier;
  feed_commit(c, s->worker);
  if (pool_load_windows(c->client, s->worker, s->outfit->definition->program, pairs, s->recall.anew)) {
    s->recall.anew = false;
    return true;
  }
  c->workers[s->worker].full = true;
  list_remove(&s->ready_link);
  list_push_back(&c->workers[s->worker].starved, &s->ready_link);
  return false;
}

static bool later(struct stream *s) {
  log_error("stream=%s doing=recall error=\"the windows can't be read now\" note=\"it will be tried again\"",
            s->outfit->definition->id);
  stream_later(s, STORE_AGAIN_MS);
  return false;
}

static bool give_stored(struct stream *s) {
  struct recall *r = &s->recall;
  const char *id = s->outfit->definition->id;
  struct slice prefix = slice_make(id, strlen(id) + 1);
  struct part p = {.prefix = prefix.len, .ok = true};
  buf_init(&p.pairs, 2 * MESSAGE_WINDOWS_BYTES);
  bool read = store_each(s->courier->options.store, STORE_WINDOWS, prefix, slice_make(r->after, r->after_len), add_stored, &p);
  bool given = read && p.ok && give(s, p.pairs.len ? buf_slice(&p.pairs) : slice_of(""));
  if (given && p.after) {
    forget_place(r);
    r->after = p.after;
    r->after_len = p.after_len;
    p.after = NULL;
  }
  if (given) r->stored = !p.more;
  mem_free(p.after);
  buf_fini(&p.pairs);
  return given || (read && p.ok ? false : later(s));
}

// Many small traces go together; one that is too large for that goes alone.
static bool give_kept(struct stream *s, bool *more) {
  struct recall *r = &s->recall;
  struct buf pairs;
  uint64_t upto = r->given;
  bool fits = true, given = true;
  buf_init(&pairs, WINDOWS_TAKE_BYTES);
  for (struct list *link = r->bytes ? r->traces.next : &r->traces; link != &r->traces; link = link->next) {
    struct trace *t = trace_of(link);
    if (t->ordinal < r->given) continue;
    if (pairs.len && pairs.len + t->len > MESSAGE_WINDOWS_BYTES) break;
    if (!(fits = buf_append(&pairs, t->pairs, t->len))) break;
    upto = t->ordinal + 1;
  }
  *more = pairs.len > 0;
  if (fits && pairs.len) given = give(s, buf_slice(&pairs));
  if (fits && given) r->given = upto;
  buf_fini(&pairs);
  return fits ? given : later(s);
}

static bool load(struct stream *s) {
  struct recall *r = &s->recall;
  bool more = true;
  for (int parts = 0; more; parts++) {
    if (parts == PARTS_A_TURN) return stream_wake(s), false; // others first
    if (!(r->stored ? give_kept(s, &more) : give_stored(s))) return false;
  }
  r->loading = false;
  forget_place(r);
  recall_saved(s, r->saved);
  return true;
}

static void turn_back(struct stream *s) {
  struct recall *r = &s->recall;
  uint64_t to = window_next_unread(&s->window, s->window.base);
  if (s->window.gate < to) to = s->window.gate;
  if (to < s->window.base) to = s->window.base;
  drop_from(s, to);
  window_open(&s->window, to);
  s->cursor = to;
  forget_place(r);
  r->back = r->stored = false;
  r->loading = r->anew = true;
  r->given = 0;
  if (r->saved > to) r->saved = to; // dead letters were taken back
  r->worker = s->worker;
  r->life = pool_life(s->courier->client, s->worker);
}

bool recall_turned(struct stream *s) {
  struct recall *r = &s->recall;
  if (r->worker != s->worker || r->life != pool_life(s->courier->client, s->worker)) r->back = true;
  if (!r->back) return true;
  if (!s->jobs) return turn_back(s), true;
  if (!s->stale_jobs) stream_stale_jobs(s); // they are ahead
  return false;
}

bool recall_given(struct stream *s) {
  return !s->recall.loading || load(s);
}
