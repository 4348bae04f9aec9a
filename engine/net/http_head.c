#include "net/http_head.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

// Up to what is no digit: a line has an end.
static size_t number_at(const char *at) {
  size_t number = 0;
  while (*at == ' ')
    at++;
  for (; *at >= '0' && *at <= '9' && number < SIZE_MAX / 16; at++)
    number = number * 10 + (size_t)(*at - '0');
  return number;
}

size_t http_head_request_bytes(const char *at, size_t len, size_t *body_bytes) {
  static const char length[] = "Content-Length:", coding[] = "Transfer-Encoding:";
  size_t body = 0;
  *body_bytes = 0;
  for (const char *line = at, *end; (end = memchr(line, '\n', len - (size_t)(line - at))); line = end + 1) {
    size_t line_len = (size_t)(end - line);
    if (line_len == 0 || (line_len == 1 && *line == '\r')) {
      *body_bytes = body;
      return body ? (size_t)(end + 1 - at) + body : 0;
    }
    if (line_len >= sizeof coding && !strncasecmp(line, coding, sizeof coding - 1)) return 0;
    if (body || line_len < sizeof length || strncasecmp(line, length, sizeof length - 1)) continue;
    body = number_at(line + sizeof length - 1);
  }
  return 0;
}
