#include "script/source_scan.h"

#include <ctype.h>

static const char *const keywords[] = {"and",   "break", "do",       "else",   "elseif", "end",
                                       "false", "for",   "function", "if",     "in",     "local",
                                       "nil",   "not",   "or",       "repeat", "return", "then",
                                       "true",  "until", "while"}; // and not goto, which may be a name
static const char *const signs[] = {"...", "..", "==", "~=", "<=", ">=", "::"}; // of more than one character

void source_scan_init(struct source_scan *scan, struct slice source) {
  *scan = (struct source_scan){source.at, source.at + source.len, 1};
}

static char peek(const struct source_scan *scan, size_t ahead) {
  return (size_t)(scan->end - scan->at) > ahead ? scan->at[ahead] : 0;
}

// Moves on by so many bytes, or to the end, and counts lines.
static void skip(struct source_scan *scan, size_t count) {
  for (; count && scan->at < scan->end; count--)
    scan->line += *scan->at++ == '\n';
}

static bool is_word(char c) {
  return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

// The number of '=' in a long bracket that opens `ahead` bytes from here, or -1: there is none.
static int long_bracket(const struct source_scan *scan, size_t ahead) {
  int level = 0;
  if (peek(scan, ahead) != '[') return -1;
  while (peek(scan, ahead + 1 + (size_t)level) == '=')
    level++;
  return peek(scan, ahead + 1 + (size_t)level) == '[' ? level : -1;
}

// Moves behind the long bracket that opens here; returns what is in it.
static struct slice skip_long(struct source_scan *scan, int level) {
  size_t edge = (size_t)level + 2;
  skip(scan, edge);
  const char *begin = scan->at;
  for (; scan->at < scan->end; skip(scan, 1)) {
    size_t i = 1;
    if (peek(scan, 0) != ']') continue;
    while (i + 1 < edge && peek(scan, i) == '=')
      i++;
    if (i + 1 != edge || peek(scan, i) != ']') continue;
    struct slice inner = slice_make(begin, (size_t)(scan->at - begin));
    skip(scan, edge);
    return inner;
  }
  return slice_make(begin, (size_t)(scan->end - begin));
}

static void skip_comment(struct source_scan *scan) {
  int level = long_bracket(scan, 2);
  skip(scan, 2);
  if (level >= 0)
    skip_long(scan, level);
  else
    while (scan->at < scan->end && *scan->at != '\n')
      skip(scan, 1);
}

static void skip_blank(struct source_scan *scan) {
  while (scan->at < scan->end) {
    if (isspace((unsigned char)*scan->at))
      skip(scan, 1);
    else if (*scan->at == '-' && peek(scan, 1) == '-')
      skip_comment(scan);
    else
      return;
  }
}

static struct slice read_string(struct source_scan *scan) {
  char quote = *scan->at;
  skip(scan, 1);
  const char *begin = scan->at;
  while (scan->at < scan->end && *scan->at != quote)
    skip(scan, *scan->at == '\\' ? 2 : 1);
  struct slice inner = slice_make(begin, (size_t)(scan->at - begin));
  skip(scan, 1);
  return inner;
}

// "1e-5" and "0x1p+4" have a sign in them.
static bool is_exponent_sign(const char *begin, const char *at) {
  if ((*at != '-' && *at != '+') || at == begin) return false;
  bool hex = at - begin > 1 && (begin[1] == 'x' || begin[1] == 'X');
  return strchr(hex ? "pP" : "eE", at[-1]) != NULL;
}

static struct slice read_number(struct source_scan *scan) {
  const char *begin = scan->at;
  while (scan->at < scan->end &&
         (is_word(*scan->at) || *scan->at == '.' || is_exponent_sign(begin, scan->at)))
    scan->at++;
  return slice_make(begin, (size_t)(scan->at - begin));
}

static struct slice read_sign(struct source_scan *scan) {
  const char *begin = scan->at;
  size_t len = 1;
  for (size_t i = 0; i < sizeof signs / sizeof *signs && len == 1; i++) {
    size_t wanted = strlen(signs[i]);
    if ((size_t)(scan->end - begin) >= wanted && memcmp(begin, signs[i], wanted) == 0) len = wanted;
  }
  skip(scan, len);
  return slice_make(begin, len);
}

static bool is_keyword(struct slice word) {
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
    if (slice_is(word, keywords[i])) return true;
  return false;
}

static struct slice read_name(struct source_scan *scan) {
  const char *begin = scan->at;
  while (scan->at < scan->end && is_word(*scan->at))
    scan->at++;
  return slice_make(begin, (size_t)(scan->at - begin));
}

struct source_word source_scan_next(struct source_scan *scan) {
  skip_blank(scan);
  struct source_word word = {SOURCE_END, scan->line, slice_make(scan->at, 0)};
  if (scan->at == scan->end) return word;
  char first = *scan->at;
  int level = long_bracket(scan, 0);
  if (first == '"' || first == '\'') {
    word.kind = SOURCE_STRING;
    word.text = read_string(scan);
  } else if (level >= 0) {
    word.kind = SOURCE_STRING;
    word.text = skip_long(scan, level);
  } else if (isdigit((unsigned char)first) || (first == '.' && isdigit((unsigned char)peek(scan, 1)))) {
    word.kind = SOURCE_NUMBER;
    word.text = read_number(scan);
  } else if (is_word(first)) {
    word.text = read_name(scan);
    word.kind = is_keyword(word.text) ? SOURCE_KEYWORD : SOURCE_NAME;
  } else {
    word.kind = SOURCE_SIGN;
    word.text = read_sign(scan);
  }
  return word;
}
