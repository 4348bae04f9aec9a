// hash.h - mixing of integers and bytes for hash tables and lanes; not for secrets.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The finisher of splitmix64: a bijection on 64 bits.
static inline uint64_t hash_u64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Multiply to 128 bits and fold.
static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
  __uint128_t p = (__uint128_t)a * b;
  return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t hash_bytes(const void *at, size_t len, uint64_t seed) {
  const unsigned char *p = at;
  uint64_t h = seed ^ (len * 0x9e3779b97f4a7c15u), word;
  for (; len >= 8; p += 8, len -= 8) {
    memcpy(&word, p, 8);
    h = hash_fold(h ^ word, 0xa0761d6478bd642fu);
  }
  word = 0;
  memcpy(&word, p, len);
  return hash_u64(hash_fold(h ^ word, 0xe7037ed1a0b428dbu));
}
