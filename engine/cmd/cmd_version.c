// cmd_version.c - `sluice version`: which version this is.
#include "cmd/cmd.h"
#include <stdio.h>
#include <string.h>

int cmd_version(int argc, char **argv) {
  if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
    puts("usage: sluice version");
    return 0;
  }
  if (argc > 1) {
    fprintf(stderr, "version takes no argument, but was given '%s'\n", argv[1]);
    return 2;
  }
  puts("sluice " SLUICE_VERSION);
  return 0;
}
