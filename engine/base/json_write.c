#include "base/json_write.h"
#include "base/json_scan.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 17 }; // of a double: always enough to read back the same

// Puts what stands at p and can't stay as it is; moves p behind it.
static bool write_special(struct buf *b, const char **p, const char *end) {
  static const char hex[] = "0123456789abcdef", shorts[] = "\b\f\n\r\t", letters[] = "bfnrt";
  const char *bad;
  unsigned char c = (unsigned char)**p;
  if (c >= 0x80) {
    size_t len = json_utf8_length(*p, end, &bad);
    const char *at = *p;
    *p = len ? at + len : bad > at ? bad : at + 1;
    return len ? buf_append(b, at, len) : buf_append(b, "\xef\xbf\xbd", 3);
  }
  ++*p;
  if (c == '"' || c == '\\') return buf_append(b, (const char[]){'\\', (char)c}, 2);
  const char *found = c ? strchr(shorts, c) : NULL;
  if (found) return buf_append(b, (const char[]){'\\', letters[found - shorts]}, 2);
  return buf_append(b, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

// A bit in each byte of the word that is not plain. A subtraction may borrow from the byte above one that is
// special already; it never hides one.
static uint64_t special(uint64_t word) {
  const uint64_t ones = 0x0101010101010101, high = ones * 0x80;
  uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
  return (word | (word - ones * ' ') | (quote - ones) | (backslash - ones)) & high;
}

static uint64_t load8(const char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static uint64_t load4_twice(const char *first, const char *second) {
  uint32_t a, b;
  memcpy(&a, first, sizeof a);
  memcpy(&b, second, sizeof b);
  return (uint64_t)a << 32 | b;
}

// What is shorter than a step is looked at in two that overlap.
bool json_write_is_plain(struct slice text) {
  if (!text.len) return true;
  const char *p = text.at, *last = p + text.len;
  uint64_t found = 0;
#ifdef __SSE2__
  if (text.len >= 16) {
    for (; last - p > 16; p += 16)
      found |= json_not_plain16(p);
    return !(found | json_not_plain16(last - 16));
  }
#endif
  if (text.len >= 8) {
    for (; last - p > 8; p += 8)
      found |= special(load8(p));
    return !(found | special(load8(last - 8)));
  }
  if (text.len >= 4) return !special(load4_twice(p, last - 4));
  while (p < last)
    found |= special((uint64_t)(unsigned char)*p++ | 0x2020202020202000);
  return !found;
}

static bool write_unusual(struct buf *b, struct slice text) {
  const char *p = text.at, *end = text.len ? p + text.len : p;
  bool ok = buf_append_byte(b, '"');
  while (ok && p < end) {
    const char *stop = json_plain(p, end);
    ok = buf_append(b, p, (size_t)(stop - p));
    p = stop;
    if (ok && p < end) ok = write_special(b, &p, end);
  }
  return ok && buf_append_byte(b, '"');
}

bool json_write_string(struct buf *b, struct slice text) {
  if (!buf_reserve(b, text.len + 2)) return false;
  if (!json_write_is_plain(text)) return write_unusual(b, text);
  char *to = b->at + b->len;
  to[0] = '"';
  if (text.len) memcpy(to + 1, text.at, text.len);
  to[text.len + 1] = '"';
  b->len += text.len + 2;
  return true;
}

static size_t count_digits(uint64_t value) {
  static const uint64_t powers[] = {0,
                                    10,
                                    100,
                                    1000,
                                    10000,
                                    100000,
                                    1000000,
                                    10000000,
                                    100000000,
                                    1000000000,
                                    10000000000,
                                    100000000000,
                                    1000000000000,
                                    10000000000000,
                                    100000000000000,
                                    1000000000000000,
                                    10000000000000000,
                                    100000000000000000,
                                    1000000000000000000,
                                    10000000000000000000u};
  size_t bits = 64 - (size_t)__builtin_clzll(value | 1);
  size_t least = bits * 1233 >> 12; // 1233 / 4096 is a little more than log10(2): the count, or one less
  return least + (value >= powers[least]);
}

// The digits of value, most significant first; returns how many (1 to 20).
static size_t put_integer(uint64_t value, char *out) {
  static const char pairs[] =
      "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
      "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
  size_t len = count_digits(value);
  char *to = out + len;
  for (; value >= 100; value /= 100)
    memcpy(to -= 2, pairs + value % 100 * 2, 2);
  if (value >= 10)
    memcpy(to - 2, pairs + value * 2, 2);
  else
    to[-1] = (char)('0' + value);
  return len;
}

static size_t format_integer(int64_t value, char *out) {
  *out = '-';
  size_t sign = value < 0;
  uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  return sign + put_integer(magnitude, out + sign);
}

bool json_write_integer(struct buf *b, int64_t value) {
  char out[JSON_NUMBER_BYTES];
  if (b->cap - b->len < JSON_NUMBER_BYTES) return buf_append(b, out, format_integer(value, out));
  b->len += format_integer(value, b->at + b->len);
  return true;
}

// A number that is 0.d1d2d3... * 10^point.
struct digits {
  char at[24];
  int count, point;
};

static void trim(struct digits *d) {
  while (d->count > 1 && d->at[d->count - 1] == '0')
    d->count--;
}

// The usual number: m / 10^k with m below 10^15. Both m and 10^k are doubles, so the division rounds once, as
// reading the text does: if it gives back the value, the text does. No other text of 15 significant digits or
// fewer can: every decimal of 15 digits survives the way to a double and back (DBL_DIG), so no two of them
// share a double. So m's digits without trailing zeros are the shortest form. An integer below 2^53 is
// written whole in any case.
static bool few_digits(double value, struct digits *d) {
  static const double powers[] = {1e0, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18, 1e21};
  if (value < 1e-6 || value >= 0x1p53) return false;
  for (int i = 0; i < 8; i++) {
    double scaled = value * powers[i];
    if (i && scaled >= 1e15) return false;
    uint64_t whole = (uint64_t)(scaled + (i ? 0.5 : 0));
    if (fabs(scaled - (double)whole) > scaled * 0x1p-50) continue; // spares the division
    if ((double)whole / powers[i] != value) continue;
    d->count = (int)put_integer(whole, d->at);
    d->point = d->count - 3 * i;
    trim(d);
    return true;
  }
  return false;
}

// The next decimal of as many digits; false when it would need one more.
static bool step_up(struct digits *d) {
  for (int i = d->count - 1; i >= 0; i--) {
    if (d->at[i]++ < '9') return true;
    d->at[i] = '0';
  }
  return false;
}

static double read_back(const struct digits *d) {
  char text[40];
  snprintf(text, sizeof text, "0.%.*se%d", d->count, d->at, d->point);
  return strtod(text, NULL);
}

static bool nearest(double value, int count, struct digits *d) {
  char text[40];
  snprintf(text, sizeof text, "%.*e", count - 1, value); // d.ddde-308
  d->count = count;
  d->at[0] = text[0];
  if (count > 1) memcpy(d->at + 1, text + 2, (size_t)count - 1);
  d->point = atoi(text + count + (count > 1) + 1) + 1;
  if (read_back(d) == value) return true;
  // Doubles lie closer below a power of two than above it: the nearest decimal may miss where the next one
  // above hits.
  int exponent;
  return frexp(value, &exponent) == 0.5 && step_up(d) && read_back(d) == value;
}

static void many_digits(double value, struct digits *d) {
  locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", NULL)); // glibc: a constant, nothing to free
  int count = value < DBL_MIN ? 1 : DBL_DIG; // below DBL_MIN there are fewer digits to find
  while (count < DIGITS_MAX && !nearest(value, count, d))
    count++;
  if (count == DIGITS_MAX) nearest(value, count, d);
  uselocale(before);
  trim(d);
}

static char *put(char *to, const char *at, int len) {
  memcpy(to, at, (size_t)len);
  return to + len;
}

static char *put_zeros(char *to, int count) {
  memset(to, '0', (size_t)count);
  return to + count;
}

// Where the point goes and when an exponent is written: as ECMAScript's Number::toString does
// (ECMA-262, 6.1.6.1.20).
static char *lay_out(const struct digits *d, char *to) {
  if (d->point > 21 || d->point <= -6) {
    *to++ = d->at[0];
    if (d->count > 1) *to++ = '.';
    to = put(to, d->at + 1, d->count - 1);
    int exponent = d->point - 1;
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    return to + put_integer((uint64_t)abs(exponent), to);
  }
  if (d->point <= 0) {
    to = put_zeros(put(to, "0.", 2), -d->point);
    return put(to, d->at, d->count);
  }
  if (d->point >= d->count) return put_zeros(put(to, d->at, d->count), d->point - d->count);
  to = put(to, d->at, d->point);
  *to++ = '.';
  return put(to, d->at + d->point, d->count - d->point);
}

size_t json_format_real(double value, char *out) {
  struct digits d = {.at = "0", .count = 1, .point = 1};
  char *to = out;
  if (!isfinite(value)) return 0;
  if (signbit(value)) *to++ = '-';
  value = fabs(value);
  if (value > 0 && !few_digits(value, &d)) many_digits(value, &d);
  return (size_t)(lay_out(&d, to) - out);
}

bool json_write_real(struct buf *b, double value) {
  char out[JSON_NUMBER_BYTES];
  size_t len = json_format_real(value, out);
  return len && buf_append(b, out, len);
}
