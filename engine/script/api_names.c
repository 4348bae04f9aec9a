#include "script/api_names.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "script/lua_explain.h"
#include "script/lua_state.h"
#include "script/sink_primitives.h"

#include <stdio.h>

enum { NAMES = 200, NAME_BYTES = 24 }; // more than there are, and longer than they are

struct name {
  char library[NAME_BYTES], name[NAME_BYTES];
};

struct api_names {
  struct name at[NAMES];
  size_t count;
};

static void add(struct api_names *names, const char *library, const char *name) {
  if (names->count == NAMES) return;
  struct name *one = &names->at[names->count++];
  snprintf(one->library, NAME_BYTES, "%s", library);
  snprintf(one->name, NAME_BYTES, "%s", name);
}

// Adds the string keys of the table on top of the stack, and those of tables in it.
static void add_table(struct api_names *names, lua_State *L, const char *library) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *name = lua_tostring(L, -2);
    add(names, library, name);
    if (!*library && lua_type(L, -1) == LUA_TTABLE) add_table(names, L, name);
  }
}

static bool read_sandbox(struct api_names *names, enum script_role role, struct err *err) {
  struct lua_failure failure;
  struct lua_state *s = lua_state_new(NULL, err);
  if (!s) return false;
  bool ok = role != SCRIPT_SINK || lua_state_protect(s, sink_primitives_open, NULL, 0, 0, &failure);
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
  add_table(names, s->L, "");
  lua_state_free(s);
  return ok || err_set(err, "%s", failure.text);
}

struct api_names *api_names_new(enum script_role role, struct err *err) {
  struct api_names *names = mem_zero(1, sizeof *names);
  if (!names || !read_sandbox(names, role, err)) {
    err_set(err, "out of memory");
    mem_free(names);
    return NULL;
  }
  for (const char *const *name = lua_explain_context_names; *name; name++)
    add(names, "ctx", *name);
  return names;
}

void api_names_free(struct api_names *names) {
  mem_free(names);
}

bool api_names_has(const struct api_names *names, struct slice library, struct slice name) {
  for (size_t i = 0; i < names->count; i++)
    if (slice_is(library, names->at[i].library) && slice_is(name, names->at[i].name)) return true;
  return false;
}

bool api_names_is_library(const struct api_names *names, struct slice name) {
  for (size_t i = 0; i < names->count; i++)
    if (name.len && slice_is(name, names->at[i].library)) return true;
  return false;
}

const char *api_names_suggest(const struct api_names *names, struct slice library, struct slice name) {
  const char *words[NAMES + 1];
  char wrong[100];
  size_t count = 0;
  for (size_t i = 0; i < names->count; i++)
    if (slice_is(library, names->at[i].library)) words[count++] = names->at[i].name;
  words[count] = NULL;
  snprintf(wrong, sizeof wrong, "%.*s", (int)name.len, name.at);
  return suggest(wrong, words);
}
