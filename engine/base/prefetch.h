// prefetch.h - memory asked for ahead of its use.
//
// With thousands of streams none of their memory is in the processor's cache when their next record comes, and each line that is
// missed costs as much as a hundred instructions. A walk over many of them therefore looks ahead: it asks for what the next ones need,
// a pointer further in each round, while it works on this one. Any address will do, valid or not.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PREFETCH_LINE = 64 };

static inline void prefetch(const void *at, size_t bytes) {
  for (size_t i = 0; i < bytes; i += PREFETCH_LINE) __builtin_prefetch((const void *)((uintptr_t)at + i));
}
