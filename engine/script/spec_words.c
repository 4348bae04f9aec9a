// spec_words.c - describe, it, before_each and fixture: the words with which a spec file says what its cases
// are.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/lua_encode.h"
#include "script/lua_json.h"
#include "script/lua_text.h"
#include "script/spec_parts.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { RECORD_NODES = 100000 }; // values of a record that a spec makes

void spec_set_function(lua_State *L, struct spec *spec, const char *name, lua_CFunction function) {
  lua_pushlightuserdata(L, spec);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
}

void spec_set_word(lua_State *L, struct spec *spec, const char *name, lua_CFunction function) {
  lua_pushlightuserdata(L, spec);
  lua_pushcclosure(L, function, 1);
  lua_state_set_global(L, name);
}

// ---- cases ----

static uint32_t line_of_caller(lua_State *L) {
  lua_Debug at;
  if (!lua_getstack(L, 1, &at) || !lua_getinfo(L, "l", &at) || at.currentline < 1) return 0;
  return (uint32_t)at.currentline;
}

// The name at index 1 behind the block's own, as a copy.
static char *whole_name(lua_State *L, const struct spec *spec) {
  char own[SPEC_NAME_BYTES], whole[SPEC_NAME_BYTES];
  struct slice name;
  const char *outer = spec->blocks[spec->block].name;
  name.at = lua_tolstring(L, 1, &name.len);
  lua_text_clean(name, own, sizeof own);
  int len = snprintf(whole, sizeof whole, "%s%s%s", outer, outer[0] ? " " : "", own);
  size_t room = len < SPEC_NAME_BYTES ? (size_t)len : SPEC_NAME_BYTES - 1;
  char clean[SPEC_NAME_BYTES];
  char *copy = mem_copy(
      clean, lua_text_clean(slice_make(whole, room), clean, sizeof clean)); // cut where a character ends
  if (!copy) luaL_error(L, "out of memory");
  return copy;
}

static void check_word(lua_State *L, const struct spec *spec, const char *word) {
  if (spec->running) luaL_error(L, "%s can't stand inside it or before_each", word);
  if (lua_type(L, 1) != LUA_TSTRING || !lua_isfunction(L, 2))
    luaL_error(L, "%s takes a name and a function", word);
  lua_settop(L, 2);
}

static int word_describe(lua_State *L) {
  struct spec *spec = spec_of(L);
  check_word(L, spec, "describe");
  if (spec->depth == SPEC_DEPTH) return luaL_error(L, "describe stands in %d others already", SPEC_DEPTH);
  struct spec_block *blocks =
      spec->block_count < LIMIT_SPEC_CASES
          ? spec_room(spec->blocks, spec->block_count, &spec->block_cap, sizeof *blocks)
          : NULL;
  if (!blocks) return luaL_error(L, "too many describes");
  spec->blocks = blocks;
  uint32_t outer = spec->block, number = spec->block_count;
  blocks[number] = (struct spec_block){outer, whole_name(L, spec)};
  spec->block_count++;
  spec->block = number;
  spec->depth++;
  lua_call(L, 0, 0);
  spec->depth--;
  spec->block = outer;
  return 0;
}

static int word_it(lua_State *L) {
  struct spec *spec = spec_of(L);
  check_word(L, spec, "it");
  struct spec_it *its = spec->it_count < LIMIT_SPEC_CASES
                            ? spec_room(spec->its, spec->it_count, &spec->it_cap, sizeof *its)
                            : NULL;
  if (!its) return luaL_error(L, "more than %d cases", LIMIT_SPEC_CASES);
  spec->its = its;
  uint32_t line = line_of_caller(L);
  int body = luaL_ref(L, LUA_REGISTRYINDEX);
  its[spec->it_count] = (struct spec_it){spec->block, line, body, whole_name(L, spec)};
  spec->it_count++;
  return 0;
}

static int word_before_each(lua_State *L) {
  struct spec *spec = spec_of(L);
  if (spec->running) return luaL_error(L, "before_each can't stand inside it or before_each");
  if (!lua_isfunction(L, 1)) return luaL_error(L, "before_each takes a function");
  struct spec_before *befores =
      spec->before_count < LIMIT_SPEC_CASES
          ? spec_room(spec->befores, spec->before_count, &spec->before_cap, sizeof *befores)
          : NULL;
  if (!befores) return luaL_error(L, "too many before_each");
  spec->befores = befores;
  lua_settop(L, 1);
  befores[spec->before_count] = (struct spec_before){spec->block, luaL_ref(L, LUA_REGISTRYINDEX)};
  spec->before_count++;
  return 0;
}

// ---- files ----

// FOLDER/IN/NAME.EXTENSION when there is such a file.
static bool try_path(struct slice folder, const char *in, const char *name, const char *extension, char *path,
                     size_t room) {
  int len = snprintf(path, room, "%.*s%s%s%s", (int)folder.len, folder.at, in, name, extension);
  return len > 0 && (size_t)len < room && access(path, F_OK) == 0;
}

// "" or "FOLDER/".
static struct slice folder_of(const char *file) {
  const char *slash = strrchr(file, '/');
  return slice_make(file, slash ? (size_t)(slash + 1 - file) : 0);
}

static bool find_with(const struct spec *spec, const char *name, const char *extension, char *path,
                      size_t room) {
  static const char *const places[] = {"", "fixtures/", "samples/", "../samples/"};
  if (slice_ends(slice_of(name), extension)) extension = "";
  if (name[0] == '/') return try_path(slice_make("", 0), "", name, extension, path, room);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (try_path(folder_of(spec->file), places[i], name, extension, path, room)) return true;
  return try_path(slice_make("", 0), "", name, extension, path, room);
}

void spec_find(lua_State *L, const struct spec *spec, const char *name, const char *extension, char *path,
               size_t room) {
  if (!find_with(spec, name, extension, path, room))
    luaL_error(L, "there is no file %s%s beside the spec", name,
               slice_ends(slice_of(name), extension) ? "" : extension);
}

// ---- values ----

struct slice spec_read_value(lua_State *L, struct spec *spec, int index, const char *what) {
  struct err err = {{0}};
  struct slice text;
  spec->text.len = 0;
  if (lua_type(L, index) == LUA_TSTRING) {
    text.at = lua_tolstring(L, index, &text.len);
    if (!buf_append(&spec->text, text.at, text.len)) luaL_error(L, "%s is too long", what);
    return buf_slice(&spec->text);
  }
  struct lua_encode_left left = {RECORD_NODES, LIMIT_RECORD_BYTES};
  if (lua_type(L, index) != LUA_TTABLE)
    luaL_error(L, "%s must be a table or JSON text, not a %s", what, luaL_typename(L, index));
  if (!lua_encode_within(L, index, &spec->text, &left, &err)) luaL_error(L, "%s: %s", what, err.text);
  return buf_slice(&spec->text);
}

void spec_push_json(lua_State *L, struct spec *spec, struct slice text, const char *what) {
  struct json_fault fault;
  if (!json_tape_parse(&spec->tape, text, &fault))
    luaL_error(L, "%s: no JSON at byte %d: %s", what, (int)fault.at,
               fault.what ? fault.what : "out of memory");
  lua_json_push(L, &spec->tape, 0);
}

// The file's bytes in spec->text, or a Lua error.
static struct slice read_file(lua_State *L, struct spec *spec, const char *path) {
  struct err err = {{0}};
  size_t len;
  char *bytes = disk_read_file(path, LIMIT_SPEC_FILE_BYTES, &len, &err);
  spec->text.len = 0;
  bool ok = bytes && buf_append(&spec->text, bytes, len);
  mem_free(bytes);
  if (!ok) luaL_error(L, "%s", err.text[0] ? err.text : "out of memory");
  return buf_slice(&spec->text);
}

static struct slice without_space(struct slice text) {
  while (text.len && memchr(" \t\r\n", text.at[0], 4))
    text = slice_make(text.at + 1, text.len - 1);
  return text;
}

// The values of the file one behind the other: pushed as a list, or as they are if there is one and the file
// is not NDJSON.
static void push_values(lua_State *L, struct spec *spec, struct slice text, const char *path, bool lines) {
  int count = 0;
  size_t used, whole = text.len;
  lua_newtable(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_ARRAY);
  lua_setmetatable(L, -2);
  for (text = without_space(text); text.len;
       text = without_space(slice_make(text.at + used, text.len - used))) {
    struct json_fault fault;
    if (!json_tape_parse_first(&spec->tape, text, &used, &fault))
      luaL_error(L, "%s: no JSON at byte %d: %s", path, (int)(whole - text.len + fault.at),
                 fault.what ? fault.what : "out of memory");
    lua_json_push(L, &spec->tape, 0);
    lua_rawseti(L, -2, ++count);
  }
  if (!lines && count == 1) lua_rawgeti(L, -1, 1);
}

static int word_fixture(lua_State *L) {
  struct spec *spec = spec_of(L);
  char path[PATH_MAX];
  if (lua_type(L, 1) != LUA_TSTRING) return luaL_error(L, "fixture takes a file's name");
  const char *name = lua_tostring(L, 1);
  if (!find_with(spec, name, ".json", path, sizeof path) &&
      !find_with(spec, name, ".ndjson", path, sizeof path))
    return luaL_error(
        L, "there is no fixture %s: looked for .json and .ndjson beside the spec, in fixtures and in samples",
        name);
  push_values(L, spec, read_file(L, spec, path), path, slice_ends(slice_of(path), ".ndjson"));
  return 1;
}

void spec_words_open(lua_State *L, struct spec *spec) {
  spec_set_word(L, spec, "describe", word_describe);
  spec_set_word(L, spec, "it", word_it);
  spec_set_word(L, spec, "before_each", word_before_each);
  spec_set_word(L, spec, "fixture", word_fixture);
}
