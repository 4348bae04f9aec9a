// heap.h - a binary heap of things that come due, least first; a member keeps its place so that it can be taken out.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
  uint64_t due;
  size_t place; // index + 1; 0: in no heap
};

struct heap {
  struct heap_node **nodes;
  size_t count, cap;
};

void heap_fini(struct heap *h); // zeroed is an empty heap
// Puts in, or moves, so that it comes at `due`. False when out of memory (then it is in no heap).
bool heap_set(struct heap *h, struct heap_node *node, uint64_t due);
void heap_remove(struct heap *h, struct heap_node *node); // fine when it is in none
struct heap_node *heap_first(const struct heap *h);       // NULL when empty
