#include "journal/segment.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/segment_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool segment_day_folder(const char *folder, int64_t day, char *out) {
  time_t second = (time_t)(day * (DAY_MS / 1000));
  struct tm tm;
  gmtime_r(&second, &tm);
  int len = snprintf(out, PATH_MAX, "%s/%04d-%02d-%02d", folder, (tm.tm_year + 1900) % 10000, tm.tm_mon + 1,
                     tm.tm_mday);
  return len > 0 && len < PATH_MAX;
}

struct segment *segment_new(const char *folder, int64_t day, uint64_t first, uint64_t brand,
                            struct err *err) {
  char day_folder[PATH_MAX];
  struct segment *segment = mem_zero(1, sizeof *segment);
  if (!segment) {
    err_set(err, "out of memory");
    return NULL;
  }
  bool fits = segment_day_folder(folder, day, day_folder);
  int len = fits ? snprintf(segment->path, PATH_MAX, "%s/%016llx.seg", day_folder, (unsigned long long)first)
                 : PATH_MAX;
  if (len >= PATH_MAX) {
    mem_free(segment);
    err_set(err, "the folder's name is too long: %.200s", folder);
    return NULL;
  }
  atomic_init(&segment->refs, 1);
  atomic_init(&segment->before, UINT64_MAX);
  pthread_mutex_init(&segment->lock, NULL);
  org_index_init(&segment->index);
  segment->brand = brand;
  segment->first = first;
  segment->day = day;
  segment->fd = -1;
  return segment;
}

void segment_ref(struct segment *segment) {
  atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void segment_unref(struct segment *segment) {
  if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1) return;
  if (segment->fd >= 0) close(segment->fd);
  org_index_fini(&segment->index);
  pthread_mutex_destroy(&segment->lock);
  mem_free(segment);
}

void segment_index_path(const struct segment *segment, char *out) {
  size_t stem = strlen(segment->path) - strlen(".seg");
  memcpy(out, segment->path, stem);
  strcpy(out + stem, ".idx");
}

static bool rebuild(struct segment *segment, struct err *err) {
  struct segment_walk walk;
  bool done = false;
  if (!segment_walk_init(&walk, segment->fd, segment->brand, 0, err)) goto out;
  for (;;) {
    enum walk_result result = segment_walk_next(&walk);
    if (result == WALK_END) break;
    if (result == WALK_NO_MEMORY || !org_index_reserve(&segment->index, walk.header.count)) goto no_memory;
    if (result == WALK_BLOCK && walk.header.first < atomic_load(&segment->before))
      org_index_add(&segment->index, &walk.header, walk.decoder.rows, (uint32_t)walk.offset);
  }
  done = true;
  goto out;
no_memory:
  err_set(err, "out of memory");
out:
  segment_walk_fini(&walk);
  return done;
}

static bool read_index(struct segment *segment, struct err *err) {
  char path[PATH_MAX];
  segment_index_path(segment, path);
  if (org_index_read(&segment->index, segment->brand, path, NULL)) return true;
  log_debug("segment=%s doing=index reason=\"no good .idx, making it from the block tables\"", segment->path);
  return rebuild(segment, err);
}

bool segment_load(struct segment *segment, struct err *err) {
  if (segment->loaded) return true;
  if (segment->fd < 0) segment->fd = open(segment->path, O_RDWR | O_CLOEXEC);
  if (segment->fd < 0) return err_set_errno(err, "cannot open %s", segment->path);
  segment->loaded = read_index(segment, err);
  if (!segment->loaded) org_index_fini(&segment->index);
  return segment->loaded;
}

bool segment_unload(struct segment *segment) {
  if (segment->growing || segment->busy) return false;
  org_index_fini(&segment->index);
  if (segment->fd >= 0) close(segment->fd);
  segment->fd = -1;
  segment->loaded = false;
  return true;
}

void segment_hold(struct segment *segment) {
  segment->busy++;
}

void segment_release(struct segment *segment) {
  pthread_mutex_lock(&segment->lock);
  segment->busy--;
  pthread_mutex_unlock(&segment->lock);
}

// Whether nothing was ever written behind the last block; not so sure when that can't be read.
static bool tail_is_empty(int fd, off_t used) {
  static const char zeros[BLOCK_ALIGN];
  char tail[BLOCK_ALIGN];
  ssize_t n = pread(fd, tail, sizeof tail, used);
  return n >= 0 && memcmp(tail, zeros, (size_t)n) == 0;
}

static bool finish_locked(struct segment *segment, struct err *err) {
  char path[PATH_MAX];
  if (!segment_load(segment, err)) return false;
  const struct org_index *index = &segment->index;
  const struct index_block *last = index->count ? &index->blocks[index->count - 1] : NULL;
  off_t used = last ? (off_t)last->offset + last->bytes : 0;
  bool shorten = segment->growing || tail_is_empty(segment->fd, used);
  if (shorten && ftruncate(segment->fd, used) != 0)
    return err_set_errno(err, "cannot shorten %s", segment->path);
  if (shorten) atomic_store(&segment->bytes, (size_t)used);
  segment_index_path(segment, path);
  if (!org_index_write(index, segment->brand, path, err)) return false;
  segment->growing = false;
  return true;
}

bool segment_finish(struct segment *segment, struct err *err) {
  pthread_mutex_lock(&segment->lock);
  bool done = finish_locked(segment, err);
  pthread_mutex_unlock(&segment->lock);
  return done;
}

bool segment_mark_damage(struct segment *segment, uint32_t offset) {
  pthread_mutex_lock(&segment->lock);
  bool known = segment->damages == SEGMENT_DAMAGE_MARKS;
  for (unsigned i = 0; i < segment->damages; i++)
    known = known || segment->damage[i] == offset;
  if (!known) segment->damage[segment->damages++] = offset;
  pthread_mutex_unlock(&segment->lock);
  return !known;
}
