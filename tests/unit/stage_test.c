// Proves that the stage keeps a block for just as long as some stream in line waits for it, hands blocks out
// in order, and goes on when its numbers wrap around.
#include "base/rand.h"
#include "flow/stage.h"
#include "journal/block_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { STREAMS = 12, BLOCKS = 20000 };

// Which blocks each stream should be handed, by number since the beginning.
struct model {
  struct stage stage;
  struct stage_line lines[STREAMS];
  uint32_t waits[STREAMS][STAGE_BLOCKS]; // oldest first
  uint32_t count[STREAMS];
  struct journal_block *blocks[BLOCKS];
  uint32_t pushed;
};

static size_t below(size_t n) {
  return (size_t)(rand_u64() % n);
}

// A block of ten sequences, with a gap of two before it, as a loss leaves one.
static struct journal_block *make_block(uint32_t n) {
  struct journal_block *block = block_memory_new(1, 0);
  assert_non_null(block);
  block->first = 3 + 12 * (uint64_t)n;
  block->end = block->first + 10;
  block->count = 1;
  *block_memory_rows(block) = (struct record_header){.sequence = block->first, .length = 100};
  return block;
}

static void push(struct model *m) {
  if (!stage_room(&m->stage) || m->pushed == BLOCKS) return;
  uint32_t n = m->pushed++, number;
  struct journal_block *block = m->blocks[n] = make_block(n);
  number = stage_push(&m->stage, block);
  journal_block_unref(block); // the stage has a reference of its own
  for (uint32_t i = 0; i < STREAMS; i++) {
    if (m->lines[i].lost || below(3)) continue;
    stage_hint(&m->stage, &m->lines[i], number);
    m->waits[i][m->count[i]++] = n;
  }
}

static void read_one(struct model *m, uint32_t i) {
  struct journal_block *block = stage_next(&m->stage, &m->lines[i]);
  if (!m->count[i]) {
    assert_null(block);
    return;
  }
  assert_ptr_equal(block, m->blocks[m->waits[i][0]]);
  stage_done(&m->stage, &m->lines[i]);
  memmove(m->waits[i], m->waits[i] + 1, --m->count[i] * sizeof m->waits[i][0]);
}

static void fall_behind(struct model *m, uint32_t i) {
  stage_fall_behind(&m->stage, &m->lines[i]);
  assert_true(m->lines[i].lost);
  assert_null(stage_next(&m->stage, &m->lines[i]));
  m->count[i] = 0;
}

static uint32_t oldest_waited_for(const struct model *m) {
  uint32_t oldest = m->pushed;
  for (uint32_t i = 0; i < STREAMS; i++)
    if (m->count[i] && m->waits[i][0] < oldest) oldest = m->waits[i][0];
  return oldest;
}

static void check(struct model *m) {
  stage_trim(&m->stage);
  uint32_t oldest = oldest_waited_for(m), held = m->pushed - oldest;
  assert_int_equal(m->stage.end - m->stage.first, held); // from the first that somebody waits for
  assert_int_equal(m->stage.bytes, held * (100 + sizeof(struct record_header)));
  assert_int_equal(stage_room(&m->stage), held < STAGE_BLOCKS);
  for (uint32_t n = oldest > 2 ? oldest - 2 : 0; n < m->pushed; n++) {
    uint64_t first = 3 + 12 * (uint64_t)n;
    struct journal_block *staged = n >= oldest ? m->blocks[n] : NULL;
    assert_ptr_equal(stage_find(&m->stage, first), staged);
    assert_ptr_equal(stage_find(&m->stage, first + 9), staged);
    assert_null(stage_find(&m->stage, first + 10)); // between two blocks
  }
  for (uint32_t i = 0; i < STREAMS; i++)
    assert_int_equal(stage_waits_for_first(&m->stage, &m->lines[i]), m->count[i] && m->waits[i][0] == oldest);
}

static void random_streams_are_handed_their_blocks_in_order(void **state) {
  (void)state;
  static struct model m;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    rand_seed(seed);
    memset(&m, 0, sizeof m);
    m.stage.first = m.stage.end = seed % 2 ? 0 : UINT32_MAX - 70; // the numbers wrap on the way
    for (int step = 0; step < 3000; step++) {
      uint32_t i = (uint32_t)below(STREAMS);
      size_t what = below(100);
      if (what < 20 + seed)
        push(&m);
      else if (what < 97)
        read_one(&m, i);
      else if (what == 97)
        fall_behind(&m, i);
      else
        m.lines[i].lost = false; // it has caught up
      check(&m);
    }
    stage_clear(&m.stage);
    assert_int_equal(m.stage.bytes, 0);
    stage_clear(&m.stage);
  }
}

// One stream that does not read holds the stage; when it falls behind, all goes at once.
static void a_full_stage_waits_for_its_slowest(void **state) {
  (void)state;
  struct stage stage = {0};
  struct stage_line slow = {0}, fast = {0};
  uint32_t pushed = 0;
  for (; stage_room(&stage); pushed++) {
    struct journal_block *block = make_block(pushed);
    uint32_t number = stage_push(&stage, block);
    journal_block_unref(block);
    stage_hint(&stage, &slow, number);
    stage_hint(&stage, &fast, number);
    stage_done(&stage, &fast);
    stage_trim(&stage);
  }
  assert_int_equal(pushed, STAGE_BLOCKS);
  assert_int_equal(stage.moves, STAGE_BLOCKS);
  assert_true(stage_waits_for_first(&stage, &slow));
  assert_false(stage_waits_for_first(&stage, &fast));
  stage_fall_behind(&stage, &slow);
  stage_trim(&stage);
  assert_true(stage_room(&stage));
  assert_true(stage.first == stage.end);
  assert_null(stage_find(&stage, 3));
  assert_int_equal(stage.bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_streams_are_handed_their_blocks_in_order),
      cmocka_unit_test(a_full_stage_waits_for_its_slowest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
