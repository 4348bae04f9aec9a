// main.c - the commands.
#include "cmd/cmd.h"
#include "script/worker.h"

#include <signal.h>
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
    {"version", "print the version", cmd_version},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int usage(FILE *to) {
  fputs("usage: sluice COMMAND [-h]\n\n", to);
  for (size_t i = 0; i < COMMANDS; i++)
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
  return to == stdout ? 0 : 2;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) return usage(stderr);
  if (strcmp(argv[1], "worker") == 0) return worker_main(argc, argv); // started by the engine alone
  if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) return usage(stdout);
  for (size_t i = 0; i < COMMANDS; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr, "sluice: unknown command '%s'\n", argv[1]);
  return usage(stderr);
}
