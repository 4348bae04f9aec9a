// try_plan.h - what POST /api/v1/scripts/try asks for: which program, on which records.
#pragma once
#include "api/app.h"

struct try_plan {
  struct program *program;
  struct sink *sink; // a reference; NULL: no requests are shown
  char *settings;    // of the sink, checked: JSON with the secrets in it, for free()
  char stream_id[DEFINITION_ID_BYTES];
  int64_t organisation; // whose records `last` are; JOURNAL_ALL: everybody's
  unsigned kinds;       // and of which kinds
  uint32_t last;        // 0: the request's own records
};

// `body`: the request's, without its records. False after a 4xx answer, or 503.
bool try_plan_read(struct try_plan *plan, struct route_call *call, const json_t *body, bool has_records);
void try_plan_fini(struct try_plan *plan); // takes zeroed
