#include "flow/request_trial.h"
#include "base/limits.h"
#include "base/mem.h"

struct request_trial {
  struct sink *sink; // a reference
  struct slice settings;
  const char *stream_id;
  request_trial_fn seen;
  void *arg;
  struct sink_runner *runner;
  struct sink_binding *binding;
  struct batch *batch, *last; // being filled; of the last request
  struct budget budget;
};

struct request_trial *request_trial_new(struct sink *sink, struct slice settings, const char *stream_id,
                                        request_trial_fn seen, void *arg, struct err *err) {
  struct request_trial *t = mem_zero(1, sizeof *t);
  if (!t) {
    err_set(err, "out of memory");
    return NULL;
  }
  sink_ref(sink);
  t->sink = sink;
  t->settings = settings;
  t->stream_id = stream_id;
  t->seen = seen;
  t->arg = arg;
  t->budget.limit = LIMIT_MEMORY_BYTES;
  t->runner = sink_runner_new(err);
  t->binding = t->runner ? sink_bind(t->runner, sink, settings, err) : NULL;
  if (t->binding) return t;
  request_trial_free(t);
  return NULL;
}

void request_trial_free(struct request_trial *t) {
  if (!t) return;
  batch_free(t->batch);
  batch_free(t->last);
  sink_unbind(t->binding);
  sink_runner_free(t->runner);
  sink_unref(t->sink);
  mem_free(t);
}

struct sink_binding *request_trial_binding(struct request_trial *t) {
  return t->binding;
}

bool request_trial_bind_again(struct request_trial *t, struct err *err) {
  struct sink_binding *again = sink_bind(t->runner, t->sink, t->settings, err);
  if (!again) return false;
  sink_unbind(t->binding);
  t->binding = again;
  return true;
}

const struct batch *request_trial_last(const struct request_trial *t) {
  return t->last;
}

static bool make_request(struct request_trial *t, struct batch *b, struct err *err) {
  struct sink_request request = {0};
  if (!batch_seal(b)) return err_set(err, "out of memory");
  batch_name(b, t->stream_id);
  b->attempt = 1;
  struct sink_batch view = batch_view(b);
  if (!sink_request(t->binding, &view, &request, err)) return false;
  return t->seen(t->arg, &view, &request, request.body.at ? request.body : buf_slice(&b->bytes), err);
}

bool request_trial_flush(struct request_trial *t, struct err *err) {
  if (!t->batch) return true;
  batch_free(t->last);
  t->last = t->batch;
  t->batch = NULL;
  return make_request(t, t->last, err);
}

void request_trial_drop(struct request_trial *t) {
  batch_free(t->batch);
  t->batch = NULL;
}

bool request_trial_add(struct request_trial *t, const struct record_header *header, struct slice body,
                       struct slice key, struct err *err) {
  const struct sink_limits *limits = sink_binding_limits(t->binding);
  struct batch_output output = {.sequence = header->sequence,
                                .id = header->id,
                                .body = body,
                                .key = key,
                                .kind = header->kind,
                                .last = true};
  if (t->batch && t->batch->body_bytes + body.len > limits->bytes && !request_trial_flush(t, err))
    return false;
  if (!t->batch) t->batch = batch_new(&t->budget, limits->framing, LIMIT_WINDOW_BYTES);
  if (!t->batch || !batch_add(t->batch, &output)) return err_set(err, "out of memory");
  return t->batch->count < limits->records || request_trial_flush(t, err);
}
