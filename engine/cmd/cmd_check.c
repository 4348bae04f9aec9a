// cmd_check.c - `sluice check`: configuration, scripts and sinks compiled and checked; no engine needed.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "script/config.h"
#include "script/script.h"
#include "script/sink.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct checking {
  unsigned good, bad;
};

static int usage(void) {
  puts("usage: sluice check [-c sluice.lua] [FILE.lua ...]\n\n"
       "Compiles and checks the given files, or without any: the configuration and every script and sink of its folders.\n"
       "Exit 0: all are right. 1: some are not, each with file:line.");
  return 0;
}

static void tell(struct checking *c, const char *file, bool ok, const struct err *err) {
  if (ok) {
    c->good++;
    printf("ok  %s\n", file);
    return;
  }
  c->bad++;
  fprintf(stderr, "%s%s%s\n", strncmp(err->text, file, strlen(file)) == 0 ? "" : file,
          strncmp(err->text, file, strlen(file)) == 0 ? "" : ": ", err->text);
}

static bool is_sink(struct slice source) {
  return memmem(source.at, source.len, "request", 7) && memmem(source.at, source.len, "accepts", 7);
}

static bool check_source(const char *file, struct slice source, struct err *err) {
  if (is_sink(source)) {
    struct sink *sink = sink_load(file, source, err);
    sink_unref(sink);
    return sink != NULL;
  }
  struct script_limits limits = {0};
  struct script *script = script_load(file, source, SCRIPT_STREAM, &limits, err);
  script_free(script);
  return script != NULL;
}

static void check_file(struct checking *c, const char *file) {
  struct err err = {0};
  size_t len;
  char *source = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &len, &err);
  tell(c, file, source && check_source(file, slice_make(source, len), &err), &err);
  mem_free(source);
}

static bool ends_with(const char *text, const char *end) {
  size_t len = strlen(text), end_len = strlen(end);
  return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static int checkable(const struct dirent *entry) {
  return entry->d_name[0] != '.' && ends_with(entry->d_name, ".lua") && !ends_with(entry->d_name, "_spec.lua");
}

static void check_folder(struct checking *c, const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, checkable, alphasort);
  for (int i = 0; i < count; i++) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    check_file(c, path);
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
  check_folder(c, config.scripts);
  check_folder(c, config.sinks);
  return c->bad ? 1 : 0;
}

int cmd_check(int argc, char **argv) {
  const char *file = NULL;
  struct checking c = {0};
  static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
  for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
    if (option == 'h') return usage();
    if (option != 'c') return args_wrong("check");
    file = optarg;
  }
  if (optind == argc) return check_all(&c, file);
  for (int i = optind; i < argc; i++) check_file(&c, argv[i]);
  return c.bad ? 1 : 0;
}
