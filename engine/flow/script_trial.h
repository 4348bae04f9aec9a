// script_trial.h - what a stream is to do to its records from now on, tried apart on the last records of its kinds.
//
// It is refused when a record crashes or hangs the worker, or when it fails for every one of them and what runs now does not.
#pragma once
#include "flow/definition.h"
#include "journal/journal.h"
#include "net/loop.h"
#include "script/pool.h"

struct script_trial { // the caller's; the first part is filled by it and kept until `done`
  struct loop *loop;
  struct pool *pool;
  struct journal *journal;
  const struct definition *old, *next;
  void (*done)(struct script_trial *trial); // on the loop; may run before script_trial_begin returns

  bool ok;
  bool failed; // when not ok: it could not be tried, which says nothing about it
  struct err err;
};

// Whether records may fare otherwise under `next` than under `old`.
bool script_trial_wanted(const struct definition *old, const struct definition *next);
void script_trial_begin(struct script_trial *trial);
