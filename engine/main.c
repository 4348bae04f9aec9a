// main.c - the commands.
#include "base/suggest.h"
#include "cmd/cmd.h"
#include "script/worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *help;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "the engine, in the foreground", cmd_run},
    {"check", "check configuration, scripts and sinks", cmd_check},
    {"test", "run specs and golden cases of scripts and sinks", cmd_test},
    {"pipe", "records on stdin through a script to stdout", cmd_pipe},
    {"send", "post records to an engine", cmd_send},
    {"receive", "a receiver for development", cmd_receive},
    {"streams", "list, show and change streams", cmd_streams},
    {"sinks", "list and show kinds of destination", cmd_sinks},
    {"scripts", "shared scripts; try a script on the newest records", cmd_scripts},
    {"dead", "list the records that a stream gave up", cmd_dead},
    {"top", "a live table of the streams", cmd_top},
    {"version", "print the version", cmd_version},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

// Commands that are planned; whoever asks for one is not told that it is a slip of the pen.
static const char *const later[] = {"tokens", "users"};

static int usage(FILE *to) {
  fputs("usage: sluice COMMAND [-h]\n\n", to);
  for (size_t i = 0; i < COMMANDS; i++)
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
  return to == stdout ? 0 : 2;
}

static int unknown(const char *name) {
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
    if (strcmp(name, later[i]) != 0) continue;
    fprintf(stderr, "`sluice %s` is not in this version\n", name);
    return 2;
  }
  const char *words[COMMANDS + 1] = {0};
  for (size_t i = 0; i < COMMANDS; i++)
    words[i] = commands[i].name;
  const char *meant = suggest(name, words);
  fprintf(stderr,
          meant ? "sluice: unknown command '%s': did you mean '%s'?\n" : "sluice: unknown command '%s'\n",
          name, meant);
  fputs("try `sluice -h`\n", stderr);
  return 2;
}

static int run(int argc, char **argv) {
  for (size_t i = 0; i < COMMANDS; i++)
    if (strcmp(argv[0], commands[i].name) == 0) return commands[i].run(argc, argv);
  return unknown(argv[0]);
}

// `sluice help COMMAND` is `sluice COMMAND -h`.
static int help(int argc, char **argv) {
  if (argc < 2) return usage(stdout);
  char option[] = "-h", *asked[] = {argv[1], option, NULL};
  return run(2, asked);
}

static bool is_one_of(const char *word, const char *a, const char *b) {
  return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) return usage(stderr);
  if (strcmp(argv[1], "worker") == 0) return worker_main(argc, argv); // started by the engine alone
  if (is_one_of(argv[1], "-h", "--help")) return usage(stdout);
  if (is_one_of(argv[1], "-V", "--version")) return cmd_version(argc - 1, argv + 1);
  if (strcmp(argv[1], "help") == 0) return help(argc - 1, argv + 1);
  return run(argc - 1, argv + 1);
}
