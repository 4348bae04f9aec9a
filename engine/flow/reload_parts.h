// reload_parts.h - a changed file on its way, shared by the modules of reload; for flow/ alone.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "flow/reload.h"
#include "flow/spec_run.h"
#include "net/watch.h"

enum reload_kind { RELOAD_SCRIPT, RELOAD_SINK, RELOAD_KINDS };
enum reload_state {
  RELOAD_RESTS,
  RELOAD_WAITS,  // to be looked at
  RELOAD_CHECKS, // being compiled
  RELOAD_TESTS,  // its specs run
  RELOAD_RENEWS, // streams take it over
};
enum { RELOAD_NAME_BYTES = 65 };

struct reload_file {
  struct reload *all;
  enum reload_kind kind;
  enum reload_state state;
  bool again; // it may have changed since it was read
  struct list waiting;
  char name[RELOAD_NAME_BYTES]; // without .lua
  char *source;                 // while it is worked on
  size_t len;
  char version[DEFINITION_VERSION_BYTES]; // of `source`
  char refused[DEFINITION_VERSION_BYTES]; // the last version that was no good; empty: none
  char label[RELOAD_NAME_BYTES + 4];      // for messages
  struct pool_check check;
  struct spec_run *specs;
  struct sink *sink;                 // RELOAD_SINK: while streams are bound to it; the set's
  char cursor[DEFINITION_ID_BYTES];  // the last stream that was asked to take it over
  unsigned asked, renewing, taken, refusals; // streams: in all, under way, done, that could not
  bool stepping;
  bool told; // streams have been told of what is wrong with it
};

struct reload {
  struct reload_options options;
  struct watch *watches[RELOAD_KINDS];
  struct map files;    // by hash of kind and name: those that are worked on, and those that were refused
  struct list waiting; // to be looked at
  struct loop_task step;
  unsigned working;
};

// ---- reload.c ----
const char *reload_kind_name(const struct reload_file *f);
void reload_look(struct reload *all, enum reload_kind kind, const char *name); // at NAME.lua, when there is time
void reload_path(const struct reload_file *f, char *out, size_t room);
void reload_rest(struct reload_file *f);                     // done with it; may free it
void reload_refuse(struct reload_file *f, const char *why);  // the streams that use it go on as they are
bool reload_uses(const struct reload_file *f, const struct stream_entry *entry);
bool reload_wants(const struct reload_file *f, const struct stream_entry *entry); // it uses it, in another version
bool reload_is_wanted(const struct reload_file *f);
void reload_tell_users(const struct reload_file *f, const char *why); // in their status; NULL: all is well

// ---- reload_stages.c ----
void reload_begin(struct reload_file *f); // reads it, and takes what is new through its stages
