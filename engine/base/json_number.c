#include "base/json_scan.h"
#include "base/json_tape.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  // No double and no halfway point between two has more than 767 significant digits: behind these, only
  // whether anything
  // other than zeros follows can matter.
  SIGNIFICANT = 770,
  EXACT_DIGITS = 19,   // fit 64 bits, whatever they are
  EXACT_EXPONENT = 22, // 10^22 is the last power of ten that is a double
};
static const uint64_t EXACT_INTEGER = (uint64_t)1 << 53;
static const int64_t HUGE_EXPONENT = (int64_t)1
                                     << 40; // beyond any that the digits of a text could bring back

static const char *digits(const char *p, const char *end) {
  while (p < end && json_is_digit(*p))
    p++;
  return p;
}

const char *json_number_end(const char *p, const char *end, enum json_kind *kind, const char **bad) {
  *kind = TAPE_INTEGER;
  if (*p == '-') p++;
  *bad = p;
  if (p == end || !json_is_digit(*p)) return NULL;
  *bad = p + 1;
  if (*p == '0' && p + 1 < end && json_is_digit(p[1])) return NULL;
  p = digits(p, end);
  if (p < end && *p == '.') {
    *kind = TAPE_REAL;
    *bad = p = digits(p + 1, end);
    if (p[-1] == '.') return NULL;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    *kind = TAPE_REAL;
    p++;
    if (p < end && (*p == '+' || *p == '-')) p++;
    *bad = p;
    p = digits(p, end);
    if (p == *bad) return NULL;
  }
  return p;
}

bool json_tape_integer(const struct json_tape *t, uint32_t entry, int64_t *out) {
  if (json_kind_of(t, entry) != TAPE_INTEGER) return false;
  struct slice s = json_inner(t, entry);
  bool negative = *s.at == '-';
  uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;
  if (s.len - negative > 19) return false;
  for (size_t i = negative; i < s.len; i++)
    value = value * 10 + (uint64_t)(s.at[i] - '0');
  if (value > most) return false;
  *out = (int64_t)(negative ? 0 - value : value);
  return true;
}

// A number's text taken apart: the value is 0.d1d2d3... * 10^exponent.
struct decimal {
  bool negative, rest; // rest: digits other than 0 were left out
  size_t count;        // digits kept, from the first that isn't 0
  int64_t exponent;
  char digits[SIGNIFICANT];
};

static void add_digit(struct decimal *d, char digit) {
  if (d->count == 0 && digit == '0') return;
  if (d->count < SIGNIFICANT)
    d->digits[d->count++] = digit;
  else
    d->rest |= digit != '0';
}

static int64_t written_exponent(const char *p, const char *end) {
  bool negative = *p == '-';
  int64_t exponent = 0;
  for (p += negative || *p == '+'; p < end; p++)
    if (exponent < HUGE_EXPONENT) exponent = exponent * 10 + (*p - '0');
  return negative ? -exponent : exponent;
}

static void take_apart(struct slice s, struct decimal *d) {
  const char *p = s.at, *end = p + s.len;
  d->negative = *p == '-';
  d->rest = false;
  d->count = 0;
  d->exponent = 0;
  p += d->negative;
  bool fraction = false;
  for (; p < end && (*p | 0x20) != 'e'; p++) {
    if (*p == '.') {
      fraction = true;
      continue;
    }
    add_digit(d, *p);
    // A digit of the whole part moves the point right; a leading zero of the fraction moves it left.
    if (!fraction)
      d->exponent += d->count > 0;
    else
      d->exponent -= d->count == 0;
  }
  if (p < end) d->exponent += written_exponent(p + 1, end);
}

// By strtod, on a text of bounded length that ends with NUL and in the C locale.
static double slow(struct slice s) {
  struct decimal d;
  take_apart(s, &d);
  if (!d.count) return d.negative ? -0.0 : 0.0;
  int64_t exponent = d.exponent > 9999 ? 9999 : d.exponent < -9999 ? -9999 : d.exponent;
  char text[SIGNIFICANT + 32];
  snprintf(text, sizeof text, "%s0.%.*s%se%d", d.negative ? "-" : "", (int)d.count, d.digits,
           d.rest ? "1" : "", (int)exponent);
  return strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", NULL)); // glibc: a constant, nothing to free
}

// Clinger's case: an integer and a power of ten that are both doubles need one rounding, by one operation.
static bool exact(struct slice s, double *out) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const char *p = s.at, *end = p + s.len, *point = NULL;
  bool negative = *p == '-';
  p += negative;
  uint64_t digits = 0;
  const char *begin = p, *last = end - p > EXACT_DIGITS ? p + EXACT_DIGITS + 1 : end;
  for (; p < last && (*p | 0x20) != 'e'; p++) {
    if (*p == '.')
      point = p + 1;
    else
      digits = digits * 10 + (uint64_t)(*p - '0');
  }
  if ((p < end && (*p | 0x20) != 'e') || p - begin - (point != NULL) > EXACT_DIGITS) return false;
  int64_t exponent = point ? point - p : 0;
  if (p < end) exponent += written_exponent(p + 1, end);
  if (digits > EXACT_INTEGER || exponent > EXACT_EXPONENT || exponent < -EXACT_EXPONENT) return false;
  double value = (double)digits;
  value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
  *out = negative ? -value : value;
  return true;
}

double json_tape_real(const struct json_tape *t, uint32_t entry) {
  double value;
  struct slice s = json_inner(t, entry);
  return exact(s, &value) ? value : slow(s);
}
