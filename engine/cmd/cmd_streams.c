// cmd_streams.c - `sluice streams`: list, show, create, change and delete streams over the API.
#include "base/mem.h"
#include "base/suggest.h"
#include "cmd/api_call.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice streams list\n"
    "       sluice streams show|activate|deactivate|delete ID\n"
    "       sluice streams create FILE.json\n"
    "       sluice streams update ID FILE.json\n"
    "  --json      the engine's answer instead of a table\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "FILE.json may be - for stdin. The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

enum { PATH_BYTES = 512, JSON_STYLE = JSON_INDENT(2) | JSON_REAL_PRECISION(15) };

struct asked {
  struct api_call *api;
  bool json; // print the answer as JSON
  char **args;
};

// One call that must be answered 2xx; the answer's JSON (new), or NULL with err.
static json_t *call(struct asked *a, const char *method, const char *path, const json_t *body,
                    struct err *err) {
  struct api_answer answer;
  char *text = body ? mem_must(json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15))) : NULL;
  bool ok =
      api_call_send(a->api, method, path, body ? "application/json" : NULL, slice_of(text), &answer, err);
  mem_free(text);
  if (!ok) return NULL;
  if (answer.status < 200 || answer.status > 299) {
    api_call_refused(&answer, err);
    return NULL;
  }
  if (answer.body.len == 0) return json_object();
  json_t *got = json_loadb(answer.body.at, answer.body.len, 0, NULL);
  if (!got) err_set(err, "the answer is not JSON; is this a sluice engine?");
  return got;
}

static bool path_of(char path[PATH_BYTES], const char *id, const char *verb, struct err *err) {
  bool plain =
      *id && strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(id);
  int len = snprintf(path, PATH_BYTES, "/api/v1/streams/%s%s", id, verb);
  return (plain && len < PATH_BYTES) || err_set(err, "'%s' is no stream id", id);
}

static json_t *read_definition(const char *name, struct err *err) {
  json_error_t fault;
  json_t *got = strcmp(name, "-") == 0 ? json_loadf(stdin, 0, &fault) : json_load_file(name, 0, &fault);
  if (!got && fault.line > 0)
    err_set(err, "%s:%d: %s", name, fault.line, fault.text);
  else if (!got)
    err_set(err, "%s", fault.text);
  return got;
}

static void print_json(const json_t *value) {
  json_dumpf(value, stdout, JSON_STYLE);
  putchar('\n');
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
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

static void list_row(struct table *table, const json_t *stream) {
  char organisation[32], delivered[32], lag[32];
  const json_t *status = json_object_get(stream, "status");
  const char *row[] = {
      text_of(stream, "id"),
      text_of(stream, "name"),
      cell_of(json_object_get(stream, "organisation_id"), organisation, sizeof organisation),
      text_of(stream, "type"),
      text_of(stream, "sink"),
      text_of(status, "state"),
      cell_of(json_object_get(status, "delivered"), delivered, sizeof delivered),
      cell_of(json_object_get(status, "lag_records"), lag, sizeof lag),
      text_of(status, "last_error"),
  };
  table_row(table, row);
}

static void print_list(const json_t *items) {
  static const char *const heads[] = {"ID",    "NAME",      "ORGANISATION", "TYPE",      "SINK",
                                      "STATE", "DELIVERED", "LAG",          "LAST ERROR"};
  struct table *table = table_new(heads, sizeof heads / sizeof *heads);
  size_t i;
  json_t *stream;
  json_array_foreach(items, i, stream) list_row(table, stream);
  table_print(table, stdout);
  table_free(table);
}

// All pages of the list as one array (new).
static json_t *read_list(struct asked *a, struct err *err) {
  json_t *all = mem_must(json_array());
  char path[PATH_BYTES] = "/api/v1/streams?limit=1000";
  for (;;) {
    json_t *page = call(a, "GET", path, NULL, err);
    if (!page) break;
    json_array_extend(all, json_object_get(page, "items"));
    const char *next = json_string_value(json_object_get(page, "next"));
    if (next) snprintf(path, sizeof path, "/api/v1/streams?limit=1000&after=%s", next);
    json_decref(page);
    if (!next) return all;
  }
  json_decref(all);
  return NULL;
}

static bool do_list(struct asked *a, struct err *err) {
  json_t *items = read_list(a, err);
  if (!items) return false;
  if (a->json)
    print_json(items);
  else
    print_list(items);
  json_decref(items);
  return true;
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
static bool print_stream(struct asked *a, json_t *stream) {
  if (!stream) return false;
  if (a->json)
    print_json(stream);
  else
    print_fields("", stream);
  json_decref(stream);
  return true;
}

static bool do_show(struct asked *a, struct err *err) {
  char path[PATH_BYTES];
  return path_of(path, a->args[0], "", err) && print_stream(a, call(a, "GET", path, NULL, err));
}

static bool do_create(struct asked *a, struct err *err) {
  json_t *definition = read_definition(a->args[0], err);
  json_t *stream = definition ? call(a, "POST", "/api/v1/streams", definition, err) : NULL;
  json_decref(definition);
  return print_stream(a, stream);
}

static bool do_update(struct asked *a, struct err *err) {
  char path[PATH_BYTES];
  if (!path_of(path, a->args[0], "", err)) return false;
  json_t *change = read_definition(a->args[1], err);
  json_t *stream = change ? call(a, "PATCH", path, change, err) : NULL;
  json_decref(change);
  return print_stream(a, stream);
}

// POST .../ID/VERB.
static bool do_switch(struct asked *a, const char *verb, struct err *err) {
  char path[PATH_BYTES];
  if (!path_of(path, a->args[0], verb, err)) return false;
  json_t *answer = call(a, "POST", path, NULL, err);
  if (!answer) return false;
  if (a->json)
    print_json(answer);
  else
    printf("%s %sd\n", a->args[0], verb + 1);
  json_decref(answer);
  return true;
}

static bool do_activate(struct asked *a, struct err *err) {
  return do_switch(a, "/activate", err);
}

static bool do_deactivate(struct asked *a, struct err *err) {
  return do_switch(a, "/deactivate", err);
}

static bool do_delete(struct asked *a, struct err *err) {
  char path[PATH_BYTES];
  json_t *answer = path_of(path, a->args[0], "", err) ? call(a, "DELETE", path, NULL, err) : NULL;
  if (!answer) return false;
  if (a->json)
    print_json(answer);
  else
    printf("%s deleted, %" JSON_INTEGER_FORMAT " undelivered\n", a->args[0],
           json_integer_value(json_object_get(answer, "undelivered")));
  json_decref(answer);
  return true;
}

static const struct verb {
  const char *name;
  const char *args[2]; // NULL behind the last
  bool (*run)(struct asked *a, struct err *err);
} verbs[] = {
    {"list", {0}, do_list},
    {"show", {"ID"}, do_show},
    {"create", {"FILE.json"}, do_create},
    {"update", {"ID", "FILE.json"}, do_update},
    {"activate", {"ID"}, do_activate},
    {"deactivate", {"ID"}, do_deactivate},
    {"delete", {"ID"}, do_delete},
};
enum { VERBS = sizeof verbs / sizeof *verbs, VERB_ARGS = 2 };

static const struct verb *verb_find(const char *name) {
  const char *words[VERBS + 1] = {0};
  for (size_t i = 0; i < VERBS; i++) {
    if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    words[i] = verbs[i].name;
  }
  const char *meant = suggest(name, words);
  fprintf(stderr, meant ? "streams has no '%s': did you mean '%s'?\n" : "streams has no '%s'\n", name, meant);
  return NULL;
}

// What the verb needs and was not given, or was given and does not need, on stderr.
static bool args_fit(const struct verb *verb, int count, char **args) {
  int wanted = 0;
  while (wanted < VERB_ARGS && verb->args[wanted])
    wanted++;
  if (count < wanted) fprintf(stderr, "streams %s: %s is missing\n", verb->name, verb->args[count]);
  if (count > wanted) fprintf(stderr, "streams %s: unexpected argument '%s'\n", verb->name, args[wanted]);
  return count == wanted;
}

static int run(const struct verb *verb, struct asked *a, const char *url) {
  struct err err = {0};
  a->api = api_call_open(url, NULL, &err);
  bool ok = a->api && verb->run(a, &err);
  if (!ok) fprintf(stderr, "streams %s: %s\n", verb->name, err.text);
  api_call_close(a->api);
  return ok ? 0 : 1;
}

int cmd_streams(int argc, char **argv) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                          {"url", required_argument, NULL, 'u'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  struct asked asked = {0};
  const char *url = NULL;
  int c;
  optind = 1;
  while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (c) {
    case 'j':
      asked.json = true;
      break;
    case 'u':
      url = optarg;
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    default:
      return args_wrong("streams");
    }
  }
  if (optind == argc) {
    fputs("streams: what to do? (list, show, create ...)\n", stderr);
    return args_wrong("streams");
  }
  const struct verb *verb = verb_find(argv[optind]);
  asked.args = argv + optind + 1;
  if (!verb || !args_fit(verb, argc - optind - 1, asked.args)) return args_wrong("streams");
  return run(verb, &asked, url);
}
