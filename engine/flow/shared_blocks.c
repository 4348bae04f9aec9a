#include "flow/shared_blocks.h"
#include "base/mem.h"

#include <pthread.h>

enum { PLACES = 12, WAITERS = 64 };

struct place {
  uint64_t sequence;           // asked for
  struct journal_block *block; // NULL: being read, or free
  unsigned takers;             // couriers that have not had it yet
  bool reading;
};

struct waiter {
  struct loop *loop;
  struct loop_task *task;
  uint64_t sequence;
};

struct shared_blocks {
  pthread_mutex_t lock;
  unsigned couriers;
  struct place places[PLACES];
  unsigned next; // place to give away when none is free
  struct waiter waiters[WAITERS];
  unsigned waiting;
};

struct shared_blocks *shared_blocks_new(unsigned couriers, struct err *err) {
  struct shared_blocks *s = mem_zero(1, sizeof *s);
  if (!s) return err_set(err, "out of memory"), NULL;
  pthread_mutex_init(&s->lock, NULL);
  s->couriers = couriers;
  return s;
}

static void clear(struct place *place) {
  journal_block_unref(place->block);
  *place = (struct place){0};
}

void shared_blocks_free(struct shared_blocks *s) {
  if (!s) return;
  for (unsigned i = 0; i < PLACES; i++) clear(&s->places[i]);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}

static struct place *find(struct shared_blocks *s, uint64_t sequence) {
  for (unsigned i = 0; i < PLACES; i++) {
    struct place *p = &s->places[i];
    if (p->block ? p->block->first <= sequence && sequence < p->block->end : p->reading && p->sequence == sequence) return p;
  }
  return NULL;
}

static struct place *free_place(struct shared_blocks *s) {
  for (unsigned i = 0; i < PLACES; i++)
    if (!s->places[i].block && !s->places[i].reading) return &s->places[i];
  for (unsigned i = 0; i < PLACES; i++) {
    struct place *p = &s->places[s->next++ % PLACES];
    if (p->reading) continue;
    clear(p);
    return p;
  }
  return NULL;
}

static enum shared_answer get(struct shared_blocks *s, uint64_t sequence, struct loop *loop, struct loop_task *waiter,
                              struct journal_block **block) {
  struct place *p = find(s, sequence);
  if (p && p->block) {
    journal_block_ref(p->block);
    *block = p->block;
    if (--p->takers == 0) clear(p);
    return SHARED_HERE;
  }
  for (unsigned i = 0; p && i < s->waiting; i++)
    if (s->waiters[i].task == waiter && s->waiters[i].sequence == sequence) return SHARED_COMING; // it has asked before
  if (p && s->waiting < WAITERS) {
    s->waiters[s->waiting++] = (struct waiter){loop, waiter, sequence};
    return SHARED_COMING;
  }
  if (!p && (p = free_place(s))) *p = (struct place){.sequence = sequence, .reading = true};
  return SHARED_READ;
}

enum shared_answer shared_blocks_get(struct shared_blocks *s, uint64_t sequence, struct loop *loop, struct loop_task *waiter,
                                     struct journal_block **block) {
  if (s->couriers < 2) return SHARED_READ;
  pthread_mutex_lock(&s->lock);
  enum shared_answer answer = get(s, sequence, loop, waiter, block);
  pthread_mutex_unlock(&s->lock);
  return answer;
}

static void tell(struct shared_blocks *s, uint64_t sequence) {
  for (unsigned i = 0; i < s->waiting;) {
    if (s->waiters[i].sequence != sequence) {
      i++;
      continue;
    }
    loop_post(s->waiters[i].loop, s->waiters[i].task);
    s->waiters[i] = s->waiters[--s->waiting];
  }
}

void shared_blocks_put(struct shared_blocks *s, uint64_t sequence, struct journal_block *block) {
  if (s->couriers < 2) return;
  pthread_mutex_lock(&s->lock);
  for (unsigned i = 0; i < PLACES; i++) {
    struct place *p = &s->places[i];
    if (!p->reading || p->sequence != sequence) continue;
    clear(p);
    if (!block) continue;
    journal_block_ref(block);
    *p = (struct place){.sequence = sequence, .block = block, .takers = s->couriers - 1};
  }
  tell(s, sequence);
  pthread_mutex_unlock(&s->lock);
}
