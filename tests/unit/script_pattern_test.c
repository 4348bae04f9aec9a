// Proves that the sandbox's string.find, match, gmatch and gsub give what LuaJIT's own give, and that none of
// them works for ever.
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_state.h"
#include "script_support.h"

#include <lualib.h>

// Two states with the same library: ours, and LuaJIT's.
struct pair {
  struct lua_state *own;
  lua_State *plain;
};

static void pair_open(struct pair *p) {
  struct script_limits limits = {.call_ms = 1000000};
  struct err err = {{0}};
  p->own = lua_state_new(&limits, &err);
  p->plain = luaL_newstate();
  assert_non_null(p->own);
  assert_non_null(p->plain);
  luaL_openlibs(p->plain);
}

static void pair_close(struct pair *p) {
  lua_state_free(p->own);
  lua_close(p->plain);
}

// ---- values as text ----

struct text {
  char bytes[16384];
  size_t len;
};

static void put(struct text *t, const char *at, size_t len) {
  assert_true(t->len + len < sizeof t->bytes);
  memcpy(t->bytes + t->len, at, len);
  t->bytes[t->len += len] = 0;
}

// The values from `first` to the top, with their types; zero bytes become '0'.
static void put_values(lua_State *L, int first, struct text *t) {
  for (int i = first; i <= lua_gettop(L); i++) {
    size_t len, begin = t->len;
    put(t, lua_typename(L, lua_type(L, i)), 3);
    const char *bytes = lua_tolstring(L, i, &len);
    put(t, ":", 1);
    if (bytes) put(t, bytes, len);
    put(t, ";", 1);
    for (; begin < t->len; begin++)
      if (!t->bytes[begin]) t->bytes[begin] = '0';
  }
}

// ---- the same call in both ----

enum replacement { BY_TEXT, BY_TABLE, BY_FUNCTION };

struct call {
  const char *function; // find, match, gmatch, gsub
  struct slice subject, pattern;
  int start; // or count; 0: left out
  bool plain;
  enum replacement replacement;
  struct slice text; // that replaces
};

// A script's function that replaces: by what it was given nothing, false, a number, a table or a text.
static int replace(lua_State *L) {
  size_t len;
  const char *bytes = lua_tolstring(L, 1, &len);
  switch (len ? bytes[0] : 0) {
  case 'a':
    lua_pushfstring(L, "<%d>", lua_gettop(L));
    return 1;
  case 'b':
    lua_pushboolean(L, 0);
    return 1;
  case '1':
    lua_pushnumber(L, 1.5);
    return 1;
  case '.':
    lua_newtable(L);
    return 1;
  }
  return 0;
}

static void push_replacement(lua_State *L, const struct call *call) {
  if (call->replacement == BY_FUNCTION) {
    lua_pushcfunction(L, replace);
  } else if (call->replacement == BY_TABLE) {
    lua_newtable(L);
    lua_pushliteral(L, "A");
    lua_setfield(L, -2, "a");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "b");
    lua_pushnumber(L, 7);
    lua_setfield(L, -2, "ab");
    lua_pushliteral(L, "first");
    lua_rawseti(L, -2, 1);
  } else {
    lua_pushlstring(L, call->text.at, call->text.len);
  }
}

static int push_arguments(lua_State *L, const struct call *call) {
  int top = lua_gettop(L);
  lua_pushlstring(L, call->subject.at, call->subject.len);
  lua_pushlstring(L, call->pattern.at, call->pattern.len);
  if (!strcmp(call->function, "gsub")) push_replacement(L, call);
  if (call->start) lua_pushinteger(L, call->start);
  if (call->plain) lua_pushboolean(L, 1);
  return lua_gettop(L) - top;
}

// What the iterator on top of the stack gives, round by round.
static void put_rounds(lua_State *L, struct text *t) {
  int top = lua_gettop(L), status = 0;
  for (int round = 0; status == 0 && round < 30; round++) {
    lua_pushvalue(L, top);
    status = lua_pcall(L, 0, LUA_MULTRET, 0);
    put_values(L, top + 1, t);
    bool ended = lua_gettop(L) == top;
    lua_settop(L, top);
    put(t, "/", 1);
    if (ended) break;
  }
}

// With the library's table on top of the stack.
static void put_result(lua_State *L, const struct call *call, struct text *t) {
  int top = lua_gettop(L);
  lua_getfield(L, top, call->function);
  int status = lua_pcall(L, push_arguments(L, call), LUA_MULTRET, 0);
  put(t, status ? "error " : "", status ? 6 : 0);
  if (status == 0 && !strcmp(call->function, "gmatch"))
    put_rounds(L, t);
  else
    put_values(L, top + 1, t);
  lua_settop(L, top - 1);
}

static void compare(struct pair *p, const struct call *call) {
  static struct text own, plain;
  own.len = plain.len = 0;
  lua_State *L = p->own->L;
  p->own->deadline_ns = 0; // as lua_state_call begins
  p->own->depth = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  lua_getfield(L, -1, "string");
  lua_remove(L, -2);
  put_result(L, call, &own);
  lua_getglobal(p->plain, "string");
  put_result(p->plain, call, &plain);
  if (!strcmp(plain.bytes, "error str:pattern too complex;")) // our words for it are others
    strcpy(plain.bytes, "error str:pattern is too complex;");
  if (strcmp(own.bytes, plain.bytes) != 0)
    fail_msg("%s('%.*s', '%.*s', %d)\n  ours     %s\n  LuaJIT's %s", call->function, (int)call->subject.len,
             call->subject.at, (int)call->pattern.len, call->pattern.at, call->start, own.bytes, plain.bytes);
}

// ---- generated calls ----

static uint64_t seed;

static uint32_t draw(uint32_t below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % below;
}

#define PART(text)                                                                                           \
  { text, sizeof(text) - 1 }
static const struct slice items[] = {
    PART("a"),       PART("b"),           PART("."),         PART("%a"),  PART("%w"),    PART("%d"),
    PART("%s"),      PART("%g"),          PART("%S"),        PART("%x"),  PART("[ab]"),  PART("[^a]"),
    PART("[a-c%d]"), PART("[%w_]"),       PART("%."),        PART("[]]"), PART("[^]b]"), PART("[a-]"),
    PART("%z"),      PART("%Z"),          PART("[x-%%]"),    PART("%-"),  PART("[%a-]"), PART("%p"),
    PART("\xe9"),    PART("[\x80-\xff]"), PART("[^%s\x01]"), PART("%@")};
static const struct slice others[] = {
    PART("("),  PART(")"),      PART("()"),    PART("(a)"),     PART("(.-)"), PART("%1"), PART("%2"),
    PART("^"),  PART("%b()"),   PART("%bab"),  PART("%f[a]"),   PART("$"),    PART("*"),  PART("%f[%W]"),
    PART("(."), PART("%f[^a]"), PART("(%w*)"), PART("([^,]*)"), PART("%b"),   PART("\0"), PART("%0")};
static const struct slice broken[] = {PART("["),  PART("[a"), PART("%"),  PART("%f"),
                                      PART("[^"), PART("[%"), PART("%ba")};
static const struct slice texts[] = {PART("x"),  PART(""),     PART("%0"),   PART("<%1>"), PART("%2"),
                                     PART("%%"), PART("%a.%"), PART("%1%0"), PART("\0%1"), PART("%9")};

static void add_part(struct slice part, char *out, size_t *len) {
  memcpy(out + *len, part.at, part.len);
  *len += part.len;
}

static size_t draw_pattern(char *out) {
  size_t len = 0;
  for (uint32_t parts = draw(7); parts > 0; parts--) {
    uint32_t kind = draw(100);
    if (kind < 2) {
      add_part(broken[draw(sizeof broken / sizeof *broken)], out, &len);
    } else if (kind < 35) {
      add_part(others[draw(sizeof others / sizeof *others)], out, &len);
    } else {
      add_part(items[draw(sizeof items / sizeof *items)], out, &len);
      if (draw(2)) out[len++] = "*+-?"[draw(4)];
    }
  }
  return len;
}

static size_t draw_subject(char *out) {
  static const char letters[] = "aaaabbbc1 (),.-_]\0\xe9";
  size_t len = draw(13);
  for (size_t i = 0; i < len; i++)
    out[i] = letters[draw(sizeof letters - 1)];
  return len;
}

static void generated_patterns_match_as_luajits_do(void **state) {
  (void)state;
  static const char *const functions[] = {"find", "match", "gmatch", "gsub"};
  struct pair p;
  char subject[64], pattern[128];
  seed = 1;
  pair_open(&p);
  for (uint32_t i = 0; i < 100000; i++) {
    struct call call = {.function = functions[i % 4]};
    call.subject = slice_make(subject, draw_subject(subject));
    call.pattern = slice_make(pattern, draw_pattern(pattern));
    if (i % 4 != 2 && draw(3) == 0) call.start = (int)draw(30) - 14;
    call.plain = i % 4 == 0 && call.start && draw(4) == 0;
    call.replacement = (enum replacement)draw(3);
    call.text = texts[draw(sizeof texts / sizeof *texts)];
    compare(&p, &call);
  }
  pair_close(&p);
}

static void classes_hold_the_same_bytes(void **state) {
  (void)state;
  struct pair p;
  char every[256];
  for (int c = 0; c < 256; c++)
    every[c] = (char)c;
  pair_open(&p);
  for (int c = 1; c < 256; c++) {
    char class[] = {'%', (char)c, 0}, set[] = {'[', '%', (char)c, ']', 0},
         range[] = {'[', '0', '-', (char)c, ']', 0};
    struct call call = {
        .function = "gsub", .subject = slice_make(every, sizeof every), .text = slice_of("<%0>")};
    const char *patterns[] = {class, set, range};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
      call.pattern = slice_of(patterns[i]);
      compare(&p, &call);
    }
  }
  pair_close(&p);
}

static void compare_repeated(struct pair *p, const char *part, int count, const char *tail) {
  static char pattern[4096];
  pattern[0] = 0;
  for (int i = 0; i < count; i++)
    strcat(pattern, part);
  strcat(pattern, tail);
  static const char subject[] =
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  compare(p, &(struct call){.function = "find", .subject = slice_of(subject), .pattern = slice_of(pattern)});
}

static void both_go_as_deep_and_hold_as_many_captures(void **state) {
  (void)state;
  struct pair p;
  pair_open(&p);
  for (int count = 195; count <= 205; count++) {
    compare_repeated(&p, "a?", count, "");
    compare_repeated(&p, "a*", count, "");
    compare_repeated(&p, "a-", count, "");
    compare_repeated(&p, "b*", count, "");
    compare_repeated(&p, "a?", count - 4, "(a)(a)");
  }
  for (int count = 30; count <= 34; count++) {
    compare_repeated(&p, "()", count, "");
    compare_repeated(&p, "(a)", count, "");
    compare_repeated(&p, "(", count, "");
    compare_repeated(&p, "(a", count, "");
  }
  pair_close(&p);
}

// ---- what patterns mean, case by case ----

struct meaning {
  const char *call, *values;
};

#include "script_pattern_cases.h"

// A call's values with '|' between them; `set` gives the bytes that a pattern of one character matches.
static const char prelude[] =
    "local find, match, gmatch, gsub, rep = string.find, string.match, string.gmatch, string.gsub, "
    "string.rep "
    "local function all(...) local t = {...} for i = 1, select('#', ...) do t[i] = tostring(t[i]) end "
    "return table.concat(t, '|') end "
    "local function set(p) local t = {} for i = 0, 255 do local c = string.char(i) "
    "if find(c, p) then t[#t + 1] = c end end return table.concat(t) end "
    "local function each(s, p) local t = {} for a, b in gmatch(s, p) do t[#t + 1] = b and a .. '=' .. b or a "
    "end "
    "return table.concat(t, ',') end "
    "local function reversed(s) return (gsub(s, '(.)(.+)', function(c, rest) return reversed(rest) .. c "
    "end)) end ";

static void patterns_mean_what_luas_own_tests_say(void **state) {
  (void)state;
  struct pair p;
  pair_open(&p);
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
    char source[4096];
    struct err err = {{0}};
    snprintf(source, sizeof source, "%s return all(%s)", prelude, meanings[i].call);
    if (!lua_state_load(p.own, "case", slice_of(source), &err))
      fail_msg("%s: %s", meanings[i].call, err.text);
    if (luaL_dostring(p.plain, source)) fail_msg("%s: %s", meanings[i].call, lua_tostring(p.plain, -1));
    const char *own = lua_tostring(p.own->L, -1), *plain = lua_tostring(p.plain, -1);
    if (strcmp(own, meanings[i].values) != 0 || strcmp(plain, meanings[i].values) != 0)
      fail_msg("%s\n  ours     %s\n  LuaJIT's %s\n  expected %s", meanings[i].call, own, plain,
               meanings[i].values);
    lua_pop(p.own->L, 1);
    lua_settop(p.plain, 0);
  }
  pair_close(&p);
}

// ---- patterns that mean harm ----

#define TOO_COMPLEX "failed: 1: pattern is too complex"

static void hostile_patterns_end_by_themselves(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"return { (('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(30) .. 'b') }", TOO_COMPLEX},
      {"return { (('a'):rep(5000)):find('.-.-.-.-b') }", TOO_COMPLEX},
      {"return { (('a'):rep(5000)):match('.*.*.*.*b') }", TOO_COMPLEX},
      {"return { (('a'):rep(5000)):gsub('(a*)*(a*)*b', 'x') }", TOO_COMPLEX},
      {"return { (('a'):rep(5000)):match('(a*)(a*)(a*)%1%2%3b') }", TOO_COMPLEX},
      {"return { (('('):rep(20000)):gsub('%b()', '') }", TOO_COMPLEX},
      {"return { (('a'):rep(20000)):find('a-b') }", TOO_COMPLEX},
      {"return { (('a'):rep(20000)):find('[a-z]-%f[b]b') }", TOO_COMPLEX},
      {"return { (('a'):rep(2000)):find('[' .. ('b'):rep(2 ^ 20 - 9) .. 'a]*c') }", TOO_COMPLEX},
      {"return { (('a'):rep(2000)):find('%f[' .. ('b'):rep(2 ^ 20 - 9) .. 'a]c') }", TOO_COMPLEX},
      {"for w in (('a'):rep(20000)):gmatch('a-b') do end", TOO_COMPLEX},
      {"return { ('x'):find(('a*'):rep(2 ^ 18)) }", TOO_COMPLEX},
      {"return { ('x'):find(('(x'):rep(1000)) }", "{}"},
      {"return { ('x'):rep(100):find(('(x'):rep(100)) }", "failed: 1: too many captures"},
      {"return { #('x'):rep(4):gsub('x', ('%1'):rep(2 ^ 18)) }", "[1048576]"},
      {"return { pcall(string.find, ('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30) .. 'b') }",
       "[false,\"pattern is too complex\"]"},
      {"local ok, e = pcall(function() local s = ('a'):rep(9000) s = s:find('a-a-b') end) return { e }",
       "[\"script:1: pattern is too complex\"]"},
      {"return { #(('word, '):rep(170000):gsub('%s+', '')), #(('x'):rep(2 ^ 20):gsub('.', '')) }",
       "[850000,0]"},
  };
  struct script_limits limits = {.call_ms = 100000};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char source[4096];
    struct err err = {{0}};
    struct runner r;
    snprintf(source, sizeof source, "return { api = 1, map = function(rec) %s\nend }", cases[i].source);
    runner_open(&r, script_load("x", slice_of(source), SCRIPT_STREAM, &limits, &err));
    assert_non_null(r.script);
    const char *got = run(&r);
    if (strcmp(got, cases[i].expected) != 0)
      fail_msg("%s\n  gives    %.200s\n  expected %s", cases[i].source, got, cases[i].expected);
    assert_false(script_worn(r.script));
    runner_close(&r);
  }
}

// Each takes longer than its time in C calls: the clock is looked at in them.
static void the_clock_goes_on_inside_a_pattern(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "local s = ('a'):rep(2 ^ 20) s:find('a-b')",
      "local s = ('a'):rep(2 ^ 20) pcall(s.find, s, 'a-b') return {}",
      "local s = ('a'):rep(2 ^ 20) pcall(s.gsub, s, '', ('%0'):rep(2 ^ 18)) return {}",
      "local s, f = ('a'):rep(2 ^ 20), string.find for i = 1, 20000 do f(s, 'b', 1, true) end",
      "local s, f = ('a'):rep(100), string.find for i = 1, 1e6 do pcall(f, s, 'a-a-b') end",
  };
  struct script_limits limits = {.call_ms = 2};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    char source[512];
    struct err err = {{0}};
    struct runner r;
    snprintf(source, sizeof source, "return { api = 1, map = function(rec)\n%s end }", bodies[i]);
    runner_open(&r, script_load("x", slice_of(source), SCRIPT_STREAM, &limits, &err));
    const char *got = run(&r);
    if (strcmp(got, "timeout: 2: took longer than 2 ms") != 0) fail_msg("%s\n  gives %.200s", bodies[i], got);
    assert_true(script_worn(r.script));
    runner_close(&r);
  }
}

// Each allocation in turn fails.
static void out_of_memory_is_a_refusal(void **state) {
  (void)state;
  const char *source = "return { api = 1, map = function(rec) local s = ('some words '):rep(2000) "
                       "return { (s:gsub('%w+', function(w) return w:rep(3) end)):match('(.-)( .*)') } end }";
  struct script_limits limits = {.call_ms = 100000};
  struct err err = {{0}};
  size_t refused = 0;
  for (long nth = 1; nth < 500; nth++) {
    struct runner r;
    runner_open(&r, script_load("x", slice_of(source), SCRIPT_STREAM, &limits, &err));
    struct json_fault fault;
    assert_true(json_tape_parse(&r.tape, slice_of("{}"), &fault));
    r.header.kind = RECORD_EVENT;
    mem_fail_at(nth);
    script_run(r.script, 0, &r.header, &r.tape, &r.result);
    bool reached = mem_asked() >= nth;
    mem_fail_at(0);
    if (reached) assert_int_not_equal(r.result.outcome, SCRIPT_FILTERED);
    refused += r.result.outcome == SCRIPT_MEMORY || r.result.outcome == SCRIPT_FAILED;
    if (!reached) assert_int_equal(r.result.outcome, SCRIPT_KEPT);
    runner_close(&r);
    if (!reached) break;
  }
  assert_in_range(refused, 5, 499);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(generated_patterns_match_as_luajits_do),
      cmocka_unit_test(classes_hold_the_same_bytes),
      cmocka_unit_test(both_go_as_deep_and_hold_as_many_captures),
      cmocka_unit_test(patterns_mean_what_luas_own_tests_say),
      cmocka_unit_test(hostile_patterns_end_by_themselves),
      cmocka_unit_test(the_clock_goes_on_inside_a_pattern),
      cmocka_unit_test(out_of_memory_is_a_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
