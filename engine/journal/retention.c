// retention.c - removes days all of whose records are older than the journal keeps them.
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "journal/local.h"

#include <unistd.h>

// The segments of the oldest day: the first ones, as many as follow each other. (A clock set back may begin a
// day again later on.)
struct oldest {
  int64_t day;
  size_t count;
  uint64_t next; // the first sequence behind them
  bool all;      // there are no others
};

static bool find_oldest(struct journal *j, struct oldest *oldest) {
  struct segment *segment;
  *oldest = (struct oldest){.next = atomic_load(&j->head), .all = true};
  for (; oldest->all && (segment = segments_at(&j->segments, oldest->count)); segment_unref(segment)) {
    if (!oldest->count) oldest->day = segment->day;
    oldest->all = segment->day == oldest->day;
    if (oldest->all) oldest->count++;
    if (!oldest->all) oldest->next = segment->first;
  }
  return oldest->count > 0;
}

// When the newest of their records came in; segments without one do not count.
static int64_t newest_ms(struct journal *j, const struct oldest *oldest) {
  int64_t newest = 0;
  for (size_t i = oldest->count; i > 0 && !newest; i--) {
    struct segment *segment = segments_at(&j->segments, i - 1);
    newest = segments_newest_ms(&j->segments, segment);
    segment_unref(segment);
  }
  return newest;
}

static void remove_files(struct segment *segment) {
  char index[PATH_MAX];
  segment_index_path(segment, index);
  if (unlink(segment->path) != 0)
    log_warn("segment=%s doing=expire error=\"cannot remove it\"", segment->path);
  unlink(index);
}

static void remove_oldest(struct journal *j, const struct oldest *oldest) {
  char path[PATH_MAX];
  struct err err = {0};
  void (*expiring)(uint64_t, void *) = atomic_load(&j->expiring);
  if (expiring) expiring(oldest->next, atomic_load(&j->expiring_arg));
  atomic_store(&j->first, oldest->next);
  for (size_t i = 0; i < oldest->count; i++) {
    struct segment *segment = segments_take_first(&j->segments);
    remove_files(segment);
    segment_unref(segment);
  }
  bool fits = segment_day_folder(j->folder, oldest->day, path),
       others = segments_have_day(&j->segments, oldest->day);
  if (fits && !others && !disk_remove_folder(path, &err))
    log_warn("journal=%s doing=expire error=\"%s\"", path, err.text);
  log_info("journal=%s doing=expire reason=\"older than retention\" first_kept=%llu", path,
           (unsigned long long)oldest->next);
}

// When all is to go, the writer must begin elsewhere first; that also tells the next start where the
// sequences went on.
void retention_expire(struct journal *j) {
  int64_t now_ms = clock_ms(), limit_ms = now_ms - j->options.retention_ms;
  struct oldest oldest;
  while (find_oldest(j, &oldest) && oldest.day != now_ms / DAY_MS && newest_ms(j, &oldest) < limit_ms) {
    if (oldest.all && !writer_roll(j)) return;
    if (oldest.all && (!find_oldest(j, &oldest) || newest_ms(j, &oldest) >= limit_ms)) return;
    remove_oldest(j, &oldest);
  }
}
