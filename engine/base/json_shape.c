// json_shape.c - steps out of tapes, and texts held against them.
//
// While a text fits, the processor shall not wait for one scalar's end to begin with the next: it is told to
// expect the length that the scalar had in the text before, and where that holds it works on several steps at
// once.
#include "base/json_shape.h"
#include "base/json_scan.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdatomic.h>

#define INLINE static inline __attribute__((always_inline))
#define LIKELY(what) __builtin_expect(!!(what), 1)

enum {
  STEPS = 512,
  LITERAL_BYTES = 8 << 10,
  PUTS = 1024,
  CLOSES = 256,
  SIBLINGS = 8,          // steps that are tried at one place of a text
  BLOCK = 16,            // bytes compared at once
  AHEAD = 1 + 2 * BLOCK, // bytes behind a literal that are read unasked: a quote and two blocks of a string
  CREDIT = 64,           // a text of a known shape earns 1 up to this, any other loses MISS; none left: rest
  FIRST_CREDIT = 32,
  MISS = 2,
  REST_MIN = 1024, // texts
  REST_MAX = 64 << 10,
};

// A container that was opened in an earlier step and ends in this one.
struct close {
  uint32_t container;
  struct json_entry entry; // .at: where it ends, from the beginning of the literal
};

// What stands between two scalar values, or behind the last. The step behind it is the next one.
struct step {
  const char *literal;
  const struct json_entry *puts; // .at: from the beginning of the literal
  const struct close *closes;
  uint64_t shape; // at the end of a text: its number; else 0
  uint16_t entry; // index of the first entry it puts; the scalar's comes behind them
  uint16_t next;  // index of the entry behind the scalar's
  uint16_t len;   // of the literal
  uint16_t mask;  // a bit for each of its first BLOCK bytes
  uint16_t reach; // bytes that are looked at without asking
  uint16_t put_count, close_count;
  uint16_t alternative; // the step to try if this is not it, or 0
  uint32_t width;       // of the literal and the scalar, the last time
  bool usual;           // one block of literal, one key, and not the end
};

struct json_shapes {
  uint32_t max_depth; // of the tape, when they were learned
  uint32_t rest;      // how long to rest the next time
  int credit;
  uint32_t step_count, byte_count, put_count, close_count;
  struct step steps[STEPS];
  struct json_entry puts[PUTS];
  struct close closes[CLOSES];
  char bytes[LITERAL_BYTES + BLOCK];
};

// --- a text against the steps ---

// What a text is made into.
struct view {
  const char *text;
  size_t len;
  struct json_entry *entries;
};

#ifdef __SSE2__
// Whether the literal's first block is what stands at p.
INLINE bool same_block(const struct step *step, const char *p) {
  return (json_same16(p, step->literal) & step->mask) == step->mask;
}

INLINE bool same_literal(const struct step *step, const char *p) {
  if (!same_block(step, p)) return false;
  if (step->len <= BLOCK) return true;
  size_t last = (size_t)step->len - BLOCK;
  for (size_t i = BLOCK; __builtin_expect(i < last, 0); i += BLOCK)
    if (json_same16(p + i, step->literal + i) != 0xffff) return false;
  return json_same16(p + last, step->literal + last) == 0xffff;
}
#endif

INLINE void put(struct json_entry *to, const struct json_entry *from, size_t at) {
#ifdef __SSE2__
  __m128i entry = _mm_loadu_si128((const __m128i *)(const void *)from);
  _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi32(entry, _mm_cvtsi32_si128((int)at)));
#else
  *to = *from;
  to->at += (uint32_t)at;
#endif
}

// The containers that end in the literal.
INLINE void close_all(const struct step *step, struct json_entry *entries, size_t at) {
  const struct close *close = step->closes, *last = close + step->close_count;
  for (; close < last; close++) {
    struct json_entry *open = &entries[close->container];
    uint32_t begin = open->at;
    *open = close->entry;
    open->at = begin;
    open->len = (uint32_t)at + close->entry.at - begin;
  }
}

INLINE size_t put_scalar(struct json_entry *to, uint32_t next, enum json_kind kind, size_t at, size_t end) {
  size_t quotes = kind == TAPE_STRING || kind == TAPE_ESCAPED;
  *to = (struct json_entry){(uint32_t)(at + quotes), (uint32_t)(end - at - 2 * quotes), next, kind, 0};
  return end;
}

// A string of any length and content. Returns the offset behind it; 0: it is broken.
static __attribute__((noinline)) size_t any_string(struct view v, struct json_entry *to, uint32_t next,
                                                   size_t at) {
  enum json_kind kind = TAPE_STRING;
  const char *bad, *end = v.text + v.len, *p = json_plain(v.text + at + 1, end);
  for (; p < end && *p != '"'; p = json_plain(p, end)) {
    if ((unsigned char)*p < ' ') return 0;
    if (*p == '\\') kind = TAPE_ESCAPED;
    size_t len = *p == '\\' ? json_escape_length(p, end, &bad) : json_utf8_length(p, end, &bad);
    if (!len) return 0;
    p += len;
  }
  return p < end ? put_scalar(to, next, kind, at, (size_t)(p + 1 - v.text)) : 0;
}

// null, true, false, and numbers of all forms.
static __attribute__((noinline)) size_t any_other(struct view v, struct json_entry *to, uint32_t next,
                                                  size_t at) {
  static const struct {
    const char *text;
    size_t len;
    enum json_kind kind;
  } words[] = {{"null", 4, TAPE_NULL}, {"true", 4, TAPE_TRUE}, {"false", 5, TAPE_FALSE}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (v.len - at >= words[i].len && memcmp(v.text + at, words[i].text, words[i].len) == 0)
      return put_scalar(to, next, words[i].kind, at, at + words[i].len);
  if (at == v.len || (!json_is_digit(v.text[at]) && v.text[at] != '-')) return 0;
  enum json_kind kind;
  const char *bad, *behind = json_number_end(v.text + at, v.text + v.len, &kind, &bad);
  return behind ? put_scalar(to, next, kind, at, (size_t)(behind - v.text)) : 0;
}

#ifdef __SSE2__
// The scalar at `at`, where AHEAD bytes can be read, as entry *to. Returns the offset behind it; 0: it is
// broken, or none.
INLINE size_t scalar(struct view v, struct json_entry *to, uint32_t next, size_t at) {
  if (v.text[at] == '"') {
    size_t q = at + 1;
    unsigned stops = json_not_plain16(v.text + q);
    if (!stops) stops = json_not_plain16(v.text + (q += BLOCK));
    q += stops ? (unsigned)__builtin_ctz(stops) : 0;
    if (LIKELY(v.text[q] == '"')) return put_scalar(to, next, TAPE_STRING, at, q + 1);
    return any_string(v, to, next, at);
  }
  enum json_kind kind;
  const char *behind = json_short_number(v.text + at, &kind);
  if (LIKELY(behind)) return put_scalar(to, next, kind, at, (size_t)(behind - v.text));
  return any_other(v, to, next, at);
}
#endif

// The step at `at` of a text. Returns the offset behind its scalar or, at the end, its literal; or 0.
static size_t take_any(struct view v, const struct step *step, size_t at) {
  if (v.len - at < step->len || !slice_same_bytes(v.text + at, step->literal, step->len)) return 0;
  close_all(step, v.entries, at);
  struct json_entry *to = v.entries + step->entry;
  for (size_t i = 0; i < step->put_count; i++)
    put(to++, &step->puts[i], at);
  at += step->len;
  if (step->shape) return at;
  return at < v.len && v.text[at] == '"' ? any_string(v, to, step->next, at)
                                         : any_other(v, to, step->next, at);
}

// The same, faster.
INLINE size_t take(struct view v, const struct step *step, size_t at) {
#ifdef __SSE2__
  if (LIKELY(v.len - at >= step->reach)) {
    struct json_entry *to = v.entries + step->entry;
    if (step->usual) {
      if (!same_block(step, v.text + at)) return 0;
      put(to++, step->puts, at);
    } else {
      if (!same_literal(step, v.text + at)) return 0;
      close_all(step, v.entries, at);
      for (const struct json_entry *from = step->puts, *last = from + step->put_count; from < last; from++)
        put(to++, from, at);
      if (step->shape) return at + step->len;
    }
    return scalar(v, to, step->next, at + step->len);
  }
#endif
  return take_any(v, step, at);
}

// `behind`, in a way that depends on it by a branch only, as long as the step is as wide as it was the last
// time.
INLINE size_t as_expected(struct step *step, size_t at, size_t behind) {
  size_t expected = at + step->width, apart = behind - expected;
  __asm__ volatile("" : "+r"(apart)); // or the compiler would see that both are the same, and take `behind`
  if (LIKELY(!apart)) return expected;
  step->width = (uint32_t)(behind - at);
  return behind;
}

// The last step of the text's shape, and in *begin the end of the text; or NULL.
static const struct step *compare(const struct json_tape *t, size_t *begin, const char *end) {
  struct step *steps = t->shapes->steps, *step = steps;
  struct view v = {t->text, (size_t)(end - t->text), t->entries};
  size_t at = *begin;
  for (;;) {
    size_t behind = take(v, step, at);
    if (LIKELY(behind)) {
      at = as_expected(step, at, behind);
      if (step->shape) break;
      step++;
    } else {
      if (!step->alternative) return NULL;
      step = &steps[step->alternative];
    }
  }
  *begin = at;
  return step;
}

static void forget(struct json_shapes *s, uint32_t max_depth) {
  s->max_depth = max_depth;
  s->credit = FIRST_CREDIT;
  s->step_count = s->byte_count = s->put_count = s->close_count = 0;
}

static void hit(struct json_shapes *s) {
  if (s->credit == CREDIT)
    s->rest = REST_MIN;
  else
    s->credit++;
}

static void miss(struct json_tape *t) {
  struct json_shapes *s = t->shapes;
  s->credit -= MISS;
  if (s->credit > 0) return;
  t->rest = s->rest;
  if (s->rest < REST_MAX) s->rest *= 2;
  forget(s, s->max_depth);
}

const char *json_shape_parse(struct json_tape *t, const char *p, const char *end) {
  struct json_shapes *s = t->shapes;
  if (t->rest) {
    t->rest--;
    return NULL;
  }
  if (!s) return NULL;
  if (s->max_depth != t->max_depth) forget(s, t->max_depth);
  size_t at = (size_t)(p - t->text);
  const struct step *last = s->step_count ? compare(t, &at, end) : NULL;
  if (!last) {
    miss(t);
    return NULL;
  }
  hit(s);
  t->shape = last->shape;
  t->count = (uint32_t)last->entry + last->put_count;
  return t->text + at;
}

// --- steps out of a tape ---

struct lesson {
  struct json_shapes *shapes;
  const struct json_tape *tape;
  uint32_t entry, at; // how far the entries and the text have become steps
  bool value_next;    // the entry before is a key
  bool done;
  uint16_t *link; // where the new steps hang
  uint32_t depth; // of the containers that are open
  uint32_t open[LIMIT_JSON_DEPTH];
};

static bool is_string(const struct json_entry *e) {
  return e->kind == TAPE_STRING || e->kind == TAPE_ESCAPED;
}

static bool is_container(const struct json_entry *e) {
  return e->kind == TAPE_ARRAY || e->kind == TAPE_OBJECT;
}

// Whether the next entry stands for a scalar value.
static bool at_scalar(const struct lesson *l) {
  const struct json_entry *entries = l->tape->entries;
  if (is_container(&entries[l->entry])) return false;
  return l->value_next || (l->depth && entries[l->open[l->depth - 1]].kind == TAPE_ARRAY);
}

// Leaves the containers that end before the next entry. A container of this step is put as it is; others are
// closed.
static bool leave(struct lesson *l, struct step *step) {
  struct json_shapes *s = l->shapes;
  const struct json_entry *entries = l->tape->entries;
  while (l->depth && entries[l->open[l->depth - 1]].next == l->entry) {
    uint32_t container = l->open[--l->depth];
    if (container >= step->entry) continue;
    if (s->close_count + step->close_count == CLOSES) return false;
    struct close *close = &s->closes[s->close_count + step->close_count++];
    *close = (struct close){container, entries[container]};
    close->entry.at += entries[container].len - l->at;
  }
  return true;
}

// Puts the next entry, a key or a container.
static bool enter(struct lesson *l, struct step *step) {
  struct json_shapes *s = l->shapes;
  if (s->put_count + step->put_count == PUTS) return false;
  struct json_entry *entry = &s->puts[s->put_count + step->put_count++];
  *entry = l->tape->entries[l->entry];
  entry->at -= l->at;
  l->value_next = !is_container(entry);
  if (is_container(entry)) {
    if (l->depth == LIMIT_JSON_DEPTH) return false;
    l->open[l->depth++] = l->entry;
  }
  l->entry++;
  return true;
}

// Copies the literal, which ends at `end` of the text.
static bool copy_literal(struct lesson *l, struct step *step, uint32_t end) {
  struct json_shapes *s = l->shapes;
  uint32_t len = end - l->at;
  if (len > LITERAL_BYTES - s->byte_count) return false;
  memcpy(s->bytes + s->byte_count, l->tape->text + l->at, len);
  step->len = (uint16_t)len;
  step->reach = (uint16_t)(len + AHEAD);
  step->usual = len <= BLOCK && step->put_count == 1 && !step->close_count && !step->shape;
  step->mask = (uint16_t)(len < BLOCK ? (1u << len) - 1 : 0xffff);
  return true;
}

static uint64_t new_shape(void) {
  static _Atomic uint64_t last;
  return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

// Draws the next step behind those there are. False: it does not fit.
static bool draw(struct lesson *l, struct step *step) {
  struct json_shapes *s = l->shapes;
  const struct json_entry *entries = l->tape->entries;
  *step = (struct step){.literal = s->bytes + s->byte_count,
                        .puts = s->puts + s->put_count,
                        .closes = s->closes + s->close_count,
                        .entry = (uint16_t)l->entry};
  do
    if (!leave(l, step)) return false;
  while (l->entry < l->tape->count && !at_scalar(l) && enter(l, step));
  if (l->entry == l->tape->count) {
    l->done = true;
    step->shape = new_shape();
    return copy_literal(l, step, entries[0].at + entries[0].len);
  }
  if (!at_scalar(l)) return false;
  const struct json_entry *e = &entries[l->entry++];
  bool quoted = is_string(e);
  if (!copy_literal(l, step, e->at - quoted)) return false;
  l->value_next = false;
  step->next = (uint16_t)l->entry;
  l->at = e->at + e->len + quoted;
  return true;
}

// Among the siblings from `first` on the one that is the same as `step`. NULL: none, and *link is where it
// belongs, or NULL if there are too many.
static struct step *find_sibling(struct json_shapes *s, struct step *first, const struct step *step,
                                 uint16_t **link) {
  struct step *sibling = first;
  for (int i = 0; i < SIBLINGS; i++) {
    if (sibling->len == step->len && memcmp(sibling->literal, step->literal, step->len) == 0) return sibling;
    *link = &sibling->alternative;
    if (!sibling->alternative) return NULL;
    sibling = &s->steps[sibling->alternative];
  }
  *link = NULL;
  return NULL;
}

// Keeps the step that has been drawn.
static void keep(struct json_shapes *s, const struct step *step) {
  s->step_count++;
  s->byte_count += step->len;
  s->put_count += step->put_count;
  s->close_count += step->close_count;
}

// Follows the steps that the text shares with those before, then adds its own. False: there is no room.
static bool add_steps(struct lesson *l) {
  struct json_shapes *s = l->shapes;
  struct step *place = s->step_count ? s->steps : NULL; // NULL: from here on they are its own
  while (!l->done) {
    struct step *step = &s->steps[s->step_count];
    if (s->step_count == STEPS || !draw(l, step)) return false;
    if (place) {
      struct step *same = find_sibling(s, place, step, &l->link);
      if (!same && !l->link) return false;
      place = same ? same + 1 : NULL;
      if (same) continue;
      *l->link = (uint16_t)s->step_count;
    }
    keep(s, step);
  }
  return true;
}

static bool start(struct json_tape *t) {
  t->shapes = mem_zero(1, sizeof *t->shapes);
  if (!t->shapes) return false;
  t->shapes->rest = REST_MIN;
  forget(t->shapes, t->max_depth);
  return true;
}

void json_shape_learn(struct json_tape *t) {
  if (t->rest || (!t->shapes && !start(t))) return;
  if (!is_container(&t->entries[0]) || t->count >= UINT16_MAX) return;
  struct json_shapes *s = t->shapes;
  struct lesson l = {.shapes = s, .tape = t, .at = t->entries[0].at};
  uint32_t steps = s->step_count, bytes = s->byte_count, puts = s->put_count, closes = s->close_count;
  if (add_steps(&l)) return;
  if (l.link) *l.link = 0;
  s->step_count = steps;
  s->byte_count = bytes;
  s->put_count = puts;
  s->close_count = closes;
}
