#include "journal/dedupe_run.h"
#include "base/crc32c.h"
#include "base/disk.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_MAGIC 0x314e55524554574cu
enum {
  HEADER_BYTES = 4096,
  LINE_BYTES = DEDUPE_LINE_WORDS * 8,
  BATCH_KEYS = 1 << 16, // written and synced at a time, so that nobody's sync waits long behind them
};

struct run_header {
  uint64_t magic, brand;
  struct dedupe_span span;
  uint64_t count, lines;
  uint32_t unused, crc;
};

static uint32_t header_crc(const struct run_header *h) {
  return crc32c(0, h, offsetof(struct run_header, crc));
}

static size_t lines_for(size_t keys) {
  return keys * DEDUPE_FILTER_BITS / (LINE_BYTES * 8) + 1;
}

bool dedupe_run_path(const char *folder, const struct dedupe_span *span, char *out) {
  return snprintf(out, PATH_MAX, "%s/%016llx-%016llx.run", folder, (unsigned long long)span->first,
                  (unsigned long long)span->end) < PATH_MAX - 4; // ".tmp"
}

static bool check(const struct run_header *h, uint64_t brand, size_t bytes) {
  if (h->magic != RUN_MAGIC || h->brand != brand || h->crc != header_crc(h)) return false;
  return h->count <= bytes && h->lines <= bytes && h->lines > 0 &&
         bytes == HEADER_BYTES + h->lines * LINE_BYTES + h->count * sizeof(struct dedupe_key);
}

static bool map_run(struct dedupe_run *run, int fd, uint64_t brand, struct err *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) return err_set_errno(err, "cannot look at %s", run->path);
  if (st.st_size < HEADER_BYTES) return err_set(err, "%s is damaged", run->path);
  run->map_bytes = (size_t)st.st_size;
  void *map = mmap(NULL, run->map_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return err_set_errno(err, "cannot map %s", run->path);
  run->map = map;
  struct run_header h;
  memcpy(&h, map, sizeof h);
  if (!check(&h, brand, run->map_bytes)) return err_set(err, "%s is damaged", run->path);
  run->span = h.span;
  run->count = h.count;
  run->lines = h.lines;
  const char *at = (const char *)map + HEADER_BYTES;
  run->filter = (const uint64_t *)(const void *)at;
  run->keys = (const struct dedupe_key *)(const void *)(at + h.lines * LINE_BYTES);
  madvise(map, HEADER_BYTES + h.lines * LINE_BYTES, MADV_WILLNEED);
  return true;
}

struct dedupe_run *dedupe_run_open(const char *path, uint64_t brand, struct err *err) {
  struct dedupe_run *run = mem_zero(1, sizeof *run);
  int fd = -1;
  bool done = false;
  if (!run || strlen(path) >= PATH_MAX) {
    err_set(err, "out of memory");
    goto out;
  }
  strcpy(run->path, path);
  fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    err_set_errno(err, "cannot open %s", path);
  else
    done = map_run(run, fd, brand, err);
out:
  if (fd >= 0) close(fd);
  if (done) return run;
  dedupe_run_close(run);
  return NULL;
}

void dedupe_run_close(struct dedupe_run *run) {
  if (!run) return;
  if (run->map) munmap(run->map, run->map_bytes);
  mem_free(run);
}

// The keys are spread evenly, so the place is known nearly; from there in doubling steps, then by halves.
bool dedupe_run_has(const struct dedupe_run *run, struct dedupe_key key) {
  if (!run->count) return false;
  size_t guess = (size_t)(((__uint128_t)key.high * run->count) >> 64), low = guess, high = guess, step = 16;
  while (low > 0 && !dedupe_key_less(run->keys[low], key))
    low = low > step ? low - step : 0, step *= 2;
  step = 16;
  while (high < run->count && dedupe_key_less(run->keys[high], key))
    high = run->count - high > step ? high + step : run->count, step *= 2;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (dedupe_key_less(run->keys[middle], key))
      low = middle + 1;
    else
      high = middle;
  }
  return low < run->count && run->keys[low].high == key.high && run->keys[low].low == key.low;
}

bool dedupe_writer_init(struct dedupe_writer *w, const char *folder, const struct dedupe_span *span,
                        uint64_t brand, size_t room, struct err *err) {
  *w =
      (struct dedupe_writer){.fd = -1, .span = *span, .brand = brand, .lines = lines_for(room), .room = room};
  if (!dedupe_run_path(folder, span, w->path))
    return err_set(err, "the folder's name is too long: %.200s", folder);
  snprintf(w->unfinished, sizeof w->unfinished, "%.*s.tmp", PATH_MAX - 5, w->path);
  w->filter = mem_zero(w->lines, LINE_BYTES);
  w->keys = mem_alloc(BATCH_KEYS * sizeof *w->keys);
  if (!w->filter || !w->keys) return err_set(err, "out of memory");
  w->fd = open(w->unfinished, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return w->fd >= 0 ? true : err_set_errno(err, "cannot make %s", w->unfinished);
}

static void write_keys(struct dedupe_writer *w) {
  size_t written = w->count - w->waiting;
  off_t at = (off_t)(HEADER_BYTES + w->lines * LINE_BYTES + written * sizeof *w->keys);
  if (w->waiting && !w->failed)
    w->failed = !disk_write_at(w->fd, w->keys, w->waiting * sizeof *w->keys, at) || !disk_sync(w->fd);
  w->waiting = 0;
}

void dedupe_writer_put(struct dedupe_writer *w, struct dedupe_key key) {
  assert(w->count < w->room);
  uint64_t *line = w->filter + dedupe_filter_line(w->lines, key);
  for (int i = 0; i < 2; i++)
    line[dedupe_filter_word(key, i)] |= dedupe_filter_bits(key, i);
  w->keys[w->waiting++] = key;
  w->count++;
  if (w->waiting == BATCH_KEYS) write_keys(w);
}

static bool write_head(struct dedupe_writer *w) {
  char head[HEADER_BYTES] = {0};
  struct run_header h = {
      .magic = RUN_MAGIC, .brand = w->brand, .span = w->span, .count = w->count, .lines = w->lines};
  h.crc = header_crc(&h);
  memcpy(head, &h, sizeof h);
  return disk_write_at(w->fd, w->filter, w->lines * LINE_BYTES, HEADER_BYTES) &&
         disk_write_at(w->fd, head, sizeof head, 0) && disk_sync(w->fd);
}

struct dedupe_run *dedupe_writer_finish(struct dedupe_writer *w, struct err *err) {
  write_keys(w);
  if (w->failed || !write_head(w) || rename(w->unfinished, w->path) != 0) {
    err_set_errno(err, "cannot write %s", w->path);
    return NULL;
  }
  w->unfinished[0] = 0;
  return dedupe_run_open(w->path, w->brand, err);
}

void dedupe_writer_fini(struct dedupe_writer *w) {
  if (w->filter && w->fd >= 0) close(w->fd);
  if (w->unfinished[0]) unlink(w->unfinished);
  mem_free(w->filter);
  mem_free(w->keys);
  *w = (struct dedupe_writer){0};
}
