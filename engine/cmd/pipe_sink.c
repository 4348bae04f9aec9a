#include "cmd/pipe_sink.h"
#include "base/mem.h"
#include "cmd/sink_trial.h"
#include "flow/request_shown.h"

#include <stdio.h>
#include <string.h>

struct pipe_sink {
  struct sink_set *set;
  struct sink *sink; // one of the set
  struct sink_trial *trial;
  struct request_shown *showing;
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
  json_t *object = mem_must(json_object());
  for (size_t i = 0; i < settings->count; i++) {
    const char *pair = settings->pairs[i], *value = strchr(pair, '=') + 1;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(value - 1 - pair), pair);
    json_t *as_json = wants_text(sink, name) ? NULL : json_loads(value, JSON_DECODE_ANY, NULL);
    json_object_set_new(object, name, as_json ? as_json : json_string(value));
  }
  return object;
}

static bool print_request(void *arg, const struct sink_batch *batch, const struct sink_request *request,
                          struct slice body, struct err *err) {
  struct pipe_sink *p = arg;
  struct shown shown;
  if (!request_shown_make(p->showing, batch, request, body, &shown, err)) return false;
  printf("%.*s %.*s\n", (int)shown.method.len, shown.method.at, (int)shown.url.len, shown.url.at);
  for (size_t i = 0; i < shown.header_count; i++) {
    const struct shown_header *header = &shown.headers[i];
    printf("%.*s: %.*s\n", (int)header->name.len, header->name.at, (int)header->value.len, header->value.at);
  }
  putchar('\n');
  fwrite(shown.body.at, 1, shown.body.len, stdout);
  if (!shown.body.len || shown.body.at[shown.body.len - 1] != '\n') putchar('\n');
  return true;
}

static struct sink *find(struct pipe_sink *p, const char *folder, const char *name, struct err *err) {
  p->set = sink_set_load(folder, err);
  struct sink *sink = p->set ? sink_set_find(p->set, name) : NULL;
  if (!p->set || sink) return sink;
  const char *near = sink_set_suggest(p->set, name);
  *err = (struct err){0};
  if (near)
    err_set(err, "unknown sink '%s'; did you mean '%s'?", name, near);
  else
    err_set(err, "there is no sink '%s' in %s", name, folder);
  return NULL;
}

static bool open_trial(struct pipe_sink *p, const struct pipe_settings *settings, struct err *err) {
  const struct sink_trial_options options = {.stream = "pipe", .seen = print_request, .arg = p};
  json_t *given = settings_object(p->sink, settings), *checked = sink_check_settings(p->sink, given, err);
  if (checked) p->showing = request_shown_new(p->sink, checked, err);
  if (p->showing) p->trial = sink_trial_new(p->sink, checked, &options, err);
  json_decref(checked);
  json_decref(given);
  return p->trial != NULL;
}

struct pipe_sink *pipe_sink_new(const char *folder, const char *name, const struct pipe_settings *settings,
                                struct err *err) {
  struct pipe_sink *p = mem_must(mem_zero(1, sizeof *p));
  p->sink = find(p, folder, name, err);
  if (p->sink && open_trial(p, settings, err)) return p;
  pipe_sink_free(p);
  return NULL;
}

void pipe_sink_free(struct pipe_sink *p) {
  if (!p) return;
  sink_trial_free(p->trial);
  request_shown_free(p->showing);
  sink_set_free(p->set);
  mem_free(p);
}

bool pipe_sink_accepts(const struct pipe_sink *p, enum record_kind kind) {
  return p->sink->accepts >> kind & 1;
}

bool pipe_sink_flush(struct pipe_sink *p, struct err *err) {
  return sink_trial_flush(p->trial, err);
}

bool pipe_sink_add(struct pipe_sink *p, const struct record_header *header, struct slice body,
                   const char **dropped, struct err *err) {
  return sink_trial_add(p->trial, header, body, dropped, err);
}
