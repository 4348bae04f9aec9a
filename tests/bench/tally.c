// tally.c - shared memory, a bitmap of what was seen and a histogram of latencies.
#include "tally.h"
#include <sys/mman.h>

static size_t tally_bytes(uint64_t limit) {
  return sizeof(struct tally) + limit * sizeof(uint64_t) + limit / 8 + 1;
}

struct tally *tally_new(uint64_t limit) {
  void *at = mmap(NULL, tally_bytes(limit), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return NULL;
  struct tally *tally = at;
  tally->limit = limit;
  return tally;
}

void tally_free(struct tally *tally) {
  if (tally) munmap(tally, tally_bytes(tally->limit));
}

// Below 16 one bucket a nanosecond; above, the four bits behind the leading one choose it.
static unsigned bucket_of(uint64_t ns) {
  if (ns < 16) return (unsigned)ns;
  unsigned top = 63 - (unsigned)__builtin_clzll(ns);
  return (top - 3) * 16 + (unsigned)(ns >> (top - 4) & 15);
}

static uint64_t bucket_end(unsigned bucket) {
  if (bucket < 16) return bucket + 1;
  unsigned top = bucket / 16 + 3;
  return (uint64_t)(17 + bucket % 16) << (top - 4);
}

static void add(atomic_uint_least64_t *counter, uint64_t more) {
  // One writer: no locked instruction needed.
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                        memory_order_release);
}

void tally_arrived(struct tally *tally, uint64_t serial, uint64_t now_ns) {
  if (serial >= tally->limit || tally->sent_ns[serial] == 0) {
    add(&tally->strays, 1);
    return;
  }
  unsigned char *seen = (unsigned char *)(tally->sent_ns + tally->limit) + serial / 8;
  unsigned char bit = (unsigned char)(1u << serial % 8);
  if (*seen & bit) {
    add(&tally->repeats, 1);
    return;
  }
  *seen |= bit;
  uint64_t took_ns = now_ns - tally->sent_ns[serial];
  tally->buckets[bucket_of(took_ns)]++;
  if (took_ns > tally->longest_ns) tally->longest_ns = took_ns;
  atomic_store_explicit(&tally->last_ns, now_ns, memory_order_relaxed);
  add(&tally->records, 1);
}

double tally_latency_ms(const struct tally *tally, double share) {
  uint64_t total = 0, below = 0;
  for (unsigned i = 0; i < TALLY_BUCKETS; i++)
    total += tally->buckets[i];
  for (unsigned i = 0; i < TALLY_BUCKETS && total > 0; i++) {
    below += tally->buckets[i];
    uint64_t end_ns = bucket_end(i) < tally->longest_ns ? bucket_end(i) : tally->longest_ns;
    if ((double)below >= share * (double)total) return (double)end_ns / 1e6;
  }
  return 0;
}
