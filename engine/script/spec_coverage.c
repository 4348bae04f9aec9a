// spec_coverage.c - LuaJIT's bytecode dump (lj_bcdump.h of LuaJIT 2.1) is read for the lines that can run,
// and a line hook notes those that do.
#include "script/spec_coverage.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_state.h"
#include "script/sink_primitives.h"
#include "script/sink_runner.h"

enum {
  DUMP_VERSION = 2,
  DUMP_BIG_ENDIAN = 1,
  DUMP_STRIPPED = 2,
  DUMP_BYTES = 4 << 20, // of a source of LIMIT_SCRIPT_SOURCE_BYTES, far less
  INSTRUCTION_BYTES = 4,
};

struct covered_file {
  struct covered_file *next;
  char *name;
  uint8_t *lines;
  uint32_t count;
  lua_Hook before; // of the states: their clock
};

struct spec_coverage {
  struct covered_file *files; // the newest first
  uint32_t count;
};

struct spec_coverage *spec_coverage_new(void) {
  return mem_zero(1, sizeof(struct spec_coverage));
}

static void free_file(struct covered_file *file) {
  if (!file) return;
  mem_free(file->name);
  mem_free(file->lines);
  mem_free(file);
}

void spec_coverage_free(struct spec_coverage *coverage) {
  if (!coverage) return;
  for (struct covered_file *file = coverage->files, *next; file; file = next) {
    next = file->next;
    free_file(file);
  }
  mem_free(coverage);
}

uint32_t spec_coverage_count(const struct spec_coverage *coverage) {
  return coverage->count;
}

struct spec_covered spec_coverage_at(const struct spec_coverage *coverage, uint32_t i) {
  const struct covered_file *file = coverage->files;
  while (i--)
    file = file->next;
  return (struct spec_covered){file->name, file->lines, file->count};
}

// ---- the lines that can run ----

// Bytes of a dump yet to be read; reading past the end leaves it broken.
struct dump {
  const unsigned char *at, *end;
  bool broken;
};

static void skip(struct dump *d, size_t bytes) {
  if (bytes > (size_t)(d->end - d->at)) {
    d->broken = true;
    bytes = (size_t)(d->end - d->at);
  }
  d->at += bytes;
}

static uint32_t read_byte(struct dump *d) {
  const unsigned char *at = d->at;
  skip(d, 1);
  return d->broken ? 0 : *at;
}

static uint32_t read_number(struct dump *d) {
  uint32_t value = 0;
  for (uint32_t shift = 0; shift < 35; shift += 7) {
    uint32_t byte = read_byte(d);
    value |= (byte & 0x7f) << (shift & 31);
    if (byte < 0x80) return value;
  }
  d->broken = true;
  return 0;
}

// The lines of one function's instructions: their distances from its first line, in as few bytes as the last
// of them needs.
static void mark_lines(struct covered_file *file, const unsigned char *at, uint32_t count, uint32_t first,
                       uint32_t span) {
  uint32_t width = span < 256 ? 1 : span < 65536 ? 2 : 4;
  for (uint32_t i = 0; i < count; i++, at += width) {
    uint32_t distance = 0;
    for (uint32_t byte = 0; byte < width; byte++)
      distance |= (uint32_t)at[byte] << (8 * byte);
    bool closing = i + 1 == count && span && distance == span; // the return that the last `end` stands for
    uint32_t line = first + distance;
    if (!closing && line && line <= file->count) file->lines[line - 1] = SPEC_LINE_NEVER;
  }
}

// flags, parameters, frame, upvalues; counts of constants, numbers, instructions; bytes of debug data, first
// line, lines. Then the instructions, upvalues and constants, and the debug data at the end.
static void read_function(struct dump *d, struct covered_file *file, size_t bytes) {
  struct dump f = {d->at, d->at + bytes, false};
  skip(&f, 4);
  read_number(&f);
  read_number(&f);
  uint32_t instructions = read_number(&f), debug = read_number(&f);
  if (!debug || f.broken) return;
  uint32_t first = read_number(&f), span = read_number(&f);
  uint32_t width = span < 256 ? 1 : span < 65536 ? 2 : 4;
  size_t left = (size_t)(f.end - f.at);
  if (f.broken || debug > left || instructions > left / INSTRUCTION_BYTES ||
      (size_t)instructions * width > debug) {
    d->broken = true;
    return;
  }
  mark_lines(file, f.end - debug, instructions, first, span);
}

static bool read_dump(struct slice bytes, struct covered_file *file, struct err *err) {
  struct dump d = {(const unsigned char *)bytes.at, (const unsigned char *)bytes.at + bytes.len, false};
  skip(&d, 3); // ESC "LJ"
  bool known = read_byte(&d) == DUMP_VERSION;
  uint32_t flags = read_number(&d);
  if (!known || flags & (DUMP_BIG_ENDIAN | DUMP_STRIPPED))
    return err_set(err, "coverage does not know this LuaJIT's bytecode");
  skip(&d, read_number(&d)); // the chunk's name
  for (uint32_t len; (len = read_number(&d)) != 0 && !d.broken;) {
    if (len > (size_t)(d.end - d.at))
      d.broken = true;
    else
      read_function(&d, file, len);
    skip(&d, len);
  }
  return !d.broken || err_set(err, "coverage can't read this LuaJIT's bytecode");
}

// ---- the lines that do ----

static const char hook_key; // its address is the registry's key for the file that a state runs

static void on_line(lua_State *L, lua_Debug *at) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&hook_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  struct covered_file *file = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (at->event == LUA_HOOKCOUNT) {
    file->before(L, at);
    return;
  }
  uint32_t line = at->currentline > 0 ? (uint32_t)at->currentline : 0;
  if (line && line <= file->count && file->lines[line - 1]) file->lines[line - 1] = SPEC_LINE_RAN;
}

static int set_hook(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&hook_key);
  lua_pushvalue(L, 1);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 0;
}

static bool hook(struct covered_file *file, struct lua_state *s, struct err *err) {
  struct lua_failure failure;
  lua_Hook before = lua_gethook(s->L);
  if (before == on_line) return true;
  file->before = before;
  if (!lua_state_protect(s, set_hook, file, 0, 0, &failure))
    return lua_failure_err(&failure, file->name, err);
  lua_sethook(s->L, on_line, LUA_MASKCOUNT | LUA_MASKLINE, LIMIT_SCRIPT_HOOK_STEPS);
  return true;
}

struct compiling {
  struct slice source;
  struct buf *dump;
  bool given;
};

static const char *give(lua_State *L, void *arg, size_t *len) {
  (void)L;
  struct compiling *c = arg;
  *len = c->given ? 0 : c->source.len;
  c->given = true;
  return c->source.at;
}

static int take(lua_State *L, const void *at, size_t len, void *arg) {
  (void)L;
  return !buf_append(arg, at, len);
}

static int dump(lua_State *L) {
  struct compiling *c = lua_touserdata(L, 1);
  if (lua_loadx(L, give, c, "=script", "t") != 0 || lua_dump(L, take, c->dump) != 0)
    luaL_error(L, "can't be compiled");
  return 0;
}

// Compiles and runs the source apart, under the hook.
static bool run_apart(struct covered_file *file, struct slice source, struct err *err) {
  struct lua_failure failure;
  struct buf bytes;
  struct compiling c = {source, &bytes, false};
  buf_init(&bytes, DUMP_BYTES);
  struct lua_state *s = lua_state_new(NULL, err);
  bool ok = s != NULL;
  if (ok) ok = lua_state_protect(s, dump, &c, 0, 0, &failure) || lua_failure_err(&failure, file->name, err);
  ok = ok && read_dump(buf_slice(&bytes), file, err) && hook(file, s, err);
  if (ok)
    ok = lua_state_protect(s, sink_primitives_open, NULL, 0, 0, &failure) ||
         lua_failure_err(&failure, file->name, err);
  ok = ok && lua_state_load(s, file->name, source, err);
  lua_state_free(s);
  buf_fini(&bytes);
  return ok;
}

static uint32_t lines_of(struct slice source) {
  uint32_t lines = 1;
  for (size_t i = 0; i < source.len; i++)
    lines += source.at[i] == '\n';
  return lines;
}

static struct covered_file *add_file(struct spec_coverage *coverage, const char *name, struct slice source,
                                     struct err *err) {
  struct covered_file *file = mem_zero(1, sizeof *file);
  if (file) {
    file->count = lines_of(source);
    file->lines = mem_zero(file->count, 1);
    file->name = mem_copy(name, strlen(name));
  }
  bool ok = (file && file->lines && file->name) || err_set(err, "out of memory");
  if (!ok || !run_apart(file, source, err)) {
    free_file(file);
    return NULL;
  }
  file->next = coverage->files;
  coverage->files = file;
  coverage->count++;
  return file;
}

bool spec_coverage_watch(struct spec_coverage *coverage, const char *name, struct slice source,
                         struct lua_state *state, struct err *err) {
  struct covered_file *file = coverage->files;
  while (file && strcmp(file->name, name) != 0)
    file = file->next;
  if (!file) file = add_file(coverage, name, source, err);
  return file && hook(file, state, err);
}

bool spec_coverage_watch_sink(struct spec_coverage *coverage, struct sink_binding *binding, struct err *err) {
  const struct sink_state *state = binding->state;
  return !state->lua ||
         spec_coverage_watch(coverage, state->sink->file, state->sink->source, state->lua, err);
}
