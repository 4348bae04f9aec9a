#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, const char *format, ...) {
  if (!err || err->text[0]) return false;
  va_list args;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  return false;
}

bool err_set_errno(struct err *err, const char *format, ...) {
  int saved = errno;
  if (!err || err->text[0]) return false;
  va_list args;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  size_t len = strlen(err->text);
  snprintf(err->text + len, sizeof err->text - len, ": %s", strerror(saved));
  return false;
}

bool err_prepend(struct err *err, const char *format, ...) {
  if (!err) return false;
  char was[ERR_TEXT];
  memcpy(was, err->text, sizeof was);
  va_list args;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  size_t len = strlen(err->text);
  snprintf(err->text + len, sizeof err->text - len, ": %.*s", (int)(sizeof was - 1), was);
  return false;
}
