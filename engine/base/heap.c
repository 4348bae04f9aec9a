#include "base/heap.h"
#include "base/mem.h"

void heap_fini(struct heap *h) {
  mem_free(h->nodes);
  *h = (struct heap){0};
}

static void put(struct heap *h, size_t i, struct heap_node *node) {
  h->nodes[i] = node;
  node->place = i + 1;
}

static void rise(struct heap *h, size_t i) {
  struct heap_node *node = h->nodes[i];
  for (; i > 0 && h->nodes[(i - 1) / 2]->due > node->due; i = (i - 1) / 2) put(h, i, h->nodes[(i - 1) / 2]);
  put(h, i, node);
}

static void sink(struct heap *h, size_t i) {
  struct heap_node *node = h->nodes[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= h->count) break;
    if (child + 1 < h->count && h->nodes[child + 1]->due < h->nodes[child]->due) child++;
    if (h->nodes[child]->due >= node->due) break;
    put(h, i, h->nodes[child]);
    i = child;
  }
  put(h, i, node);
}

bool heap_set(struct heap *h, struct heap_node *node, uint64_t due) {
  heap_remove(h, node);
  if (h->count == h->cap) {
    size_t cap = h->cap ? h->cap * 2 : 64;
    struct heap_node **nodes = mem_grow(h->nodes, cap * sizeof *nodes);
    if (!nodes) return false;
    h->nodes = nodes;
    h->cap = cap;
  }
  node->due = due;
  h->nodes[h->count] = node;
  rise(h, h->count++);
  return true;
}

void heap_remove(struct heap *h, struct heap_node *node) {
  if (!node->place) return;
  size_t i = node->place - 1;
  node->place = 0;
  struct heap_node *last = h->nodes[--h->count];
  if (last == node) return;
  put(h, i, last);
  rise(h, i);
  sink(h, last->place - 1);
}

struct heap_node *heap_first(const struct heap *h) {
  return h->count ? h->nodes[0] : NULL;
}
