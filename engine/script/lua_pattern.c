#include "script/lua_pattern.h"
#include "base/limits.h"
#include "script/lua_class.h"

enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 }; // marks instead of a length
enum { SLICE_STEPS = 4096 };                       // between two words with the state

// What can be gone back to when the rest of a pattern does not match.
enum choice_kind {
  CHOICE_WITHOUT, // x?: once more without x
  CHOICE_SHORTER, // x* and x+: one x fewer, down to `least`
  CHOICE_LONGER,  // x-: one x more
  CHOICE_OPENED,  // nothing: a capture was opened
  CHOICE_CLOSED,  // nothing: a capture was closed
};

struct choice {
  enum choice_kind kind;
  uint32_t capture;
  const char *at; // in the subject
  union {
    const char *least; // in the subject
    const char *item;  // in the pattern
  };
  const char *rest; // of the pattern
};

struct search {
  struct lua_pattern *m;
  const char *end; // of the subject
  uint32_t count;
  struct choice choices[LIMIT_SCRIPT_PATTERN_CHOICES];
};

// How far a match has got in the subject and in the pattern; `at` NULL: it has failed.
struct progress {
  const char *at, *text;
};

static const struct progress failed = {NULL, NULL};

static __attribute__((noinline)) void tell_state(struct lua_pattern *m) {
  int64_t spent = SLICE_STEPS - m->left;
  m->budget -= spent;
  m->left = SLICE_STEPS;
  lua_state_work(m->state, (uint64_t)spent);
  if (m->budget < 0) luaL_error(m->L, "pattern is too complex");
}

static inline void spend(struct lua_pattern *m, ptrdiff_t steps) {
  m->left -= steps;
  if (m->left < 0) tell_state(m);
}

void lua_pattern_init(struct lua_pattern *m, lua_State *L, struct slice subject, const char *text,
                      bool anchor) {
  m->L = L;
  m->state = lua_state_of(L);
  m->subject = subject;
  m->anchored = anchor && *text == '^';
  m->text = text + m->anchored;
  m->capture_count = 0;
  m->left = SLICE_STEPS;
  m->budget = LIMIT_SCRIPT_PATTERN_STEPS + (int64_t)subject.len * LIMIT_SCRIPT_PATTERN_BYTE_STEPS;
}

void lua_pattern_fini(struct lua_pattern *m) {
  lua_state_work(m->state, (uint64_t)(SLICE_STEPS - m->left));
}

// ---- items: one character of the pattern, a class or a set ----

// Behind the ] of the set at p. The first character after [ or [^ is always a member.
static const char *set_end(struct lua_pattern *m, const char *p) {
  p += p[1] == '^' ? 2 : 1;
  do {
    if (!*p) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%' && *p) p++;
  } while (*p != ']');
  return p + 1;
}

static inline const char *item_end(struct lua_pattern *m, const char *p) {
  if (*p == '[') return set_end(m, p);
  if (*p != '%') return p + 1;
  if (!p[1]) luaL_error(m->L, "malformed pattern (ends with '%%')");
  return p + 2;
}

// Whether c is in the set from p to its ], which `end` is behind.
static bool set_has(const char *p, const char *end, unsigned char c) {
  const char *last = end - 1;
  bool found = *++p != '^';
  if (!found) p++;
  for (; p < last; p++) {
    if (*p == '%') {
      if (lua_class_has((unsigned char)*++p, c)) return found;
    } else if (p[1] == '-' && p + 2 < last) {
      p += 2;
      if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p) return found;
    } else if ((unsigned char)*p == c) {
      return found;
    }
  }
  return !found;
}

static inline bool item_has(const char *item, const char *end, char c) {
  switch (*item) {
  case '.':
    return true;
  case '%':
    return lua_class_has((unsigned char)item[1], (unsigned char)c);
  case '[':
    return set_has(item, end, (unsigned char)c);
  default:
    return *item == c;
  }
}

// The end of the longest run of bytes from `at` that are in the item, which ends at `end`.
static const char *run_end(struct search *s, const char *at, const char *item, const char *end) {
  const char *begin = at, *stop = s->end;
  switch (*item) {
  case '.':
    return stop;
  case '%':
    while (at < stop && lua_class_has((unsigned char)item[1], (unsigned char)*at))
      at++;
    break;
  case '[':
    for (; at < stop && set_has(item, end, (unsigned char)*at); at++)
      spend(s->m, (end - item) / 4);
    return at;
  default:
    while (at < stop && *at == *item)
      at++;
  }
  spend(s->m, (at - begin) / 4);
  return at;
}

// ---- choices ----

static inline struct choice *add_choice(struct search *s, enum choice_kind kind, const char *at,
                                        const char *rest) {
  if (s->count == LIMIT_SCRIPT_PATTERN_CHOICES) luaL_error(s->m->L, "pattern is too complex");
  struct choice *choice = &s->choices[s->count++];
  choice->kind = kind;
  choice->at = at;
  choice->rest = rest;
  return choice;
}

// From the newest choice on that is left, with what was done since undone.
static struct progress go_back(struct search *s) {
  for (; s->count; s->count--) {
    struct choice *choice = &s->choices[s->count - 1];
    spend(s->m, 1);
    switch (choice->kind) {
    case CHOICE_WITHOUT:
      s->count--;
      return (struct progress){choice->at, choice->rest};
    case CHOICE_SHORTER:
      if (choice->at > choice->least) return (struct progress){--choice->at, choice->rest};
      break;
    case CHOICE_LONGER:
      if (choice->at == s->end) break;
      spend(s->m, (choice->rest - choice->item) / 4);
      if (item_has(choice->item, choice->rest - 1, *choice->at))
        return (struct progress){++choice->at, choice->rest};
      break;
    case CHOICE_OPENED:
      s->m->capture_count--;
      break;
    case CHOICE_CLOSED:
      s->m->captures[choice->capture].len = CAPTURE_OPEN;
      break;
    }
  }
  return failed;
}

// ---- parts of a pattern ----

static struct progress open_capture(struct search *s, struct progress p) {
  struct lua_pattern *m = s->m;
  bool position = p.text[1] == ')';
  if (m->capture_count == LUA_MAXCAPTURES) luaL_error(m->L, "too many captures");
  m->captures[m->capture_count].at = p.at;
  m->captures[m->capture_count++].len = position ? CAPTURE_POSITION : CAPTURE_OPEN;
  add_choice(s, CHOICE_OPENED, NULL, NULL);
  p.text += position ? 2 : 1;
  return p;
}

static struct progress close_capture(struct search *s, struct progress p) {
  struct lua_pattern *m = s->m;
  uint32_t i = m->capture_count;
  while (i > 0 && m->captures[i - 1].len != CAPTURE_OPEN)
    i--;
  if (i == 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[i - 1].len = p.at - m->captures[i - 1].at;
  add_choice(s, CHOICE_CLOSED, NULL, NULL)->capture = i - 1;
  p.text++;
  return p;
}

// %1: the same bytes as the capture's once more. A position has none, and never matches.
static struct progress match_again(struct search *s, struct progress p) {
  struct lua_pattern *m = s->m;
  uint32_t index = (uint32_t)(p.text[1] - '1'); // of %0: none
  if (index >= m->capture_count || m->captures[index].len == CAPTURE_OPEN)
    luaL_error(m->L, "invalid capture index");
  ptrdiff_t len = m->captures[index].len;
  if (len < 0 || len > s->end - p.at) return failed;
  spend(m, len / 16);
  if (memcmp(m->captures[index].at, p.at, (size_t)len) != 0) return failed;
  return (struct progress){p.at + len, p.text + 2};
}

// %bxy: from an x to the y that balances it.
static struct progress match_balanced(struct search *s, struct progress p) {
  const char *at = p.at, open = p.text[2], close = open ? p.text[3] : 0;
  if (!close) luaL_error(s->m->L, "unbalanced pattern");
  if (at == s->end || *at != open) return failed;
  for (size_t depth = 1; ++at < s->end;) {
    if (*at == close) {
      if (--depth == 0) break;
    } else if (*at == open) {
      depth++;
    }
  }
  spend(s->m, (at - p.at) / 4);
  return at < s->end ? (struct progress){at + 1, p.text + 4} : failed;
}

// %f[set]: between a byte that is not in the set and one that is; both ends of the subject count as 0.
static struct progress match_frontier(struct search *s, struct progress p) {
  const char *set = p.text + 2;
  if (*set != '[') luaL_error(s->m->L, "missing '[' after '%%f' in pattern");
  const char *end = set_end(s->m, set);
  spend(s->m, (end - set) / 2);
  char before = p.at == s->m->subject.at ? 0 : p.at[-1], behind = p.at == s->end ? 0 : *p.at;
  if (set_has(set, end, (unsigned char)before) || !set_has(set, end, (unsigned char)behind)) return failed;
  return (struct progress){p.at, end};
}

static struct progress match_longest(struct search *s, const char *at, const char *item, const char *end) {
  const char *stop = run_end(s, at, item, end);
  add_choice(s, CHOICE_SHORTER, stop, end + 1)->least = at;
  return (struct progress){stop, end + 1};
}

// Kept apart, so that the items without repetition stay quick.
static __attribute__((noinline)) struct progress match_repeated(struct search *s, struct progress p,
                                                                const char *end) {
  const char *item = p.text;
  if (*end == '*') return match_longest(s, p.at, item, end);
  if (*end == '-') {
    add_choice(s, CHOICE_LONGER, p.at, end + 1)->item = item;
    return (struct progress){p.at, end + 1};
  }
  bool has = p.at < s->end && item_has(item, end, *p.at);
  if (*end == '+') return has ? match_longest(s, p.at + 1, item, end) : failed;
  if (has) add_choice(s, CHOICE_WITHOUT, p.at, end + 1); // x?
  return (struct progress){p.at + has, end + 1};
}

static inline struct progress match_item(struct search *s, struct progress p) {
  const char *end = item_end(s->m, p.text);
  if (end - p.text >= 4) spend(s->m, (end - p.text) / 4);
  if (*end == '*' || *end == '-' || *end == '+' || *end == '?') return match_repeated(s, p, end);
  if (p.at == s->end || !item_has(p.text, end, *p.at)) return failed;
  return (struct progress){p.at + 1, end};
}

static struct progress match_escape(struct search *s, struct progress p) {
  switch (p.text[1]) {
  case 'b':
    return match_balanced(s, p);
  case 'f':
    return match_frontier(s, p);
  default:
    return p.text[1] >= '0' && p.text[1] <= '9' ? match_again(s, p) : match_item(s, p);
  }
}

static inline struct progress match_part(struct search *s, struct progress p) {
  switch (*p.text) {
  case '(':
    return open_capture(s, p);
  case ')':
    return close_capture(s, p);
  case '%':
    return match_escape(s, p);
  case '$':
    if (!p.text[1]) return p.at == s->end ? (struct progress){p.at, p.text + 1} : failed;
    return match_item(s, p);
  default:
    return match_item(s, p);
  }
}

// Where the match that begins at `at` ends, or NULL.
static const char *match_at(struct search *s, const char *at) {
  struct progress p = {at, s->m->text};
  s->count = 0;
  s->m->capture_count = 0;
  while (*p.text) {
    spend(s->m, 1);
    p = match_part(s, p);
    if (p.at) continue;
    p = go_back(s);
    if (!p.at) return NULL;
  }
  return p.at;
}

bool lua_pattern_find(struct lua_pattern *m, const char *from) {
  struct search s; // its choices are written before they are read
  s.m = m;
  s.end = m->subject.at + m->subject.len;
  for (;; from++) {
    const char *to = match_at(&s, from);
    if (to) {
      m->from = from;
      m->to = to;
      return true;
    }
    if (m->anchored || from == s.end) return false;
  }
}

void lua_pattern_push(struct lua_pattern *m, uint32_t index) {
  if (index >= m->capture_count) {
    if (index > 0) luaL_error(m->L, "invalid capture index");
    lua_pushlstring(m->L, m->from, (size_t)(m->to - m->from));
    return;
  }
  ptrdiff_t len = m->captures[index].len;
  if (len == CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
  if (len == CAPTURE_POSITION)
    lua_pushinteger(m->L, m->captures[index].at - m->subject.at + 1);
  else
    lua_pushlstring(m->L, m->captures[index].at, (size_t)len);
}

int lua_pattern_push_all(struct lua_pattern *m, bool whole) {
  uint32_t count = m->capture_count || !whole ? m->capture_count : 1;
  luaL_checkstack(m->L, (int)count, "too many captures");
  for (uint32_t i = 0; i < count; i++)
    lua_pattern_push(m, i);
  return (int)count;
}
