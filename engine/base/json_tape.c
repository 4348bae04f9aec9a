#include "base/json_tape.h"
#include "base/json_scan.h"
#include "base/json_shape.h"
#include "base/limits.h"
#include "base/mem.h"

#define INLINE static inline __attribute__((always_inline))

enum { COUNT_MAX = (1 << 24) - 1 };

// One parse. While a container is open, its entry keeps the container around it in `next` and the commas seen
// in `len`: that is the whole stack.
//
// The quotes are found ahead of the parse, 64 bytes at a time, in `stops`: where a string ends then follows
// from the bits that are left and not from where it began, so that the processor can work on several strings
// at once. Between strings of a valid text only white space can be a stop, too; whoever steps over white
// space seeks.
//
// Never passed to a function that isn't inlined, so that it lives in registers.
struct walk {
  struct json_tape *tape;
  struct json_fault *fault;
  const char *text, *end;
  const char *block; // 64 bytes, or what is left of the text
  uint64_t stops;    // a bit for each of them that is no plain string byte and is still ahead
  struct json_entry *entries;
  uint32_t count, cap;
  uint32_t open; // innermost open container, if depth > 0
  uint32_t depth, max_depth;
  char closer; // '}' or ']': what ends that container
};

void json_tape_init(struct json_tape *t) {
  *t = (struct json_tape){.rest = JSON_SHAPE_REST};
}

void json_tape_fini(struct json_tape *t) {
  mem_free(t->entries);
  mem_free(t->shapes);
  *t = (struct json_tape){0};
}

static __attribute__((noinline, cold)) const char *fail(struct json_fault *fault, enum json_fault_kind kind,
                                                        ptrdiff_t at, const char *what) {
  *fault = (struct json_fault){kind, (size_t)at, what};
  return NULL;
}

static __attribute__((noinline, cold)) bool grow(struct json_tape *t) {
  size_t cap = t->cap ? (size_t)t->cap * 2 : 128;
  if (cap > UINT32_MAX) return false;
  struct json_entry *entries = mem_grow(t->entries, cap * sizeof *entries);
  if (!entries) return false;
  t->entries = entries;
  t->cap = (uint32_t)cap;
  return true;
}

INLINE const char *broken(struct walk *w, const char *at, const char *what) {
  return fail(w->fault, JSON_BROKEN, at - w->text, what);
}

// Room for a key and its value.
INLINE bool room(struct walk *w) {
  if (w->cap - w->count >= 2) return true;
  if (!grow(w->tape)) return false;
  w->entries = w->tape->entries;
  w->cap = w->tape->cap;
  return true;
}

INLINE void put(struct walk *w, enum json_kind kind, const char *at, size_t len) {
  uint32_t i = w->count++;
  w->entries[i] = (struct json_entry){(uint32_t)(at - w->text), (uint32_t)len, i + 1, kind, 0};
}

// Steps over what ended a plain run of a string but is no quote.
static __attribute__((noinline)) const char *special(const char *p, const char *end, const char *text,
                                                     struct json_fault *fault) {
  const char *bad;
  if (p == end) return fail(fault, JSON_BROKEN, p - text, "expected '\"' at the end of a string");
  if ((unsigned char)*p < ' ') return fail(fault, JSON_BROKEN, p - text, "control character in a string");
  size_t len = *p == '\\' ? json_escape_length(p, end, &bad) : json_utf8_length(p, end, &bad);
  if (!len)
    return fail(fault, JSON_BROKEN, bad - text, *p == '\\' ? "unknown escape in a string" : "not UTF-8");
  return p + len;
}

INLINE uint64_t stops_of(const char *block, const char *end) {
  if (end - block >= 64) return json_not_plain(block);
  char last[64];
  memset(last, ' ', sizeof last);
  memcpy(last, block, (size_t)(end - block));
  return json_not_plain(last);
}

// Moves the block to where p is, and forgets the stops before p.
INLINE void seek(struct walk *w, const char *p) {
  if (p - w->block >= 64) {
    w->block += (p - w->block) & ~(ptrdiff_t)63;
    w->stops = w->block < w->end ? stops_of(w->block, w->end) : 0;
  }
  w->stops &= ~(uint64_t)0 << (p - w->block);
}

// The next stop; the end of the text if there is none.
INLINE const char *next_stop(struct walk *w) {
  while (!w->stops) {
    if (w->end - w->block <= 64) return w->end;
    w->block += 64;
    w->stops = stops_of(w->block, w->end);
  }
  return w->block + __builtin_ctzll(w->stops);
}

// The closing quote of a string that has escapes or longer UTF-8 sequences, the first of them at p, or NULL.
INLINE const char *special_string(struct walk *w, const char *p, enum json_kind *kind) {
  *kind = TAPE_STRING;
  do {
    if (p < w->end && *p == '\\') *kind = TAPE_ESCAPED;
    p = special(p, w->end, w->text, w->fault);
    if (!p) return NULL;
    seek(w, p);
    p = next_stop(w);
  } while (p == w->end || *p != '"');
  return p;
}

INLINE const char *string(struct walk *w, const char *p) {
  const char *at = p + 1;
  if (!w->stops) seek(w, p);
  w->stops &= w->stops - 1; // the opening quote
  p = next_stop(w);
  if (p < w->end && *p == '"') {
    put(w, TAPE_STRING, at, (size_t)(p - at));
  } else {
    enum json_kind kind;
    p = special_string(w, p, &kind);
    if (!p) return NULL;
    put(w, kind, at, (size_t)(p - at));
  }
  w->stops &= w->stops - 1; // the closing one
  return p + 1;
}

INLINE const char *number(struct walk *w, const char *p) {
  enum json_kind kind;
  const char *bad, *behind = NULL;
#ifdef __SSE2__
  if (w->end - p > 16) behind = json_short_number(p, &kind);
#endif
  if (!behind) behind = json_number_end(p, w->end, &kind, &bad);
  if (!behind) return broken(w, bad, "expected a digit, or no digit behind a leading 0");
  put(w, kind, p, (size_t)(behind - p));
  return behind;
}

INLINE const char *literal(struct walk *w, const char *p, const char *word, size_t len, enum json_kind kind) {
  size_t i = 1;
  while (i < len && p + i < w->end && p[i] == word[i])
    i++;
  if (i < len) return broken(w, p + i, "expected true, false or null");
  put(w, kind, p, len);
  return p + len;
}

// What follows has a usual form, without white space, that is tried first. `slowly` skips the space in front
// of it, if there is any.
INLINE bool slowly(struct walk *w, const char **p) {
  const char *before = *p;
  *p = json_space(before, w->end);
  if (*p == before) return false;
  seek(w, *p);
  return true;
}

// A key and its colon.
INLINE const char *key(struct walk *w, const char *p) {
  while (__builtin_expect(p == w->end || *p != '"', 0))
    if (!slowly(w, &p)) return broken(w, p, "expected '\"' at the beginning of a key");
  p = string(w, p);
  if (!p) return NULL;
  while (__builtin_expect(p == w->end || *p != ':', 0))
    if (!slowly(w, &p)) return broken(w, p, "expected ':' behind a key");
  return p + 1;
}

INLINE const char *enter(struct walk *w, const char *p) {
  if (w->depth == w->max_depth)
    return fail(w->fault, JSON_TOO_DEEP, p - w->text, "arrays and objects too deep");
  w->depth++;
  uint32_t around = w->open;
  w->open = w->count;
  w->closer = *p == '{' ? '}' : ']';
  put(w, *p == '{' ? TAPE_OBJECT : TAPE_ARRAY, p, 0);
  w->entries[w->open].next = around;
  p++;
  slowly(w, &p);
  return p;
}

INLINE void leave(struct walk *w, const char *behind) {
  struct json_entry *e = &w->entries[w->open];
  uint32_t members = w->count == w->open + 1 ? 0 : e->len + 1;
  w->open = e->next;
  e->len = (uint32_t)(behind - w->text) - e->at;
  e->next = w->count;
  e->count = (members < COUNT_MAX ? members : COUNT_MAX) & COUNT_MAX;
  if (--w->depth) w->closer = w->entries[w->open].kind == TAPE_OBJECT ? '}' : ']';
}

// Behind a value: leaves every container that ends here. Returns the end of the root, or where the next
// member is to begin.
INLINE const char *behind(struct walk *w, const char *p) {
  while (w->depth) {
    if (p < w->end && *p == ',') {
      w->entries[w->open].len++;
      return p + 1;
    }
    if (p < w->end && *p == w->closer)
      leave(w, ++p);
    else if (!slowly(w, &p))
      return broken(w, p, w->closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
  }
  return p;
}

// A scalar, or the beginning of a container up to its first member or end.
INLINE const char *begin(struct walk *w, const char *p) {
  for (;;) {
    char c = p < w->end ? *p : 0;
    if (c == '"') return string(w, p);
    if (json_is_digit(c) || c == '-') return number(w, p);
    if (c == '{' || c == '[') return enter(w, p);
    if (c == 't') return literal(w, p, "true", 4, TAPE_TRUE);
    if (c == 'f') return literal(w, p, "false", 5, TAPE_FALSE);
    if (c == 'n') return literal(w, p, "null", 4, TAPE_NULL);
    if (!slowly(w, &p)) return broken(w, p, "expected a value");
  }
}

// The value at p and all in it; returns its end.
static const char *value(struct walk *w, const char *p) {
  do {
    if (!room(w)) return fail(w->fault, JSON_NO_MEMORY, p - w->text, "out of memory");
    if (w->closer == '}') p = key(w, p);
    if (!p) return NULL;
    uint32_t around = w->depth;
    p = begin(w, p);
    if (!p) return NULL;
    bool entered = w->depth > around;
    if (entered && (p == w->end || *p != w->closer)) continue;
    p = behind(w, p);
  } while (p && w->depth);
  return p;
}

// Where the value at p must have ended: offsets have 32 bits.
static const char *last_end(const struct json_tape *t, struct slice text, const char *p) {
  size_t max = t->max_bytes ? t->max_bytes : LIMIT_RECORD_BYTES;
  size_t before = (size_t)(p - text.at), left = text.len - before;
  size_t addressable = before < UINT32_MAX ? UINT32_MAX - before : 0;
  if (max > addressable) max = addressable;
  return p + (left < max ? left : max);
}

// A number seems to end where max_bytes ends the text; anything else that is cut there is broken.
static bool goes_on(const char *p, const char *end, const char *text_end) {
  return p == end && end < text_end && json_is_digit(p[-1]) &&
         (json_is_digit(*p) || *p == '.' || (*p | 0x20) == 'e');
}

// By the parser, whatever the text is. Returns the end of the value at p, or NULL.
static const char *parse(struct json_tape *t, const char *p, const char *end, const char *text_end,
                         struct json_fault *fault) {
  struct walk w = {.tape = t,
                   .fault = fault,
                   .text = t->text,
                   .end = end,
                   .block = p,
                   .stops = p < end ? stops_of(p, end) : 0,
                   .entries = t->entries,
                   .cap = t->cap,
                   .max_depth = t->max_depth ? t->max_depth : LIMIT_JSON_DEPTH};
  p = value(&w, p);
  if (p && goes_on(p, end, text_end)) p = broken(&w, p, NULL);
  if (!p && fault->kind == JSON_BROKEN && end < text_end && fault->at == (size_t)(end - t->text))
    *fault = (struct json_fault){JSON_TOO_LONG, fault->at, "longer than allowed"};
  if (p) t->count = w.count;
  return p;
}

bool json_tape_parse_first(struct json_tape *t, struct slice text, size_t *used, struct json_fault *fault) {
  if (!text.at) text = slice_of("");
  const char *text_end = text.at + text.len, *p = json_space(text.at, text_end), *end = last_end(t, text, p);
  t->text = text.at;
  t->count = 0;
  t->shape = 0;
  *fault = (struct json_fault){0};
  const char *behind = json_shape_parse(t, p, end);
  if (!behind) {
    behind = parse(t, p, end, text_end, fault);
    if (!behind) return false;
    json_shape_learn(t);
  }
  *used = (size_t)(behind - text.at);
  return true;
}

bool json_tape_parse(struct json_tape *t, struct slice text, struct json_fault *fault) {
  size_t used;
  if (!json_tape_parse_first(t, text, &used, fault)) return false;
  const char *end = text.at + text.len, *p = json_space(text.at + used, end);
  if (p == end) return true;
  t->count = 0;
  t->shape = 0;
  fail(fault, JSON_BROKEN, p - text.at, "expected nothing behind the value");
  return false;
}
