// expiry.c - what retention is about to remove, and some stream has not read: counted, and passed over.
#include "base/log.h"
#include "base/mem.h"
#include "flow/courier_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <time.h>

enum { EXPIRE_WAIT_S = 5 };

struct expiry {
  struct courier *courier;
  uint64_t first_kept;
  struct loop_task task;
  atomic_uint refs; // the one who waits, and the task
  sem_t counted;
};

static void expiry_unref(struct expiry *e) {
  if (atomic_fetch_sub(&e->refs, 1) != 1) return;
  sem_destroy(&e->counted);
  mem_free(e);
}

static void expire_stream(struct stream *s, uint64_t first_kept) {
  struct journal *j = s->courier->options.journal;
  const struct definition *d = s->outfit->definition;
  if (s->caught_up || s->next >= first_kept) return;
  uint64_t from = journal_count(j, d->organisation, d->kinds, s->next), kept = journal_count(j, d->organisation, d->kinds, first_kept);
  uint64_t gone = from > kept ? from - kept : 0;
  if (gone) log_warn("stream=%s doing=expire records=%" PRIu64 " reason=\"not delivered within the journal's retention\"", d->id, gone);
  status_count(s->status, COUNT_EXPIRED, gone);
  status_add(&s->status->read, gone);
  s->next = first_kept;
  saver_touch(s);
}

static void expire(struct loop_task *task) {
  struct expiry *e = (struct expiry *)((char *)task - offsetof(struct expiry, task));
  for (struct list *link = e->courier->all.next; link != &e->courier->all; link = link->next)
    expire_stream(list_item(link, struct stream, all_link), e->first_kept);
  sem_post(&e->counted);
  expiry_unref(e);
}

void courier_expire(struct courier *courier, uint64_t first_kept) {
  struct expiry *e = mem_zero(1, sizeof *e);
  struct timespec until;
  if (!e) return; // out of memory: the records go uncounted, as they must go
  e->courier = courier;
  e->first_kept = first_kept;
  e->task.run = expire;
  atomic_init(&e->refs, 2);
  sem_init(&e->counted, 0, 0);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += EXPIRE_WAIT_S;
  loop_post(courier->loop, &e->task);
  while (sem_timedwait(&e->counted, &until) != 0 && errno == EINTR) {}
  expiry_unref(e);
}
