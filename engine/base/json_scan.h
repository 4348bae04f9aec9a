// json_scan.h - the byte-level steps under json_tape: white space, plain string bytes, numbers, escapes,
// UTF-8. Private to base/.
//
// Nothing here reads at or past `end`. The vector forms are baseline x86-64 (SSE2); the loops behind them
// serve the last bytes of a text and other processors.
#pragma once
#include "base/json_tape.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *json_space(const char *p, const char *end) {
  while (p < end && json_is_space(*p))
    p++;
  return p;
}

static inline bool json_is_digit(char c) {
  return c >= '0' && c <= '9';
}

#ifdef __SSE2__
static inline unsigned json_not_plain16(const char *p) {
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
  // The mask is of the highest bits: of bytes from 0x80 up, and of what is negative once a space is taken
  // away.
  __m128i others = _mm_or_si128(x, _mm_sub_epi8(x, _mm_set1_epi8(' ')));
  return (unsigned)_mm_movemask_epi8(_mm_or_si128(ends, others));
}
#endif

// A bit for each of the 64 bytes at p that is not simply a string's content: quote, backslash, control
// character, part of a longer UTF-8 sequence.
static inline uint64_t json_not_plain(const char *p) {
#ifdef __SSE2__
  uint64_t first = json_not_plain16(p) | json_not_plain16(p + 16) << 16;
  uint64_t second = json_not_plain16(p + 32) | json_not_plain16(p + 48) << 16;
  return first | second << 32;
#else
  uint64_t bits = 0;
  for (int i = 0; i < 64; i++)
    bits |= (uint64_t)(p[i] == '"' || p[i] == '\\' || (signed char)p[i] < ' ') << i;
  return bits;
#endif
}

// The first such byte at p or behind it; `end` if there is none.
static inline const char *json_plain(const char *p, const char *end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    unsigned stops = json_not_plain16(p);
    if (stops) return p + __builtin_ctz(stops);
  }
#endif
  while (p < end && *p != '"' && *p != '\\' && (unsigned char)(*p - ' ') < 0x80 - ' ')
    p++;
  return p;
}

#ifdef __SSE2__
// A bit for each of the 16 bytes at p that is no digit, and bit 16.
static inline unsigned json_not_digits(const char *p) {
  __m128i x = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('0'));
  __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(9)), x);
  return (unsigned)_mm_movemask_epi8(digit) ^ 0x1ffffu;
}

// A bit for each of 16 bytes that is the same at a and at b.
static inline unsigned json_same16(const char *a, const char *b) {
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
  return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_loadu_si128((const __m128i *)(const void *)b)));
}

// The usual number, of less than 16 bytes and without exponent, in one look at the 17 bytes at p; NULL if it
// is not that.
static inline const char *json_short_number(const char *p, enum json_kind *kind) {
  p += *p == '-';
  unsigned others = json_not_digits(p);
  unsigned len = (unsigned)__builtin_ctz(others);
  if (len == 0 || len == 16 || (*p == '0' && len > 1)) return NULL;
  *kind = TAPE_INTEGER;
  if (p[len] == '.') {
    others &= others - 1;
    unsigned whole = len;
    len = (unsigned)__builtin_ctz(others);
    if (len == 16 || len == whole + 1) return NULL;
    *kind = TAPE_REAL;
  }
  return (p[len] | 0x20) == 'e' ? NULL : p + len;
}
#endif

// Any number. Returns its end; NULL: it is broken, and *bad is the first byte that can't be right.
const char *json_number_end(const char *p, const char *end, enum json_kind *kind, const char **bad);

// The bytes of the escape that begins with the backslash at p; 0: it is broken, and *bad is the first byte
// that can't be right.
size_t json_escape_length(const char *p, const char *end, const char **bad);
// The same for the UTF-8 sequence at p.
size_t json_utf8_length(const char *p, const char *end, const char **bad);
// Writes the character of the valid escape at *p (at most 4 bytes) to out, moves *p behind it, and returns
// how many bytes.
size_t json_unescape_one(const char **p, const char *end, char *out);
