// budget.h - the memory of all batches together, counted by every courier against one limit (limits.memory).
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
  atomic_size_t used;
  size_t limit; // bytes
};

static inline void budget_take(struct budget *b, size_t bytes) {
  atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
}

static inline void budget_give(struct budget *b, size_t bytes) {
  atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
}

static inline bool budget_exhausted(const struct budget *b) {
  return atomic_load_explicit(&b->used, memory_order_relaxed) >= b->limit;
}
