#include "journal/org_index.h"
#include "base/crc32c.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/mem.h"
#include "journal/varint.h"

#define INDEX_MAGIC 0x31584449554c53ffu
enum {
  INDEX_FILE_BYTES = 256 << 20, // more than any segment's index can be
  ENTRY_BYTES = VARINT_BYTES + 3 * 5,
  FIRST_BLOCKS = 64,
};

struct index_header {
  uint64_t magic, brand;
  uint32_t blocks, list_bytes;
  uint32_t crc; // of all behind the header
  uint32_t unused;
};

void org_index_init(struct org_index *index) {
  *index = (struct org_index){0};
  buf_init(&index->lists, INDEX_FILE_BYTES / 2);
}

void org_index_fini(struct org_index *index) {
  mem_free(index->blocks);
  buf_fini(&index->lists);
  org_index_init(index);
}

size_t org_index_bytes(const struct org_index *index) {
  return index->cap * sizeof *index->blocks + index->lists.cap;
}

bool org_index_reserve(struct org_index *index, size_t rows) {
  if (index->count == index->cap) {
    size_t cap = index->cap ? index->cap * 2 : FIRST_BLOCKS;
    struct index_block *grown = mem_grow(index->blocks, cap * sizeof *grown);
    if (!grown) return false;
    index->blocks = grown;
    index->cap = cap;
  }
  return buf_reserve(&index->lists, rows * ENTRY_BYTES);
}

static uint64_t bit_of(int64_t organisation) {
  return (uint64_t)1 << (hash_u64((uint64_t)organisation) & 63);
}

// Counts the kinds of the organisation that begins at row i; returns where the next one begins.
static uint32_t count_kinds(const struct record_header *rows, uint32_t i, uint32_t count, uint32_t *kinds) {
  memset(kinds, 0, RECORD_KINDS * sizeof *kinds);
  int64_t organisation = rows[i].organisation;
  while (i < count && rows[i].organisation == organisation)
    kinds[rows[i++].kind % RECORD_KINDS]++;
  return i;
}

void org_index_add(struct org_index *index, const struct block_header *header,
                   const struct record_header *rows, uint32_t offset) {
  assert(index->count < index->cap);
  struct index_block *block = &index->blocks[index->count++];
  *block = (struct index_block){.first = header->first,
                                .received_ms = header->received_ms,
                                .count = header->count,
                                .offset = offset,
                                .bytes = header->bytes,
                                .skipped = header->skipped,
                                .list = (uint32_t)index->lists.len};
  uint64_t before = 0;
  char *p = index->lists.at + index->lists.len;
  for (uint32_t i = 0; i < header->count;) {
    int64_t organisation = rows[i].organisation;
    uint32_t kinds[RECORD_KINDS];
    i = count_kinds(rows, i, header->count, kinds);
    p = varint_put_signed(p, (int64_t)((uint64_t)organisation - before));
    before = (uint64_t)organisation;
    block->organisations |= bit_of(organisation);
    for (int k = 1; k < RECORD_KINDS; k++) {
      p = varint_put(p, kinds[k]);
      block->kinds[k - 1] += kinds[k];
    }
  }
  index->lists.len = (size_t)(p - index->lists.at);
  block->list_bytes = (uint32_t)(index->lists.len - block->list);
}

size_t org_index_find(const struct org_index *index, uint64_t sequence) {
  size_t low = 0, high = index->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (index->blocks[middle].first + index->blocks[middle].count <= sequence)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static uint64_t sum_kinds(const uint32_t *kinds, unsigned mask) {
  uint64_t sum = 0;
  for (int k = 1; k < RECORD_KINDS; k++)
    if (mask & 1u << k) sum += kinds[k - 1];
  return sum;
}

uint64_t org_index_count(const struct org_index *index, size_t at, int64_t organisation, unsigned kinds) {
  const struct index_block *block = &index->blocks[at];
  if (organisation == JOURNAL_ALL) return sum_kinds(block->kinds, kinds);
  if (!(block->organisations & bit_of(organisation))) return 0;
  const char *p = index->lists.at + block->list, *end = p + block->list_bytes;
  uint64_t id = 0;
  int64_t step;
  uint32_t counts[RECORD_KINDS - 1];
  while (p < end && varint_get_signed(&p, end, &step)) {
    id += (uint64_t)step;
    for (int k = 0; k < RECORD_KINDS - 1; k++)
      if (!varint_get_u32(&p, end, &counts[k])) return 0;
    if ((int64_t)id == organisation) return sum_kinds(counts, kinds);
    if ((int64_t)id > organisation) return 0;
  }
  return 0;
}

bool org_index_write(const struct org_index *index, uint64_t brand, const char *path, struct err *err) {
  size_t blocks = index->count * sizeof *index->blocks,
         len = sizeof(struct index_header) + blocks + index->lists.len;
  char *file = mem_alloc(len);
  if (!file) return err_set(err, "out of memory");
  char *body = file + sizeof(struct index_header);
  if (blocks) memcpy(body, index->blocks, blocks);
  if (index->lists.len) memcpy(body + blocks, index->lists.at, index->lists.len);
  struct index_header header = {.magic = INDEX_MAGIC,
                                .brand = brand,
                                .blocks = (uint32_t)index->count,
                                .list_bytes = (uint32_t)index->lists.len,
                                .crc = crc32c(0, body, blocks + index->lists.len)};
  memcpy(file, &header, sizeof header);
  bool done = disk_replace_file(path, slice_make(file, len), 0600, err);
  mem_free(file);
  return done;
}

static bool valid(const char *file, size_t len, uint64_t brand) {
  struct index_header header;
  if (len < sizeof header) return false;
  memcpy(&header, file, sizeof header);
  if (header.magic != INDEX_MAGIC || header.brand != brand) return false;
  if (len != sizeof header + header.blocks * sizeof(struct index_block) + header.list_bytes) return false;
  return crc32c(0, file + sizeof header, len - sizeof header) == header.crc;
}

static bool fill(struct org_index *index, const char *file) {
  struct index_header header;
  memcpy(&header, file, sizeof header);
  size_t blocks = header.blocks * sizeof(struct index_block);
  index->blocks = mem_alloc(blocks);
  if (!index->blocks || !buf_append(&index->lists, file + sizeof header + blocks, header.list_bytes))
    return false;
  if (blocks) memcpy(index->blocks, file + sizeof header, blocks);
  index->count = index->cap = header.blocks;
  return true;
}

bool org_index_read(struct org_index *index, uint64_t brand, const char *path, struct err *err) {
  size_t len;
  char *file = disk_read_file(path, INDEX_FILE_BYTES, &len, err);
  if (!file) return false;
  bool good = valid(file, len, brand);
  if (!good) err_set(err, "%s is damaged", path);
  if (good && !fill(index, file)) {
    org_index_fini(index);
    good = err_set(err, "out of memory");
  }
  mem_free(file);
  return good;
}
