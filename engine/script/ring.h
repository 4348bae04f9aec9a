// ring.h - bytes in one direction between two processes: one producer, one consumer, in shared memory.
//
// The bytes are mapped twice in a row, so that no run of them breaks at the end. Positions only grow; each
// side keeps its own to itself and shows a copy in the words. The copy of the other side may be hostile: one
// that can't be right sets `broken`, and from then on there is neither room nor anything to read.
#pragma once
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ring_words {                  // in shared memory, a cache line a side
  alignas(64) _Atomic uint64_t tail; // the producer has written up to here
  alignas(64) _Atomic uint64_t head; // the consumer has read up to here
};

struct ring {
  struct ring_words *words;
  char *bytes;
  size_t size;    // a power of two, whole pages
  uint64_t own;   // this side's position, maybe ahead of what it has shown
  uint64_t other; // the other side's, as last read
  bool broken;
};

// Maps `size` bytes of the file from `offset` on. False with errno; then the ring is as zeroed.
bool ring_map(struct ring *ring, struct ring_words *words, int fd, off_t offset, size_t size);
void ring_unmap(struct ring *ring); // takes zeroed

// ---- producer ----
bool ring_has_room(struct ring *ring, size_t bytes);

// Where the next byte goes; as many may be written as ring_has_room has said.
static inline char *ring_back(const struct ring *ring) {
  return ring->bytes + (ring->own & (ring->size - 1));
}

static inline void ring_advance(struct ring *ring, size_t bytes) { // written, not yet shown
  ring->own += bytes;
}

static inline void ring_publish(struct ring *ring) { // shows all that was written
  atomic_store_explicit(&ring->words->tail, ring->own, memory_order_release);
}

// ---- consumer ----
size_t ring_ready(struct ring *ring); // bytes that can be read

static inline const char *ring_front(const struct ring *ring) {
  return ring->bytes + (ring->own & (ring->size - 1));
}

static inline void ring_consume(struct ring *ring, size_t bytes) {
  ring->own += bytes;
  atomic_store_explicit(&ring->words->head, ring->own, memory_order_release);
}
