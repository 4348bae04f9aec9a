// spec_parts.h - a running spec file, as its modules share it.
#pragma once
#include "base/limits.h"
#include "script/lua_state.h"
#include "script/spec.h"
#include "script/spec_stream.h"

struct spec_block { // a describe; the first one is the file
  uint32_t parent;
  char *name; // with its parents'
};

struct spec_before {
  uint32_t block;
  int hook; // registry reference
};

struct spec_it {
  uint32_t block, line;
  int body; // registry reference
  char *name;
};

struct spec_host { // a stream or a sink; both NULL: closed
  uint32_t number;
  struct spec_stream *stream;
  void *sink;
};

struct spec {
  const char *file;
  const struct spec_options *options;
  const struct spec_report *report;
  struct lua_state *lua;

  struct spec_block *blocks;
  struct spec_before *befores;
  struct spec_it *its;
  uint32_t block_count, block_cap, before_count, before_cap, it_count, it_cap;
  uint32_t block; // being described
  uint32_t depth;
  bool running; // a case, not the file

  struct spec_host hosts[LIMIT_SPEC_HOSTS];
  uint32_t host_count, hosts_made;

  struct json_tape tape; // of what is being read or made by a word; no word is called inside another's use
  struct buf text;
  struct buf details;     // of the last assertion that failed
  char assertion[128];    // its message's beginning; empty: none failed
  char script_error[600]; // of the last record for which a script failed in this case
  char message[400];      // of the case that failed
};

// One more element for an array; NULL: out of memory.
void *spec_room(void *array, uint32_t count, uint32_t *cap, size_t bytes);
// The spec that a word belongs to: upvalue 1.
static inline struct spec *spec_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}
// Sets a word in the table on top of the stack; as a global. They raise Lua errors.
void spec_set_function(lua_State *L, struct spec *spec, const char *name, lua_CFunction function);
void spec_set_word(lua_State *L, struct spec *spec, const char *name, lua_CFunction function);

// describe, it, before_each, fixture; stream and sink; assert. Set as globals. They raise Lua errors.
void spec_words_open(lua_State *L, struct spec *spec);
void spec_hosts_open(lua_State *L, struct spec *spec);
void spec_assert_open(lua_State *L, struct spec *spec);
// Closes the streams and sinks beyond the first `keep`.
void spec_hosts_close(struct spec *spec, uint32_t keep);

// The file that a word's argument names: beside the spec first, else from the working folder. Raises a Lua
// error when there is none.
void spec_find(lua_State *L, const struct spec *spec, const char *name, const char *extension, char *path,
               size_t room);
// Reads the record at `index` (a table, or JSON text) as JSON into spec->text, or raises.
struct slice spec_read_value(lua_State *L, struct spec *spec, int index, const char *what);
// Pushes JSON text as Lua values, or raises.
void spec_push_json(lua_State *L, struct spec *spec, struct slice text, const char *what);
