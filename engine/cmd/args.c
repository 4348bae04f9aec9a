// args.c - what the commands share in reading a command line.
#include "cmd/args.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool args_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && value >= min && value <= max) {
    *out = value;
    return true;
  }
  fprintf(stderr, "%s must be a whole number from %" PRId64 " to %" PRId64 ", not '%s'\n", option, min, max,
          text);
  return false;
}

int args_wrong(const char *command) {
  fprintf(stderr, "try `sluice %s -h`\n", command);
  return 2;
}

int args_unexpected(const char *command, const char *argument) {
  fprintf(stderr, "%s: unexpected argument '%s'\n", command, argument);
  return args_wrong(command);
}
