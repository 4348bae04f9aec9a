#include "cmd/sink_trial.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/batch.h"
#include "flow/verdict.h"
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>

struct sink_trial {
  struct sink *sink; // a reference
  struct sink_trial_options options;
  struct sink_runner *runner;
  char *settings; // JSON, for the binding
  struct sink_binding *binding;
  struct script *map; // the sink's map hook, if it has one
  char *context;      // of map
  struct script_result result;
  struct json_tape tape;
  struct batch *batch, *last; // being filled; of the last request
  struct budget budget;
  char stream[64];
};

static bool watch(struct sink_trial *t, struct err *err) {
  struct spec_coverage *coverage = t->options.coverage;
  if (!coverage) return true;
  if (t->map && !spec_coverage_watch(coverage, t->sink->file, t->sink->source, script_state(t->map), err))
    return false;
  return spec_coverage_watch_sink(coverage, t->binding, err);
}

// A worn state is thrown away, as a worker does.
static bool load_map(struct sink_trial *t, struct err *err) {
  if (!t->sink->has_map || (t->map && !script_worn(t->map))) return true;
  struct script_limits limits = {0};
  script_free(t->map);
  t->map = script_load(t->sink->file, t->sink->source, SCRIPT_SINK, &limits, err);
  return t->map && script_set_context(t->map, 1, slice_of(t->context), err);
}

static char *make_context(const struct sink_trial *t, const json_t *settings) {
  json_t *context =
      json_pack("{s:{s:s, s:s, s:n}, s:O}", "stream", "id", t->stream, "name", t->options.stream,
                "organisation_id", "settings", (json_t *)(uintptr_t)settings);
  char *text = mem_must(json_dumps(context, JSON_COMPACT));
  json_decref(context);
  return text;
}

// Binding asks for the framing: for coverage that is done again once the state is watched.
static bool bind_again(struct sink_trial *t, struct err *err) {
  if (!t->options.coverage) return true;
  if (!watch(t, err)) return false;
  struct sink_binding *again = sink_bind(t->runner, t->sink, slice_of(t->settings), err);
  if (!again) return false;
  sink_unbind(t->binding);
  t->binding = again;
  return true;
}

static bool bind_settings(struct sink_trial *t, const json_t *settings, struct err *err) {
  json_t *checked = sink_check_settings(t->sink, settings, err);
  if (!checked) return false;
  t->settings = mem_must(json_dumps(checked, JSON_COMPACT));
  t->context = make_context(t, checked);
  json_decref(checked);
  t->runner = sink_runner_new(err);
  t->binding = t->runner ? sink_bind(t->runner, t->sink, slice_of(t->settings), err) : NULL;
  return t->binding && load_map(t, err) && bind_again(t, err);
}

struct sink_trial *sink_trial_new(struct sink *sink, const json_t *settings,
                                  const struct sink_trial_options *options, struct err *err) {
  struct sink_trial *t = mem_must(mem_zero(1, sizeof *t));
  sink_ref(sink);
  t->sink = sink;
  t->options = *options;
  t->budget.limit = LIMIT_MEMORY_BYTES;
  snprintf(t->stream, sizeof t->stream, "st_%s", options->stream);
  json_tape_init(&t->tape);
  script_result_init(&t->result);
  if (bind_settings(t, settings, err)) return t;
  sink_trial_free(t);
  return NULL;
}

void sink_trial_free(struct sink_trial *t) {
  if (!t) return;
  batch_free(t->batch);
  batch_free(t->last);
  sink_unbind(t->binding);
  sink_runner_free(t->runner);
  script_free(t->map);
  free(t->settings);
  free(t->context);
  script_result_fini(&t->result);
  json_tape_fini(&t->tape);
  sink_unref(t->sink);
  mem_free(t);
}

static bool make_request(struct sink_trial *t, struct batch *b, struct err *err) {
  struct sink_request request = {0};
  if (!batch_seal(b)) return err_set(err, "out of memory");
  batch_name(b, t->stream);
  b->attempt = 1;
  struct sink_batch view = batch_view(b);
  if (!watch(t, err) || !sink_request(t->binding, &view, &request, err)) return false;
  return t->options.seen(t->options.arg, &view, &request,
                         request.body.at ? request.body : buf_slice(&b->bytes), err);
}

bool sink_trial_flush(struct sink_trial *t, struct err *err) {
  if (!t->batch) return true;
  batch_free(t->last);
  t->last = t->batch;
  t->batch = NULL;
  return make_request(t, t->last, err);
}

static bool add(struct sink_trial *t, const struct record_header *header, struct slice body, struct slice key,
                struct err *err) {
  const struct sink_limits *limits = sink_binding_limits(t->binding);
  struct batch_output output = {.sequence = header->sequence,
                                .id = header->id,
                                .body = body,
                                .key = key,
                                .kind = header->kind,
                                .last = true};
  if (t->batch && t->batch->body_bytes + body.len > limits->bytes && !sink_trial_flush(t, err)) return false;
  if (!t->batch) t->batch = batch_new(&t->budget, limits->framing, LIMIT_WINDOW_BYTES);
  if (!t->batch || !batch_add(t->batch, &output)) return err_set(err, "out of memory");
  return t->batch->count < limits->records || sink_trial_flush(t, err);
}

static bool add_outputs(struct sink_trial *t, const struct record_header *header, struct err *err) {
  bool ok = true;
  for (uint32_t i = 0; ok && i < t->result.output_count; i++) {
    const struct script_output *o = &t->result.outputs[i];
    ok = add(t, header, slice_make(t->result.bytes.at + o->body_at, o->body_len),
             slice_make(t->result.bytes.at + o->key_at, o->key_len), err);
  }
  return ok;
}

bool sink_trial_add(struct sink_trial *t, const struct record_header *header, struct slice body,
                    const char **dropped, struct err *err) {
  struct json_fault fault;
  *dropped = NULL;
  if (!(t->sink->accepts >> header->kind & 1)) {
    *dropped = "sink";
    return true;
  }
  if (!t->sink->has_map) return add(t, header, body, slice_of(""), err);
  if (!load_map(t, err) || !watch(t, err)) return false;
  if (!json_tape_parse(&t->tape, body, &fault)) return err_set(err, "a result is no JSON: %s", fault.what);
  script_run(t->map, 1, header, &t->tape, &t->result);
  if (t->result.outcome == SCRIPT_FILTERED) *dropped = "map";
  if (t->result.outcome == SCRIPT_KEPT) return add_outputs(t, header, err);
  return *dropped || err_set(err, "%s:%u: %s", t->sink->file, t->result.line, t->result.text);
}

bool sink_trial_verdict(struct sink_trial *t, const struct http_response *response, struct sink_verdict *out,
                        uint32_t *count, struct err *err) {
  if (!t->last) return err_set(err, "there is no request yet that this could be the answer to");
  struct sink_batch view = batch_view(t->last);
  *count = t->last->count;
  if (!watch(t, err) || !sink_verdict(t->binding, &view, response, out, err)) return false;
  if (out->kind == SINK_DEFAULT && !out->each) verdict_default(response, out);
  return true;
}
