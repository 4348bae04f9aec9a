#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local uint64_t state;

void rand_bytes(void *out, size_t len) {
  char *at = out;
  while (len) {
    ssize_t n = getrandom(at, len, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) abort();
    at += n;
    len -= (size_t)n;
  }
}

void rand_seed(uint64_t seed) {
  state = seed ? seed : 1;
}

// splitmix64, Vigna 2015 (public domain description).
uint64_t rand_u64(void) {
  while (!state) rand_bytes(&state, sizeof state);
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void rand_id(const char *prefix, char *out) {
  static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
  unsigned char raw[20];
  rand_bytes(raw, sizeof raw);
  size_t len = strlen(prefix);
  if (len > 10) len = 10;
  memcpy(out, prefix, len);
  out[len++] = '_';
  for (size_t i = 0; i < sizeof raw; i++) out[len++] = digits[raw[i] & 31];
  out[len] = 0;
}
