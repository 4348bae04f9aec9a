// args.h - what the commands share in reading a command line.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// A whole number between min and max; false with a message on stderr that names the option.
bool args_number(const char *option, const char *text, int64_t min, int64_t max, int64_t *out);
// "try `sluice COMMAND -h`" on stderr; returns 2, the exit code of wrong usage.
int args_wrong(const char *command);
// Says that the command takes no such argument; returns 2.
int args_unexpected(const char *command, const char *argument);
