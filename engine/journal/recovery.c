// recovery.c - what a start finds on the disk: the journal's identity, its segments, where the newest one
// ends.
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "journal/local.h"
#include "journal/segment_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- identity ----

struct identity_file {
  struct identity identity;
  uint64_t crc;
};

static uint64_t identity_crc(const struct identity *identity) {
  return crc32c(0, identity, sizeof *identity);
}

static bool read_identity(const char *path, struct identity *out) {
  struct identity_file file;
  size_t len;
  char *bytes = disk_read_file(path, 4096, &len, NULL);
  bool good = bytes && len == sizeof file;
  if (good) memcpy(&file, bytes, sizeof file);
  mem_free(bytes);
  good = good && file.crc == identity_crc(&file.identity);
  if (good) *out = file.identity;
  return good;
}

// The file was lost: every block of the journal tells its brand.
static uint64_t brand_of_blocks(const struct segments *segments) {
  struct block_header header = {0};
  for (size_t i = 0; i < segments->count; i++) {
    int fd = open(segments->at[i]->path, O_RDONLY | O_CLOEXEC);
    bool found = fd >= 0 && pread(fd, &header, sizeof header, 0) == sizeof header &&
                 block_header_valid(&header, header.brand);
    if (fd >= 0) close(fd);
    if (found) return header.brand;
  }
  return 0;
}

static bool load_identity(struct journal *j, struct err *err) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/identity", j->folder) >= PATH_MAX)
    return err_set(err, "the folder's name is too long");
  if (read_identity(path, &j->identity)) return true;
  struct identity_file file = {0};
  rand_bytes(&file.identity, sizeof file.identity);
  uint64_t brand = brand_of_blocks(&j->segments);
  if (brand) file.identity.brand = brand;
  file.crc = identity_crc(&file.identity);
  j->identity = file.identity;
  return disk_replace_file(path, slice_make(&file, sizeof file), 0600, err);
}

// ---- the newest segment ----

struct tail {
  off_t end;     // of the last good block
  off_t last;    // where it begins, -1: there is none
  uint64_t next; // the sequence behind it
  uint64_t torn; // end of the sequences of a block behind it that is not whole; 0: none
  uint64_t damaged;
};

// The block found last, if it is the last of all, may be torn: then it is taken out of the index again.
static enum walk_result check_last(struct segment_walk *walk, struct org_index *index, struct tail *tail) {
  enum walk_result result = tail->last == walk->offset ? segment_walk_check(walk) : WALK_BLOCK;
  if (result != WALK_DAMAGED) return result;
  const struct index_block *torn = &index->blocks[--index->count];
  index->lists.len = torn->list;
  tail->torn = torn->first + torn->count;
  tail->end = (off_t)torn->offset;
  tail->next = torn->first;
  tail->last = index->count ? (off_t)index->blocks[index->count - 1].offset : -1;
  if (index->count) tail->next = torn[-1].first + torn[-1].count;
  return WALK_BLOCK;
}

static bool walk_tail(struct segment *segment, struct segment_walk *walk, struct tail *tail) {
  enum walk_result result;
  uint64_t damaged = 0; // since the last good block
  while ((result = segment_walk_next(walk)) == WALK_BLOCK || result == WALK_DAMAGED) {
    if (!org_index_reserve(&segment->index, walk->header.count)) return false;
    if (result == WALK_DAMAGED || walk->offset > tail->end) damaged = 1;
    if (result == WALK_DAMAGED) {
      tail->torn = block_header_end(&walk->header);
      continue;
    }
    tail->damaged += damaged;
    damaged = 0;
    org_index_add(&segment->index, &walk->header, walk->decoder.rows, (uint32_t)walk->offset);
    *tail = (struct tail){.end = walk->at,
                          .last = walk->offset,
                          .next = block_header_end(&walk->header),
                          .damaged = tail->damaged};
  }
  return result == WALK_END && check_last(walk, &segment->index, tail) != WALK_NO_MEMORY;
}

// A process that was killed may leave its last block in the page cache only, where the kernel may think it
// clean after a failed sync: it is written once more, so that what we are about to show is on the disk.
static bool write_again(int fd, const struct tail *tail, struct err *err) {
  size_t len = tail->last < 0 ? 0 : (size_t)(tail->end - tail->last);
  char *block = mem_alloc(len);
  bool done = block && pread(fd, block, len, tail->last < 0 ? 0 : tail->last) == (ssize_t)len;
  done = done && (!len || disk_write_at(fd, block, len, tail->last)) && disk_sync(fd);
  mem_free(block);
  return done ? true : err_set_errno(err, "cannot write the newest segment");
}

static bool scan_newest(struct journal *j, struct segment *segment, struct tail *tail, struct err *err) {
  struct segment_walk walk = {0};
  segment->fd = open(segment->path, O_RDWR | O_CLOEXEC);
  if (segment->fd < 0) return err_set_errno(err, "cannot open %s", segment->path);
  *tail = (struct tail){.last = -1, .next = segment->first};
  bool done = segment_walk_init(&walk, segment->fd, j->identity.brand, 0, err);
  if (done && !walk_tail(segment, &walk, tail)) done = err_set(err, "out of memory");
  segment->size = walk.size;
  segment_walk_fini(&walk);
  segment->used = tail->end;
  segment->loaded = segment->growing = true;
  return done && write_again(segment->fd, tail, err);
}

// A torn block's sequences are not given again, in case it was acknowledged and damaged only later.
static void take_tail(struct journal *j, const struct tail *tail) {
  uint64_t head = tail->torn > tail->next ? tail->torn : tail->next;
  j->void_from = tail->next;
  j->void_end = head;
  j->writer.skipped = (uint32_t)(head - tail->next);
  atomic_store(&j->head, head);
  atomic_store(&j->damaged, tail->damaged);
  if (tail->damaged)
    log_warn("journal=%s doing=open error=\"damaged blocks\" count=%llu", j->folder,
             (unsigned long long)tail->damaged);
}

static bool has_index(const struct segment *segment) {
  char path[PATH_MAX];
  struct stat st;
  segment_index_path(segment, path);
  return stat(path, &st) == 0;
}

bool recovery_run(struct journal *j, struct err *err) {
  if (!segments_scan(&j->segments, err) || !load_identity(j, err)) return false;
  size_t count = j->segments.count;
  j->segments.brand = j->identity.brand;
  for (size_t i = 0; i < count; i++)
    j->segments.at[i]->brand = j->identity.brand;
  atomic_store(&j->head, 1);
  if (count) {
    struct segment *newest = j->segments.at[count - 1];
    struct tail tail = {0};
    if (!scan_newest(j, newest, &tail, err)) return false;
    take_tail(j, &tail);
    segment_ref(newest);
    j->writer.current = newest;
  }
  for (size_t i = 0; i + 1 < count; i++)
    if (!has_index(j->segments.at[i])) segment_maker_tidy(&j->maker, j->segments.at[i]);
  atomic_store(&j->first, count ? j->segments.at[0]->first : 1);
  return true;
}

// ---- identities ----

struct replay {
  struct journal *journal;
  uint64_t from;
  int64_t since_ms; // older ones are beyond the window
  struct dedupe_key *keys;
  bool *duplicate;
  size_t cap;
};

static bool replay_block(struct replay *r, const struct segment_walk *walk) {
  size_t count = walk->header.count;
  if (walk->header.received_ms < r->since_ms) return true;
  if (r->cap < count) {
    mem_free(r->keys);
    mem_free(r->duplicate);
    r->keys = mem_alloc(count * sizeof *r->keys);
    r->duplicate = mem_alloc(count * sizeof *r->duplicate);
    r->cap = r->keys && r->duplicate ? count : 0;
    if (!r->cap) return false;
  }
  struct dedupe_group group;
  dedupe_group_begin(&group, r->keys, r->duplicate);
  for (size_t i = 0; i < count; i++)
    dedupe_group_add(&group, r->journal->dedupe, &walk->decoder.rows[i]);
  if (dedupe_put(r->journal->dedupe, &group) == SIZE_MAX) return false;
  dedupe_settle(r->journal->dedupe, block_header_end(&walk->header), walk->header.received_ms);
  return true;
}

static bool replay_segment(struct replay *r, struct segment *segment, struct err *err) {
  struct segment_walk walk = {0};
  off_t from = 0, end;
  if (!segments_lock(&r->journal->segments, segment, err)) return false;
  size_t at = org_index_find(&segment->index, r->from), count = segment->index.count;
  if (at < count) from = (off_t)segment->index.blocks[at].offset;
  end = count ? (off_t)segment->index.blocks[count - 1].offset : 0;
  segment_hold(segment);
  pthread_mutex_unlock(&segment->lock);
  bool done = at == count || segment_walk_init(&walk, segment->fd, segment->brand, from, err);
  while (done && at < count && walk.at <= end) {
    enum walk_result result = segment_walk_next(&walk);
    if (result == WALK_END) break;
    done = result == WALK_DAMAGED || (result == WALK_BLOCK && replay_block(r, &walk)) ||
           err_set(err, "out of memory");
  }
  if (at < count) segment_walk_fini(&walk);
  segment_release(segment);
  return done;
}

bool recovery_replay(struct journal *j, uint64_t from, struct err *err) {
  struct replay r = {.journal = j, .from = from, .since_ms = clock_ms() - j->options.dedupe_ms};
  bool done = true;
  for (struct segment *at = segments_find(&j->segments, from), *next; at; at = next) {
    next = done ? segments_after(&j->segments, at) : NULL;
    done = done && replay_segment(&r, at, err);
    segment_unref(at);
  }
  mem_free(r.keys);
  mem_free(r.duplicate);
  return done;
}
