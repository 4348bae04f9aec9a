#include "journal/segments.h"
#include "base/limits.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

void segments_init(struct segments *s, const char *folder, uint64_t brand) {
  *s = (struct segments){.folder = folder, .brand = brand};
  pthread_mutex_init(&s->lock, NULL);
}

void segments_fini(struct segments *s) {
  for (size_t i = 0; i < s->count; i++)
    segment_unref(s->at[i]);
  mem_free(s->at);
  pthread_mutex_destroy(&s->lock);
}

bool segments_reserve(struct segments *s) {
  pthread_mutex_lock(&s->lock);
  bool done = s->count < s->cap;
  if (!done) {
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct segment **grown = mem_grow(s->at, cap * sizeof(struct segment *));
    done = grown != NULL;
    if (done) s->at = grown, s->cap = cap;
  }
  pthread_mutex_unlock(&s->lock);
  return done;
}

void segments_add(struct segments *s, struct segment *segment) {
  pthread_mutex_lock(&s->lock);
  assert(s->count < s->cap);
  segment_ref(segment);
  if (s->count) atomic_store(&s->at[s->count - 1]->before, segment->first);
  s->at[s->count++] = segment;
  pthread_mutex_unlock(&s->lock);
}

void segments_replace_last(struct segments *s, struct segment *segment) {
  pthread_mutex_lock(&s->lock);
  assert(s->count > 0);
  segment_ref(segment);
  segment_unref(s->at[s->count - 1]);
  s->at[s->count - 1] = segment;
  pthread_mutex_unlock(&s->lock);
}

static int by_first(const void *a, const void *b) {
  const struct segment *const *x = a, *const *y = b;
  return ((*x)->first > (*y)->first) - ((*x)->first < (*y)->first);
}

static bool take_file(struct segments *s, int64_t day, const char *name, struct err *err) {
  unsigned long long first;
  int end = 0;
  if (sscanf(name, "%16llx.seg%n", &first, &end) != 1 || end != 20 || name[end] || first == 0) return true;
  struct segment *segment = segment_new(s->folder, day, first, s->brand, err);
  if (!segment) return false;
  struct stat st;
  if (stat(segment->path, &st) == 0) atomic_store(&segment->bytes, (size_t)st.st_size);
  bool room = segments_reserve(s);
  if (room) segments_add(s, segment);
  segment_unref(segment);
  return room ? true : err_set(err, "out of memory");
}

static bool scan_day(struct segments *s, int64_t day, struct err *err) {
  char path[PATH_MAX];
  if (!segment_day_folder(s->folder, day, path))
    return err_set(err, "the folder's name is too long: %.200s", s->folder);
  DIR *dir = opendir(path);
  if (!dir) return err_set_errno(err, "cannot read the folder %s", path);
  bool done = true;
  for (struct dirent *entry; done && (entry = readdir(dir));)
    done = take_file(s, day, entry->d_name, err);
  closedir(dir);
  return done;
}

// The day a folder is named for, or INT64_MIN.
static int64_t day_of(const char *name) {
  struct tm tm = {0};
  int end = 0;
  if (sscanf(name, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end) != 3 || end != 10 ||
      name[end])
    return INT64_MIN;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  return timegm(&tm) / (DAY_MS / 1000);
}

bool segments_scan(struct segments *s, struct err *err) {
  DIR *dir = opendir(s->folder);
  if (!dir) return err_set_errno(err, "cannot read the folder %s", s->folder);
  bool done = true;
  for (struct dirent *entry; done && (entry = readdir(dir));) {
    int64_t day = day_of(entry->d_name);
    if (day != INT64_MIN) done = scan_day(s, day, err);
  }
  closedir(dir);
  if (done && s->count) qsort(s->at, s->count, sizeof(struct segment *), by_first);
  for (size_t i = 0; i < s->count; i++)
    atomic_store(&s->at[i]->before, i + 1 < s->count ? s->at[i + 1]->first : UINT64_MAX);
  return done;
}

// The first segment that begins behind `sequence`. Caller holds the lock.
static size_t behind(const struct segments *s, uint64_t sequence) {
  size_t low = 0, high = s->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (s->at[middle]->first <= sequence)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct segment *referred(struct segments *s, size_t i) {
  if (i >= s->count) return NULL;
  segment_ref(s->at[i]);
  return s->at[i];
}

struct segment *segments_find(struct segments *s, uint64_t sequence) {
  pthread_mutex_lock(&s->lock);
  size_t i = behind(s, sequence);
  struct segment *found = referred(s, i ? i - 1 : 0);
  pthread_mutex_unlock(&s->lock);
  return found;
}

struct segment *segments_after(struct segments *s, const struct segment *segment) {
  pthread_mutex_lock(&s->lock);
  struct segment *found = referred(s, behind(s, segment->first));
  pthread_mutex_unlock(&s->lock);
  return found;
}

struct segment *segments_at(struct segments *s, size_t index) {
  pthread_mutex_lock(&s->lock);
  struct segment *found = referred(s, index);
  pthread_mutex_unlock(&s->lock);
  return found;
}

uint64_t segments_bytes(struct segments *s) {
  pthread_mutex_lock(&s->lock);
  uint64_t sum = 0;
  for (size_t i = 0; i < s->count; i++)
    sum += atomic_load(&s->at[i]->bytes);
  pthread_mutex_unlock(&s->lock);
  return sum;
}

// Unloads the loaded one that was not used for longest, when too many are. Caller holds the lock of the list,
// none of a segment.
static void unload_oldest(struct segments *s, const struct segment *keep) {
  struct segment *oldest = NULL;
  uint64_t use = UINT64_MAX;
  size_t loaded = 0, bytes = 0;
  for (size_t i = 0; i < s->count; i++) {
    struct segment *one = s->at[i];
    if (one == keep || pthread_mutex_trylock(&one->lock)) continue;
    bool idle = one->loaded && !one->growing && !one->busy;
    if (idle) loaded++, bytes += org_index_bytes(&one->index);
    if (idle && one->last_use < use) oldest = one, use = one->last_use;
    pthread_mutex_unlock(&one->lock);
  }
  if (!oldest || (loaded < LIMIT_LOADED_SEGMENTS && bytes < LIMIT_LOADED_INDEX_BYTES)) return;
  if (pthread_mutex_trylock(&oldest->lock)) return;
  segment_unload(oldest);
  pthread_mutex_unlock(&oldest->lock);
}

bool segments_lock(struct segments *s, struct segment *segment, struct err *err) {
  pthread_mutex_lock(&segment->lock);
  if (!segment->loaded) {
    pthread_mutex_unlock(&segment->lock);
    pthread_mutex_lock(&s->lock);
    unload_oldest(s, segment);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&segment->lock);
  }
  segment->last_use = ++s->uses;
  if (segment_load(segment, err)) return true;
  pthread_mutex_unlock(&segment->lock);
  return false;
}

int64_t segments_newest_ms(struct segments *s, struct segment *segment) {
  if (!segments_lock(s, segment, NULL)) return 0;
  const struct org_index *index = &segment->index;
  int64_t newest = index->count ? index->blocks[index->count - 1].received_ms : 0;
  pthread_mutex_unlock(&segment->lock);
  return newest;
}

struct segment *segments_take_first(struct segments *s) {
  pthread_mutex_lock(&s->lock);
  assert(s->count > 0);
  struct segment *first = s->at[0];
  memmove(s->at, s->at + 1, --s->count * sizeof(struct segment *));
  pthread_mutex_unlock(&s->lock);
  return first;
}

bool segments_have_day(struct segments *s, int64_t day) {
  bool have = false;
  pthread_mutex_lock(&s->lock);
  for (size_t i = 0; i < s->count; i++)
    have = have || s->at[i]->day == day;
  pthread_mutex_unlock(&s->lock);
  return have;
}
