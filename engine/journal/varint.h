// varint.h - whole numbers in as few bytes as they need: seven bits a byte, the lowest first.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { VARINT_BYTES = 10 }; // the longest

static inline char *varint_put(char *out, uint64_t value) {
  while (value >= 128) {
    *out++ = (char)(value | 128);
    value >>= 7;
  }
  *out++ = (char)value;
  return out;
}

// Small numbers of either sign stay small.
static inline char *varint_put_signed(char *out, int64_t value) {
  return varint_put(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

// Moves *at behind the number. False when it does not end before `end`.
static inline bool varint_get(const char **at, const char *end, uint64_t *value) {
  uint64_t result = 0;
  const char *p = *at;
  for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
    uint64_t byte = (unsigned char)*p++;
    result |= (byte & 127) << shift;
    if (byte < 128) {
      *at = p;
      *value = result;
      return true;
    }
  }
  return false;
}

static inline bool varint_get_signed(const char **at, const char *end, int64_t *value) {
  uint64_t raw;
  if (!varint_get(at, end, &raw)) return false;
  *value = (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
  return true;
}

// The same for a number that must fit 32 bits.
static inline bool varint_get_u32(const char **at, const char *end, uint32_t *value) {
  uint64_t wide;
  if (!varint_get(at, end, &wide) || wide > UINT32_MAX) return false;
  *value = (uint32_t)wide;
  return true;
}
