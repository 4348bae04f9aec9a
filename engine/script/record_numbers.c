#include "script/record_numbers.h"

// Of 1 to 16 bytes; two steps that overlap.
static void copy_short(char *to, const char *from, size_t len) {
  if (len >= 8) {
    memcpy(to, from, 8);
    memcpy(to + len - 8, from + len - 8, 8);
  } else if (len >= 4) {
    memcpy(to, from, 4);
    memcpy(to + len - 4, from + len - 4, 4);
  } else {
    for (size_t i = 0; i < len; i++)
      to[i] = from[i];
  }
}

// In a number only 'e' and 'E' have this bit.
static bool has_exponent(const char text[RECORD_NUMBER_BYTES]) {
  uint64_t words[2];
  memcpy(words, text, sizeof words);
  return (words[0] | words[1]) & 0x4040404040404040;
}

// From 1e-6 down numbers are written with an exponent.
static bool is_shortest(double value, const struct record_number *number) {
  return number->text[number->len - 1] != '0' && value >= 1e-6 && !has_exponent(number->text);
}

void record_numbers_keep(struct record_numbers *numbers, double value, struct slice text, bool real) {
  if (text.len > RECORD_NUMBER_BYTES || text.at[0] == '-') return;
  struct record_number number = {.bits = record_numbers_bits(value), .len = (uint32_t)text.len};
  copy_short(number.text, text.at, text.len);
  if (!real || is_shortest(value, &number)) *record_numbers_place(numbers, number.bits) = number;
}
