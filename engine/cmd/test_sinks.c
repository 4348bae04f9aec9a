#include "cmd/test_sinks.h"
#include "cmd/sink_trial.h"

static json_t *read_settings(struct slice text, struct err *err) {
  json_error_t error;
  json_t *settings = json_loadb(text.at, text.len, 0, &error);
  if (json_is_object(settings)) return settings;
  json_decref(settings);
  err_set(err, "settings must be a table { name = value }");
  return NULL;
}

static void *open_sink(const char *file, struct slice source, struct slice settings, spec_request_fn seen,
                       void *arg, struct spec_coverage *coverage, struct err *err) {
  const struct sink_trial_options options = {
      .stream = "spec", .seen = seen, .arg = arg, .coverage = coverage};
  json_t *given = read_settings(settings, err);
  struct sink *sink = given ? sink_load(file, source, err) : NULL;
  struct sink_trial *trial = sink ? sink_trial_new(sink, given, &options, err) : NULL;
  sink_unref(sink);
  json_decref(given);
  return trial;
}

static bool add(void *sink, const struct record_header *header, struct slice record, const char **dropped,
                struct err *err) {
  return sink_trial_add(sink, header, record, dropped, err);
}

static bool flush(void *sink, struct err *err) {
  return sink_trial_flush(sink, err);
}

static bool verdict(void *sink, const struct http_response *response, struct sink_verdict *out,
                    uint32_t *count, struct err *err) {
  return sink_trial_verdict(sink, response, out, count, err);
}

static void close_sink(void *sink) {
  sink_trial_free(sink);
}

const struct spec_sinks test_sinks = {open_sink, add, flush, verdict, close_sink};
