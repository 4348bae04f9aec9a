#include "script/span.h"
#include "base/limits.h"
#include "base/suggest.h"
#include "script/lua_text.h"

#include <stdio.h>

enum { WORD_BYTES = 16, MOST_DIGITS = 9, SHOWN_BYTES = 40 };

static uint32_t unit_seconds(char unit) {
  switch (unit) {
  case 's':
    return 1;
  case 'm':
    return 60;
  case 'h':
    return 3600;
  case 'd':
    return 86400;
  case 'w':
    return 7 * 86400;
  default:
    return 0;
  }
}

// Takes the digits in front; how many there were.
static size_t take_number(struct slice *text, uint64_t *number) {
  size_t digits = 0;
  *number = 0;
  for (; digits < text->len && text->at[digits] >= '0' && text->at[digits] <= '9'; digits++)
    if (digits < MOST_DIGITS) *number = *number * 10 + (uint64_t)(text->at[digits] - '0');
  *text = slice_make(text->at + digits, text->len - digits);
  return digits;
}

// The unit that a word stands for: "Minutes" is 'm'; 0: none.
static char guess_unit(struct slice word) {
  static const char *const words[] = {
      "s",  "sec", "secs", "second", "seconds", "m",   "min",  "mins", "minute", "minutes", "h",
      "hr", "hrs", "hour", "hours",  "d",       "day", "days", "w",    "week",   "weeks",   NULL};
  char lower[WORD_BYTES];
  size_t len = 0;
  for (size_t i = 0; i < word.len; i++) {
    char c = word.at[i];
    if (c == ' ') continue;
    if (len + 1 == sizeof lower) return 0;
    lower[len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  lower[len] = 0;
  const char *near = suggest(lower, words);
  return near ? near[0] : 0;
}

static bool refuse(struct slice text, size_t digits, uint64_t number, struct slice unit, struct err *err) {
  char shown[SHOWN_BYTES];
  lua_text_clean(text, shown, sizeof shown);
  char guess = digits && digits <= MOST_DIGITS ? guess_unit(unit) : 0;
  if (guess)
    return err_set(err, "'%s' is not a span: did you mean '%llu%c'?", shown, (unsigned long long)number,
                   guess);
  return err_set(err, "'%s' is not a span: write a whole number and s, m, h, d or w, such as \"10m\"", shown);
}

bool span_parse(struct slice text, uint32_t *span_s, struct err *err) {
  uint64_t number;
  struct slice unit = text;
  size_t digits = take_number(&unit, &number);
  uint32_t seconds = unit.len == 1 ? unit_seconds(unit.at[0]) : 0;
  if (!digits || !seconds) return refuse(text, digits, number, unit, err);
  if (digits > MOST_DIGITS || number < 1 || number * seconds > LIMIT_SPAN_S)
    return err_set(err, "a span is 1s to %dd, not '%.*s'", LIMIT_SPAN_S / 86400,
                   text.len < SHOWN_BYTES ? (int)text.len : SHOWN_BYTES, text.at);
  *span_s = (uint32_t)(number * seconds);
  return true;
}

bool span_of_number(double seconds, uint32_t *span_s, struct err *err) {
  if (!(seconds >= 1 && seconds <= LIMIT_SPAN_S) || seconds != (double)(uint32_t)seconds)
    return err_set(err, "a span is a text such as \"10m\", or whole seconds from 1 to %d", LIMIT_SPAN_S);
  *span_s = (uint32_t)seconds;
  return true;
}
