// lua_class.h - the character classes of Lua's patterns: %a, %c, %d, %g, %l, %p, %s, %u, %w, %x and %z, their
// complements in capitals, and % before any other character for that one. ASCII, whatever the locale.
#pragma once
#include <stdbool.h>
#include <stdint.h>

extern const uint8_t lua_class_bits[256]; // of a byte: the kinds that it is
extern const uint8_t lua_class_kinds[32]; // of a class' letter: the kinds that are in it, 0: no class

static inline bool lua_class_has(unsigned char letter, unsigned char c) {
  uint8_t kinds = letter >= 0x40 && letter < 0x80 ? lua_class_kinds[letter & 0x1f] : 0;
  if (kinds) return !(lua_class_bits[c] & kinds) == !(letter & 0x20);
  if (letter == 'z') return c == 0;
  if (letter == 'Z') return c != 0;
  return letter == c;
}
