// try_answer.h - what became of each record of a trial, as JSON: what the script made of it, and the request
// that would be sent.
#pragma once
#include "api/try_plan.h"
#include "base/buf.h"
#include "script/pool_trial.h"

struct try_item { // one record
  struct slice record;
  struct record_header header;
  const struct pool_trial_result *result; // NULL: it was not tried
  const char *reason;                     // filtered before the script; NULL: not so
  char refused[256];                      // it is no record; empty: it is one
};

// {"items":[...]}. Records are spliced as they are, secrets are shown as stars. Takes time: for the desk.
// False with err.
bool try_answer_write(struct buf *out, const struct try_item *items, uint32_t count,
                      const struct try_plan *plan, struct err *err);
