// source_scan.h - a Lua source cut into words, strings and signs, for those who look for patterns in it.
//
// No parser: nothing is checked. Comments and white space are left out; what is broken ends the text.
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum source_word_kind {
  SOURCE_END,
  SOURCE_NAME,
  SOURCE_KEYWORD,
  SOURCE_STRING, // text: what stands between the quotes or brackets, escapes as they are
  SOURCE_NUMBER,
  SOURCE_SIGN, // "=", "==", "..", "{" ...
};

struct source_word {
  enum source_word_kind kind;
  uint32_t line;     // from 1
  struct slice text; // borrowed from the source
};

struct source_scan {
  const char *at, *end;
  uint32_t line;
};

void source_scan_init(struct source_scan *scan, struct slice source);
struct source_word source_scan_next(struct source_scan *scan);
