#include "journal/recent.h"
#include "base/mem.h"
#include "journal/block_memory.h"

enum { FIRST_CAP = 256 };

bool recent_init(struct recent *r, size_t max_bytes, struct err *err) {
  *r = (struct recent){.max_bytes = max_bytes, .cap = FIRST_CAP};
  r->ring = mem_alloc(FIRST_CAP * sizeof(struct journal_block *));
  if (!r->ring) return err_set(err, "out of memory");
  pthread_mutex_init(&r->lock, NULL);
  return true;
}

void recent_fini(struct recent *r) {
  if (!r->ring) return;
  for (size_t i = 0; i < r->count; i++)
    journal_block_unref(r->ring[(r->start + i) & (r->cap - 1)]);
  mem_free(r->ring);
  pthread_mutex_destroy(&r->lock);
  *r = (struct recent){0};
}

bool recent_reserve(struct recent *r) {
  if (r->count < r->cap) return true;
  struct journal_block **grown = mem_alloc(2 * r->cap * sizeof(struct journal_block *));
  if (!grown) return false;
  pthread_mutex_lock(&r->lock);
  for (size_t i = 0; i < r->count; i++)
    grown[i] = r->ring[(r->start + i) & (r->cap - 1)];
  struct journal_block **old = r->ring;
  r->ring = grown;
  r->start = 0;
  r->cap *= 2;
  pthread_mutex_unlock(&r->lock);
  mem_free(old);
  return true;
}

// The oldest when it is too much by now; the newest always stays.
static struct journal_block *evict(struct recent *r) {
  pthread_mutex_lock(&r->lock);
  struct journal_block *oldest = NULL;
  if (r->bytes > r->max_bytes && r->count > 1) {
    oldest = r->ring[r->start];
    r->start = (r->start + 1) & (r->cap - 1);
    r->count--;
    r->bytes -= block_memory_bytes(oldest);
  }
  pthread_mutex_unlock(&r->lock);
  return oldest;
}

void recent_add(struct recent *r, struct journal_block *block) {
  pthread_mutex_lock(&r->lock);
  r->ring[(r->start + r->count++) & (r->cap - 1)] = block;
  r->bytes += block_memory_bytes(block);
  pthread_mutex_unlock(&r->lock);
  for (struct journal_block *old; (old = evict(r));)
    journal_block_unref(old);
}

struct journal_block *recent_find(struct recent *r, uint64_t sequence) {
  struct journal_block *found = NULL;
  pthread_mutex_lock(&r->lock);
  size_t low = 0, high = r->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (r->ring[(r->start + middle) & (r->cap - 1)]->end <= sequence)
      low = middle + 1;
    else
      high = middle;
  }
  if (low < r->count) found = r->ring[(r->start + low) & (r->cap - 1)];
  if (found && found->first > sequence) found = NULL;
  if (found) journal_block_ref(found);
  pthread_mutex_unlock(&r->lock);
  return found;
}
