// cmd_streams.c - `sluice streams`: list, show, create, change and delete streams over the API.
#include "base/mem.h"
#include "cmd/api_list.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice streams list\n"
    "       sluice streams show|activate|deactivate|delete ID\n"
    "       sluice streams test ID      sends what tries the settings; exit 1 when the destination does not take it\n"
    "       sluice streams create FILE.json\n"
    "       sluice streams update ID FILE.json\n"
    "  --json      the engine's answer instead of a table\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "FILE.json may be - for stdin. The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

static json_t *read_definition(const char *name, struct err *err) {
  json_error_t fault;
  json_t *got = strcmp(name, "-") == 0 ? json_loadf(stdin, 0, &fault) : json_load_file(name, 0, &fault);
  if (!got && fault.line > 0)
    err_set(err, "%s:%d: %s", name, fault.line, fault.text);
  else if (!got)
    err_set(err, "%s", fault.text);
  return got;
}

// A scalar as a table shows it, into out.
static const char *cell_of(const json_t *value, char *out, size_t room) {
  if (json_is_string(value)) return json_string_value(value);
  if (!value || json_is_null(value)) return "-";
  char *text = mem_must(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)));
  snprintf(out, room, "%s", text);
  mem_free(text);
  return out;
}

static bool do_list(struct control *c, struct err *err) {
  static const struct api_list_column columns[] = {{"ID", "id"},
                                                   {"NAME", "name"},
                                                   {"ORGANISATION", "organisation_id"},
                                                   {"TYPE", "type"},
                                                   {"SINK", "sink"},
                                                   {"STATE", "status.state"},
                                                   {"DELIVERED", "status.delivered"},
                                                   {"LAG", "status.lag_records"},
                                                   {"LAST ERROR", "status.last_error"},
                                                   {0}};
  return api_list_print(c->api, "/api/v1/streams", columns, c->json, err);
}

static void print_fields(const char *prefix, const json_t *object) {
  char name[128], room[4096];
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    snprintf(name, sizeof name, "%s%s", prefix, key);
    if (json_is_object(value) && json_object_size(value) > 0 && !*prefix) {
      char inner[100];
      snprintf(inner, sizeof inner, "%s.", key);
      print_fields(inner, value);
    } else if (json_is_string(value) && strchr(json_string_value(value), '\n')) {
      printf("%s:\n%s\n", name, json_string_value(value));
    } else {
      printf("%-24s %s\n", name, cell_of(value, room, sizeof room));
    }
  }
}

// Prints the stream an answer holds, and releases it.
static bool print_stream(struct control *c, json_t *stream) {
  if (!stream) return false;
  if (c->json)
    control_print_json(stream);
  else
    print_fields("", stream);
  json_decref(stream);
  return true;
}

static bool do_show(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  return control_stream_path(path, c->args[0], "", err) &&
         print_stream(c, control_call(c, "GET", path, NULL, err));
}

static bool do_create(struct control *c, struct err *err) {
  json_t *definition = read_definition(c->args[0], err);
  json_t *stream = definition ? control_call(c, "POST", "/api/v1/streams", definition, err) : NULL;
  json_decref(definition);
  return print_stream(c, stream);
}

static bool do_update(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  if (!control_stream_path(path, c->args[0], "", err)) return false;
  json_t *change = read_definition(c->args[1], err);
  json_t *stream = change ? control_call(c, "PATCH", path, change, err) : NULL;
  json_decref(change);
  return print_stream(c, stream);
}

// POST .../ID/VERB.
static bool do_switch(struct control *c, const char *verb, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  if (!control_stream_path(path, c->args[0], verb, err)) return false;
  json_t *answer = control_call(c, "POST", path, NULL, err);
  if (!answer) return false;
  if (c->json)
    control_print_json(answer);
  else
    printf("%s %sd\n", c->args[0], verb + 1);
  json_decref(answer);
  return true;
}

static bool do_activate(struct control *c, struct err *err) {
  return do_switch(c, "/activate", err);
}

static bool do_deactivate(struct control *c, struct err *err) {
  return do_switch(c, "/deactivate", err);
}

static bool do_test(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  json_t *answer =
      control_stream_path(path, c->args[0], "/test", err) ? control_call(c, "POST", path, NULL, err) : NULL;
  if (!answer) return false;
  bool works = json_is_true(json_object_get(answer, "ok"));
  const char *message = json_string_value(json_object_get(answer, "message"));
  if (c->json)
    control_print_json(answer);
  else if (works)
    printf("%s\n", message ? message : "");
  if (!works) err_set(err, "%s", message ? message : "");
  json_decref(answer);
  return works;
}

static bool do_delete(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  json_t *answer =
      control_stream_path(path, c->args[0], "", err) ? control_call(c, "DELETE", path, NULL, err) : NULL;
  if (!answer) return false;
  if (c->json)
    control_print_json(answer);
  else
    printf("%s deleted, %" JSON_INTEGER_FORMAT " undelivered\n", c->args[0],
           json_integer_value(json_object_get(answer, "undelivered")));
  json_decref(answer);
  return true;
}

int cmd_streams(int argc, char **argv) {
  static const struct control_verb verbs[] = {
      {"list", {0}, do_list},
      {"show", {"ID"}, do_show},
      {"create", {"FILE.json"}, do_create},
      {"update", {"ID", "FILE.json"}, do_update},
      {"activate", {"ID"}, do_activate},
      {"deactivate", {"ID"}, do_deactivate},
      {"delete", {"ID"}, do_delete},
      {"test", {"ID"}, do_test},
      {0},
  };
  return control_main("streams", usage, verbs, argc, argv);
}
