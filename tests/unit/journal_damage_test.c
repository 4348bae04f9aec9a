// journal_damage_test.c - what a crash or a bad disk leaves: torn ends, flipped bits, lost files.
#include "unit/journal_fixture.h"

#include "journal/block.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

// ---- the folder ----

struct file_visit {
  const char *end;
  char path[256];
  size_t count;
};

// Finds the last (by name) file of the journal whose name ends like that.
static void find_file(const char *folder, struct file_visit *visit) {
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir));) {
    char path[256];
    assert_true(snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < (int)sizeof path);
    if (e->d_name[0] == '.') continue;
    if (e->d_type == DT_DIR) {
      find_file(path, visit);
      continue;
    }
    size_t len = strlen(path), tail = strlen(visit->end);
    if (len < tail || strcmp(path + len - tail, visit->end) != 0) continue;
    visit->count++;
    if (strcmp(path, visit->path) > 0) strcpy(visit->path, path);
  }
  closedir(dir);
}

static char *newest(const struct fixture *f, const char *end) {
  static struct file_visit visit;
  visit = (struct file_visit){.end = end};
  find_file(f->folder, &visit);
  assert_true(visit.count > 0);
  return visit.path;
}

static void copy_folder(const char *from, const char *to) {
  char command[1024];
  snprintf(command, sizeof command, "cp -r %s/. %s", from, to);
  assert_int_equal(system(command), 0);
}

static char *read_file(const char *path, size_t *len) {
  struct err err = {0};
  char *bytes = disk_read_file(path, 64 << 20, len, &err);
  assert_non_null(bytes);
  return bytes;
}

static void write_file(const char *path, const char *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
  assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
  close(fd);
}

// The blocks of a segment file by walking their lengths.
struct spot {
  size_t offset, bytes, table_end;
  uint64_t first;
  uint32_t count;
};

static size_t list_blocks(const char *bytes, size_t len, struct spot *spots, size_t most) {
  size_t count = 0, at = 0;
  while (at + BLOCK_ALIGN <= len && count < most) {
    struct block_header h;
    memcpy(&h, bytes + at, sizeof h);
    if (h.magic != BLOCK_MAGIC) break;
    spots[count++] = (struct spot){at, h.bytes, at + sizeof h + h.table_bytes, h.first, h.count};
    at += h.bytes;
  }
  return count;
}

enum { BLOCKS = 8, PER_BLOCK = 60 };

static void fill(struct fixture *f) {
  f->options.segment_bytes = 512 << 10;
  f->options.recent_bytes = 1;
  fixture_reopen(f);
  for (int64_t i = 0; i < BLOCKS; i++)
    assert_int_equal(fixture_append(f, i * PER_BLOCK, (i + 1) * PER_BLOCK, 3), JOURNAL_STORED);
}

static void close_only(struct fixture *f) {
  journal_close(f->journal);
  f->journal = NULL;
}

// Proves: cut at any 64 bytes of its last block, the journal opens with all blocks before it and without a
// word of loss; it goes on, and what is stored then is read back.
static void torn_ends_are_dropped(void **state) {
  (void)state;
  struct fixture f;
  struct spot spots[BLOCKS];
  size_t len;
  fixture_init(&f);
  fill(&f);
  close_only(&f);
  char path[256];
  strcpy(path, newest(&f, ".seg"));
  char *bytes = read_file(path, &len);
  assert_int_equal(list_blocks(bytes, len, spots, BLOCKS), BLOCKS);
  const struct spot *last = &spots[BLOCKS - 1];
  for (size_t cut = last->offset; cut < last->offset + last->bytes; cut += BLOCK_ALIGN) {
    for (int zeros = 0; zeros < 2; zeros++) {
      char *torn = calloc(1, len);
      memcpy(torn, bytes, cut);
      write_file(path, torn, zeros ? len : cut);
      free(torn);
      fixture_open(&f);
      uint64_t head = journal_head(f.journal);
      // Its header alone tells that these sequences were given once; they are not given again.
      assert_int_equal(head, cut > last->offset ? last->first + last->count : last->first);
      struct seen seen = {0};
      fixture_read(&f, 1, JOURNAL_ALL, &seen);
      assert_int_equal(seen.count, (BLOCKS - 1) * PER_BLOCK);
      assert_int_equal(seen.lost, 0);
      assert_int_equal(fixture_append(&f, 7000, 7010, 3), JOURNAL_STORED);
      fixture_reopen(&f);
      seen = (struct seen){0};
      fixture_read(&f, 1, JOURNAL_ALL, &seen);
      assert_int_equal(seen.count, (BLOCKS - 1) * PER_BLOCK + 10);
      assert_int_equal(seen.lost, 0);
      struct journal_numbers numbers;
      journal_numbers(f.journal, &numbers);
      assert_int_equal(numbers.blocks_damaged, 0);
      close_only(&f);
      char command[1024]; // later segments of this round
      snprintf(command, sizeof command,
               "find %s -name '*.seg' ! -path %s -delete; find %s -name '*.idx' -delete", f.folder, path,
               f.folder);
      assert_int_equal(system(command), 0);
    }
  }
  mem_free(bytes);
  fixture_fini(&f);
}

// What a journal with one damaged block must look like.
static void check_damaged(struct fixture *f, const struct spot *spot, bool whole) {
  struct seen seen = {0};
  fixture_read(f, 1, JOURNAL_ALL, &seen);
  assert_true(seen.lost > 0 && seen.lost <= spot->count);
  if (whole) assert_int_equal(seen.lost, spot->count);
  assert_int_equal(seen.count + seen.lost, BLOCKS * PER_BLOCK);
  seen = (struct seen){0};
  fixture_read(f, 1, JOURNAL_ALL, &seen);
  assert_int_equal(seen.count + seen.lost, BLOCKS * PER_BLOCK);
  struct journal_numbers numbers;
  journal_numbers(f->journal, &numbers);
  assert_int_equal(numbers.blocks_damaged, 1);
}

// Proves: a flipped bit anywhere in a block in the middle costs that block (or that frame) and no other; it
// is counted once.
static void flipped_bits_cost_one_block(void **state) {
  (void)state;
  struct fixture f;
  struct spot spots[BLOCKS];
  size_t len;
  fixture_init(&f);
  fill(&f);
  close_only(&f);
  char path[256];
  strcpy(path, newest(&f, ".seg"));
  char *bytes = read_file(path, &len);
  assert_int_equal(list_blocks(bytes, len, spots, BLOCKS), BLOCKS);
  const struct spot *spot = &spots[BLOCKS / 2];
  size_t step = spot->bytes / 40;
  for (size_t at = spot->offset; at + BLOCK_ALIGN < spot->offset + spot->bytes;
       at += at < spot->table_end ? 11 : step) {
    char *flipped = malloc(len);
    memcpy(flipped, bytes, len);
    flipped[at] = (char)(flipped[at] ^ 4);
    write_file(path, flipped, len);
    free(flipped);
    fixture_open(&f);
    assert_int_equal(journal_head(f.journal), 1 + BLOCKS * PER_BLOCK);
    check_damaged(&f, spot, at < spot->table_end);
    close_only(&f);
  }
  mem_free(bytes);
  fixture_fini(&f);
}

// All records of `fill` once more; how many were new.
static size_t send_again(struct fixture *f) {
  struct batch b = {0};
  for (int64_t id = 0; id < BLOCKS * PER_BLOCK; id++)
    batch_add(&b, 1 + id % 3, id);
  assert_int_equal(batch_store(f, &b), JOURNAL_STORED);
  assert_int_equal(b.append.accepted + b.append.duplicates, BLOCKS * PER_BLOCK);
  size_t accepted = b.append.accepted;
  batch_free(&b);
  return accepted;
}

// Proves: what a reader, of one organisation or of all, has found lost is stored when it comes again, once.
// With a damaged table nobody knows what was lost: it stays a duplicate.
static void lost_records_may_be_sent_again(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    struct fixture f;
    struct spot spots[BLOCKS];
    size_t len;
    fixture_init(&f);
    fill(&f);
    char *bytes = read_file(newest(&f, ".seg"), &len);
    assert_int_equal(list_blocks(bytes, len, spots, BLOCKS), BLOCKS);
    const struct spot *spot = &spots[BLOCKS / 2];
    bool in_table = round == 2;
    size_t at = in_table ? spot->offset + 70 : spot->table_end + 100;
    bytes[at] = (char)(bytes[at] ^ 1);
    write_file(newest(&f, ".seg"), bytes, len); // while it is open
    mem_free(bytes);
    assert_int_equal(send_again(&f), 0); // nobody has met it
    struct seen seen = {0};
    fixture_read(&f, 1, round == 1 ? 2 : JOURNAL_ALL, &seen);
    assert_true(seen.lost > 0);
    size_t lost = in_table ? 0 : spot->count; // its one frame
    assert_int_equal(send_again(&f), lost);
    assert_int_equal(send_again(&f), 0);
    seen = (struct seen){0};
    fixture_read(&f, 1, JOURNAL_ALL, &seen);
    assert_int_equal(seen.count, BLOCKS * PER_BLOCK - spot->count + lost);
    fixture_reopen(&f);
    assert_int_equal(send_again(&f), in_table ? spot->count : 0);
    fixture_fini(&f);
  }
}

// Proves: damage in a closed segment is found when it is read, with its index there, lost, or damaged itself.
static void closed_segments_are_checked_when_read(void **state) {
  (void)state;
  struct fixture f;
  struct spot spots[BLOCKS];
  size_t len, index_len;
  fixture_init(&f);
  fill(&f);
  struct batch big = {0};
  batch_add_long(&big, 1, 100000, RECORD_EVENT, 1 << 20);
  f.options.zstd_level = JOURNAL_COMPRESS_NONE;
  fixture_reopen(&f);
  char path[256], index[256];
  strcpy(path, newest(&f, ".seg"));
  assert_int_equal(batch_store(&f, &big), JOURNAL_STORED); // does not fit: the first segment closes
  batch_free(&big);
  close_only(&f);
  strcpy(index, newest(&f, ".idx"));
  char *bytes = read_file(path, &len), *index_bytes = read_file(index, &index_len);
  assert_int_equal(list_blocks(bytes, len, spots, BLOCKS), BLOCKS);
  const struct spot *spot = &spots[2];
  for (int round = 0; round < 9; round++) {
    size_t at = round % 3 == 0   ? spot->offset + 9
                : round % 3 == 1 ? spot->offset + 70
                                 : spot->table_end + 100;
    bytes[at] = (char)(bytes[at] ^ 1);
    write_file(path, bytes, len);
    bytes[at] = (char)(bytes[at] ^ 1);
    write_file(index, index_bytes, index_len);
    if (round / 3 == 1) unlink(index);
    if (round / 3 == 2) write_file(index, index_bytes, index_len / 2);
    fixture_open(&f);
    struct seen seen = {0};
    fixture_read(&f, 1, JOURNAL_ALL, &seen);
    assert_true(seen.lost > 0 && seen.lost <= spot->count);
    assert_int_equal(seen.count + seen.lost, BLOCKS * PER_BLOCK + 1);
    close_only(&f);
  }
  mem_free(bytes);
  mem_free(index_bytes);
  fixture_fini(&f);
}

// Proves: the rest of a block that was written to one segment, failed, and then went to the next is never
// read in its place.
static void rests_of_failed_writes_are_passed_over(void **state) {
  (void)state;
  struct fixture f;
  struct spot spots[BLOCKS];
  size_t len, next_len;
  fixture_init(&f);
  fill(&f);
  char path[256], next[256];
  strcpy(path, newest(&f, ".seg"));
  struct batch big = {0};
  batch_add_long(&big, 9, 100000, RECORD_EVENT, 1 << 20);
  f.options.zstd_level = JOURNAL_COMPRESS_NONE;
  fixture_reopen(&f);
  assert_int_equal(batch_store(&f, &big), JOURNAL_STORED); // does not fit: goes to a second segment
  batch_free(&big);
  close_only(&f);
  unlink(newest(&f, ".idx"));
  strcpy(next, newest(&f, ".seg"));
  assert_string_not_equal(path, next);
  char *bytes = read_file(path, &len), *next_bytes = read_file(next, &next_len);
  assert_int_equal(list_blocks(next_bytes, next_len, spots, BLOCKS), 1);
  bytes = realloc(bytes, len + spots[0].bytes);
  memcpy(bytes + len, next_bytes, spots[0].bytes);
  memset(bytes + len + spots[0].bytes / 2, 0, spots[0].bytes / 2);
  write_file(path, bytes, len + spots[0].bytes);
  fixture_open(&f);
  struct seen seen = {0};
  fixture_read(&f, 1, JOURNAL_ALL, &seen);
  assert_int_equal(seen.count, BLOCKS * PER_BLOCK + 1);
  struct journal_fetch got = fixture_fetch(&f, 1, 9).fetch;
  assert_non_null(got.block);
  assert_int_equal(got.block->count, 1);
  journal_block_unref(got.block);
  assert_int_equal(seen.lost + got.lost, 0);
  mem_free(bytes);
  mem_free(next_bytes);
  fixture_fini(&f);
}

// Proves: after a kill at any moment (a copy of the folder without a close) all that was acknowledged is
// there, once.
static void kills_lose_nothing(void **state) {
  (void)state;
  struct fixture f, copy;
  fixture_init(&f);
  f.options.segment_bytes = 96 << 10;
  fixture_reopen(&f);
  for (int64_t round = 0; round < 12; round++) {
    assert_int_equal(fixture_append(&f, round * 100, (round + 1) * 100, 5), JOURNAL_STORED);
    fixture_init(&copy);
    close_only(&copy);
    fixture_fini(&copy);
    assert_int_equal(mkdir(copy.folder, 0700), 0);
    copy_folder(f.folder, copy.folder);
    copy.options = f.options;
    struct err err = {0};
    copy.loop = loop_new(&err);
    fixture_open(&copy);
    struct seen seen = {0};
    fixture_read(&copy, 1, JOURNAL_ALL, &seen);
    assert_int_equal(seen.count, (round + 1) * 100);
    assert_int_equal(seen.lost, 0);
    assert_int_equal(journal_head(copy.journal), journal_head(f.journal));
    struct batch again = {0};
    for (int64_t id = 0; id < (round + 1) * 100; id++)
      batch_add(&again, 1 + id % 5, id);
    assert_int_equal(batch_store(&copy, &again), JOURNAL_STORED);
    assert_int_equal(again.append.duplicates, (round + 1) * 100);
    batch_free(&again);
    fixture_fini(&copy);
  }
  fixture_fini(&f);
}

// Proves: without its identity file the journal still knows its blocks.
static void lost_identity_is_found_in_blocks(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  fill(&f);
  close_only(&f);
  assert_int_equal(unlink(newest(&f, "identity")), 0);
  fixture_open(&f);
  assert_int_equal(fixture_count_all(&f), BLOCKS * PER_BLOCK);
  fixture_fini(&f);
}

// Proves: a record whose bytes are a whole block of this journal but for the brand is never taken for one.
static void bytes_of_a_record_are_no_block(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.options.zstd_level = JOURNAL_COMPRESS_NONE;
  f.options.segment_bytes = 512 << 10;
  fixture_reopen(&f);
  struct batch b = {0};
  batch_add_long(&b, 1, 1, RECORD_EVENT, 8192);
  struct block_header fake = {.magic = BLOCK_MAGIC,
                              .brand = 1,
                              .first = 1000,
                              .count = 1,
                              .frames = 1,
                              .bytes = 128,
                              .table_bytes = 64};
  fake.crc = block_header_crc(&fake);
  for (size_t at = 0; at + sizeof fake <= b.len; at += sizeof fake)
    memcpy(b.bytes + at, &fake, sizeof fake);
  assert_int_equal(batch_store(&f, &b), JOURNAL_STORED);
  batch_free(&b);
  close_only(&f);
  size_t len;
  char path[256];
  strcpy(path, newest(&f, ".seg"));
  char *bytes = read_file(path, &len);
  bytes[20] ^= 1; // the one block's header
  write_file(path, bytes, len);
  mem_free(bytes);
  fixture_open(&f);
  assert_int_equal(journal_head(f.journal), 1);
  fixture_fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(torn_ends_are_dropped),
      cmocka_unit_test(flipped_bits_cost_one_block),
      cmocka_unit_test(lost_records_may_be_sent_again),
      cmocka_unit_test(closed_segments_are_checked_when_read),
      cmocka_unit_test(rests_of_failed_writes_are_passed_over),
      cmocka_unit_test(kills_lose_nothing),
      cmocka_unit_test(lost_identity_is_found_in_blocks),
      cmocka_unit_test(bytes_of_a_record_are_no_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
