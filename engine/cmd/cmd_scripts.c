// cmd_scripts.c - `sluice scripts`: the shared scripts of an engine, and a script tried on its records, over
// the API.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/api_list.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/scripts_try.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice scripts list\n"
    "       sluice scripts show NAME\n"
    "       sluice scripts update NAME FILE.lua\n"
    "       sluice scripts delete NAME\n"
    "       sluice scripts try FILE.lua [--last N | --records FILE] ...   (see `sluice scripts try -h`)\n"
    "Shared scripts are those that streams name with \"script_name\". update writes a new one, or a new "
    "version.\n"
    "  --json      the engine's answer instead of a table or the source\n"
    "  --url URL   the engine (default: SLUICE_URL, else http://127.0.0.1:8080)\n"
    "The token comes from SLUICE_TOKEN, else from data/operator.token.\n";

static bool path_of(char path[CONTROL_PATH_BYTES], const char *name, struct err *err) {
  bool plain = *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
  int len = snprintf(path, CONTROL_PATH_BYTES, "/api/v1/scripts/%s", name);
  return (plain && len < CONTROL_PATH_BYTES) ||
         err_set(err, "'%s' is no script's name: a-z, 0-9, '_' and '-'", name);
}

static bool do_list(struct control *c, struct err *err) {
  static const struct api_list_column columns[] = {
      {"NAME", "name"}, {"VERSION", "version"}, {"STREAMS", "streams"}, {0}};
  return api_list_print(c->api, "/api/v1/scripts", columns, c->json, err);
}

static bool do_show(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  json_t *script = path_of(path, c->args[0], err) ? control_call(c, "GET", path, NULL, err) : NULL;
  if (!script) return false;
  const char *source = json_string_value(json_object_get(script, "script"));
  if (c->json)
    control_print_json(script);
  else
    fputs(source ? source : "", stdout);
  json_decref(script);
  return true;
}

static bool do_update(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  size_t len;
  char *source = path_of(path, c->args[0], err)
                     ? disk_read_file(c->args[1], LIMIT_SCRIPT_SOURCE_BYTES, &len, err)
                     : NULL;
  if (!source) return false;
  json_t *body = json_pack("{s:s%}", "script", source, len);
  mem_free(source);
  if (!body) return err_set(err, "%s is not UTF-8 text", c->args[1]);
  json_t *script = control_call(c, "PUT", path, body, err);
  json_decref(body);
  if (!script) {
    snprintf(path, sizeof path, "%.64s.lua", c->args[0]);
    return control_name_file(path, c->args[1], err);
  }
  const char *version = json_string_value(json_object_get(script, "version"));
  if (c->json)
    control_print_json(script);
  else
    printf("%s is version %s\n", c->args[0], version ? version : "?");
  json_decref(script);
  return true;
}

static bool do_delete(struct control *c, struct err *err) {
  char path[CONTROL_PATH_BYTES];
  json_t *answer = path_of(path, c->args[0], err) ? control_call(c, "DELETE", path, NULL, err) : NULL;
  if (!answer) return false;
  if (c->json)
    control_print_json(answer);
  else
    printf("%s deleted\n", c->args[0]);
  json_decref(answer);
  return true;
}

int cmd_scripts(int argc, char **argv) {
  static const struct control_verb verbs[] = {{"list", {0}, do_list},
                                              {"show", {"NAME"}, do_show},
                                              {"update", {"NAME", "FILE.lua"}, do_update},
                                              {"delete", {"NAME"}, do_delete},
                                              {0}};
  if (argc > 1 && strcmp(argv[1], "try") == 0) return cmd_scripts_try(argc - 1, argv + 1);
  return control_main("scripts", usage, verbs, argc, argv);
}
