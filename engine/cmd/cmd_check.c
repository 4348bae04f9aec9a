// cmd_check.c - `sluice check`: configuration, scripts and sinks compiled and checked; no engine needed.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/trial.h"
#include "script/config.h"
#include "script/script.h"
#include "script/source_warn.h"

#include <dirent.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct checking {
  unsigned checked, bad;                    // files
  json_t *items;                            // with --json: what was found, by file; else NULL
  json_t *warnings;                         // of the present file; with --json
  const char *file;                         // the present one
  struct api_names *names[SCRIPT_SINK + 1]; // by role
};

static int usage(void) {
  puts("usage: sluice check [-c sluice.lua] [--json] [FILE.lua ...]\n\n"
       "Compiles and checks the given files, or without any: the configuration and every script and\n"
       "sink of its folders. Warns of what compiles but is probably a mistake: globals, fields that no\n"
       "record has, names that are not in the API. Says so where there is nothing to check.\n"
       "Exit 0: all are right, perhaps with warnings. 1: some are not, each with file:line.");
  return 0;
}

// The line in "FILE:LINE: what is wrong", 0 when there is none; *words: what is wrong.
static unsigned line_of(const char *file, const char *text, const char **words) {
  size_t len = strlen(file);
  unsigned line = 0;
  int used = 0;
  *words = text;
  if (strncmp(text, file, len) != 0 || text[len] != ':') return 0;
  *words = text + len + strspn(text + len, ": ");
  if (sscanf(text + len, ":%u: %n", &line, &used) == 1 && used) *words = text + len + used;
  return used ? line : 0;
}

static json_t *describe(unsigned line, const char *message) {
  json_t *json = mem_must(json_object());
  if (line) json_object_set_new(json, "line", mem_must(json_integer((json_int_t)line)));
  json_object_set_new(json, "message", mem_must(json_string(message)));
  return json;
}

static void print_error(const char *file, const char *text) {
  bool named = strncmp(text, file, strlen(file)) == 0;
  fprintf(stderr, "%s%s%s\n", named ? "" : file, named ? "" : ": ", text);
}

// The outcome of one file.
static void tell(struct checking *c, const char *file, bool ok, const struct err *err) {
  const char *words;
  c->checked++;
  c->bad += !ok;
  if (!c->items) {
    if (ok)
      printf("ok  %s\n", file);
    else
      print_error(file, err->text);
    return;
  }
  unsigned line = line_of(file, err->text, &words);
  json_t *errors = mem_must(json_array());
  if (!ok) json_array_append_new(errors, describe(line, words));
  if (!c->warnings) c->warnings = mem_must(json_array());
  json_array_append_new(c->items, mem_must(json_pack("{s:s, s:b, s:o, s:o}", "file", file, "ok", ok, "errors",
                                                     errors, "warnings", c->warnings)));
  c->warnings = NULL;
}

static void tell_warning(void *arg, uint32_t line, const char *text) {
  struct checking *c = arg;
  if (!c->items) {
    fprintf(stderr, "%s:%u: warning: %s\n", c->file, line, text);
    return;
  }
  if (!c->warnings) c->warnings = mem_must(json_array());
  json_array_append_new(c->warnings, describe(line, text));
}

static bool has(struct slice source, const char *word) {
  return memmem(source.at, source.len, word, strlen(word)) != NULL;
}

// Of a file outside of the folders. A sink has a request, and says what it takes or how.
static enum script_role role_of(const char *file, struct slice source) {
  bool in_sinks = strncmp(file, "sinks/", 6) == 0 || strstr(file, "/sinks/");
  bool like_one =
      has(source, "request") && (has(source, "accepts") || has(source, "settings") || has(source, "framing"));
  return in_sinks || like_one ? SCRIPT_SINK : SCRIPT_STREAM;
}

static bool look_through(struct checking *c, struct slice source, enum script_role role, struct err *err) {
  if (!c->names[role] && !(c->names[role] = api_names_new(role, err))) return false;
  return source_warn(source, role, c->names[role], tell_warning, c) || err_set(err, "out of memory");
}

static bool check_source(struct checking *c, struct slice source, enum script_role role, struct err *err) {
  return trial_compile(c->file, source, role, err) && look_through(c, source, role, err);
}

static bool is_spec(const char *file) {
  return slice_ends(slice_of(file), "_spec.lua");
}

// `role`: NULL when the source has to tell.
static void check_file(struct checking *c, const char *file, const enum script_role *role) {
  if (is_spec(file)) {
    fprintf(stderr, "%s: left out: sluice test runs specs\n", file);
    return;
  }
  struct err err = {0};
  size_t len = 0;
  char *text = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &len, &err);
  struct slice source = slice_make(text, len);
  c->file = file;
  tell(c, file, text && check_source(c, source, role ? *role : role_of(file, source), &err), &err);
  mem_free(text);
}

static int checkable(const struct dirent *entry) {
  return entry->d_name[0] != '.' && slice_ends(slice_of(entry->d_name), ".lua") && !is_spec(entry->d_name);
}

static void check_folder(struct checking *c, const char *folder, enum script_role role) {
  struct dirent **entries;
  int count = scandir(folder, &entries, checkable, alphasort);
  for (int i = 0; i < count; i++) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    check_file(c, path, &role);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

static int check_all(struct checking *c, const char *file) {
  struct config config;
  struct err err = {0};
  config_defaults(&config);
  if (!file && access("sluice.lua", F_OK) == 0) file = "sluice.lua";
  if (file) {
    bool ok = config_load(&config, file, &err);
    tell(c, file, ok, &err);
    if (!ok) return 2;
  }
  check_folder(c, config.scripts, SCRIPT_STREAM);
  check_folder(c, config.sinks, SCRIPT_SINK);
  if (!c->checked && !c->items)
    printf("nothing to check here: no sluice.lua, no %s/*.lua, no %s/*.lua\n", config.scripts, config.sinks);
  return c->bad ? 1 : 0;
}

static int check(struct checking *c, const char *config, char **files, int count) {
  if (!count) return check_all(c, config);
  for (int i = 0; i < count; i++)
    check_file(c, files[i], NULL);
  return c->bad ? 1 : 0;
}

static void print_items(const struct checking *c) {
  if (!c->items) return;
  json_dumpf(c->items, stdout, JSON_INDENT(2));
  putchar('\n');
}

int cmd_check(int argc, char **argv) {
  const char *config = NULL;
  struct checking c = {0};
  bool json = false;
  static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
    if (option == 'h') return usage();
    if (option == 'c')
      config = optarg;
    else if (option == 'j')
      json = true;
    else
      return args_wrong("check");
  }
  if (json) c.items = mem_must(json_array());
  int code = check(&c, config, argv + optind, argc - optind);
  print_items(&c);
  json_decref(c.items);
  for (size_t i = 0; i < sizeof c.names / sizeof *c.names; i++)
    api_names_free(c.names[i]);
  return code;
}
