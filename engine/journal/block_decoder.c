#include "journal/block_decoder.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "journal/block_memory.h"
#include "journal/varint.h"

#include <zstd.h>

struct cursor {
  const char *at, *end;
};

bool block_decoder_init(struct block_decoder *d, struct err *err) {
  *d = (struct block_decoder){0};
  d->zstd = ZSTD_createDCtx();
  return d->zstd ? true : err_set(err, "out of memory");
}

void block_decoder_fini(struct block_decoder *d) {
  ZSTD_freeDCtx(d->zstd);
  mem_free(d->table);
  mem_free(d->frame);
  mem_free(d->rows);
  mem_free(d->frames);
  *d = (struct block_decoder){0};
}

static bool room(void *array, size_t *cap, size_t need, size_t size) {
  if (*cap >= need) return true;
  void *grown = mem_alloc(need * size);
  if (!grown) return false;
  void **at = array;
  mem_free(*at);
  *at = grown;
  *cap = need;
  return true;
}

static bool unpack(struct block_decoder *d, char *out, size_t plain, const char *at, size_t stored) {
  if (stored == plain) {
    if (plain) memcpy(out, at, plain);
    return true;
  }
  size_t got = ZSTD_decompressDCtx(d->zstd, out, plain, at, stored);
  return !ZSTD_isError(got) && got == plain;
}

static bool get_frames(struct block_decoder *d, struct cursor *c) {
  const struct block_header *h = &d->header;
  uint64_t row = 0, plain = 0, stored = sizeof *h + (uint64_t)h->table_bytes;
  for (struct block_frame *f = d->frames; f < d->frames + h->frames; f++) {
    *f = (struct block_frame){
        .row = (uint32_t)row, .plain_at = (uint32_t)plain, .stored_at = (uint32_t)stored};
    if (!varint_get_u32(&c->at, c->end, &f->rows) || !varint_get_u32(&c->at, c->end, &f->plain) ||
        !varint_get_u32(&c->at, c->end, &f->stored) || (size_t)(c->end - c->at) < sizeof f->crc)
      return false;
    memcpy(&f->crc, c->at, sizeof f->crc);
    c->at += sizeof f->crc;
    row += f->rows;
    plain += f->plain;
    stored += f->stored;
    if (row > h->count || plain > UINT32_MAX || stored > h->bytes || f->stored > f->plain) return false;
  }
  return row == h->count;
}

static bool get_organisations(struct block_decoder *d, struct cursor *c) {
  uint64_t groups, organisation = 0;
  uint32_t row = 0;
  if (!varint_get(&c->at, c->end, &groups) || groups > d->header.count) return false;
  for (uint64_t g = 0; g < groups; g++) {
    int64_t step;
    uint32_t rows;
    if (!varint_get_signed(&c->at, c->end, &step) || !varint_get_u32(&c->at, c->end, &rows)) return false;
    uint64_t before = organisation;
    organisation += (uint64_t)step; // may go round: ids can lie further apart than a step can say
    if (rows == 0 || rows > d->header.count - row || (g > 0 && (int64_t)organisation <= (int64_t)before))
      return false;
    while (rows--)
      d->rows[row++].organisation = (int64_t)organisation;
  }
  return row == d->header.count;
}

static bool get_sequences(struct block_decoder *d, struct cursor *c) {
  uint64_t before = 0, step;
  for (uint32_t i = 0; i < d->header.count; i++) {
    bool same = i > 0 && d->rows[i].organisation == d->rows[i - 1].organisation;
    if (!same) before = 0;
    if (!varint_get(&c->at, c->end, &step) || step >= d->header.count || (same && step == 0)) return false;
    before += step;
    if (before >= d->header.count) return false;
    d->rows[i].sequence = d->header.first + before;
    d->rows[i].received_ms = d->header.received_ms;
  }
  return true;
}

static bool get_ids(struct block_decoder *d, struct cursor *c) {
  uint64_t before = 0;
  int64_t step;
  struct record_header *row, *end = d->rows + d->header.count;
  for (row = d->rows; row < end; row++) {
    if (!varint_get_signed(&c->at, c->end, &step)) return false;
    row->id = (int64_t)(before += (uint64_t)step);
  }
  before = 0;
  for (row = d->rows; row < end; row++) {
    if (!varint_get_signed(&c->at, c->end, &step)) return false;
    row->endpoint = (int64_t)(before += (uint64_t)step);
  }
  return true;
}

// A frame's rows must fill it exactly, so that no row reaches beyond its frame.
static bool get_lengths(struct block_decoder *d, struct cursor *c) {
  for (const struct block_frame *f = d->frames; f < d->frames + d->header.frames; f++) {
    uint64_t at = 0;
    for (struct record_header *row = d->rows + f->row; row < d->rows + f->row + f->rows; row++) {
      if (!varint_get_u32(&c->at, c->end, &row->length)) return false;
      row->offset = f->plain_at + (uint32_t)at;
      at += row->length;
      if (at > f->plain) return false;
    }
    if (at != f->plain) return false;
  }
  return true;
}

static bool get_kinds(struct block_decoder *d, struct cursor *c) {
  for (struct record_header *row = d->rows; row < d->rows + d->header.count; row++) {
    uint32_t both;
    if (!varint_get_u32(&c->at, c->end, &both) || both / 4 > UINT16_MAX || both % 4 == 0) return false;
    row->kind = both % 4;
    row->event_type = (uint16_t)(both / 4);
    memset(row->unused, 0, sizeof row->unused);
  }
  return true;
}

enum block_result block_decode_table(struct block_decoder *d, const struct block_header *header,
                                     const char *stored) {
  if (crc32c(0, stored, header->table_bytes) != header->table_crc) return BLOCK_DAMAGED;
  if (header->table_bytes > header->table_plain || header->table_plain / 5 < header->count)
    return BLOCK_DAMAGED;
  if (!room(&d->table, &d->table_cap, header->table_plain, 1) ||
      !room(&d->rows, &d->rows_cap, header->count, sizeof *d->rows) ||
      !room(&d->frames, &d->frames_cap, header->frames, sizeof *d->frames))
    return BLOCK_NO_MEMORY;
  d->header = *header;
  if (!unpack(d, d->table, header->table_plain, stored, header->table_bytes)) return BLOCK_DAMAGED;
  struct cursor c = {d->table, d->table + header->table_plain};
  bool good = get_frames(d, &c) && get_organisations(d, &c) && get_sequences(d, &c) && get_ids(d, &c) &&
              get_lengths(d, &c) && get_kinds(d, &c) && c.at == c.end;
  return good ? BLOCK_GOOD : BLOCK_DAMAGED;
}

enum block_result block_decode_frame(struct block_decoder *d, const struct block_frame *f, const char *stored,
                                     char *out) {
  if (crc32c(0, stored, f->stored) != f->crc) return BLOCK_DAMAGED;
  return unpack(d, out, f->plain, stored, f->stored) ? BLOCK_GOOD : BLOCK_DAMAGED;
}

// The wanted rows of one frame; `text` is where row `from` of the block has its bytes.
struct part {
  const struct block_frame *frame;
  uint32_t from, to;
  uint32_t plain_at; // of the first wanted row of the whole block
  char *text;
};

static enum block_result decode_part(struct block_decoder *d, const struct part *p, const char *stored) {
  const struct block_frame *f = p->frame;
  if (!stored) return BLOCK_DAMAGED;
  if (p->from == f->row && p->to == f->row + f->rows)
    return block_decode_frame(d, f, stored, p->text + (f->plain_at - p->plain_at));
  if (!room(&d->frame, &d->frame_cap, f->plain, 1)) return BLOCK_NO_MEMORY;
  enum block_result result = block_decode_frame(d, f, stored, d->frame);
  if (result != BLOCK_GOOD) return result;
  const struct record_header *first = &d->rows[p->from], *last = &d->rows[p->to - 1];
  memcpy(p->text + (first->offset - p->plain_at), d->frame + (first->offset - f->plain_at),
         last->offset + last->length - first->offset);
  return BLOCK_GOOD;
}

static uint32_t keep_rows(const struct block_decoder *d, const struct part *p, struct record_header *out) {
  for (uint32_t i = p->from; i < p->to; i++) {
    *out = d->rows[i];
    out++->offset -= p->plain_at;
  }
  return p->to - p->from;
}

struct journal_block *block_decode_rows(struct block_decoder *d, uint32_t from, uint32_t to,
                                        const char *(*read)(const struct block_frame *f, void *arg),
                                        void *arg, uint32_t *lost) {
  assert(from < to && to <= d->header.count);
  const struct record_header *first = &d->rows[from], *last = &d->rows[to - 1];
  struct journal_block *block = block_memory_new(to - from, last->offset + last->length - first->offset);
  if (!block) return NULL;
  block->first = d->header.first;
  block->end = block_header_end(&d->header);
  *lost = 0;
  for (const struct block_frame *f = d->frames; f < d->frames + d->header.frames; f++) {
    struct part p = {f, from > f->row ? from : f->row, to < f->row + f->rows ? to : f->row + f->rows,
                     first->offset, block_memory_text(block)};
    if (p.from >= p.to) continue;
    enum block_result result = decode_part(d, &p, read(f, arg));
    if (result == BLOCK_GOOD) block->count += keep_rows(d, &p, block_memory_rows(block) + block->count);
    if (result == BLOCK_DAMAGED) *lost += p.to - p.from;
    if (result == BLOCK_NO_MEMORY) {
      journal_block_unref(block);
      return NULL;
    }
  }
  block_memory_index(block);
  return block;
}
