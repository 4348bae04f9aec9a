// request_trial.h - the requests that a sink would send for some results: made, and shown instead of sent.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "flow/batch.h"
#include "journal/record.h"
#include "script/sink.h"

struct request_trial;

// Called with each request, complete with its body, during add and flush. False with err ends the call.
typedef bool (*request_trial_fn)(void *arg, const struct sink_batch *batch,
                                 const struct sink_request *request, struct slice body, struct err *err);

// Settings are checked ones, as JSON text; it is kept by the caller, and so is the stream's id. NULL with
// err.
struct request_trial *request_trial_new(struct sink *sink, struct slice settings, const char *stream_id,
                                        request_trial_fn seen, void *arg, struct err *err);
void request_trial_free(struct request_trial *trial); // takes NULL
// One result as the sink's map left it. Batches are sealed when they are full, as in a stream that is behind.
bool request_trial_add(struct request_trial *trial, const struct record_header *header, struct slice body,
                       struct slice key, struct err *err);
bool request_trial_flush(struct request_trial *trial, struct err *err); // what is left as a last batch
void request_trial_drop(struct request_trial *trial);                   // what is left is forgotten
// The batch of the last request; NULL: there was none.
const struct batch *request_trial_last(const struct request_trial *trial);
struct sink_binding *request_trial_binding(struct request_trial *trial);
bool request_trial_bind_again(struct request_trial *trial, struct err *err); // asks the sink anew
