// journal_block_test.c - blocks as they lie on the disk: what is encoded is decoded, what is damaged is found
// out.
#include "unit/journal_fixture.h"

#include "base/crc32c.h"
#include "base/rand.h"
#include "journal/block_decoder.h"
#include "journal/block_encoder.h"
#include "journal/block_memory.h"
#include "journal/organisation_order.h"
#include "journal/varint.h"

enum { BRAND = 77 };

struct codec {
  struct block_encoder encoder;
  struct block_decoder decoder;
};

static void codec_init(struct codec *c, int level) {
  struct err err = {0};
  assert_true(block_encoder_init(&c->encoder, level, &err));
  assert_true(block_decoder_init(&c->decoder, &err));
}

static void codec_fini(struct codec *c) {
  block_encoder_fini(&c->encoder);
  block_decoder_fini(&c->decoder);
}

struct shape {
  uint32_t count;
  int64_t organisations;
  size_t length; // 0: as the fixture has it
};

static struct journal_block *make_block(const struct shape *shape) {
  size_t bytes = 0;
  for (uint32_t i = 0; i < shape->count; i++)
    bytes += shape->length ? shape->length : fixture_length(i);
  struct journal_block *b = block_memory_new(shape->count, bytes);
  assert_non_null(b);
  b->first = 1000;
  b->end = 1000 + shape->count;
  b->count = shape->count;
  uint32_t offset = 0, row = 0;
  for (int64_t o = 0; o < shape->organisations; o++)
    for (int64_t id = o; id < shape->count; id += shape->organisations, row++) {
      size_t len = shape->length ? shape->length : fixture_length(id);
      fixture_text(o * 1000 - 2000, id, block_memory_text(b) + offset, len);
      block_memory_rows(b)[row] = (struct record_header){.sequence = 1000 + (uint64_t)id,
                                                         .received_ms = 5,
                                                         .organisation = o * 1000 - 2000,
                                                         .id = id,
                                                         .endpoint = id % 7,
                                                         .offset = offset,
                                                         .length = (uint32_t)len,
                                                         .event_type = 65535,
                                                         .kind = RECORD_ALERT};
      offset += (uint32_t)len;
    }
  block_memory_index(b);
  return b;
}

static const char *frame_at(const struct block_frame *f, void *arg) {
  return (const char *)arg + f->stored_at;
}

static void assert_same(const struct journal_block *a, const struct journal_block *b) {
  assert_int_equal(a->count, b->count);
  assert_int_equal(a->first, b->first);
  assert_int_equal(a->end, b->end);
  for (uint32_t i = 0; i < a->count; i++) {
    assert_memory_equal(&a->rows[i], &b->rows[i], sizeof a->rows[i]);
    assert_int_equal(a->by_sequence[i], b->by_sequence[i]);
    assert_memory_equal(a->bytes + a->rows[i].offset, b->bytes + b->rows[i].offset, a->rows[i].length);
  }
}

static void round_trip(const struct shape *shape, int level) {
  struct codec c;
  codec_init(&c, level);
  struct journal_block *block = make_block(shape);
  assert_true(block_encode(&c.encoder, block, BRAND, 3));
  assert_int_equal(c.encoder.len % BLOCK_ALIGN, 0);
  struct block_header header;
  memcpy(&header, c.encoder.at, sizeof header);
  assert_true(block_header_valid(&header, BRAND));
  assert_false(block_header_valid(&header, BRAND + 1));
  assert_int_equal(header.bytes, c.encoder.len);
  assert_int_equal(header.skipped, 3);
  assert_int_equal(block_decode_table(&c.decoder, &header, c.encoder.at + sizeof header), BLOCK_GOOD);
  uint32_t lost;
  struct journal_block *back =
      block_decode_rows(&c.decoder, 0, header.count, frame_at, (void *)(uintptr_t)c.encoder.at, &lost);
  assert_non_null(back);
  assert_int_equal(lost, 0);
  assert_same(block, back);
  journal_block_unref(back);
  journal_block_unref(block);
  codec_fini(&c);
}

// Proves: blocks of any shape come back the same, packed and plain.
static void blocks_come_back_the_same(void **state) {
  (void)state;
  static const struct shape shapes[] = {{1, 1, 0},    {2, 2, 0},    {500, 5, 0},     {5000, 5000, 0},
                                        {5000, 1, 0}, {3000, 7, 0}, {1, 1, 1 << 20}, {4, 2, 1 << 20},
                                        {1, 1, 1},    {300, 3, 700}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    round_trip(&shapes[i], JOURNAL_COMPRESS_NONE);
    round_trip(&shapes[i], -1);
    round_trip(&shapes[i], 3);
  }
}

// Proves: one organisation's rows are had alone, with its own bytes only.
static void one_organisation_is_had_alone(void **state) {
  (void)state;
  struct codec c;
  codec_init(&c, -1);
  struct journal_block *block = make_block(&(struct shape){3000, 50, 0});
  assert_true(block_encode(&c.encoder, block, BRAND, 0));
  struct block_header header;
  memcpy(&header, c.encoder.at, sizeof header);
  assert_int_equal(block_decode_table(&c.decoder, &header, c.encoder.at + sizeof header), BLOCK_GOOD);
  for (int64_t o = 0; o < 50; o++) {
    uint32_t from = 0, to, lost;
    journal_block_rows(block, o * 1000 - 2000, &from, &to);
    struct journal_block *part =
        block_decode_rows(&c.decoder, from, to, frame_at, (void *)(uintptr_t)c.encoder.at, &lost);
    assert_non_null(part);
    assert_int_equal(part->count, 60);
    for (uint32_t i = 0; i < part->count; i++) {
      assert_int_equal(part->rows[i].sequence, block->rows[from + i].sequence);
      fixture_check_row(part, &part->rows[i]);
    }
    journal_block_unref(part);
  }
  journal_block_unref(block);
  codec_fini(&c);
}

// Proves: any flipped bit of header or table makes them invalid, of a frame makes that frame's rows lost and
// no others.
static void flipped_bits_are_found(void **state) {
  (void)state;
  struct codec c;
  codec_init(&c, -1);
  struct journal_block *block = make_block(&(struct shape){900, 9, 0});
  assert_true(block_encode(&c.encoder, block, BRAND, 0));
  size_t len = c.encoder.len;
  char *copy = malloc(len);
  struct block_header good, header;
  memcpy(&good, c.encoder.at, sizeof good);
  size_t frames = sizeof good + good.table_bytes;
  for (size_t at = 0; at < len - BLOCK_ALIGN; at += at < frames ? 1 : 37) {
    memcpy(copy, c.encoder.at, len);
    copy[at] = (char)(copy[at] ^ 1 << at % 8);
    memcpy(&header, copy, sizeof header);
    bool valid = block_header_valid(&header, BRAND);
    assert_int_equal(valid, at >= sizeof header);
    if (!valid) continue;
    enum block_result table = block_decode_table(&c.decoder, &header, copy + sizeof header);
    assert_int_equal(table, at < frames ? BLOCK_DAMAGED : BLOCK_GOOD);
    if (table != BLOCK_GOOD) continue;
    uint32_t lost;
    struct journal_block *rest = block_decode_rows(&c.decoder, 0, header.count, frame_at, copy, &lost);
    assert_non_null(rest);
    assert_true(lost > 0 && lost < 900);
    assert_int_equal(rest->count + lost, 900);
    uint64_t before = 0;
    for (uint32_t i = 0; i < rest->count; i++) {
      fixture_check_row(rest, &rest->rows[i]);
      assert_true(rest->rows[rest->by_sequence[i]].sequence > before);
      before = rest->rows[rest->by_sequence[i]].sequence;
    }
    journal_block_unref(rest);
  }
  free(copy);
  journal_block_unref(block);
  codec_fini(&c);
}

// Proves: a table that lies, CRCs and all, is refused or harmless: no number of it leads outside the block.
static void lying_tables_are_harmless(void **state) {
  (void)state;
  struct codec c;
  codec_init(&c, JOURNAL_COMPRESS_NONE);
  struct journal_block *block = make_block(&(struct shape){60, 6, 0});
  assert_true(block_encode(&c.encoder, block, BRAND, 0));
  size_t len = c.encoder.len;
  char *copy = malloc(len);
  rand_seed(1);
  for (int round = 0; round < 20000; round++) {
    memcpy(copy, c.encoder.at, len);
    struct block_header header;
    memcpy(&header, copy, sizeof header);
    for (uint64_t n = 1 + rand_u64() % 3; n; n--)
      copy[sizeof header + rand_u64() % header.table_bytes] = (char)rand_u64();
    header.table_crc = crc32c(0, copy + sizeof header, header.table_bytes);
    header.crc = block_header_crc(&header);
    if (block_decode_table(&c.decoder, &header, copy + sizeof header) != BLOCK_GOOD) continue;
    uint32_t lost;
    struct journal_block *rest = block_decode_rows(&c.decoder, 0, header.count, frame_at, copy, &lost);
    assert_non_null(rest);
    assert_int_equal(rest->count + lost, 60);
    journal_block_unref(rest);
  }
  free(copy);
  journal_block_unref(block);
  codec_fini(&c);
}

// Proves: numbers of any size come back, and one that is cut off is refused.
static void varints_come_back(void **state) {
  (void)state;
  static const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    char bytes[2 * VARINT_BYTES];
    uint64_t back = 0;
    int64_t sign = 0;
    char *end = varint_put(bytes, numbers[i]);
    const char *at = bytes;
    assert_true(varint_get(&at, end, &back));
    assert_true(back == numbers[i] && at == end);
    at = bytes;
    assert_false(varint_get(&at, end - 1, &back));
    at = bytes;
    end = varint_put_signed(bytes, (int64_t)numbers[i]);
    assert_true(varint_get_signed(&at, end, &sign));
    assert_true(sign == (int64_t)numbers[i]);
  }
}

// Proves: rows are placed by organisation, and as they came within one.
static void order_is_stable(void **state) {
  (void)state;
  enum { ROWS = 5000 };
  static int64_t organisations[ROWS];
  static uint32_t place[ROWS], at[ROWS];
  struct organisation_order order = {0};
  rand_seed(2);
  for (int64_t many = 1; many <= 10000; many *= 10) {
    for (int i = 0; i < ROWS; i++)
      organisations[i] = (int64_t)(rand_u64() % (uint64_t)many) - many / 2;
    assert_true(organisation_order(&order, organisations, ROWS, place));
    memset(at, 255, sizeof at);
    for (uint32_t i = 0; i < ROWS; i++)
      at[place[i]] = i;
    for (int i = 1; i < ROWS; i++) {
      int64_t before = organisations[at[i - 1]], here = organisations[at[i]];
      assert_true(before < here || (before == here && at[i - 1] < at[i]));
    }
  }
  organisation_order_fini(&order);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_come_back_the_same), cmocka_unit_test(one_organisation_is_had_alone),
      cmocka_unit_test(flipped_bits_are_found),    cmocka_unit_test(lying_tables_are_harmless),
      cmocka_unit_test(varints_come_back),         cmocka_unit_test(order_is_stable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
