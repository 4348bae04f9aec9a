// streams_parts.h - what the modules around the list of streams share; for flow/ alone.
#pragma once
#include "base/list.h"
#include "flow/script_trial.h"
#include "flow/script_versions.h"
#include "flow/streams.h"

struct streams {
  struct streams_options options;
  struct stream_entry **entries; // in order of id
  size_t count, cap;
  struct list undoing; // changes that wait to be taken back
  streams_changed changed;
  void *changed_arg;
};

// ---- streams.c ----
struct stream_entry *streams_insert(struct streams *all, struct definition *definition); // takes its reference; NULL: out of memory
struct courier *streams_courier(const struct streams *all, const struct definition *definition);
// The stream with this definition (a reference that is taken; NULL: `err` says why there is none), which resumes with the records that
// its script failed for.
void streams_go_back(struct streams *all, struct stream_entry *entry, struct definition *next, const struct err *err,
                         streams_done done, void *arg);

// ---- streams_rollback.c ----
void streams_listen(struct streams *all, struct stream_entry *entry); // to its alarm
void streams_roll_back(struct stream_entry *entry);                   // as its alarm asks, unless a change is under way
void streams_tell_gone_back(const struct stream_entry *entry);        // in its status, that it went back to the version it has
