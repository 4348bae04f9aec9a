// reader.c - finds the block a reader wants, in memory or by the segments' indexes, and loads what of it is
// wanted.
#include "base/crc32c.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/block_decoder.h"
#include "journal/local.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  ALL_KINDS = (1 << RECORD_KINDS) - 2,
  HEAD_BYTES = 16 << 10, // header and table of most blocks, read at once
  BACK_SEGMENTS = 64,    // whose indexes one call backwards looks at
};

struct reader {
  struct journal *journal;
  struct block_decoder decoder;
  char *stored; // of the block, or of what is wanted of it
  size_t stored_cap;
  // the block being loaded:
  struct segment *segment;
  struct index_block entry;
  uint32_t stored_at; // where in the block `stored` begins
  size_t stored_len;
};

struct reader *reader_new(struct journal *journal, struct err *err) {
  struct reader *r = mem_zero(1, sizeof *r);
  if (!r) {
    err_set(err, "out of memory");
    return NULL;
  }
  r->journal = journal;
  if (block_decoder_init(&r->decoder, err)) return r;
  reader_free(r);
  return NULL;
}

void reader_free(struct reader *r) {
  if (!r) return;
  block_decoder_fini(&r->decoder);
  mem_free(r->stored);
  mem_free(r);
}

// ---- one block ----

static bool read_whole(int fd, char *out, size_t len, off_t from) {
  while (len) {
    ssize_t n = pread(fd, out, len, from);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out += n;
    from += n;
    len -= (size_t)n;
  }
  return true;
}

// Bytes from <= i < from + len of the block into `stored`.
static enum block_result read_part(struct reader *r, uint32_t from, size_t len) {
  if (r->stored_cap < len) {
    mem_free(r->stored);
    r->stored = mem_alloc(len);
    r->stored_cap = r->stored ? len : 0;
    if (!r->stored) return BLOCK_NO_MEMORY;
  }
  r->stored_at = from;
  r->stored_len = len;
  return read_whole(r->segment->fd, r->stored, len, (off_t)r->entry.offset + from) ? BLOCK_GOOD
                                                                                   : BLOCK_DAMAGED;
}

// Everything when all is wanted, else header and table.
static enum block_result read_table(struct reader *r, bool all) {
  struct block_header header;
  size_t whole = r->entry.bytes, some = all || whole < HEAD_BYTES ? whole : HEAD_BYTES;
  enum block_result result = read_part(r, 0, some);
  if (result != BLOCK_GOOD) return result;
  memcpy(&header, r->stored, sizeof header);
  if (!block_header_valid(&header, r->segment->brand) || header.first != r->entry.first ||
      header.count != r->entry.count || header.bytes != r->entry.bytes)
    return BLOCK_DAMAGED;
  if (sizeof header + header.table_bytes > some) result = read_part(r, 0, sizeof header + header.table_bytes);
  return result == BLOCK_GOOD ? block_decode_table(&r->decoder, &header, r->stored + sizeof header) : result;
}

// The frame's bytes into `stored`, if they are not there yet.
static enum block_result read_frame(struct reader *r, const struct block_frame *f) {
  bool there =
      f->stored_at >= r->stored_at && f->stored_at + (uint64_t)f->stored <= r->stored_at + r->stored_len;
  return there ? BLOCK_GOOD : read_part(r, f->stored_at, f->stored);
}

static const char *stored_frame(const struct block_frame *f, void *arg) {
  struct reader *r = arg;
  return read_frame(r, f) == BLOCK_GOOD ? r->stored + (f->stored_at - r->stored_at) : NULL;
}

static bool is_damaged(struct reader *r, const struct block_frame *f) {
  enum block_result result = read_frame(r, f);
  if (result == BLOCK_GOOD && crc32c(0, r->stored + (f->stored_at - r->stored_at), f->stored) != f->crc)
    result = BLOCK_DAMAGED;
  return result == BLOCK_DAMAGED;
}

// The records of damaged frames may be sent again, whoever was the first to meet the damage: their table is
// whole.
static size_t forget_lost(struct reader *r) {
  const struct block_decoder *d = &r->decoder;
  size_t forgotten = 0;
  for (const struct block_frame *f = d->frames; f < d->frames + d->header.frames; f++)
    if (is_damaged(r, f)) forgotten += dedupe_forget(r->journal->dedupe, d->rows + f->row, f->rows);
  return forgotten;
}

// With a damaged table nobody knows which records they were: they stay duplicates.
static void note_damage(struct reader *r, bool table) {
  if (!segment_mark_damage(r->segment, r->entry.offset)) return;
  atomic_fetch_add(&r->journal->damaged, 1);
  log_warn(
      "segment=%s doing=read error=\"damaged block\" offset=%u first=%llu records=%u may_be_sent_again=%zu",
      r->segment->path, r->entry.offset, (unsigned long long)r->entry.first, r->entry.count,
      table ? 0 : forget_lost(r));
}

// The wanted rows in the decoder's table: *from <= i < *to.
static void wanted_rows(const struct block_decoder *d, int64_t organisation, uint32_t *from, uint32_t *to) {
  struct journal_block table = {.count = d->header.count, .rows = d->rows};
  *from = 0;
  *to = table.count;
  if (organisation != JOURNAL_ALL) journal_block_rows(&table, organisation, from, to);
}

// Narrows *from <= i < *to to what lies between the first and the last row of the kinds and below `sequence`;
// all of the block again where that is of several organisations, for only a whole one may have these.
static void narrow(const struct record_header *rows, uint32_t count, uint32_t *from, uint32_t *to,
                   const struct journal_fetch *f) {
  uint32_t first = *to, end = *from;
  for (uint32_t i = *from; i < *to; i++) {
    if (!(f->kinds & 1u << rows[i].kind) || rows[i].sequence >= f->sequence) continue;
    if (first > i) first = i;
    end = i + 1;
  }
  bool several = first < end && rows[first].organisation != rows[end - 1].organisation;
  *from = several ? 0 : first;
  *to = several ? count : end;
}

static bool has_later(const struct block_decoder *d, uint32_t from, uint32_t to, uint64_t sequence) {
  for (uint32_t i = from; i < to; i++)
    if (d->rows[i].sequence >= sequence) return true;
  return false;
}

// Loads the block of r->entry. BLOCK_GOOD without a block: it has nothing at or behind the sequence. `lost`
// counts up.
static enum block_result load(struct reader *r, const struct journal_fetch *f, struct journal_block **block,
                              uint64_t *lost) {
  uint32_t from, to, lost_rows = 0;
  enum block_result result = read_table(r, f->organisation == JOURNAL_ALL && !f->back);
  if (result == BLOCK_DAMAGED) {
    note_damage(r, true);
    uint64_t from_here = r->entry.first > f->sequence ? r->entry.first : f->sequence;
    *lost += r->entry.first + r->entry.count - from_here;
  }
  if (result != BLOCK_GOOD) return result;
  wanted_rows(&r->decoder, f->organisation, &from, &to);
  if (f->back) narrow(r->decoder.rows, r->decoder.header.count, &from, &to, f);
  if (f->back ? from >= to : !has_later(&r->decoder, from, to, f->sequence)) return BLOCK_GOOD;
  *block = block_decode_rows(&r->decoder, from, to, stored_frame, r, &lost_rows);
  if (!*block) return BLOCK_NO_MEMORY;
  if (lost_rows) note_damage(r, false);
  *lost += lost_rows;
  if ((*block)->count) return BLOCK_GOOD;
  journal_block_unref(*block);
  *block = NULL;
  return BLOCK_DAMAGED;
}

// ---- the search ----

struct search {
  struct journal_fetch *fetch;
  uint64_t at; // the next sequence to look at
  bool stuck;  // no memory or descriptor
};

// Sequences between two blocks that should be there: `skipped` of those before `next` never were.
static uint64_t gap(uint64_t at, uint64_t next, uint32_t skipped) {
  return next - skipped > at ? next - skipped - at : 0;
}

// Counts what is missing before a block and goes behind it.
static void pass(struct search *s, const struct index_block *block) {
  if (block->first > s->at) s->fetch->lost += gap(s->at, block->first, block->skipped);
  s->at = block->first + block->count;
}

static void try_block(struct reader *r, struct search *s) {
  struct journal_fetch *f = s->fetch;
  enum block_result result = load(r, f, &f->block, &f->lost);
  s->stuck = result == BLOCK_NO_MEMORY;
  if (!s->stuck) pass(s, &r->entry);
}

// The next block of this segment that may have something, as r->entry; the segment is held then. False: none
// is left.
static bool next_candidate(struct reader *r, struct search *s, struct segment *segment) {
  bool found = false;
  if (!segments_lock(&r->journal->segments, segment, NULL)) {
    s->stuck = access(segment->path, F_OK) == 0; // one that is gone is lost, others come back
    return false;
  }
  const struct org_index *index = &segment->index;
  for (size_t i = org_index_find(index, s->at); i < index->count && !found; i++) {
    found = org_index_count(index, i, s->fetch->organisation, ALL_KINDS) > 0;
    if (found) r->entry = index->blocks[i];
    if (!found) pass(s, &index->blocks[i]);
  }
  if (found) segment_hold(segment);
  pthread_mutex_unlock(&segment->lock);
  return found;
}

static void search_segment(struct reader *r, struct search *s, struct segment *segment) {
  while (!s->fetch->block && !s->stuck && next_candidate(r, s, segment)) {
    r->segment = segment;
    try_block(r, s);
    segment_release(segment);
  }
}

static void search_disk(struct reader *r, struct search *s) {
  struct segments *all = &r->journal->segments;
  for (struct segment *at = segments_find(all, s->at), *next; at; at = next) {
    search_segment(r, s, at);
    next = s->fetch->block || s->stuck ? NULL : segments_after(all, at);
    segment_unref(at);
  }
}

static bool of_interest(const struct journal_block *block, const struct journal_fetch *f) {
  uint32_t from = 0, to;
  if (f->organisation == JOURNAL_ALL) return true;
  journal_block_rows(block, f->organisation, &from, &to);
  return from < to && block->rows[to - 1].sequence >= f->sequence;
}

// Blocks in memory follow each other without gaps, up to the head.
static void search_memory(struct reader *r, struct search *s) {
  for (struct journal_block *block; !s->fetch->block && (block = recent_find(&r->journal->recent, s->at));) {
    s->at = block->end;
    if (of_interest(block, s->fetch))
      s->fetch->block = block;
    else
      journal_block_unref(block);
  }
}

// ---- backwards ----

static bool has_earlier(const struct journal_block *block, const struct journal_fetch *f) {
  uint32_t from = 0, to = block->count;
  if (f->organisation != JOURNAL_ALL) journal_block_rows(block, f->organisation, &from, &to);
  narrow(block->rows, block->count, &from, &to, f);
  return from < to;
}

static void back_in_memory(struct reader *r, struct search *s, uint64_t first) {
  for (struct journal_block *block;
       !s->fetch->block && s->at > first && (block = recent_find(&r->journal->recent, s->at - 1));) {
    s->at = block->first;
    if (has_earlier(block, s->fetch))
      s->fetch->block = block;
    else
      journal_block_unref(block);
  }
}

// As next_candidate, the other way.
static bool candidate_before(struct reader *r, struct search *s, struct segment *segment) {
  bool found = false;
  if (!segments_lock(&r->journal->segments, segment, NULL)) {
    s->stuck = access(segment->path, F_OK) == 0;
    return false;
  }
  const struct org_index *index = &segment->index;
  size_t i = org_index_find(index, s->at - 1);
  if (i < index->count && index->blocks[i].first < s->at) i++;
  while (i-- > 0 && !found) {
    s->at = index->blocks[i].first;
    found = org_index_count(index, i, s->fetch->organisation, s->fetch->kinds) > 0;
    if (found) r->entry = index->blocks[i];
  }
  if (found) segment_hold(segment);
  pthread_mutex_unlock(&segment->lock);
  return found;
}

static void back_in_segment(struct reader *r, struct search *s, struct segment *segment) {
  uint64_t lost = 0, from = s->at;
  for (; !s->fetch->block && !s->stuck && s->at > segment->first && candidate_before(r, s, segment);
       from = s->at) {
    r->segment = segment;
    s->stuck = load(r, s->fetch, &s->fetch->block, &lost) == BLOCK_NO_MEMORY;
    if (s->stuck) s->at = from; // it is still to be looked at
    segment_release(segment);
  }
  if (!s->fetch->block && !s->stuck && s->at > segment->first) s->at = segment->first;
}

static void back_on_disk(struct reader *r, struct search *s, uint64_t first) {
  for (int n = 0; n < BACK_SEGMENTS && !s->fetch->block && !s->stuck && s->at > first; n++) {
    struct segment *segment = segments_find(&r->journal->segments, s->at - 1);
    bool before = segment && segment->first < s->at;
    if (before) back_in_segment(r, s, segment);
    segment_unref(segment);
    if (!before) s->at = first;
  }
}

static void fetch_back(struct reader *r, struct journal_fetch *f) {
  uint64_t head = atomic_load(&r->journal->head), first = atomic_load(&r->journal->first);
  struct search s = {.fetch = f, .at = f->sequence < head ? f->sequence : head};
  f->block = NULL;
  f->lost = 0;
  back_in_memory(r, &s, first);
  if (!f->block) back_on_disk(r, &s, first);
  f->next = s.at > first ? s.at : first;
}

// What lies between the last block and the head: nothing, or what a start could not read.
static void reach_head(struct reader *r, struct search *s, uint64_t head) {
  const struct journal *j = r->journal;
  if (s->at >= head) return;
  s->fetch->lost += gap(s->at, head, head == j->void_end ? (uint32_t)(j->void_end - j->void_from) : 0);
  s->at = head;
}

void reader_fetch(struct reader *r, struct journal_fetch *f) {
  if (f->back) {
    fetch_back(r, f);
    return;
  }
  uint64_t head = atomic_load(&r->journal->head), first = atomic_load(&r->journal->first);
  struct search s = {.fetch = f, .at = f->sequence};
  f->block = NULL;
  f->lost = 0;
  if (s.at < first) {
    f->lost = first - s.at;
    s.at = first;
  }
  search_memory(r, &s);
  if (!f->block && s.at < head) search_disk(r, &s);
  if (!f->block && !s.stuck) reach_head(r, &s, head);
  f->next = s.at;
}

// ---- counting ----

// The block that `from` divides: by its rows.
static uint64_t count_divided(struct reader *r, int64_t organisation, unsigned kinds, uint64_t from) {
  uint32_t row, to;
  uint64_t count = 0;
  if (read_table(r, false) != BLOCK_GOOD) return 0;
  wanted_rows(&r->decoder, organisation, &row, &to);
  for (; row < to; row++) {
    const struct record_header *h = &r->decoder.rows[row];
    if (h->sequence >= from && kinds & 1u << h->kind) count++;
  }
  return count;
}

static uint64_t count_segment(struct reader *r, struct segment *segment, int64_t organisation, unsigned kinds,
                              uint64_t from) {
  uint64_t count = 0;
  if (!segments_lock(&r->journal->segments, segment, NULL)) return 0;
  const struct org_index *index = &segment->index;
  size_t i = org_index_find(index, from);
  bool divided = i < index->count && index->blocks[i].first < from;
  if (divided) r->entry = index->blocks[i++];
  for (; i < index->count; i++)
    count += org_index_count(index, i, organisation, kinds);
  if (divided) segment_hold(segment);
  pthread_mutex_unlock(&segment->lock);
  if (!divided) return count;
  r->segment = segment;
  count += count_divided(r, organisation, kinds, from);
  segment_release(segment);
  return count;
}

uint64_t reader_count(struct reader *r, int64_t organisation, unsigned kinds, uint64_t from) {
  uint64_t count = 0;
  for (struct segment *at = segments_find(&r->journal->segments, from), *next; at; at = next) {
    count += count_segment(r, at, organisation, kinds, from);
    next = segments_after(&r->journal->segments, at);
    segment_unref(at);
  }
  return count;
}
