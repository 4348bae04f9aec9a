// retention.c - removes day folders all of whose records are older than the journal keeps them.
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "journal/local.h"

// Whether all records of the oldest day are older than the limit. *next: the first sequence behind that day.
static bool day_is_over(struct journal *j, int64_t day, int64_t limit_ms, uint64_t *next) {
  struct segment *segment;
  bool old = true;
  *next = atomic_load(&j->head);
  for (size_t i = 0; old && (segment = segments_at(&j->segments, i)); i++) {
    bool same = segment->day == day;
    if (same) old = segment_newest_ms(segment) < limit_ms;
    if (!same) *next = segment->first;
    segment_unref(segment);
    if (!same) break;
  }
  return old;
}

static void remove_day(struct journal *j, int64_t day, uint64_t first_kept) {
  char path[PATH_MAX];
  struct err err = {0};
  void (*expiring)(uint64_t, void *) = atomic_load(&j->expiring);
  if (expiring) expiring(first_kept, atomic_load(&j->expiring_arg));
  atomic_store(&j->first, first_kept);
  segments_drop_day(&j->segments, day);
  bool gone = segment_day_folder(j->folder, day, path) && disk_remove_folder(path, &err);
  if (gone)
    log_info("journal=%s doing=expire reason=\"older than retention\" first_kept=%llu", path,
             (unsigned long long)first_kept);
  if (!gone) log_warn("journal=%s doing=expire error=\"%s\"", path, err.text);
}

// Then the writer must go to another folder first; what it begins there also tells the next start where the
// sequences went on.
static bool is_newest_day(struct journal *j, int64_t day) {
  struct segment *first = segments_at(&j->segments, 0);
  bool newest = first != NULL;
  for (size_t i = 0; first; i++) {
    newest = first->day == day;
    segment_unref(first);
    first = segments_at(&j->segments, i + 1);
  }
  return newest;
}

void retention_expire(struct journal *j) {
  int64_t now_ms = clock_ms(), limit_ms = now_ms - j->options.retention_ms;
  for (;;) {
    int64_t day = segments_oldest_day(&j->segments);
    uint64_t next;
    if (day == INT64_MIN || day >= now_ms / DAY_MS || !day_is_over(j, day, limit_ms, &next)) return;
    if (is_newest_day(j, day) && !writer_roll(j)) return;
    if (!day_is_over(j, day, limit_ms, &next)) return;
    remove_day(j, day, next);
  }
}
