// record_test.c - proves that a record's header is read right, and refused in words, from every shape a
// sender may use.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "journal/record.h"

static bool read_text(const char *text, struct record_header *out, struct err *err) {
  struct json_tape tape;
  struct json_fault fault;
  json_tape_init(&tape);
  assert_true(json_tape_parse(&tape, slice_of(text), &fault));
  *out = (struct record_header){.sequence = 7, .offset = 8, .length = 9, .event_type = 99};
  *err = (struct err){0};
  bool ok = record_read_header(&tape, out, err);
  json_tape_fini(&tape);
  return ok;
}

static void reads_an_event(void **state) {
  // Proves: every field of an event's header is taken, exactly, and what is the journal's is left alone.
  (void)state;
  struct record_header h;
  struct err err;
  assert_true(read_text("{\"event_type\":{\"id\":5},\"endpoint\":{\"name\":\"id\",\"id\":8638726},"
                        "\"organisation\":{\"id\":-80025},\"id\":9007199254740993}",
                        &h, &err));
  assert_int_equal(h.kind, RECORD_EVENT);
  assert_int_equal(h.event_type, 5);
  assert_int_equal(h.endpoint, 8638726);
  assert_int_equal(h.organisation, -80025);
  assert_true(h.id == INT64_C(9007199254740993));
  assert_int_equal(h.sequence, 7);
  assert_int_equal(h.offset, 8);
  assert_int_equal(h.length, 9);
}

static void tells_kinds_apart(void **state) {
  // Proves: event_type makes an event; start_timestamp or volume without it a usage record; null counts as
  // absent.
  (void)state;
  static const struct {
    const char *rest;
    int kind, type;
  } cases[] = {
      {"\"volume\":{}", RECORD_USAGE, 0},
      {"\"start_timestamp\":\"2019-12-11T05:49:29\"", RECORD_USAGE, 0},
      {"\"event_type\":null,\"volume\":1", RECORD_USAGE, 0},
      {"\"volume\":{},\"event_type\":{\"id\":65535}", RECORD_EVENT, 65535},
      {"\"event_type\":{\"id\":65536}", RECORD_EVENT, 0},
      {"\"event_type\":{\"id\":-1}", RECORD_EVENT, 0},
      {"\"event_type\":{\"id\":\"5\"}", RECORD_EVENT, 0},
      {"\"event_type\":5", RECORD_EVENT, 0},
      {"\"event_type\":{\"id\":1},\"event_type\":{\"id\":2}", RECORD_EVENT, 2},
      {"\"event\\u005ftype\":{\"\\u0069d\":6}", RECORD_EVENT, 6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256];
    struct record_header h;
    struct err err;
    snprintf(text, sizeof text, "{\"id\":1,\"organisation\":{\"id\":2},%s}", cases[i].rest);
    assert_true(read_text(text, &h, &err));
    assert_int_equal(h.kind, cases[i].kind);
    assert_int_equal(h.event_type, cases[i].type);
    assert_int_equal(h.id, 1);
    assert_int_equal(h.organisation, 2);
    assert_int_equal(h.endpoint, 0);
  }
}

static int64_t key_of_endpoint(const char *id) {
  char text[256];
  struct record_header h;
  struct err err;
  snprintf(text, sizeof text, "{\"id\":1,\"organisation\":{\"id\":2},\"volume\":1,\"endpoint\":{\"id\":%s}}", id);
  assert_true(read_text(text, &h, &err));
  return h.endpoint;
}

static void every_endpoint_has_an_order(void **state) {
  (void)state;
  assert_int_equal(key_of_endpoint("7"), 7);
  assert_int_equal(key_of_endpoint("null"), 0);
  static const char *const others[] = {"0", "\"abc\"", "\"abd\"", "1.5", "99999999999999999999"};
  for (size_t i = 0; i < 5; i++) {
    assert_int_not_equal(key_of_endpoint(others[i]), 0);
    assert_int_equal(key_of_endpoint(others[i]), key_of_endpoint(others[i]));
    assert_int_not_equal(key_of_endpoint(others[i]), key_of_endpoint(others[(i + 1) % 5]));
  }
}

static void reads_records_of_known_shapes(void **state) {
  // Proves: one tape and its shapes give what a fresh tape gives, record by record, whatever kinds the
  // scalars have.
  (void)state;
  static const char *const texts[] = {
      "{\"id\":%d,\"organisation\":{\"id\":%d},\"volume\":%s}",
      "{\"event_type\":{\"id\":%d},\"id\":%d,\"organisation\":{\"name\":%s,\"id\":4}}",
      "{\"id\":%d,\"endpoint\":{\"id\":%d},\"organisation\":{\"id\":5},\"event_type\":%s,\"volume\":1}",
      "{\"id\":1,\"id\":%d,\"organisation\":{\"id\":%d},\"event_type\":{\"id\":%s}}",
      "{\"id\":%d,\"organisation\":%d,\"volume\":%s}",
  };
  static const char *const values[] = {"null", "7", "1.5", "\"x\"", "true"};
  struct json_tape tape;
  unsigned known = 0;
  json_tape_init(&tape);
  for (int i = 0; i < 500; i++) {
    char text[256];
    struct json_fault fault;
    struct record_header want, got = {.sequence = 7, .offset = 8, .length = 9};
    struct err wrong, err = {0};
    snprintf(text, sizeof text, texts[i % 5], 10 + i, 1000 + i, values[i / 5 % 5]);
    bool wanted = read_text(text, &want, &wrong);
    assert_true(json_tape_parse(&tape, slice_of(text), &fault));
    known += tape.shape != 0;
    assert_int_equal(record_read_header(&tape, &got, &err), wanted);
    assert_string_equal(err.text, wrong.text);
    if (wanted) assert_memory_equal(&got, &want, sizeof got);
  }
  assert_true(known > 400);
  json_tape_fini(&tape);
}

static void refuses_in_words(void **state) {
  // Proves: each fault of a record is named to its sender.
  (void)state;
  static const struct {
    const char *text, *why;
  } cases[] = {
      {"[]", "a record must be an object"},
      {"5", "a record must be an object"},
      {"{}", "id is missing"},
      {"{\"id\":null}", "id is missing"},
      {"{\"id\":\"7\"}", "id is not an integer of 64 bits"},
      {"{\"id\":1.0}", "id is not an integer of 64 bits"},
      {"{\"id\":18446744073709551616}", "id is not an integer of 64 bits"},
      {"{\"id\":1}", "organisation.id is missing"},
      {"{\"id\":1,\"organisation\":5}", "organisation.id is missing"},
      {"{\"id\":1,\"organisation\":{\"id\":null}}", "organisation.id is missing"},
      {"{\"id\":1,\"organisation\":{\"id\":true}}", "organisation.id is not an integer of 64 bits"},
      {"{\"id\":1,\"organisation\":{\"id\":2}}",
       "neither an event (event_type) nor a usage record (start_timestamp or volume)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct record_header h;
    struct err err;
    assert_false(read_text(cases[i].text, &h, &err));
    assert_string_equal(err.text, cases[i].why);
  }
}

static void names_kinds_and_types(void **state) {
  // Proves: stream types give the right masks, and an unknown type none.
  (void)state;
  assert_int_equal(record_kinds_of_type("usage"), 1 << RECORD_USAGE);
  assert_int_equal(record_kinds_of_type("events"), 1 << RECORD_EVENT);
  assert_int_equal(record_kinds_of_type("usage_and_events"), 1 << RECORD_EVENT | 1 << RECORD_USAGE);
  assert_int_equal(record_kinds_of_type("alerts"), 1 << RECORD_ALERT);
  assert_int_equal(record_kinds_of_type("event"), 0);
  assert_string_equal(record_kind_name(RECORD_EVENT), "event");
  assert_string_equal(record_kind_name(RECORD_USAGE), "usage");
  assert_string_equal(record_kind_name(RECORD_ALERT), "alert");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_an_event),
      cmocka_unit_test(tells_kinds_apart),
      cmocka_unit_test(every_endpoint_has_an_order),
      cmocka_unit_test(reads_records_of_known_shapes),
      cmocka_unit_test(refuses_in_words),
      cmocka_unit_test(names_kinds_and_types),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
