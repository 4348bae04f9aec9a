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

// What stands for one byte; returns its length.
static size_t escape(char c, char out[8]) {
  static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
  const char *found = c ? strchr(from, c) : NULL;
  if (found) return (size_t)snprintf(out, 8, "\\%c", to[found - from]);
  if ((unsigned char)c < 32 || c == 127) return (size_t)snprintf(out, 8, "\\u%04x", (unsigned)c);
  out[0] = c;
  return 1;
}

const char *log_field_write(char out[LOG_FIELD_BYTES], const char *name, const char *text) {
  static const char cut[] = "...\"", end[] = "\"";
  out[0] = 0;
  if (!text || !*text) return out;
  size_t len = (size_t)snprintf(out, LOG_FIELD_BYTES / 2, " %.64s=\"", name);
  for (; *text; text++) {
    char piece[8];
    size_t more = escape(*text, piece);
    if (len + more + sizeof cut > LOG_FIELD_BYTES) break;
    memcpy(out + len, piece, more);
    len += more;
  }
  if (*text) // not in the middle of a character of UTF-8: the first byte left out would go on with it
    while ((*text & 0xc0) == 0x80 && (out[len - 1] & 0x80)) {
      text--;
      len--;
    }
  memcpy(out + len, *text ? cut : end, *text ? sizeof cut : sizeof end);
  return out;
}
