// config.h - sluice.lua: plain Lua that returns a table; unknown keys are errors with a suggestion.
#pragma once
#include "base/err.h"
#include "net/egress.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
  char listen[128];
  char data[512], scripts[512], sinks[512], portal[512]; // relative ones count from the working folder
  unsigned workers, couriers;                            // default: one a core
  bool isolated;                                         // a worker an organisation
  int64_t retention_ms;
  int zstd_level; // 0: none
  struct egress egress;
  size_t body_bytes, memory_bytes;
  uint32_t script_ms;
  size_t script_bytes;
};

void config_defaults(struct config *config);
// Reads `file` over the defaults; what this version can't do is refused too. "file:line: what is wrong" where there is a line. Sizes "16MB", times "50ms" "7d" "10s".
bool config_load(struct config *config, const char *file, struct err *err);
bool config_size(const char *text, size_t *out);       // "256MB", "64KB", "1GB", "100": bytes
bool config_duration_ms(const char *text, int64_t *out); // "50ms", "10s", "5m", "2h", "7d"
