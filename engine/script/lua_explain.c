#include "script/lua_explain.h"
#include "base/suggest.h"
#include "script/explain_miss.h"

#include <ctype.h>
#include <stdio.h>

enum { NAMES = 64, NAME_BYTES = 64, LINE_BYTES = 400 }; // more names than a library has

const char *const lua_explain_context_names[] = {"kind",  "now", "stream", "parameters", "settings",
                                                 "count", "sum", "get",    "set",        NULL};

// ---- names of functions and globals ----

// The nearest of the string keys of the table on top of the stack, popped; NULL: none.
static const char *nearest_key(lua_State *L, const char *name) {
  const char *names[NAMES + 1];
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (count < NAMES && lua_type(L, -2) == LUA_TSTRING) names[count++] = lua_tostring(L, -2);
  lua_pop(L, 1);
  names[count] = NULL;
  return suggest(name, names);
}

static const char *nearest_global(lua_State *L, const char *name) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  return nearest_key(L, name);
}

// Pushes the library with this name, found without a new string. False: there is none, nothing is pushed.
static bool push_library(lua_State *L, const char *name) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -1) != LUA_TTABLE || strcmp(lua_tostring(L, -2), name) != 0) continue;
    lua_replace(L, -3);
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  return false;
}

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

static struct slice line_of(struct slice source, uint32_t line) {
  const char *at = source.at, *end = at + source.len, *stop;
  if (!at || !line) return slice_make("", 0);
  for (; line > 1 && (at = memchr(at, '\n', (size_t)(end - at))); line--)
    at++;
  if (!at) return slice_make("", 0);
  stop = memchr(at, '\n', (size_t)(end - at));
  return slice_make(at, (size_t)((stop ? stop : end) - at));
}

// Behind the next place at or after `from` where the line has this word; NULL: nowhere.
static const char *behind_word(struct slice line, const char *from, struct slice word) {
  const char *end = line.at + line.len;
  while (word.len && (from = memmem(from, (size_t)(end - from), word.at, word.len))) {
    const char *behind = from + word.len;
    if ((from == line.at || !is_word(from[-1])) && (behind == end || !is_word(*behind))) return behind;
    from = behind;
  }
  return NULL;
}

// What stands in front of `.name` in the line, steps and all ("time", "rec.imsi"), into out: the longest, for
// a name that is there more than once. False: the line has no such thing.
static bool chain_before(struct slice line, const char *name, char out[NAME_BYTES]) {
  struct slice word = slice_of(name), longest = {0};
  for (const char *at = line.at; (at = behind_word(line, at, word));) {
    const char *dot = at - word.len;
    if (dot == line.at || dot[-1] != '.') continue;
    const char *end = dot - 1, *begin = end;
    while (begin > line.at && (is_word(begin[-1]) || begin[-1] == '.'))
      begin--;
    struct slice chain = slice_make(begin, (size_t)(end - begin));
    if (chain.len > longest.len && chain.len < NAME_BYTES && *begin != '.') longest = chain;
  }
  snprintf(out, NAME_BYTES, "%.*s", (int)longest.len, longest.len ? longest.at : "");
  return longest.len > 0;
}

// A field asked of a text: texts have methods, but no fields.
static void explain_text(const struct lua_state *s, const char *chain, const char *name, char *text,
                         size_t room) {
  uint32_t entry = s->tape ? json_path(s->tape, 0, slice_of(chain + 4)) : JSON_NONE;
  enum json_kind kind = entry == JSON_NONE ? TAPE_NULL : json_kind_of(s->tape, entry);
  if (kind == TAPE_STRING || kind == TAPE_ESCAPED)
    snprintf(text, room, "%s.%s is nil: %s is a string in this record", chain, name, chain);
}

static void explain_member(struct lua_state *s, struct slice line, const char *name, char *text,
                           size_t room) {
  char chain[NAME_BYTES];
  const char *near;
  if (!chain_before(line, name, chain)) return;
  if (strncmp(chain, "rec.", 4) == 0) {
    explain_text(s, chain, name, text, room);
    return;
  }
  if (push_library(s->L, chain))
    near = nearest_key(s->L, name);
  else if (strcmp(chain, "ctx") == 0)
    near = suggest(name, lua_explain_context_names);
  else
    return;
  if (near)
    snprintf(text, room, "%s.%s is nil; did you mean %s.%s?", chain, name, chain, near);
  else
    snprintf(text, room, "%s.%s is nil: there is no such name in %s", chain, name, chain);
}

static void explain_method(lua_State *L, const char *name, char *text, size_t room) {
  const char *near = push_library(L, "string") ? nearest_key(L, name) : NULL;
  if (near) snprintf(text, room, "method '%s' is nil; did you mean '%s'?", name, near);
}

static void explain_global(lua_State *L, const char *name, char *text, size_t room) {
  const char *near = nearest_global(L, name);
  snprintf(text, room, near ? "global '%s' is not known; did you mean '%s'?" : "global '%s' is not known",
           name, near);
}

// ---- what was nil ----

// What Lua's message says was done, to what. The name may be empty.
struct stumble {
  enum explain_deed deed;
  char what[16]; // "field", "local" ...; empty: not said
  char name[NAME_BYTES];
};

static bool read_attempt(const char *text, struct stumble *out) {
  static const struct {
    const char *words;
    enum explain_deed deed;
  } deeds[] = {{"index ", EXPLAIN_INDEX},
               {"call ", EXPLAIN_CALL},
               {"perform arithmetic on ", EXPLAIN_NUMBER},
               {"compare ", EXPLAIN_NUMBER},
               {"concatenate ", EXPLAIN_TEXT},
               {"get length of ", EXPLAIN_OTHER}};
  for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
    if (strncmp(text, deeds[i].words, strlen(deeds[i].words)) != 0) continue;
    const char *rest = text + strlen(deeds[i].words);
    char end[2];
    out->deed = deeds[i].deed;
    if (sscanf(rest, "%15s '%63[^']' (a nil value%1[)]", out->what, out->name, end) == 3) return true;
    out->what[0] = out->name[0] = 0;
    return strcmp(rest, "a nil value") == 0 || strncmp(rest, "nil with ", 9) == 0 ||
           strstr(rest, " with nil") || strcmp(rest, "two nil values") == 0;
  }
  return false;
}

static bool read_stumble(const char *text, struct stumble *out) {
  *out = (struct stumble){.deed = EXPLAIN_OTHER};
  if (strncmp(text, "attempt to ", 11) == 0) return read_attempt(text + 11, out);
  return strncmp(text, "bad argument #", 14) == 0 && strstr(text, "got nil)");
}

// The last miss, or with a name the last one that ended in it; NULL: none.
static const struct record_miss *last_miss(const struct lua_state *s, const char *name) {
  uint32_t kept = s->miss_count < RECORD_MISSES ? s->miss_count : RECORD_MISSES;
  for (uint32_t i = 1; s->tape && i <= kept; i++) {
    const struct record_miss *m = &s->misses[(s->miss_count - i) % RECORD_MISSES];
    if (!*name || (!m->by_get && slice_is(slice_make(m->key, m->key_len), name))) return m;
  }
  return NULL;
}

// The steps at the beginning of `at`: ".volume.total"; the name of a function that is called is none.
static struct slice steps(const char *at, const char *end) {
  const char *begin = at;
  while (at + 1 < end && *at == '.' && is_word(at[1])) {
    const char *step = at++;
    while (at < end && is_word(*at))
      at++;
    if (at < end && *at == '(') return slice_make(begin, (size_t)(step - begin));
  }
  return slice_make(begin, (size_t)(at - begin));
}

// What the line goes on to read inside the nil.
static struct slice read_on(struct slice line, const char *name) {
  for (const char *at = line.at; (at = behind_word(line, at, slice_of(name)));) {
    struct slice found = steps(at, line.at + line.len);
    if (found.len) return found;
  }
  return slice_make("", 0);
}

static const struct record_miss *miss_of(const struct lua_state *s, const struct stumble *stumble) {
  const struct record_miss *named = *stumble->name ? last_miss(s, stumble->name) : NULL;
  bool may_be_any = !*stumble->name || strcmp(stumble->what, "local") == 0;
  return named || !may_be_any ? named : last_miss(s, "");
}

static void explain_nil(struct lua_state *s, struct slice line, const struct stumble *stumble, char *text,
                        size_t room) {
  const struct record_miss *miss = miss_of(s, stumble);
  bool is_field = strcmp(stumble->what, "field") == 0;
  if (miss) {
    struct explain_miss asked = {.tape = s->tape,
                                 .header = s->header,
                                 .miss = miss,
                                 .any_shape = s->any_shape,
                                 .deed = stumble->deed,
                                 .read_on = read_on(line, stumble->name)};
    size_t used = is_field ? 0 : strlen(text);
    if (!is_field) used += (size_t)snprintf(text + used, room - used, ": ");
    if (used < room) explain_miss(&asked, text + used, room - used);
  } else if (is_field) {
    explain_member(s, line, stumble->name, text, room);
  } else if (strcmp(stumble->what, "method") == 0) {
    explain_method(s->L, stumble->name, text, room);
  }
}

// Lua orders values of one type only. What is a userdata to it: integers beyond 2^53, a record's tables,
// null.
static bool explain_order(char *text, size_t room) {
  if (strcmp(text, "attempt to compare number with userdata") != 0 &&
      strcmp(text, "attempt to compare userdata with number") != 0)
    return false;
  snprintf(text, room,
           "an integer beyond 2^53 is ordered by compare(a, b), as in compare(rec.id, 5) > 0; a table or "
           "null has no order");
  return true;
}

void lua_explain(struct lua_state *s, uint32_t line, char *text, size_t room) {
  struct stumble stumble;
  if (explain_order(text, room)) return;
  if (!read_stumble(text, &stumble)) return;
  if (strcmp(stumble.what, "global") == 0)
    explain_global(s->L, stumble.name, text, room);
  else
    explain_nil(s, line_of(s->source, line), &stumble, text, room);
}
