// Proves that a text held against the shapes of those before gives the tape, or the fault, that a parse from
// scratch gives, whatever has been done to it.
#include "base/buf.h"
#include "base/json_tape.h"
#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_cases.h"
#include "json_support.h"

enum { ENOUGH = 40, TEXT_MAX = 2000 }; // parses after which a tape has learned what it sees again and again

static const char *const records[] = {
    json_sample,
    "{\"id\":174000001,\"alert\":false,\"description\":\"Endpoint '135' \\\"quoted\\\" \\\\ "
    "path.\",\"event_type\":"
    "{\"id\":1,\"description\":\"Update "
    "location\"},\"organisation\":{\"id\":80025,\"name\":\"Customer\"},\"detail\":"
    "{\"id\":5,\"tapcode\":[{\"id\":2,\"tapcode\":\"DEUD2\"}],\"mnc\":[null,true],\"a_key_of_more_than_two_"
    "blocks_of_a"
    "_vector\":[],\"apn\":{}},\"end\":\"2026-11-20T00:00:00.049+0000\"}",
    " { \"a\" : [ 1 , -2.5e3 , \"x\" ] , \"a\" : { \"b\" : null , \"\\u0061\" : \"\xe2\x82\xac\" } , \"e\" : "
    "[ ] }\n",
    "[[],{},[[1,[\"b\",{\"c\":[]}]]],\"0123456789abcdef0123456789abcdef0123456789\",0.0000000000001,-0]",
};
enum { RECORDS = sizeof records / sizeof *records };

static void learn(struct json_tape *t, struct slice text) {
  struct json_fault fault;
  for (int i = 0; i < ENOUGH; i++)
    json_tape_parse(t, text, &fault);
}

// One parse by the tape that knows shapes, and one by a tape that knows none.
static bool same_as_fresh(struct json_tape *t, struct slice text) {
  struct json_tape fresh;
  struct json_fault want, got;
  json_tape_init(&fresh);
  char *exact = malloc(text.len + 1); // nothing behind it, so that a sanitizer sees every read too far
  struct slice copy = slice_make(exact + 1, text.len);
  memcpy(exact + 1, text.at, text.len);
  fresh.max_depth = t->max_depth;
  fresh.max_bytes = t->max_bytes;
  bool wanted = json_tape_parse(&fresh, copy, &want), taken = json_tape_parse(t, copy, &got);
  bool same = wanted == taken && want.kind == got.kind && want.at == got.at && want.what == got.what &&
              fresh.count == t->count &&
              (!taken || memcmp(fresh.entries, t->entries, t->count * sizeof *t->entries) == 0);
  assert_true(fresh.shape == 0);
  json_tape_fini(&fresh);
  free(exact);
  return same;
}

static void mutate(char *text, size_t *len) {
  static const char bytes[] = "{}[]\",:\\/ \t\n0123456789-+.eEnulltruefalse\x1f\x7f\x80\xc2\xe2\xff";
  size_t at = rand_u64() % (*len + 1), some = rand_u64() % 24;
  char byte = bytes[rand_u64() % (sizeof bytes - 1)];
  if (some > *len - at) some = *len - at;
  switch (rand_u64() % 6) {
  case 0: // a byte is another one
    if (at < *len) text[at] = byte;
    break;
  case 1: // one more
    memmove(text + at + 1, text + at, (*len)++ - at);
    text[at] = byte;
    break;
  case 2: // some are gone
    memmove(text + at, text + at + some, *len - at - some);
    *len -= some;
    break;
  case 3: // some stand there twice
    memmove(text + at + some, text + at, *len - at);
    *len += some;
    break;
  case 4: // the end is gone
    *len = at;
    break;
  default: // a value, or what looks like one, becomes another
    for (; at < *len && text[at] != ':'; at++) {
    }
    static const char *const values[] = {"null", "true", "1",         "-1.5", "\"x\"",
                                         "[]",   "{}",   "{\"a\":1}", "01",   "\"\\u00"};
    const char *value = values[rand_u64() % (sizeof values / sizeof *values)];
    if (at == *len) break;
    size_t behind = ++at;
    while (behind < *len && !strchr(",}]", text[behind]))
      behind++;
    memmove(text + at + strlen(value), text + behind, *len - behind);
    memcpy(text + at, value, strlen(value));
    *len = *len - (behind - at) + strlen(value);
  }
}

static void a_mutated_text_is_what_it_is_to_a_fresh_tape(void **state) {
  (void)state;
  unsigned known = 0;
  rand_seed(11);
  for (int round = 0; round < 400; round++) {
    struct json_tape t;
    json_tape_init(&t);
    for (int r = 0; r <= round % RECORDS; r++)
      learn(&t, slice_of(records[r]));
    for (int i = 0; i < 40; i++) {
      char text[TEXT_MAX];
      size_t len = strlen(records[i % RECORDS]);
      memcpy(text, records[i % RECORDS], len);
      for (uint64_t left = rand_u64() % 3; left; left--)
        mutate(text, &len);
      if (!same_as_fresh(&t, slice_make(text, len))) fail_msg("round %d: %.*s", round, (int)len, text);
      known += t.shape != 0;
    }
    json_tape_fini(&t);
  }
  assert_true(known > 3000); // or nothing has been proved
}

static void every_case_is_judged_the_same_when_it_is_known(void **state) {
  (void)state;
  struct json_tape t;
  json_tape_init(&t);
  for (size_t i = 0; i < sizeof valid_cases / sizeof *valid_cases; i++) {
    struct slice text = slice_make(valid_cases[i].text, valid_cases[i].len);
    learn(&t, text);
    assert_true(same_as_fresh(&t, text));
  }
  for (size_t i = 0; i < sizeof invalid_cases / sizeof *invalid_cases; i++)
    assert_true(same_as_fresh(&t, slice_make(invalid_cases[i].text, invalid_cases[i].len)));
  json_tape_fini(&t);
}

// Every scalar in every place of a known shape: kinds and lengths differ, the shape is the same one.
static void the_shape_is_one_whatever_the_scalars_are(void **state) {
  (void)state;
  static const char *const scalars[] = {"null",
                                        "true",
                                        "false",
                                        "0",
                                        "-1",
                                        "1e5",
                                        "0.25",
                                        "123456789012345678",
                                        "\"\"",
                                        "\"0123456789abcdef\"",
                                        "\"a\\n\"",
                                        "\"\xe2\x82\xac\"",
                                        "\"0123456789abcdef0123456789abcdef0123456789\""};
  enum { SCALARS = sizeof scalars / sizeof *scalars };
  struct json_tape t;
  json_tape_init(&t);
  learn(&t, slice_of("{\"a\":1,\"b\":{\"c\":[2,3]},\"d\":4}"));
  uint64_t shape = t.shape;
  assert_true(shape != 0);
  for (int i = 0; i < SCALARS * SCALARS * SCALARS; i++) {
    const char *a = scalars[i % SCALARS], *b = scalars[i / SCALARS % SCALARS],
               *c = scalars[i / SCALARS / SCALARS];
    char text[300];
    snprintf(text, sizeof text, "{\"a\":%s,\"b\":{\"c\":[%s,%s]},\"d\":%s}", a, b, c, a);
    assert_true(same_as_fresh(&t, slice_of(text)));
    assert_true(t.shape == shape);
  }
  assert_true(same_as_fresh(&t, slice_of("{\"a\":1,\"b\":{\"c\":[2,[]]},\"d\":4}")));
  assert_true(t.shape == 0);
  json_tape_fini(&t);
}

// Whatever follows the value, it ends where it ends.
static void what_stands_behind_a_known_text_is_not_taken(void **state) {
  (void)state;
  static const char *const texts[] = {"{}", "[]", "[[],{}]", "[1]", "{\"a\":{}}", "{\"a\":\"b\"}"};
  static const char *const tails[] = {"", ",", "\"0123456789\"", "7", " null", "}]", "{\"a\":1}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts * (sizeof tails / sizeof *tails); i++) {
    char text[200];
    struct json_tape t, fresh;
    struct json_fault fault;
    size_t used = 0, wanted = strlen(texts[i % 6]);
    snprintf(text, sizeof text, "%s%s%80s", texts[i % 6], tails[i / 6], "");
    json_tape_init(&t);
    json_tape_init(&fresh);
    learn(&t, slice_of(texts[i % 6]));
    assert_true(json_tape_parse_first(&t, slice_of(text), &used, &fault));
    assert_true(t.shape != 0);
    assert_int_equal(used, wanted);
    assert_true(json_tape_parse_first(&fresh, slice_of(text), &used, &fault));
    assert_int_equal(used, wanted);
    assert_int_equal(t.count, fresh.count);
    assert_memory_equal(t.entries, fresh.entries, t.count * sizeof *t.entries);
    json_tape_fini(&t);
    json_tape_fini(&fresh);
  }
}

static void limits_hold_for_known_shapes(void **state) {
  (void)state;
  struct slice text = slice_of("{\"a\":[1,2],\"b\":\"text\"}");
  struct json_tape t;
  json_tape_init(&t);
  learn(&t, text);
  for (t.max_bytes = 1; t.max_bytes <= text.len; t.max_bytes++)
    assert_true(same_as_fresh(&t, text));
  t.max_bytes = 0;
  learn(&t, text);
  assert_true(t.shape != 0);
  t.max_depth = 1;
  assert_true(same_as_fresh(&t, text));
  assert_int_equal(t.count, 0);
  t.max_depth = 2;
  assert_true(same_as_fresh(&t, text));
  assert_int_equal(t.count, 7);
  json_tape_fini(&t);
}

// Texts that never repeat, or are too large to be kept, put the shapes to rest; those that repeat wake them.
static void room_is_bounded_and_what_repeats_is_learned_again(void **state) {
  (void)state;
  struct buf b;
  struct json_tape t;
  json_tape_init(&t);
  buf_init(&b, 1 << 20);
  for (int i = 0; i < 3000; i++) {
    b.len = 0;
    buf_append_text(&b, "{\"first\":1");
    for (int k = 0; k < i % 700; k++) {
      char member[60];
      snprintf(member, sizeof member, ",\"k%d_%d\":{\"id\":%d}", i % 23, k, i);
      buf_append_text(&b, member);
    }
    buf_append_text(&b, "}");
    if (!same_as_fresh(&t, buf_slice(&b))) fail_msg("text %d", i);
  }
  struct json_fault fault;
  for (int i = 0; i < 20000; i++)
    json_tape_parse(&t, slice_of(json_sample), &fault);
  assert_true(t.shape != 0);
  assert_true(same_as_fresh(&t, slice_of(json_sample)));
  buf_fini(&b);
  json_tape_fini(&t);
}

static void without_memory_texts_are_parsed(void **state) {
  (void)state;
  struct json_tape t;
  struct json_fault fault;
  json_tape_init(&t);
  assert_true(json_tape_parse(&t, slice_of(json_sample), &fault));
  for (int i = 0; i < ENOUGH; i++) {
    mem_fail_at(1);
    assert_true(json_tape_parse(&t, slice_of(json_sample), &fault));
    mem_fail_at(0);
    assert_true(t.shape == 0);
  }
  learn(&t, slice_of(json_sample));
  assert_true(t.shape != 0);
  json_tape_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mutated_text_is_what_it_is_to_a_fresh_tape),
      cmocka_unit_test(every_case_is_judged_the_same_when_it_is_known),
      cmocka_unit_test(the_shape_is_one_whatever_the_scalars_are),
      cmocka_unit_test(what_stands_behind_a_known_text_is_not_taken),
      cmocka_unit_test(limits_hold_for_known_shapes),
      cmocka_unit_test(room_is_bounded_and_what_repeats_is_learned_again),
      cmocka_unit_test(without_memory_texts_are_parsed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
