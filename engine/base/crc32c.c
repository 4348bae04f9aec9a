#include "base/crc32c.h"

#include <string.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

// Half a byte at a time: a table small enough to read.
uint32_t crc32c_by_table(uint32_t before, const void *at, size_t len) {
  static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                     0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  uint32_t crc = ~before;
  for (const unsigned char *p = at; len; p++, len--) {
    crc ^= *p;
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t before, const unsigned char *p,
                                                                 size_t len) {
  uint64_t crc = ~before, word;
  for (; len >= 8; p += 8, len -= 8) {
    memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  uint32_t rest = (uint32_t)crc;
  for (; len; p++, len--)
    rest = _mm_crc32_u8(rest, *p);
  return ~rest;
}
#endif

uint32_t crc32c(uint32_t before, const void *at, size_t len) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("sse4.2")) return by_instruction(before, at, len);
#endif
  return crc32c_by_table(before, at, len);
}
