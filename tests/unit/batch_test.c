// Proves that a batch frames what is put in, gives its parts and its memory back to the byte, and can be
// emptied and filled again under the same name.
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "flow/batch.h"
#include "journal/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 1 << 20 };

static struct budget budget = {.limit = 64 << 20};

static struct batch *new_batch(enum sink_framing framing) {
  struct batch *b = batch_new(&budget, framing, MAX_BYTES);
  assert_non_null(b);
  return b;
}

static struct batch_output output_of(uint64_t sequence, uint32_t number, bool last, const char *body) {
  return (struct batch_output){.ordinal = sequence - 1,
                               .sequence = sequence,
                               .id = (int64_t)sequence + 7,
                               .received_ms = (int64_t)sequence,
                               .body = slice_of(body),
                               .number = number,
                               .kind = RECORD_USAGE,
                               .last = last};
}

static void add(struct batch *b, uint64_t sequence, const char *body) {
  struct batch_output output = output_of(sequence, 0, true, body);
  assert_true(batch_add(b, &output));
}

static void assert_bytes(const struct batch *b, const char *expected) {
  assert_int_equal(b->bytes.len, strlen(expected));
  assert_memory_equal(b->bytes.at, expected, b->bytes.len);
}

static int budget_is_even(void **state) {
  (void)state;
  return (int)atomic_load(&budget.used); // after every test nothing is left
}

static const struct {
  enum sink_framing framing;
  const char *one, *three; // sealed
} framings[] = {
    {SINK_ONE, "{\"a\":1}", NULL},
    {SINK_ARRAY, "[{\"a\":1}]", "[{\"a\":1},2,\"c\"]"},
    {SINK_LINES, "{\"a\":1}\n", "{\"a\":1}\n2\n\"c\"\n"},
    {SINK_CUSTOM, "{\"a\":1}", "{\"a\":1}2\"c\""},
};

static void bodies_are_framed_as_they_come(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof framings / sizeof *framings; i++) {
    struct batch *b = new_batch(framings[i].framing);
    add(b, 5, "{\"a\":1}");
    if (framings[i].three) {
      add(b, 6, "2");
      add(b, 9, "\"c\"");
    }
    assert_true(batch_seal(b));
    assert_true(batch_seal(b)); // once
    assert_bytes(b, framings[i].three ? framings[i].three : framings[i].one);
    assert_int_equal(b->body_bytes, framings[i].three ? 11 : 7);
    assert_true(slice_is(batch_item_body(b, 0), "{\"a\":1}"));
    if (framings[i].three) assert_true(slice_is(batch_item_body(b, 2), "\"c\""));
    batch_free(b);

    b = new_batch(framings[i].framing);
    add(b, 5, "{\"a\":1}");
    assert_true(batch_seal(b));
    assert_bytes(b, framings[i].one);
    batch_free(b);
  }
}

static void a_batch_knows_what_it_holds(void **state) {
  (void)state;
  struct batch *b = new_batch(SINK_CUSTOM);
  clock_set_ms(777);
  struct batch_output output = output_of(41, 3, false, "body");
  output.key = slice_of("key");
  assert_true(batch_add(b, &output));
  clock_set_ms(888);
  add(b, 44, "x");
  clock_set_ms(0);
  const struct batch_item *item = &b->items[0];
  assert_int_equal(b->count, 2);
  assert_int_equal(b->first, 41);
  assert_int_equal(b->last, 44);
  assert_int_equal(b->first_number, 3);
  assert_int_equal(b->begun_ms, 777);
  assert_int_equal(b->received_ms, 44);
  assert_int_equal(item->ordinal, 40);
  assert_int_equal(item->sequence, 41);
  assert_int_equal(item->id, 48);
  assert_int_equal(item->kind, RECORD_USAGE);
  assert_false(item->last);
  assert_true(slice_is(batch_item_key(b, 0), "key"));
  assert_true(slice_is(batch_item_body(b, 0), "body"));
  assert_int_equal(batch_item_key(b, 1).len, 0);
  assert_int_equal(b->body_bytes, 5); // keys are not part of the body
  batch_free(b);
  batch_free(NULL);
}

static void its_memory_is_on_the_budget(void **state) {
  (void)state;
  char body[1000];
  memset(body, 'x', sizeof body - 1);
  body[sizeof body - 1] = 0;
  struct batch *b = new_batch(SINK_ARRAY);
  assert_int_equal(atomic_load(&budget.used), 0);
  for (uint64_t s = 1; s <= 500; s++) {
    add(b, s, body);
    assert_int_equal(atomic_load(&budget.used), b->bytes.cap + b->cap * sizeof *b->items);
    assert_true(atomic_load(&budget.used) >= b->body_bytes);
  }
  assert_int_equal(batch_hollow(b), 500);
  assert_int_equal(atomic_load(&budget.used), 0);
  batch_free(b);
}

static void more_than_its_maximum_is_refused_and_what_it_has_stays(void **state) {
  (void)state;
  struct batch *b = batch_new(&budget, SINK_ARRAY, 1000);
  static char body[401];
  memset(body, '7', 400);
  add(b, 1, body);
  add(b, 2, body);
  struct batch_output output = output_of(3, 0, true, body);
  assert_false(batch_add(b, &output));
  assert_int_equal(b->count, 2);
  assert_int_equal(b->last, 2);
  assert_int_equal(b->body_bytes, 800);
  assert_true(batch_seal(b)); // there is always room for the framing
  assert_int_equal(b->bytes.len, 803);
  batch_free(b);
}

// ---- parts ----

static struct batch *numbered(enum sink_framing framing, uint64_t first, uint32_t count) {
  struct batch *b = new_batch(framing);
  char body[24];
  for (uint32_t i = 0; i < count; i++) {
    snprintf(body, sizeof body, "%llu", (unsigned long long)(first + i));
    add(b, first + i, body);
  }
  return b;
}

static void assert_same_items(const struct batch *b, const struct batch *of, uint32_t from) {
  for (uint32_t i = 0; i < b->count; i++) {
    struct batch_item left = b->items[i], right = of->items[from + i];
    assert_int_equal(left.ordinal, right.ordinal);
    assert_int_equal(left.sequence, right.sequence);
    assert_int_equal(left.id, right.id);
    assert_int_equal(left.number, right.number);
    assert_int_equal(left.kind, right.kind);
    assert_int_equal(left.bucket, right.bucket);
    assert_int_equal(left.last, right.last);
    assert_true(slice_equal(batch_item_body(b, i), batch_item_body(of, from + i)));
    assert_true(slice_equal(batch_item_key(b, i), batch_item_key(of, from + i)));
  }
}

static void parts_are_batches_of_their_own(void **state) {
  (void)state;
  clock_set_ms(777);
  struct batch *whole = numbered(SINK_ARRAY, 7, 5);
  clock_set_ms(0);
  assert_true(batch_seal(whole));
  batch_name(whole, "st_x");
  for (uint32_t from = 0; from < 5; from++)
    for (uint32_t to = from + 1; to <= 5; to++) {
      struct batch *part = batch_part(whole, from, to);
      assert_non_null(part);
      assert_int_equal(part->count, to - from);
      assert_int_equal(part->first, 7 + from);
      assert_int_equal(part->last, 7 + to - 1);
      assert_int_equal(part->begun_ms, 777);
      assert_int_equal(part->received_ms, whole->received_ms); // the newest of the whole: none of it is newer
      assert_int_equal(part->id[0], 0);                        // not the whole's
      assert_false(part->sealed);
      assert_same_items(part, whole, from);
      batch_free(part);
    }
  struct batch *first = batch_part(whole, 0, 2);
  assert_true(batch_seal(first));
  assert_bytes(first, "[7,8]");
  batch_free(first);
  batch_free(whole);
}

// Items leave from anywhere: those that stay keep order, keys and name, and need no memory for it.
static void items_that_are_done_with_leave_and_the_others_stay(void **state) {
  (void)state;
  static const enum sink_framing all[] = {SINK_ARRAY, SINK_LINES, SINK_CUSTOM};
  for (unsigned stays = 1; stays < 1 << 5; stays++)
    for (size_t f = 0; f < 3; f++) {
      struct batch *b = new_batch(all[f]), *same = new_batch(all[f]);
      for (uint64_t s = 1; s <= 5; s++) {
        char body[24];
        snprintf(body, sizeof body, "%0*llu", (int)s, (unsigned long long)s);
        struct batch_output output = output_of(s, (uint32_t)s % 2, s % 2, body);
        if (all[f] == SINK_CUSTOM) output.key = slice_of(s % 3 ? "key" : "");
        assert_true(batch_add(b, &output));
        if (stays >> (s - 1) & 1) assert_true(batch_add(same, &output));
        else b->items[s - 1].gone = true;
      }
      assert_true(batch_seal(b) && batch_seal(same));
      batch_name(b, "st_x");
      mem_fail_at(1);
      batch_shrink(b);
      assert_true(batch_seal(b));
      assert_int_equal(mem_asked(), 0);
      mem_fail_at(0);
      assert_int_equal(b->count, same->count);
      assert_same_items(b, same, 0);
      assert_true(slice_equal(buf_slice(&b->bytes), buf_slice(&same->bytes)));
      assert_int_equal(b->first, same->first);
      assert_int_equal(b->first_number, same->first_number);
      assert_int_equal(b->last, same->last);
      assert_int_equal(b->body_bytes, same->body_bytes);
      assert_string_equal(b->id, "st_x-1-5.1");
      batch_free(b);
      batch_free(same);
    }
}

static void a_view_shows_what_hooks_may_see(void **state) {
  (void)state;
  struct batch *b = numbered(SINK_ARRAY, 7, 2);
  b->attempt = 3;
  batch_name(b, "st_x");
  clock_set_ms(777);
  struct sink_batch view = batch_view(b);
  clock_set_ms(0);
  struct sink_item room;
  assert_string_equal(view.id, "st_x-7-8");
  assert_string_equal(view.kind, "usage");
  assert_int_equal(view.attempt, 3);
  assert_int_equal(view.now_ms, 777);
  assert_int_equal(view.record_count, 2);
  assert_true(slice_is(view.item(&view, 1, &room)->body, "8"));
  assert_null(view.note);
  b->items[1].kind = RECORD_EVENT;
  b->has_note = true;
  strcpy(b->note, "n");
  view = batch_view(b);
  assert_string_equal(view.kind, "mixed");
  assert_string_equal(view.note, "n");
  batch_free(b);
}

// ---- names ----

static void assert_name(struct batch *b, const char *expected) {
  batch_name(b, "st_4f1c");
  assert_string_equal(b->id, expected);
}

static void a_name_says_which_records(void **state) {
  (void)state;
  struct batch *one = numbered(SINK_ONE, 12, 1), *many = numbered(SINK_ARRAY, 12, 4),
               *late = new_batch(SINK_ARRAY);
  struct batch_output output = output_of(UINT64_MAX >> 2, UINT32_MAX, true, "1");
  assert_name(one, "st_4f1c-12");
  assert_name(many, "st_4f1c-12-15");
  add(many, 20, "1");
  assert_name(many, "st_4f1c-12-15"); // it never changes
  assert_true(batch_add(late, &output));
  output.sequence++;
  assert_true(batch_add(late, &output));
  assert_name(late, "st_4f1c-4611686018427387903-4611686018427387904.4294967295"); // the longest: of the
                                                                                   // second further output
  batch_free(one);
  batch_free(many);
  batch_free(late);
}

static void the_same_records_have_the_same_name(void **state) {
  (void)state;
  struct batch *first = numbered(SINK_ARRAY, 100, 8), *again = numbered(SINK_ARRAY, 100, 8);
  batch_name(first, "st_a");
  batch_name(again, "st_a");
  assert_string_equal(first->id, again->id);
  struct batch *left = batch_part(first, 0, 4), *right = batch_part(first, 4, 8);
  batch_name(left, "st_a");
  batch_name(right, "st_a");
  assert_string_not_equal(left->id, first->id);
  assert_string_not_equal(left->id, right->id);
  batch_free(left);
  batch_free(right);
  batch_free(first);
  batch_free(again);
}

// Three outputs of one record in three batches, as a sink that takes one record a request makes them.
static void outputs_of_one_record_have_names_of_their_own(void **state) {
  (void)state;
  static const char *const names[] = {"st_a-5", "st_a-5.1", "st_a-5.2"};
  for (uint32_t i = 0; i < 3; i++) {
    struct batch *b = new_batch(SINK_ONE);
    struct batch_output output = output_of(5, i, i == 2, "{}");
    assert_true(batch_add(b, &output));
    batch_name(b, "st_a");
    assert_string_equal(b->id, names[i]);
    batch_free(b);
  }
}

// ---- hollow ----

static void a_hollow_batch_keeps_name_and_range(void **state) {
  (void)state;
  struct batch *b = numbered(SINK_ARRAY, 30, 6);
  assert_true(batch_seal(b));
  batch_name(b, "st_a");
  b->attempt = b->failures = 3;
  assert_int_equal(batch_hollow(b), 6);
  assert_true(b->hollow);
  assert_false(b->sealed);
  assert_int_equal(b->count, 0);
  assert_int_equal(b->body_bytes, 0);
  assert_int_equal(b->missing, 6);
  assert_int_equal(b->first, 30);
  assert_int_equal(b->last, 35);
  assert_int_equal(b->attempt, 3);
  assert_string_equal(b->id, "st_a-30-35");
  int64_t begun = b->begun_ms;
  for (uint64_t s = 30; s < 35; s++)
    add(b, s, "9"); // one of them has no output now
  assert_int_equal(b->begun_ms, begun);
  assert_int_equal(b->first, 30);
  assert_int_equal(b->last, 35);
  assert_true(batch_seal(b));
  assert_bytes(b, "[9,9,9,9,9]");
  batch_free(b);
}

static void a_half_filled_one_can_be_emptied_again(void **state) {
  (void)state;
  struct batch *b = numbered(SINK_LINES, 1, 5);
  batch_hollow(b);
  add(b, 1, "a");
  b->missing--;
  add(b, 2, "b");
  b->missing--;
  assert_int_equal(batch_hollow(b), 5); // the two that had come, and the three that had not
  assert_int_equal(b->last, 5);
  batch_free(b);
}

// A record's first outputs at the end of a batch whose last ones are in the next: it is made again behind the
// batch.
static void a_record_that_only_begins_in_it_is_not_waited_for(void **state) {
  (void)state;
  struct batch *b = numbered(SINK_ARRAY, 1, 2), *beginning = new_batch(SINK_ONE);
  struct batch_output output = output_of(3, 0, false, "{}");
  assert_true(batch_add(b, &output));
  assert_true(batch_add(beginning, &output));
  assert_int_equal(b->last, 3);
  assert_int_equal(batch_hollow(b), 2);
  assert_int_equal(b->last, 2);
  assert_int_equal(batch_hollow(beginning), 0);
  batch_free(b);
  batch_free(beginning);
}

// ---- random, and without memory ----

static void random_batches_hold_what_was_put_in(void **state) {
  (void)state;
  static char text[MAX_BYTES];
  rand_seed(3);
  for (int round = 0; round < 200; round++) {
    struct batch *b = new_batch(rand_u64() % 2 ? SINK_ARRAY : SINK_LINES);
    size_t len = 0, count = 1 + rand_u64() % 300;
    for (size_t i = 0; i < count; i++) {
      char body[64];
      int wrote = snprintf(body, sizeof body, "\"%0*d\"", (int)(1 + rand_u64() % 60), (int)(i % 1000));
      if (wrote >= (int)sizeof body) body[sizeof body - 2] = '"';
      add(b, i + 1, body);
      len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                              i                          ? (b->framing == SINK_ARRAY ? "," : "\n")
                              : b->framing == SINK_ARRAY ? "["
                                                         : "",
                              body);
    }
    len += (size_t)snprintf(text + len, sizeof text - len, "%s", b->framing == SINK_ARRAY ? "]" : "\n");
    assert_true(batch_seal(b));
    assert_int_equal(b->bytes.len, len);
    assert_memory_equal(b->bytes.at, text, len);
    batch_free(b);
  }
}

// The nth allocation fails while a batch is filled and halved: each refusal leaves it whole, and nothing is
// left on the budget.
static void without_memory_nothing_is_half_added(void **state) {
  (void)state;
  for (long nth = 1; nth < 60; nth++) {
    mem_fail_at(nth);
    struct batch *b = batch_new(&budget, SINK_ARRAY, MAX_BYTES), *half = NULL;
    uint32_t added = 0;
    for (uint64_t s = 1; b && s <= 300; s++) {
      struct batch_output output = output_of(s, 0, true, "1234567890");
      added += batch_add(b, &output);
      assert_int_equal(b->count, added);
      assert_int_equal(b->body_bytes, added * 10);
    }
    if (b && batch_seal(b)) half = batch_part(b, 0, b->count / 2);
    mem_fail_at(0);
    if (b) {
      assert_true(added >= 299); // one was refused at most
      for (uint32_t i = 0; i < b->count; i++)
        assert_true(slice_is(batch_item_body(b, i), "1234567890"));
      assert_int_equal(half ? half->count : 0, half ? b->count / 2 : 0);
    }
    batch_free(half);
    batch_free(b);
    assert_int_equal(atomic_load(&budget.used), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(bodies_are_framed_as_they_come, budget_is_even),
      cmocka_unit_test_teardown(a_batch_knows_what_it_holds, budget_is_even),
      cmocka_unit_test_teardown(its_memory_is_on_the_budget, budget_is_even),
      cmocka_unit_test_teardown(more_than_its_maximum_is_refused_and_what_it_has_stays, budget_is_even),
      cmocka_unit_test_teardown(parts_are_batches_of_their_own, budget_is_even),
      cmocka_unit_test_teardown(items_that_are_done_with_leave_and_the_others_stay, budget_is_even),
      cmocka_unit_test_teardown(a_view_shows_what_hooks_may_see, budget_is_even),
      cmocka_unit_test_teardown(a_name_says_which_records, budget_is_even),
      cmocka_unit_test_teardown(the_same_records_have_the_same_name, budget_is_even),
      cmocka_unit_test_teardown(outputs_of_one_record_have_names_of_their_own, budget_is_even),
      cmocka_unit_test_teardown(a_hollow_batch_keeps_name_and_range, budget_is_even),
      cmocka_unit_test_teardown(a_half_filled_one_can_be_emptied_again, budget_is_even),
      cmocka_unit_test_teardown(a_record_that_only_begins_in_it_is_not_waited_for, budget_is_even),
      cmocka_unit_test_teardown(random_batches_hold_what_was_put_in, budget_is_even),
      cmocka_unit_test_teardown(without_memory_nothing_is_half_added, budget_is_even),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
