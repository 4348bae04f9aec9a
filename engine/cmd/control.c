#include "cmd/control.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "cmd/args.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { VERBS = 16 };

json_t *control_call(struct control *c, const char *method, const char *path, const json_t *body,
                     struct err *err) {
  struct api_answer answer;
  char *text = body ? mem_must(json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15))) : NULL;
  bool ok =
      api_call_must(c->api, method, path, body ? "application/json" : NULL, slice_of(text), &answer, err);
  mem_free(text);
  if (!ok) return NULL;
  if (answer.body.len == 0) return json_object();
  json_t *got = json_loadb(answer.body.at, answer.body.len, 0, NULL);
  if (!got) err_set(err, "the answer is not JSON; is this a sluice engine?");
  return got;
}

bool control_stream_path(char path[CONTROL_PATH_BYTES], const char *id, const char *rest, struct err *err) {
  bool plain =
      *id && strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(id);
  int len = snprintf(path, CONTROL_PATH_BYTES, "/api/v1/streams/%s%s", id, rest);
  return (plain && len < CONTROL_PATH_BYTES) || err_set(err, "'%s' is no stream id", id);
}

bool control_name_file(const char *name, const char *file, struct err *err) {
  struct err own = *err;
  size_t len = strlen(name);
  if (strncmp(own.text, name, len) != 0 || own.text[len] != ':') return false;
  *err = (struct err){0};
  return err_set(err, "%s%s", file, own.text + len);
}

void control_print_json(const json_t *value) {
  json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
  putchar('\n');
}

static const struct control_verb *find(const char *noun, const struct control_verb *verbs, const char *name) {
  const char *words[VERBS + 1] = {0};
  for (size_t i = 0; verbs[i].name; i++) {
    if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    words[i] = verbs[i].name;
  }
  const char *meant = suggest(name, words);
  fprintf(stderr, meant ? "%s has no '%s': did you mean '%s'?\n" : "%s has no '%s'\n", noun, name, meant);
  return NULL;
}

// What the verb needs and was not given, or was given and does not need, on stderr.
static bool args_fit(const char *noun, const struct control_verb *verb, int count, char **args) {
  int wanted = 0;
  while (wanted < CONTROL_ARGS && verb->args[wanted])
    wanted++;
  if (count < wanted) fprintf(stderr, "%s %s: %s is missing\n", noun, verb->name, verb->args[count]);
  if (count > wanted) fprintf(stderr, "%s %s: unexpected argument '%s'\n", noun, verb->name, args[wanted]);
  return count == wanted;
}

static int run(const char *noun, const struct control_verb *verb, struct control *c, const char *url) {
  struct err err = {0};
  c->api = api_call_open(url, NULL, &err);
  bool ok = c->api && verb->run(c, &err);
  if (!ok) fprintf(stderr, "%s %s: %s\n", noun, verb->name, err.text);
  api_call_close(c->api);
  return ok && fflush(stdout) == 0 ? 0 : 1;
}

// The verb and what stands behind it.
static int choose(const char *noun, const struct control_verb *verbs, struct control *c, const char *url,
                  int argc, char **argv) {
  if (argc == 0) {
    fprintf(stderr, "%s: what to do? (%s%s%s ...)\n", noun, verbs[0].name, verbs[1].name ? ", " : "",
            verbs[1].name ? verbs[1].name : "");
    return args_wrong(noun);
  }
  const struct control_verb *verb = find(noun, verbs, argv[0]);
  if (verb && !verb->run) {
    fprintf(stderr, "`sluice %s %s` is not in this version\n", noun, verb->name);
    return 2;
  }
  c->args = argv + 1;
  if (!verb || !args_fit(noun, verb, argc - 1, c->args)) return args_wrong(noun);
  return run(noun, verb, c, url);
}

int control_main(const char *noun, const char *usage, const struct control_verb *verbs, int argc,
                 char **argv) {
  static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                          {"url", required_argument, NULL, 'u'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  struct control c = {0};
  const char *url = NULL;
  optind = 1;
  for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    switch (option) {
    case 'j':
      c.json = true;
      break;
    case 'u':
      url = optarg;
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    default:
      return args_wrong(noun);
    }
  }
  return choose(noun, verbs, &c, url, argc - optind, argv + optind);
}
