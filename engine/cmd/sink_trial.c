#include "cmd/sink_trial.h"
#include "base/mem.h"
#include "flow/verdict.h"
#include "script/program.h"
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>

struct sink_trial {
  struct sink *sink; // a reference
  struct sink_trial_options options;
  char *settings; // JSON, for the requests
  struct request_trial *requests;
  struct script *map; // the sink's map hook, if it has one
  char *context;      // of map
  struct script_result result;
  struct json_tape tape;
  char stream[64];
};

static bool watch(struct sink_trial *t, struct err *err) {
  struct spec_coverage *coverage = t->options.coverage;
  if (!coverage) return true;
  if (t->map && !spec_coverage_watch(coverage, t->sink->file, t->sink->source, script_state(t->map), err))
    return false;
  return spec_coverage_watch_sink(coverage, request_trial_binding(t->requests), err);
}

// A worn state is thrown away, as a worker does.
static bool load_map(struct sink_trial *t, struct err *err) {
  if (!t->sink->has_map || (t->map && !script_worn(t->map))) return true;
  struct script_limits limits = {0};
  script_free(t->map);
  t->map = script_load(t->sink->file, t->sink->source, SCRIPT_SINK, &limits, err);
  return t->map && script_set_context(t->map, 1, slice_of(t->context), err);
}

// Binding asks for the framing: for coverage that is done again once the state is watched.
static bool bind_again(struct sink_trial *t, struct err *err) {
  if (!t->options.coverage) return true;
  return watch(t, err) && request_trial_bind_again(t->requests, err);
}

static bool bind_settings(struct sink_trial *t, const json_t *settings, struct err *err) {
  json_t *checked = sink_check_settings(t->sink, settings, err);
  if (!checked) return false;
  t->settings = mem_must(json_dumps(checked, JSON_COMPACT));
  json_t *open = sink_open_settings(t->sink, checked);
  t->context = mem_must(program_context(t->stream, t->options.stream, NULL, "settings", open));
  json_decref(open);
  json_decref(checked);
  t->requests =
      request_trial_new(t->sink, slice_of(t->settings), t->stream, t->options.seen, t->options.arg, err);
  return t->requests && load_map(t, err) && bind_again(t, err);
}

struct sink_trial *sink_trial_new(struct sink *sink, const json_t *settings,
                                  const struct sink_trial_options *options, struct err *err) {
  struct sink_trial *t = mem_must(mem_zero(1, sizeof *t));
  sink_ref(sink);
  t->sink = sink;
  t->options = *options;
  snprintf(t->stream, sizeof t->stream, "st_%s", options->stream);
  json_tape_init(&t->tape);
  script_result_init(&t->result);
  if (bind_settings(t, settings, err)) return t;
  sink_trial_free(t);
  return NULL;
}

void sink_trial_free(struct sink_trial *t) {
  if (!t) return;
  request_trial_free(t->requests);
  script_free(t->map);
  free(t->settings);
  free(t->context);
  script_result_fini(&t->result);
  json_tape_fini(&t->tape);
  sink_unref(t->sink);
  mem_free(t);
}

bool sink_trial_flush(struct sink_trial *t, struct err *err) {
  return watch(t, err) && request_trial_flush(t->requests, err);
}

static bool add_outputs(struct sink_trial *t, const struct record_header *header, struct err *err) {
  bool ok = true;
  for (uint32_t i = 0; ok && i < t->result.output_count; i++) {
    const struct script_output *o = &t->result.outputs[i];
    ok = watch(t, err) &&
         request_trial_add(t->requests, header, slice_make(t->result.bytes.at + o->body_at, o->body_len),
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
  if (!t->sink->has_map)
    return watch(t, err) && request_trial_add(t->requests, header, body, slice_of(""), err);
  if (!load_map(t, err) || !watch(t, err)) return false;
  if (!json_tape_parse(&t->tape, body, &fault)) return err_set(err, "a result is no JSON: %s", fault.what);
  script_run(t->map, 1, header, &t->tape, &t->result);
  if (t->result.outcome == SCRIPT_FILTERED) *dropped = "map";
  if (t->result.outcome == SCRIPT_KEPT) return add_outputs(t, header, err);
  return *dropped || err_set(err, "%s:%u: %s", t->sink->file, t->result.line, t->result.text);
}

bool sink_trial_verdict(struct sink_trial *t, const struct http_response *response, struct sink_verdict *out,
                        uint32_t *count, struct err *err) {
  const struct batch *last = request_trial_last(t->requests);
  if (!last) return err_set(err, "there is no request yet that this could be the answer to");
  struct sink_batch view = batch_view(last);
  *count = last->count;
  if (!watch(t, err) || !sink_verdict(request_trial_binding(t->requests), &view, response, out, err))
    return false;
  if (out->kind == SINK_DEFAULT && !out->each) verdict_default(response, out);
  return true;
}
