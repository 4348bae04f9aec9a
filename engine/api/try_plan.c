// try_plan.c - the fields of the body, and behind them those of a stream, where one is named.
#include "api/try_plan.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "flow/script_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAST = 20, ALL_KINDS = 1 << RECORD_EVENT | 1 << RECORD_USAGE | 1 << RECORD_ALERT };

struct reading {
  struct try_plan *plan;
  const struct app *app;
  const json_t *body;
  json_t *stream; // its definition, whose fields stand in for those that the body does not have; NULL: none
  struct program program; // gathered for program_new
  char label[SCRIPT_NAME_BYTES + 4];
  char *source;                 // of a shared script, for mem_free
  char *context, *sink_context; // for free()
  struct err err;
};

static const json_t *field_of(const struct reading *r, const char *name) {
  const json_t *value = json_object_get(r->body, name);
  if (!value) value = json_object_get(r->stream, name);
  return json_is_null(value) ? NULL : value;
}

static bool check_fields(const json_t *body, struct err *err) {
  static const char *const known[] = {"script", "script_name", "parameters",      "sink",      "settings",
                                      "last",   "records",     "organisation_id", "stream_id", NULL};
  const char *field;
  json_t *value;
  if (!json_is_object(body)) return err_set(err, "the body must be a JSON object");
  json_object_foreach((json_t *)(uintptr_t)body, field, value) {
    const char *near = suggest(field, known);
    if (!near) return err_set(err, "unknown field '%.60s'", field);
    if (strcmp(near, field) != 0)
      return err_set(err, "unknown field '%.60s'; did you mean '%s'?", field, near);
  }
  return true;
}

// ---- whose records ----

static bool read_last(struct reading *r, bool has_records) {
  const json_t *last = field_of(r, "last");
  if (has_records && last) return err_set(&r->err, "give 'records' or 'last', not both");
  r->plan->last = has_records ? 0 : LAST;
  if (!last) return true;
  json_int_t number = json_integer_value(last);
  if (!json_is_integer(last) || number < 1 || number > LIMIT_TRIAL_RECORDS)
    return err_set(&r->err, "'last' must be an integer from 1 to %d", LIMIT_TRIAL_RECORDS);
  r->plan->last = (uint32_t)number;
  return true;
}

static bool read_organisation(struct reading *r) {
  const json_t *given = json_object_get(r->body, "organisation_id");
  const json_t *value = field_of(r, "organisation_id");
  if (given && r->stream && !json_equal(given, json_object_get(r->stream, "organisation_id")))
    return err_set(&r->err, "'organisation_id' is another than the stream's: leave it out");
  if (value && !json_is_integer(value))
    return err_set(&r->err, "'organisation_id' must be an integer, or null for every organisation");
  r->plan->organisation = value ? json_integer_value(value) : JOURNAL_ALL;
  return true;
}

// ---- the script ----

// Where the body names one in either way, the stream's is not looked at.
static const json_t *script_field(const struct reading *r, const char *name) {
  bool own = json_object_get(r->body, "script") || json_object_get(r->body, "script_name");
  const json_t *value = json_object_get(own ? r->body : r->stream, name);
  return json_is_null(value) ? NULL : value;
}

static bool read_shared(struct reading *r, const char *name) {
  if (!name) return err_set(&r->err, "'script_name' must be a shared script's name");
  r->source = script_files_read(r->app->scripts_folder, name, &r->program.script.len, &r->err);
  if (!r->source) return err_prepend(&r->err, "script_name '%.60s'", name);
  r->program.script.at = r->source;
  snprintf(r->label, sizeof r->label, "%s.lua", name);
  return true;
}

static bool read_script(struct reading *r) {
  const json_t *script = script_field(r, "script"), *shared = script_field(r, "script_name");
  if (script && shared) return err_set(&r->err, "give 'script' or 'script_name', not both");
  snprintf(r->label, sizeof r->label, "script");
  r->program.script_name = r->label;
  if (shared) return read_shared(r, json_string_value(shared));
  if (!script) return true;
  if (!json_is_string(script)) return err_set(&r->err, "'script' must be Lua source in a string");
  r->program.script = slice_make(json_string_value(script), json_string_length(script));
  return r->program.script.len <= LIMIT_SCRIPT_SOURCE_BYTES ||
         err_set(&r->err, "the script is %zu bytes long; at most %d are taken", r->program.script.len,
                 LIMIT_SCRIPT_SOURCE_BYTES);
}

static char *context_of(struct reading *r, const char *field, const json_t *value) {
  const char *name = json_string_value(json_object_get(r->stream, "name"));
  const int64_t *organisation = r->plan->organisation == JOURNAL_ALL ? NULL : &r->plan->organisation;
  char *text =
      value ? program_context(r->plan->stream_id, name ? name : "try", organisation, field, value) : NULL;
  if (!text) err_set(&r->err, "out of memory");
  return text;
}

static bool read_parameters(struct reading *r) {
  const json_t *value = field_of(r, "parameters");
  if (value && !json_is_object(value)) return err_set(&r->err, "'parameters' must be an object");
  json_t *parameters = value ? json_incref((json_t *)(uintptr_t)value) : json_object();
  r->context = context_of(r, "parameters", parameters);
  json_decref(parameters);
  r->program.context = slice_of(r->context);
  return r->context;
}

// ---- the sink ----

static struct sink *find_sink(struct reading *r, const char *name) {
  struct sink *sink = name ? sink_set_find(r->app->sinks, name) : NULL;
  const char *near = name && !sink ? sink_set_suggest(r->app->sinks, name) : NULL;
  if (near)
    err_set(&r->err, "unknown sink '%.60s'; did you mean '%s'?", name, near);
  else if (!sink)
    err_set(&r->err, "unknown sink '%.60s': see GET /api/v1/sinks", name ? name : "");
  return sink;
}

// The stream's own settings, changed by the body's, as long as the sink is the same.
static json_t *given_settings(struct reading *r) {
  const json_t *own = json_object_get(r->body, "settings"), *sink = json_object_get(r->body, "sink");
  if (own && !json_is_object(own)) return err_set(&r->err, "'settings' must be an object"), NULL;
  bool same = r->stream && (!sink || json_equal(sink, json_object_get(r->stream, "sink")));
  json_t *settings =
      sink_merge_settings(r->plan->sink, same ? json_object_get(r->stream, "settings") : NULL, own);
  if (!settings) err_set(&r->err, "out of memory");
  return settings;
}

static bool take_settings(struct reading *r, const json_t *settings) {
  r->plan->settings = json_dumps(settings, JSON_COMPACT);
  if (!r->plan->settings) return err_set(&r->err, "out of memory");
  if (!r->plan->sink->has_map) return true;
  json_t *open = sink_open_settings(r->plan->sink, settings);
  r->sink_context = context_of(r, "settings", open);
  json_decref(open);
  r->program.sink = r->plan->sink->source;
  r->program.sink_name = r->plan->sink->name;
  r->program.sink_context = slice_of(r->sink_context);
  return r->sink_context;
}

static bool read_sink(struct reading *r) {
  const json_t *value = field_of(r, "sink");
  if (!value) return !json_object_get(r->body, "settings") || err_set(&r->err, "'settings' without a 'sink'");
  struct sink *sink = find_sink(r, json_string_value(value));
  if (!sink) return false;
  sink_ref(sink);
  r->plan->sink = sink;
  json_t *given = given_settings(r), *checked = given ? sink_check_settings(sink, given, &r->err) : NULL;
  bool ok = checked && take_settings(r, checked);
  json_decref(given);
  json_decref(checked);
  return ok || err_prepend(&r->err, "sink '%s'", sink->name);
}

// ---- all of it ----

static bool make_program(struct reading *r) {
  if (!r->program.script.len && !r->plan->sink)
    return err_set(&r->err, "there is nothing to try: give 'script', 'script_name' or 'stream_id'");
  r->plan->program = program_new(&r->program, 0);
  return r->plan->program || err_set(&r->err, "out of memory, or the parameters and settings are too long");
}

static bool read_all(struct reading *r, bool has_records) {
  return check_fields(r->body, &r->err) && read_last(r, has_records) && read_organisation(r) &&
         read_script(r) && read_parameters(r) && read_sink(r) && make_program(r);
}

// False after an answer.
static bool find_stream(struct reading *r, struct http_request *request) {
  const json_t *value = json_object_get(r->body, "stream_id");
  r->plan->kinds = ALL_KINDS;
  snprintf(r->plan->stream_id, sizeof r->plan->stream_id, "st_try");
  if (!value || json_is_null(value)) return true;
  const char *id = json_string_value(value);
  const struct stream_entry *entry = id ? streams_find(r->app->streams, id) : NULL;
  if (entry) {
    r->stream = json_loadb(entry->definition->document.at, entry->definition->document.len, 0, NULL);
    r->plan->kinds = entry->definition->kinds;
    snprintf(r->plan->stream_id, sizeof r->plan->stream_id, "%s", entry->definition->id);
  }
  if (r->stream) return true;
  if (entry)
    http_answer_problem(request, 503, "out of memory: try again");
  else
    http_answer_problem(request, 404, "there is no stream '%.60s'", id ? id : "");
  return false;
}

bool try_plan_read(struct try_plan *plan, struct route_call *call, const json_t *body, bool has_records) {
  struct reading r = {.plan = plan, .app = call->app, .body = body};
  *plan = (struct try_plan){0};
  bool ok = find_stream(&r, call->request);
  if (ok && !read_all(&r, has_records)) {
    http_answer_problem(call->request, 422, "%s", r.err.text);
    ok = false;
  }
  if (!ok) try_plan_fini(plan);
  json_decref(r.stream);
  mem_free(r.source);
  free(r.context);
  free(r.sink_context);
  return ok;
}

void try_plan_fini(struct try_plan *plan) {
  program_unref(plan->program);
  sink_unref(plan->sink);
  free(plan->settings);
  *plan = (struct try_plan){0};
}
