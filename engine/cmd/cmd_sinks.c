// cmd_sinks.c - `sluice sinks`: the kinds of destination of an engine, and their settings, over the API.
#include "base/mem.h"
#include "base/suggest.h"
#include "cmd/api_list.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: sluice sinks list\n"
    "       sluice sinks show NAME\n"
    "Prints the sinks of an engine, or the settings that a stream to one of them has.\n"
    "  --json      the engine's answer instead of a table\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

static const char path[] = "/api/v1/sinks";

static bool do_list(struct control *c, struct err *err) {
  static const struct api_list_column columns[] = {
      {"NAME", "name"}, {"TITLE", "title"}, {"ACCEPTS", "accepts"}, {"VERSION", "version"}, {0}};
  return api_list_print(c->api, path, columns, c->json, err);
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// The sink of that name; borrowed. NULL with err.
static const json_t *find(const json_t *items, const char *name, struct err *err) {
  const char **words = mem_must(mem_zero(json_array_size(items) + 1, sizeof *words));
  const json_t *sink, *found = NULL;
  size_t i;
  json_array_foreach(items, i, sink) {
    words[i] = text_of(sink, "name");
    if (strcmp(words[i], name) == 0) found = sink;
  }
  const char *meant = found ? NULL : suggest(name, words);
  if (!found)
    err_set(err, meant ? "there is no sink '%s'; did you mean '%s'?" : "there is no sink '%s'", name, meant);
  mem_free(words);
  return found;
}

// Whether a setting is needed: "yes", "no", or the setting and value that it is needed with.
static const char *needed(const json_t *setting, char *room, size_t bytes) {
  json_t *required = json_object_get(setting, "required");
  void *with = json_object_iter(required);
  if (!with) return json_is_true(required) ? "yes" : "no";
  const char *name = json_object_iter_key(with);
  snprintf(room, bytes, "with %s = %s", name, text_of(required, name));
  return room;
}

static void setting_row(struct table *table, const json_t *setting) {
  char room[300];
  const json_t *initial = json_object_get(setting, "default");
  char *value = initial ? mem_must(json_dumps(initial, JSON_ENCODE_ANY | JSON_COMPACT)) : NULL;
  const char *row[] = {text_of(setting, "name"), text_of(setting, "type"), needed(setting, room, sizeof room),
                       value ? value : "-", text_of(setting, "label")};
  table_row(table, row);
  free(value);
}

static void print_sink(const json_t *sink) {
  static const char *const heads[] = {"SETTING", "TYPE", "REQUIRED", "DEFAULT", "MEANING"};
  struct table *table = table_new(heads, sizeof heads / sizeof *heads);
  const json_t *setting;
  size_t i;
  json_array_foreach(json_object_get(sink, "settings"), i, setting) setting_row(table, setting);
  printf("%s: %s\n\n", text_of(sink, "name"), text_of(sink, "title"));
  table_print(table, stdout);
  table_free(table);
}

static bool do_show(struct control *c, struct err *err) {
  json_t *answer = control_call(c, "GET", path, NULL, err);
  const json_t *sink = answer ? find(json_object_get(answer, "items"), c->args[0], err) : NULL;
  if (sink && c->json)
    control_print_json(sink);
  else if (sink)
    print_sink(sink);
  json_decref(answer);
  return sink != NULL;
}

int cmd_sinks(int argc, char **argv) {
  static const struct control_verb verbs[] = {{"list", {0}, do_list}, {"show", {"NAME"}, do_show}, {0}};
  return control_main("sinks", usage, verbs, argc, argv);
}
