// cmd_version.c - `sluice version`: which version this is.
#include "cmd/args.h"
#include "cmd/cmd.h"
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

int cmd_version(int argc, char **argv) {
  static const struct option options[] = {
      {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
  bool json = false;
  int c;
  optind = 1;
  while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (c == 'h') {
      puts("usage: sluice version [--json]");
      return 0;
    }
    if (c != 'j') return args_wrong("version");
    json = true;
  }
  if (optind < argc) return args_unexpected("version", argv[optind]);
  puts(json ? "{\"version\":\"" SLUICE_VERSION "\"}" : "sluice " SLUICE_VERSION);
  return 0;
}
