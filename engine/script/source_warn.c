#include "script/source_warn.h"
#include "base/mem.h"
#include "script/dictionary.h"
#include "script/source_scan.h"
#include "script/source_scope.h"

#include <stdarg.h>
#include <stdio.h>

enum { TOLD = 64, TEXT_BYTES = 400 };

struct walk {
  struct source_word *words; // the last one is SOURCE_END
  size_t count, at;
  enum script_role role;
  const struct api_names *names;
  struct slice module;     // the local that the chunk returns; empty: none
  struct slice told[TOLD]; // globals that were warned of
  size_t told_count;
  source_warn_fn tell;
  void *arg;
  struct source_scope scope;
};

// The word so many places from the present one; SOURCE_END outside of the source.
static const struct source_word *word(const struct walk *w, ptrdiff_t ahead) {
  ptrdiff_t at = (ptrdiff_t)w->at + ahead;
  return &w->words[at >= 0 && at < (ptrdiff_t)w->count ? (size_t)at : w->count - 1];
}

static bool is(const struct source_word *one, enum source_word_kind kind, const char *text) {
  return one->kind == kind && slice_is(one->text, text);
}

static bool is_sign(const struct walk *w, ptrdiff_t ahead, const char *text) {
  return is(word(w, ahead), SOURCE_SIGN, text);
}

static bool is_name(const struct walk *w, ptrdiff_t ahead) {
  return word(w, ahead)->kind == SOURCE_NAME;
}

static void warn(struct walk *w, const struct source_word *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void warn(struct walk *w, const struct source_word *at, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list args;
  if (w->scope.lost) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  w->tell(w->arg, at->line, text);
}

// ---- globals ----

// Whether the global was warned of before; notes it. Once is enough, and so are so many.
static bool told(struct walk *w, struct slice name) {
  for (size_t i = 0; i < w->told_count; i++)
    if (slice_equal(w->told[i], name)) return true;
  if (w->told_count < TOLD) w->told[w->told_count++] = name;
  return w->told_count == TOLD;
}

static void warn_assigned(struct walk *w, const struct source_word *name) {
  if (!told(w, name->text))
    warn(w, name, "global '%.*s' is assigned, which fails when it runs: use local", (int)name->text.len,
         name->text.at);
}

static void warn_unknown(struct walk *w, const struct source_word *name) {
  const struct slice top = {"", 0};
  if (api_names_has(w->names, top, name->text) || told(w, name->text)) return;
  const char *near = api_names_suggest(w->names, top, name->text);
  warn(w, name, near ? "global '%.*s' is not known; did you mean '%s'?" : "global '%.*s' is not known",
       (int)name->text.len, name->text.at, near);
}

static void check_member(struct walk *w, struct slice library) {
  const struct source_word *name = word(w, 2);
  bool is_member = is_sign(w, 1, ".") && name->kind == SOURCE_NAME;
  if (!is_member || api_names_has(w->names, library, name->text)) return;
  const char *near = api_names_suggest(w->names, library, name->text);
  if (near)
    warn(w, name, "%.*s.%.*s is not known; did you mean %.*s.%s?", (int)library.len, library.at,
         (int)name->text.len, name->text.at, (int)library.len, library.at, near);
  else
    warn(w, name, "%.*s.%.*s is not known", (int)library.len, library.at, (int)name->text.len, name->text.at);
}

// ---- fields ----

static void check_path(struct walk *w, const struct source_word *at, const char *path) {
  const unsigned every = 1u << RECORD_EVENT | 1u << RECORD_USAGE | 1u << RECORD_ALERT;
  char near[DICTIONARY_PATH_BYTES];
  if (!*path || dictionary_kinds(slice_of(path))) return;
  if (dictionary_suggest(slice_of(path), every, near))
    warn(w, at, "rec.%s: no record has such a field; did you mean '%s'?", path, near);
  else
    warn(w, at, "rec.%s: no record has such a field", path);
}

// Adds a step to the path. False: there is no room.
static bool add_step(char path[DICTIONARY_PATH_BYTES], const char *dot, struct slice step) {
  size_t len = strlen(path);
  if (len + step.len + 2 > DICTIONARY_PATH_BYTES) return false;
  snprintf(path + len, DICTIONARY_PATH_BYTES - len, "%s%.*s", len ? dot : "", (int)step.len, step.at);
  return true;
}

// The path read from the record whose name is the present word: steps of names, texts and, where a list is
// known, elements.
static void check_chain(struct walk *w) {
  char path[DICTIONARY_PATH_BYTES] = "";
  ptrdiff_t i = 1;
  for (;;) {
    bool in_brackets = is_sign(w, i, "[") && is_sign(w, i + 2, "]");
    const struct source_word *step = word(w, i + 1);
    if (is_sign(w, i, ".") || (in_brackets && step->kind == SOURCE_STRING)) {
      if (!add_step(path, ".", step->text)) return;
    } else if (in_brackets) {
      char list[DICTIONARY_PATH_BYTES + 2];
      snprintf(list, sizeof list, "%s[]", path);
      if (!dictionary_kinds(slice_of(list)) || !add_step(path, "", slice_of("[]"))) break;
    } else {
      break;
    }
    i += in_brackets ? 3 : 2;
  }
  if (i > 1 && is_sign(w, i, "=") && source_scope_top(&w->scope) == SOURCE_BLOCK)
    warn(w, word(w, 0), "rec.%s is assigned, which fails when it runs: build a new table", path);
  else
    check_path(w, word(w, 0), path);
}

// get(rec, "a.b") and has(rec, "a.b"); the present word is the function's name.
static void check_call(struct walk *w) {
  const struct source_word *path = word(w, 4);
  if (!slice_is(word(w, 0)->text, "get") && !slice_is(word(w, 0)->text, "has")) return;
  if (!is_sign(w, 1, "(") || !is_name(w, 2) || !is_sign(w, 3, ",") || path->kind != SOURCE_STRING) return;
  const struct source_local *local = source_scope_find(&w->scope, word(w, 2)->text);
  char copy[DICTIONARY_PATH_BYTES] = "";
  if (!local || local->role != SOURCE_RECORD || memchr(path->text.at, '\\', path->text.len)) return;
  if (add_step(copy, "", path->text)) check_path(w, path, copy);
}

// ---- names ----

// Whether the present name, in a list of names perhaps, is followed by '='.
static bool is_assigned(const struct walk *w) {
  ptrdiff_t i = 1;
  if (source_scope_top(&w->scope) != SOURCE_BLOCK) return false;
  while (is_sign(w, i, ",") && is_name(w, i + 1))
    i += 2;
  return is_sign(w, i, "=");
}

static void walk_local(struct walk *w, struct source_local *local) {
  if (is_assigned(w)) local->role = SOURCE_PLAIN;
  if (local->role == SOURCE_RECORD) check_chain(w);
  if (local->role == SOURCE_CONTEXT) check_member(w, slice_of("ctx"));
}

static void walk_global(struct walk *w) {
  const struct source_word *name = word(w, 0);
  if (is_assigned(w)) {
    warn_assigned(w, name);
    return;
  }
  warn_unknown(w, name);
  check_call(w);
  if (api_names_is_library(w->names, name->text)) check_member(w, name->text);
}

static void walk_name(struct walk *w) {
  const struct source_word *name = word(w, 0);
  enum source_block_kind top = source_scope_top(&w->scope);
  bool is_key = (top == SOURCE_TABLE || top == SOURCE_MODULE_TABLE) && is_sign(w, 1, "=");
  bool is_goto = slice_is(name->text, "goto") && is_name(w, 1);
  struct source_local *local = source_scope_find(&w->scope, name->text);
  if (local && !is_key)
    walk_local(w, local);
  else if (!is_key && !is_goto)
    walk_global(w);
  w->at += is_goto ? 2 : 1;
}

// Declares the names from the present word on, with commas between them, and moves behind them.
static void declare_names(struct walk *w, enum source_role first, enum source_role second) {
  for (size_t i = 0; is_name(w, 0); i++) {
    source_scope_declare(&w->scope, word(w, 0)->text, i == 0 ? first : i == 1 ? second : SOURCE_PLAIN);
    w->at++;
    if (!is_sign(w, 0, ",")) return;
    w->at++;
  }
}

// ---- functions ----

static bool is_hook(const struct walk *w, const struct source_word *name) {
  static const char *const hooks[] = {"filter", "map", "alert"};
  for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
    if (is(name, SOURCE_NAME, hooks[i])) return w->role == SCRIPT_STREAM || i == 1;
  return false;
}

// Whether `module.` stands there, and nothing in front of it.
static bool is_module(const struct walk *w, ptrdiff_t ahead) {
  return w->module.len && is_name(w, ahead) && slice_equal(word(w, ahead)->text, w->module) &&
         is_sign(w, ahead + 1, ".") && !is_sign(w, ahead - 1, ".");
}

// `M.map = function` and `map = function` in the table of hooks; the present word is `function`.
static bool is_hook_value(const struct walk *w) {
  if (!is_sign(w, -1, "=") || !is_hook(w, word(w, -2))) return false;
  return is_module(w, -4) || source_scope_top(&w->scope) == SOURCE_MODULE_TABLE;
}

// Moves over the name of a function, to the bracket; *is_method: it has a self.
static bool walk_function_name(struct walk *w, bool *is_method) {
  const struct source_word *name = word(w, 0);
  bool hook = is_module(w, 0) && is_hook(w, word(w, 2)) && is_sign(w, 3, "(");
  if (!source_scope_find(&w->scope, name->text)) {
    if (is_sign(w, 1, "("))
      warn_assigned(w, name);
    else
      warn_unknown(w, name);
  }
  for (*is_method = false; !is_sign(w, 0, "(") && word(w, 0)->kind != SOURCE_END; w->at++)
    *is_method |= is_sign(w, 0, ":");
  return hook;
}

static void walk_function(struct walk *w) {
  bool hook = is_hook_value(w), is_method = false;
  w->at++;
  if (is_name(w, 0)) hook = walk_function_name(w, &is_method);
  source_scope_open(&w->scope, SOURCE_BLOCK);
  if (is_method) source_scope_declare(&w->scope, slice_of("self"), SOURCE_PLAIN);
  w->at++; // the bracket
  declare_names(w, hook && w->role == SCRIPT_STREAM ? SOURCE_RECORD : SOURCE_PLAIN,
                hook ? SOURCE_CONTEXT : SOURCE_PLAIN);
  while (!is_sign(w, 0, ")") && word(w, 0)->kind != SOURCE_END)
    w->at++; // "..."
  w->at++;
}

// ---- the walk ----

static void walk_locals(struct walk *w) {
  w->at++;
  if (is(word(w, 0), SOURCE_KEYWORD, "function")) {
    source_scope_declare(&w->scope, word(w, 1)->text, SOURCE_PLAIN);
    walk_function(w);
  } else {
    declare_names(w, SOURCE_PLAIN, SOURCE_PLAIN);
    if (is_sign(w, 0, "=")) w->at++;
  }
}

static void walk_for(struct walk *w) {
  source_scope_open(&w->scope, SOURCE_LOOP);
  w->at++;
  declare_names(w, SOURCE_PLAIN, SOURCE_PLAIN);
  w->at++; // "=" or "in"
}

static void walk_do(struct walk *w) {
  if (source_scope_top(&w->scope) == SOURCE_LOOP)
    source_scope_enter_loop(&w->scope);
  else
    source_scope_open(&w->scope, SOURCE_BLOCK);
}

static void walk_keyword(struct walk *w) {
  const struct source_word *one = word(w, 0);
  if (slice_is(one->text, "local")) {
    walk_locals(w);
  } else if (slice_is(one->text, "function")) {
    walk_function(w);
  } else if (slice_is(one->text, "for")) {
    walk_for(w);
  } else {
    bool leaves = slice_is(one->text, "end") || slice_is(one->text, "else") || slice_is(one->text, "elseif");
    if (leaves) source_scope_close(&w->scope);
    if (slice_is(one->text, "until")) source_scope_close_keeping(&w->scope);
    if (slice_is(one->text, "while")) source_scope_open(&w->scope, SOURCE_LOOP);
    if (slice_is(one->text, "do")) walk_do(w);
    bool enters = slice_is(one->text, "then") || slice_is(one->text, "else") || slice_is(one->text, "repeat");
    if (enters) source_scope_open(&w->scope, SOURCE_BLOCK);
    w->at++;
  }
}

static enum source_block_kind table_kind(const struct walk *w) {
  bool returned = is(word(w, -1), SOURCE_KEYWORD, "return") && source_scope_top(&w->scope) == SOURCE_BLOCK &&
                  w->scope.block_count == 0;
  bool module = is_sign(w, -1, "=") && is_name(w, -2) && w->module.len &&
                slice_equal(word(w, -2)->text, w->module) && w->scope.block_count == 0;
  return returned || module ? SOURCE_MODULE_TABLE : SOURCE_TABLE;
}

static void walk_sign(struct walk *w) {
  char sign = word(w, 0)->text.at[0];
  bool member = (is_sign(w, 0, ".") || is_sign(w, 0, ":")) && is_name(w, 1);
  if (sign == '(' || sign == '[') source_scope_open(&w->scope, SOURCE_BRACKET);
  if (sign == '{') source_scope_open(&w->scope, table_kind(w));
  if (sign == ')' || sign == ']' || sign == '}') source_scope_close(&w->scope);
  if (is_sign(w, 0, "::")) w->at += 2; // a label
  w->at += member ? 2 : 1;
}

static void walk(struct walk *w) {
  while (word(w, 0)->kind != SOURCE_END && !w->scope.lost) {
    switch (word(w, 0)->kind) {
    case SOURCE_NAME:
      walk_name(w);
      break;
    case SOURCE_KEYWORD:
      walk_keyword(w);
      break;
    case SOURCE_SIGN:
      walk_sign(w);
      break;
    default:
      w->at++;
    }
  }
}

static bool read_words(struct walk *w, struct slice source) {
  struct source_scan scan;
  size_t room = 0;
  source_scan_init(&scan, source);
  do {
    if (w->count == room) {
      room = room ? room * 2 : 256;
      struct source_word *grown = mem_grow(w->words, room * sizeof *grown);
      if (!grown) return false;
      w->words = grown;
    }
    w->words[w->count] = source_scan_next(&scan);
  } while (w->words[w->count++].kind != SOURCE_END);
  return true;
}

static void find_module(struct walk *w) {
  size_t last = w->count - 1; // the end
  if (last && is(&w->words[last - 1], SOURCE_SIGN, ";")) last--;
  bool named = last >= 2 && w->words[last - 1].kind == SOURCE_NAME &&
               is(&w->words[last - 2], SOURCE_KEYWORD, "return");
  if (named) w->module = w->words[last - 1].text;
}

bool source_warn(struct slice source, enum script_role role, const struct api_names *names,
                 source_warn_fn tell, void *arg) {
  struct walk *w = mem_zero(1, sizeof *w);
  if (!w) return false;
  w->role = role;
  w->names = names;
  w->tell = tell;
  w->arg = arg;
  bool ok = read_words(w, source);
  if (ok) {
    find_module(w);
    walk(w);
  }
  mem_free(w->words);
  mem_free(w);
  return ok;
}
