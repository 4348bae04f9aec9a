// err.h - why something failed, in words for the person who can mend it.
//
// The lowest layer writes the message; the first message wins; upper layers prepend what they were doing.
#pragma once
#include <stdbool.h>

enum { ERR_TEXT = 512 };

struct err {
  char text[ERR_TEXT]; // empty: no error
};

// Writes the message unless there is one already; a NULL err is allowed. Always returns false: `return err_set(...)`.
bool err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same, with ": " and the words of errno behind it.
bool err_set_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Puts words and ": " before the message. Always returns false.
bool err_prepend(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
