#include "base/log.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_int lowest_level = LOG_INFO;

void log_set_level(enum log_level lowest) {
  atomic_store(&lowest_level, (int)lowest);
}

void log_line(enum log_level level, const char *format, ...) {
  static const char *const names[] = {"debug", "info", "warn", "error"};
  if ((int)level < atomic_load_explicit(&lowest_level, memory_order_relaxed)) return;
  char line[2048], iso[CLOCK_ISO_BYTES];
  int head = snprintf(line, sizeof line, "%s %s ", clock_iso(clock_ms(), iso), names[level]);
  va_list args;
  va_start(args, format);
  vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
  va_end(args);
  size_t len = strlen(line);
  for (size_t i = 0; i < len; i++) // one record, one line, whatever a message carries
    if ((unsigned char)line[i] < 32) line[i] = ' ';
  line[len++] = '\n';
  if (write(STDERR_FILENO, line, len) < 0) return; // nowhere left to say so
}
