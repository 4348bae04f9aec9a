// sink_trial.h - the requests that a sink would send for some records: shown instead of sent.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "flow/request_trial.h"
#include "script/spec_coverage.h"

struct sink_trial;

struct sink_trial_options {
  const char *stream; // the id and name that the sink sees, such as "pipe"
  request_trial_fn seen;
  void *arg;
  struct spec_coverage *coverage; // NULL: not asked for
};

// Settings as a JSON object; they are checked. The sink is referred to, not owned. NULL with err.
struct sink_trial *sink_trial_new(struct sink *sink, const json_t *settings,
                                  const struct sink_trial_options *options, struct err *err);
void sink_trial_free(struct sink_trial *trial); // takes NULL
// One result. *dropped: why the sink does not take it ("sink": not its kind; "map": its map gave nothing), or
// NULL.
bool sink_trial_add(struct sink_trial *trial, const struct record_header *header, struct slice body,
                    const char **dropped, struct err *err);
bool sink_trial_flush(struct sink_trial *trial, struct err *err); // what is left as a last batch
// What an answer to the last request would mean, by the sink's own judgement or the engine's; *count: records
// in that request.
bool sink_trial_verdict(struct sink_trial *trial, const struct http_response *response,
                        struct sink_verdict *out, uint32_t *count, struct err *err);
