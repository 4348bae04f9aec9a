// record_numbers.h - the texts of numbers that scripts have read from records: most numbers that they write
// are some of these, and need no formatting.
//
// Only texts that are what json_write would make of the number: integers of at most 16 digits, and decimals
// of at most 15 without a trailing zero or an exponent. No two decimals of 15 digits share a double
// (DBL_DIG), so such a one is its double's shortest form.
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum { RECORD_NUMBERS = 32, RECORD_NUMBER_BYTES = 16 };

struct record_numbers {
  struct record_number {
    uint64_t bits; // of the double
    uint32_t len;  // 0: nothing kept
    char text[RECORD_NUMBER_BYTES];
  } all[RECORD_NUMBERS];
};

static inline struct record_number *record_numbers_place(struct record_numbers *numbers, uint64_t bits) {
  return &numbers->all[bits * 0x9e3779b97f4a7c15u >> 59];
}
_Static_assert(RECORD_NUMBERS == 1 << (64 - 59), "a place is the top bits of a product");

static inline uint64_t record_numbers_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// The number's text, or NULL. All of `text` may be copied, whatever its length.
static inline const struct record_number *record_numbers_find(struct record_numbers *numbers, double value) {
  uint64_t bits = record_numbers_bits(value);
  const struct record_number *number = record_numbers_place(numbers, bits);
  return number->bits == bits && number->len ? number : NULL;
}

// The text is a JSON number and reads as the value; `real`: it has a point or an exponent.
void record_numbers_keep(struct record_numbers *numbers, double value, struct slice text, bool real);
