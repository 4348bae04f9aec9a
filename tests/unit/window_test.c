// Proves that the window agrees with a plain array whatever is read, read again and settled, and that no
// restart makes it forget or invent a settled record.
#include "base/mem.h"
#include "base/rand.h"
#include "flow/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { RECORDS = 3000, SAVED_BYTES = 1 << 20 };

// What one stream's records are, and what its window should think of them: records first <= i < next have
// been read in this life.
struct model {
  uint64_t sequence[RECORDS];
  bool settled[RECORDS]; // known to be: in this life, or saved by an earlier one
  enum window_state state[RECORDS];
  size_t first, next;
  uint64_t position; // that this life began at
  struct window window;
};

struct snapshot {
  struct buf bytes;
  bool settled[RECORDS];
};

static size_t below(size_t n) {
  return (size_t)(rand_u64() % n);
}

static void model_init(struct model *m, size_t widest_gap) {
  memset(m, 0, sizeof *m);
  uint64_t sequence = below(3) ? 0 : rand_u64() >> 3;
  for (size_t i = 0; i < RECORDS; i++)
    m->sequence[i] = sequence += 1 + below(widest_gap);
  m->position = m->sequence[0];
}

static size_t front(const struct model *m) {
  size_t i = m->first;
  while (i < m->next && m->state[i] == WINDOW_SETTLED)
    i++;
  return i;
}

// Where the stream would go on reading: anywhere behind what it has read, up to its next record.
static uint64_t next_sequence(const struct model *m) {
  if (m->next == m->first) return m->position;
  uint64_t from = m->sequence[m->next - 1] + 1, to = m->next < RECORDS ? m->sequence[m->next] : from;
  return from + below((size_t)(to - from) + 1);
}

static void read_one(struct model *m) {
  if (m->next == RECORDS) return;
  size_t i = m->next;
  bool was = window_was_settled(&m->window, m->sequence[i]);
  assert_true(!was || m->settled[i]);
  if (m->sequence[i] > m->position) assert_int_equal(was, m->settled[i]);
  assert_true(window_reserve(&m->window));
  assert_int_equal(window_end(&m->window), i - m->first);
  window_push(&m->window, m->sequence[i], was);
  m->settled[i] = was;
  m->state[i] = was ? WINDOW_SETTLED : WINDOW_READ;
  m->next++;
}

static void mark(struct model *m, size_t i, enum window_state state) {
  if (i < front(m) || i >= m->next || m->state[i] == WINDOW_SETTLED) return;
  window_mark(&m->window, i - m->first, state);
  m->state[i] = state;
  m->settled[i] = state == WINDOW_SETTLED;
}

static void unread_all(struct model *m) {
  window_unread_all(&m->window);
  for (size_t i = m->first; i < m->next; i++)
    if (m->state[i] == WINDOW_READ) m->state[i] = WINDOW_UNREAD;
}

static void read_again(struct model *m) {
  uint64_t from = window_end(&m->window) ? below((size_t)window_end(&m->window)) : 0;
  size_t i = m->first + (size_t)from;
  while (i < m->next && m->state[i] != WINDOW_UNREAD)
    i++;
  assert_int_equal(window_next_unread(&m->window, from), i - m->first);
  mark(m, i, WINDOW_READ);
}

static void check(const struct model *m) {
  const struct window *w = &m->window;
  size_t begin = front(m), unread = 0, i = begin < m->next ? begin + below(m->next - begin) : begin;
  for (size_t r = m->first; r < m->next; r++)
    unread += m->state[r] == WINDOW_UNREAD;
  assert_int_equal(w->unread, unread);
  assert_int_equal(w->base, begin - m->first);
  assert_int_equal(window_end(w), m->next - m->first);
  assert_false(window_holds(w, window_end(w)));
  if (begin > m->first) assert_false(window_holds(w, begin - m->first - 1));
  assert_int_equal(window_position(w, UINT64_MAX), begin < m->next ? m->sequence[begin] : UINT64_MAX);
  if (i == m->next) return;
  assert_true(window_holds(w, i - m->first));
  assert_int_equal(window_at(w, i - m->first), m->state[i]);
  assert_int_equal(window_sequence(w, i - m->first), m->sequence[i]);
}

static void save(const struct model *m, struct snapshot *snapshot) {
  snapshot->bytes.len = 0;
  assert_true(window_save(&m->window, next_sequence(m), &snapshot->bytes));
  memcpy(snapshot->settled, m->settled, sizeof m->settled);
}

// A crash: only what was saved is known now.
static void restart(struct model *m, const struct snapshot *snapshot) {
  size_t used = 0;
  window_fini(&m->window);
  assert_true(window_restore(&m->window, buf_slice(&snapshot->bytes), &m->position, &used));
  assert_int_equal(used, snapshot->bytes.len);
  memcpy(m->settled, snapshot->settled, sizeof m->settled);
  for (m->first = 0; m->first < RECORDS && m->sequence[m->first] < m->position; m->first++)
    assert_true(m->settled[m->first]);
  m->next = m->first;
}

static void live(struct model *m, struct snapshot *snapshot, size_t reading) {
  save(m, snapshot);
  for (int step = 0; step < 6000 && m->next < RECORDS; step++) {
    size_t what = below(100), span = m->next - m->first, i = m->first + below(span + 1);
    if (what < reading)
      read_one(m);
    else if (what < 70)
      mark(m, i, WINDOW_SETTLED);
    else if (what < 80)
      mark(m, front(m), WINDOW_SETTLED);
    else if (what < 85)
      mark(m, i, WINDOW_UNREAD);
    else if (what < 97)
      read_again(m);
    else if (what == 97 && !below(20))
      unread_all(m);
    else if (what == 98)
      save(m, snapshot);
    else if (what == 99 && !below(8))
      restart(m, snapshot);
    check(m);
  }
}

static void random_lives_agree_with_an_array(void **state) {
  (void)state;
  static struct model m;
  static struct snapshot snapshot;
  buf_init(&snapshot.bytes, SAVED_BYTES);
  for (uint64_t seed = 1; seed <= 40; seed++) {
    rand_seed(seed);
    model_init(&m, 1 + below(5));
    live(&m, &snapshot, 30 + below(36));
    window_fini(&m.window);
  }
  buf_fini(&snapshot.bytes);
}

// After each step of a life a restart is tried on the side: all that was settled is known, and nothing else.
static void check_restart(const struct model *m, struct buf *bytes) {
  struct window w = {0};
  uint64_t position;
  size_t used;
  bytes->len = 0;
  assert_true(window_save(&m->window, next_sequence(m), bytes));
  assert_true(window_restore(&w, buf_slice(bytes), &position, &used));
  for (size_t i = 0; i < RECORDS; i++) {
    if (m->sequence[i] < position) {
      assert_true(m->settled[i]);
      continue;
    }
    bool was = window_was_settled(&w, m->sequence[i]);
    if (m->sequence[i] > position)
      assert_int_equal(was, m->settled[i]);
    else
      assert_true(!was || m->settled[i]);
  }
  window_fini(&w);
}

static void a_restart_at_any_moment_knows_what_was_settled(void **state) {
  (void)state;
  static struct model m;
  struct buf bytes;
  static struct snapshot snapshot;
  buf_init(&bytes, SAVED_BYTES);
  buf_init(&snapshot.bytes, SAVED_BYTES);
  rand_seed(11);
  model_init(&m, 3);
  for (int step = 0; step < 1500; step++) {
    if (below(3))
      read_one(&m);
    else
      mark(&m, m.first + below(m.next - m.first + 1), WINDOW_SETTLED);
    check_restart(&m, &bytes);
    if (step % 100 != 99) continue;
    save(&m, &snapshot);
    restart(&m, &snapshot);
    check_restart(&m, &bytes); // a second one before anything was read
  }
  window_fini(&m.window);
  buf_fini(&bytes);
  buf_fini(&snapshot.bytes);
}

// Settled runs of an earlier life, a new life that stops in the middle of one, and one more.
static void runs_survive_restarts_before_they_are_come_to(void **state) {
  (void)state;
  struct window w = {0};
  struct buf bytes;
  uint64_t position;
  size_t used;
  buf_init(&bytes, SAVED_BYTES);
  for (uint64_t s = 1; s <= 100; s++) {
    assert_true(window_reserve(&w));
    window_push(&w, s, false);
  }
  for (uint64_t s = 11; s <= 90; s++)
    window_mark(&w, s - 1, WINDOW_SETTLED);
  for (int life = 0; life < 3; life++) {
    bytes.len = 0;
    assert_true(window_save(&w, life ? position : 101, &bytes));
    window_fini(&w);
    assert_true(window_restore(&w, buf_slice(&bytes), &position, &used));
    assert_int_equal(position, 1);
  }
  for (uint64_t s = 1; s <= 50; s++) {
    assert_int_equal(window_was_settled(&w, s), s > 10);
    assert_true(window_reserve(&w));
    window_push(&w, s, s > 10);
  }
  bytes.len = 0;
  assert_true(window_save(&w, 51, &bytes));
  window_fini(&w);
  assert_true(window_restore(&w, buf_slice(&bytes), &position, &used));
  for (uint64_t s = 1; s <= 100; s++)
    assert_int_equal(window_was_settled(&w, s), s > 10 && s <= 90);
  assert_null(w.runs); // forgotten when passed
  window_fini(&w);
  buf_fini(&bytes);
}

static void push_some(struct window *w, uint64_t from, uint64_t to, bool settled) {
  for (uint64_t s = from; s <= to; s++) {
    assert_true(window_reserve(w));
    window_push(w, s, settled);
  }
}

// Of a traced stream: nothing leaves before its trace is in hand, and a settled front is known after a restart, and the next one.
static void the_front_waits_at_the_gate(void **state) {
  (void)state;
  struct window w = {.traced = true};
  struct buf bytes;
  uint64_t position;
  size_t used;
  buf_init(&bytes, SAVED_BYTES);
  push_some(&w, 5, 9, true);
  push_some(&w, 10, 12, false);
  assert_int_equal(w.base, 0);
  window_open(&w, 2);
  assert_int_equal(window_position(&w, 13), 7);
  for (int life = 0; life < 3; life++) {
    bytes.len = 0;
    assert_true(window_save(&w, life ? position : 13, &bytes));
    window_fini(&w);
    assert_true(window_restore(&w, buf_slice(&bytes), &position, &used));
    assert_int_equal(used, bytes.len);
    assert_int_equal(position, 7);
    assert_true(w.traced);
  }
  for (uint64_t s = 7; s <= 12; s++) assert_int_equal(window_was_settled(&w, s), s < 10);
  push_some(&w, 7, 9, true);
  window_open(&w, UINT64_MAX);
  assert_int_equal(w.base, 3);
  push_some(&w, 10, 10, true);
  assert_int_equal(w.base, 4); // it is open
  window_fini(&w);
  buf_fini(&bytes);
}

static void a_bar_lasts_until_the_record_is_unread(void **state) {
  (void)state;
  struct window w = {.traced = true};
  push_some(&w, 1, 3, false);
  window_bar(&w, 1);
  window_mark(&w, 1, WINDOW_SETTLED);
  assert_true(window_barred(&w, 1));
  assert_false(window_barred(&w, 0));
  assert_int_equal(window_sequence(&w, 1), 2);
  window_mark(&w, 1, WINDOW_UNREAD);
  assert_false(window_barred(&w, 1));
  assert_int_equal(w.unread, 1);
  window_fini(&w);
}

static void save_example(struct buf *bytes) {
  struct window w = {0};
  for (uint64_t s = 0; s < 400; s++) {
    assert_true(window_reserve(&w));
    window_push(&w, 1000000 + 3 * s, false);
  }
  for (uint64_t s = 1; s < 400; s++)
    if (s % 7 > 2) window_mark(&w, s, WINDOW_SETTLED);
  assert_true(window_save(&w, UINT64_MAX >> 2, bytes));
  window_fini(&w);
}

// What is restored from any bytes can be asked and saved again.
static bool restore_and_use(const void *at, size_t len) {
  struct window w = {0};
  struct buf bytes;
  uint64_t position = 0;
  size_t used = 0;
  buf_init(&bytes, SAVED_BYTES);
  bool ok = window_restore(&w, slice_make(at, len), &position, &used);
  if (ok) assert_true(used <= len);
  window_save(&w, position, &bytes);
  for (uint64_t s = 1000000; s < 1002000; s += 5)
    window_was_settled(&w, s);
  window_save(&w, 1002000, &bytes);
  window_fini(&w);
  buf_fini(&bytes);
  return ok;
}

static void truncated_bytes_are_refused(void **state) {
  (void)state;
  struct buf bytes;
  buf_init(&bytes, SAVED_BYTES);
  save_example(&bytes);
  for (size_t len = 0; len < bytes.len; len++) {
    char *copy = mem_copy(bytes.at, len); // so that a sanitizer sees its end
    assert_false(restore_and_use(copy, len));
    mem_free(copy);
  }
  assert_true(restore_and_use(bytes.at, bytes.len));
  buf_fini(&bytes);
}

static void damaged_bytes_do_no_harm(void **state) {
  (void)state;
  struct buf bytes;
  unsigned char noise[200];
  buf_init(&bytes, SAVED_BYTES);
  rand_seed(5);
  for (int i = 0; i < 3000; i++) {
    bytes.len = 0;
    save_example(&bytes);
    for (size_t n = 1 + below(4); n; n--)
      bytes.at[below(bytes.len)] = (char)rand_u64();
    restore_and_use(bytes.at, bytes.len);
    for (size_t n = 0; n < sizeof noise; n++)
      noise[n] = (unsigned char)(below(3) ? rand_u64() : 0);
    restore_and_use(noise, below(sizeof noise + 1));
  }
  buf_fini(&bytes);
}

// Room is asked for before a record is taken, so that a refusal loses nothing.
static void without_memory_nothing_changes(void **state) {
  (void)state;
  struct window w = {0};
  struct buf bytes;
  uint64_t position;
  size_t used;
  uint64_t s = 0;
  for (int i = 0; i < 5000; i++) {
    mem_fail_at(1);
    bool room = window_reserve(&w);
    mem_fail_at(0);
    assert_int_equal(room, w.count < w.cap);
    assert_true(window_reserve(&w));
    window_push(&w, ++s, false);
    if (i % 3 == 0) window_mark(&w, (uint64_t)i, WINDOW_SETTLED);
  }
  for (s = 1; s <= 5000; s++)
    if (window_holds(&w, s - 1)) assert_int_equal(window_sequence(&w, s - 1), s);
  buf_init(&bytes, SAVED_BYTES);
  mem_fail_at(1);
  assert_false(window_save(&w, s, &bytes));
  mem_fail_at(0);
  assert_true(window_save(&w, s, &bytes));
  for (long nth = 1;; nth++) {
    struct window restored = {0};
    mem_fail_at(nth);
    bool ok = window_restore(&restored, buf_slice(&bytes), &position, &used);
    bool whole = mem_asked() < nth;
    mem_fail_at(0);
    assert_int_equal(ok, whole);
    window_fini(&restored);
    if (whole) break;
  }
  window_fini(&w);
  buf_fini(&bytes);
}

// Few entries are worth no allocation each time; more are, for thousands of streams keep theirs.
static void little_room_is_kept(void **state) {
  (void)state;
  struct window w = {0};
  for (uint64_t round = 0; round < 2; round++) {
    for (uint64_t s = 1; s <= 64; s++) {
      assert_true(window_reserve(&w));
      window_push(&w, round * 64 + s, false);
    }
    for (uint64_t o = 0; o < 64; o++)
      window_mark(&w, round * 64 + o, WINDOW_SETTLED);
    assert_int_equal(w.cap, 64);
  }
  for (uint64_t s = 129; s <= 129 + 64; s++) {
    assert_true(window_reserve(&w));
    window_push(&w, s, false);
  }
  for (uint64_t o = 128; o <= 128 + 64; o++)
    window_mark(&w, o, WINDOW_SETTLED);
  assert_int_equal(w.cap, 0);
  window_fini(&w);
}

static void the_room_of_a_burst_is_given_back(void **state) {
  (void)state;
  struct window w = {0};
  for (uint64_t s = 1; s <= 70000; s++) {
    assert_true(window_reserve(&w));
    window_push(&w, s, false);
  }
  for (uint64_t o = 70000; o-- > 0;)
    window_mark(&w, o, WINDOW_SETTLED);
  assert_int_equal(w.cap, 0);
  assert_int_equal(window_end(&w), 70000);
  assert_int_equal(window_position(&w, 70001), 70001);
  window_push(&w, 70001, true); // with nothing before it, a settled one needs no room
  assert_int_equal(w.cap, 0);
  assert_int_equal(window_end(&w), 70001);
  window_fini(&w);
  window_fini(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_lives_agree_with_an_array),
      cmocka_unit_test(a_restart_at_any_moment_knows_what_was_settled),
      cmocka_unit_test(runs_survive_restarts_before_they_are_come_to),
      cmocka_unit_test(the_front_waits_at_the_gate),
      cmocka_unit_test(a_bar_lasts_until_the_record_is_unread),
      cmocka_unit_test(truncated_bytes_are_refused),
      cmocka_unit_test(damaged_bytes_do_no_harm),
      cmocka_unit_test(without_memory_nothing_changes),
      cmocka_unit_test(little_room_is_kept),
      cmocka_unit_test(the_room_of_a_burst_is_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
