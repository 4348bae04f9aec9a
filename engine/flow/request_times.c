#include "flow/request_times.h"
#include "base/mem.h"

#include <string.h>

const uint32_t request_bucket_us[REQUEST_BUCKETS] = {1000,   2500,   5000,    10000,   25000,   50000,    100000,  250000,
                                                     500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000};

static struct request_times *_Atomic newest;

static struct request_times *find(struct request_times *from, const struct request_times *end, const char *sink) {
  while (from != end && strcmp(from->sink, sink) != 0) from = from->next;
  return from != end ? from : NULL;
}

// Another courier may put one of the same sink before it meanwhile: then that one.
static struct request_times *add(struct request_times *first, const char *sink) {
  size_t len = strlen(sink) + 1;
  struct request_times *made = mem_zero(1, sizeof *made + len), *other;
  if (!made) return NULL;
  memcpy(made->sink, sink, len);
  made->next = first;
  while (!atomic_compare_exchange_weak(&newest, &made->next, made)) {
    if (!(other = find(made->next, first, sink))) continue;
    mem_free(made);
    return other;
  }
  return made;
}

void request_times_note(const char *sink, uint64_t took_us) {
  struct request_times *first = atomic_load(&newest), *times = find(first, NULL, sink);
  if (!times && !(times = add(first, sink))) return;
  size_t bucket = 0;
  while (bucket < REQUEST_BUCKETS && took_us > request_bucket_us[bucket]) bucket++;
  atomic_fetch_add_explicit(&times->buckets[bucket], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&times->sum_us, took_us, memory_order_relaxed);
}

const struct request_times *request_times_first(void) {
  return atomic_load(&newest);
}
