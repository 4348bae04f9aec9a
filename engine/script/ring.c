#include "script/ring.h"

#include <assert.h>
#include <sys/mman.h>

bool ring_map(struct ring *ring, struct ring_words *words, int fd, off_t offset, size_t size) {
  assert(size > 0 && (size & (size - 1)) == 0);
  *ring = (struct ring){0};
  char *at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return false;
  for (int half = 0; half < 2; half++) {
    void *want = at + (size_t)half * size;
    if (mmap(want, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED) {
      munmap(at, 2 * size);
      return false;
    }
  }
  *ring = (struct ring){.words = words, .bytes = at, .size = size};
  return true;
}

void ring_unmap(struct ring *ring) {
  if (ring->bytes) munmap(ring->bytes, 2 * ring->size);
  *ring = (struct ring){0};
}

bool ring_has_room(struct ring *ring, size_t bytes) {
  if (ring->broken || bytes > ring->size) return false;
  if (ring->size - (ring->own - ring->other) >= bytes) return true;
  uint64_t head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
  if (ring->own - head > ring->size) {
    ring->broken = true;
    return false;
  }
  ring->other = head;
  return ring->size - (ring->own - head) >= bytes;
}

size_t ring_ready(struct ring *ring) {
  if (ring->broken) return 0;
  uint64_t tail = atomic_load_explicit(&ring->words->tail, memory_order_acquire);
  if (tail - ring->own > ring->size) {
    ring->broken = true;
    return 0;
  }
  ring->other = tail;
  return (size_t)(tail - ring->own);
}
