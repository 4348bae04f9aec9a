#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool counting;
static atomic_long asked, fail_at;

static bool refused(void) {
  if (!atomic_load_explicit(&counting, memory_order_relaxed)) return false;
  long n = atomic_fetch_add(&asked, 1) + 1;
  return n == atomic_load(&fail_at);
}

void mem_fail_at(long nth) {
  atomic_store(&asked, 0);
  atomic_store(&fail_at, nth);
  atomic_store(&counting, nth != 0);
}

long mem_asked(void) {
  return atomic_load(&asked);
}

void *mem_alloc(size_t bytes) {
  return refused() ? NULL : malloc(bytes ? bytes : 1);
}

void *mem_zero(size_t count, size_t bytes) {
  return refused() ? NULL : calloc(count ? count : 1, bytes ? bytes : 1);
}

void *mem_grow(void *at, size_t bytes) {
  return refused() ? NULL : realloc(at, bytes ? bytes : 1);
}

char *mem_copy(const char *at, size_t len) {
  char *copy = len == SIZE_MAX ? NULL : mem_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, at, len);
  copy[len] = 0;
  return copy;
}

void mem_free(void *at) {
  free(at);
}

void *mem_must(void *at) {
  if (at) return at;
  fputs("sluice: out of memory at start\n", stderr);
  exit(1);
}
