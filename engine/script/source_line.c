// source_line.c - a search by eye, not a parser: a wrong hit costs a misleading line number in a message, no
// more.
#include "script/source_line.h"

#include <ctype.h>

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '_';
}

static bool is_named_here(struct slice source, size_t at, size_t len) {
  char before = at > 0 ? source.at[at - 1] : '\n';
  size_t behind = at + len;
  if (is_word(before)) return false;
  if (before == '"' || before == '\'') return behind < source.len && source.at[behind] == before;
  while (behind < source.len && source.at[behind] == ' ')
    behind++;
  return behind < source.len && (source.at[behind] == '=' || source.at[behind] == '(');
}

unsigned source_line(struct slice source, const char *name) {
  size_t len = strlen(name);
  unsigned line = 1;
  for (size_t i = 0; len > 0 && i + len <= source.len; i++) {
    if (memcmp(source.at + i, name, len) == 0 && is_named_here(source, i, len)) return line;
    if (source.at[i] == '\n') line++;
  }
  return 0;
}
