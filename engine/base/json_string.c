#include "base/json_scan.h"
#include "base/json_tape.h"

enum { REPLACEMENT = 0xfffd };

static int hex_value(char c) {
  if (json_is_digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t json_escape_length(const char *p, const char *end, const char **bad) {
  *bad = ++p;
  if (p == end) return 0;
  switch (*p) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't':
    return 2;
  case 'u':
    for (int i = 0; i < 4; i++) {
      *bad = ++p;
      if (p == end || hex_value(*p) < 0) return 0;
    }
    return 6;
  default:
    return 0;
  }
}

// The Unicode standard, table 3-7: only the second byte's range depends on the first.
size_t json_utf8_length(const char *p, const char *end, const char **bad) {
  unsigned char lead = (unsigned char)*p, low = 0x80, high = 0xbf;
  size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  *bad = p;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (size_t i = 1; i < len; i++) {
    *bad = ++p;
    if (p == end || (unsigned char)*p < low || (unsigned char)*p > high) return 0;
    low = 0x80, high = 0xbf;
  }
  return len;
}

static uint32_t four_hex(const char *p) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++)
    code = code << 4 | (uint32_t)hex_value(p[i]);
  return code;
}

static size_t put_utf8(uint32_t code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = len - 1; i > 0; i--, code >>= 6)
    out[i] = (char)(0x80 | (code & 0x3f));
  out[0] = (char)(leads[len] | code);
  return len;
}

// Moves *p behind "\uXXXX", or behind two of them that are a surrogate pair.
static uint32_t code_point(const char **p, const char *end) {
  uint32_t code = four_hex(*p + 2);
  *p += 6;
  if (code < 0xd800 || code > 0xdfff) return code;
  if (code > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') return REPLACEMENT;
  uint32_t second = four_hex(*p + 2);
  if (second < 0xdc00 || second > 0xdfff) return REPLACEMENT;
  *p += 6;
  return 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
}

size_t json_unescape_one(const char **p, const char *end, char *out) {
  char c = (*p)[1];
  if (c == 'u') return put_utf8(code_point(p, end), out);
  *p += 2;
  switch (c) {
  case 'b':
    c = '\b';
    break;
  case 'f':
    c = '\f';
    break;
  case 'n':
    c = '\n';
    break;
  case 'r':
    c = '\r';
    break;
  case 't':
    c = '\t';
    break;
  }
  *out = c;
  return 1;
}

size_t json_unescape(struct slice inner, char *out) {
  const char *p = inner.at, *end = p + inner.len;
  char *to = out;
  while (p < end) {
    const char *escape = memchr(p, '\\', (size_t)(end - p));
    size_t plain = (size_t)((escape ? escape : end) - p);
    memmove(to, p, plain);
    to += plain;
    p += plain;
    if (escape) to += json_unescape_one(&p, end, to);
  }
  return (size_t)(to - out);
}
