#include "cmd/pipe_sink.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/batch.h"
#include "script/script.h"
#include "script/sink.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pipe_sink {
  struct sink_set *set;
  struct sink *sink;
  struct sink_runner *runner;
  char *settings; // JSON, for the binding
  struct sink_binding *binding;
  struct script *map; // the sink's map hook, if it has one
  struct script_result result;
  struct json_tape tape;
  struct batch *batch;
  struct budget budget;
};

bool pipe_settings_add(struct pipe_settings *settings, const char *pair) {
  if (settings->count == PIPE_SETTINGS || !strchr(pair, '=')) return false;
  settings->pairs[settings->count++] = pair;
  return true;
}

static bool wants_text(const struct sink *sink, const char *name) {
  for (size_t i = 0; i < sink->setting_count; i++) {
    enum sink_setting_type type = sink->settings[i].type;
    if (strcmp(sink->settings[i].name, name) == 0)
      return type != SINK_INTEGER && type != SINK_NUMBER && type != SINK_BOOLEAN && type != SINK_HEADERS;
  }
  return true;
}

static json_t *settings_object(const struct sink *sink, const struct pipe_settings *settings) {
  json_t *object = json_object();
  for (size_t i = 0; object && i < settings->count; i++) {
    const char *pair = settings->pairs[i], *value = strchr(pair, '=') + 1;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(value - 1 - pair), pair);
    json_t *as_json = wants_text(sink, name) ? NULL : json_loads(value, JSON_DECODE_ANY, NULL);
    json_object_set_new(object, name, as_json ? as_json : json_string(value));
  }
  return object;
}

static bool load_map(struct pipe_sink *p, const json_t *settings, struct err *err) {
  if (!p->sink->has_map) return true;
  struct script_limits limits = {0};
  p->map = script_load(p->sink->file, p->sink->source, SCRIPT_SINK, &limits, err);
  json_t *context = json_pack("{s:{s:s, s:s, s:n}, s:O}", "stream", "id", "st_pipe", "name", "pipe", "organisation_id", "settings",
                              (json_t *)settings);
  char *text = context ? json_dumps(context, JSON_COMPACT) : NULL;
  bool ok = p->map && text && script_set_context(p->map, 1, slice_of(text), err);
  json_decref(context);
  free(text);
  return ok;
}

static bool bind_settings(struct pipe_sink *p, const struct pipe_settings *settings, struct err *err) {
  json_t *given = settings_object(p->sink, settings), *checked = given ? sink_check_settings(p->sink, given, err) : NULL;
  json_decref(given);
  p->runner = checked ? sink_runner_new(err) : NULL;
  p->settings = p->runner ? mem_must(json_dumps(checked, JSON_COMPACT)) : NULL;
  p->binding = p->settings ? sink_bind(p->runner, p->sink, slice_of(p->settings), err) : NULL;
  bool ok = p->binding && load_map(p, checked, err);
  json_decref(checked);
  return ok;
}

struct pipe_sink *pipe_sink_new(const char *folder, const char *name, const struct pipe_settings *settings, struct err *err) {
  struct pipe_sink *p = mem_must(mem_zero(1, sizeof *p));
  p->budget.limit = LIMIT_MEMORY_BYTES;
  json_tape_init(&p->tape);
  script_result_init(&p->result);
  p->set = sink_set_load(folder, err);
  p->sink = p->set ? sink_set_find(p->set, name) : NULL;
  if (p->set && !p->sink) {
    const char *near = sink_set_suggest(p->set, name);
    *err = (struct err){0};
    if (near) err_set(err, "unknown sink '%s'; did you mean '%s'?", name, near);
    else err_set(err, "there is no sink '%s' in %s", name, folder);
  }
  if (p->sink && bind_settings(p, settings, err)) return p;
  pipe_sink_free(p);
  return NULL;
}

void pipe_sink_free(struct pipe_sink *p) {
  if (!p) return;
  batch_free(p->batch);
  sink_unbind(p->binding);
  sink_runner_free(p->runner);
  free(p->settings);
  sink_set_free(p->set);
  script_free(p->map);
  script_result_fini(&p->result);
  json_tape_fini(&p->tape);
  mem_free(p);
}

static void print_request(const struct sink_request *r, struct slice body) {
  printf("%s %s\n", r->method ? r->method : "POST", r->url);
  for (size_t i = 0; r->headers[i]; i++) puts(r->headers[i]);
  putchar('\n');
  fwrite(body.at, 1, body.len, stdout);
  if (!body.len || body.at[body.len - 1] != '\n') putchar('\n');
}

bool pipe_sink_flush(struct pipe_sink *p, struct err *err) {
  struct batch *b = p->batch;
  if (!b) return true;
  batch_name(b, "st_pipe");
  struct sink_request request = {0};
  b->attempt = 1;
  struct sink_batch view = batch_view(b);
  bool ok = (batch_seal(b) || err_set(err, "out of memory")) && sink_request(p->binding, &view, &request, err);
  if (ok) print_request(&request, request.body.at ? request.body : buf_slice(&b->bytes));
  batch_free(b);
  p->batch = NULL;
  return ok;
}

static bool add(struct pipe_sink *p, const struct record_header *header, struct slice body, struct slice key, struct err *err) {
  const struct sink_limits *limits = sink_binding_limits(p->binding);
  struct batch_output output = {.sequence = header->sequence, .id = header->id, .body = body, .key = key, .kind = header->kind, .last = true};
  if (p->batch && p->batch->body_bytes + body.len > limits->bytes && !pipe_sink_flush(p, err)) return false;
  if (!p->batch) p->batch = batch_new(&p->budget, limits->framing, LIMIT_WINDOW_BYTES);
  if (!p->batch || !batch_add(p->batch, &output)) return err_set(err, "out of memory");
  return p->batch->count < limits->records || pipe_sink_flush(p, err);
}

static bool add_outputs(struct pipe_sink *p, const struct record_header *header, struct err *err) {
  bool ok = true;
  for (uint32_t i = 0; ok && i < p->result.output_count; i++) {
    const struct script_output *o = &p->result.outputs[i];
    ok = add(p, header, slice_make(p->result.bytes.at + o->body_at, o->body_len),
             slice_make(p->result.bytes.at + o->key_at, o->key_len), err);
  }
  return ok;
}

bool pipe_sink_add(struct pipe_sink *p, const struct record_header *header, struct slice body, const char **dropped, struct err *err) {
  struct json_fault fault;
  *dropped = NULL;
  if (!(p->sink->accepts >> header->kind & 1)) {
    *dropped = "sink";
    return true;
  }
  if (!p->map) return add(p, header, body, slice_of(""), err);
  if (!json_tape_parse(&p->tape, body, &fault)) return err_set(err, "a result is no JSON: %s", fault.what);
  script_run(p->map, 1, header, &p->tape, &p->result);
  if (p->result.outcome == SCRIPT_FILTERED) *dropped = "map";
  if (p->result.outcome == SCRIPT_KEPT) return add_outputs(p, header, err);
  return *dropped || err_set(err, "%s:%u: %s", p->sink->file, p->result.line, p->result.text);
}
