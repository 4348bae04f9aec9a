// Proves that JSON objects become rows that any reader of RFC 4180 takes apart again, under columns that stay in their order.
#include "base/csv.h"
#include "base/limits.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json_support.h"

static const char *row_of(struct csv *csv, struct json_tape *t, const char *json) {
  static char text[4096];
  struct json_fault fault;
  struct buf out;
  buf_init(&out, 1 << 20);
  if (!json_tape_parse(t, slice_of(json), &fault)) fail_msg("%s: %s", json, fault.what);
  assert_true(csv_row(csv, t, &out));
  snprintf(text, sizeof text, "%.*s", (int)out.len, out.at);
  buf_fini(&out);
  return text;
}

static const char *header_of(const struct csv *csv) {
  static char text[4096];
  struct buf out;
  buf_init(&out, 1 << 20);
  assert_true(csv_header(csv, &out));
  snprintf(text, sizeof text, "%.*s", (int)out.len, out.at);
  buf_fini(&out);
  return text;
}

static struct csv *with_columns(const char *const *names, bool guard) {
  struct csv *csv = csv_new(false, guard);
  for (; *names; names++) assert_true(csv_add(csv, slice_of(*names)));
  return csv;
}

static void fixed_columns_keep_their_order(void **state) {
  (void)state;
  static const char *const names[] = {"id", "operator.country.name", "tags", "missing", "currency.symbol", "live", "mb", "id", NULL};
  struct csv *csv = with_columns(names, false);
  struct json_tape t;
  json_tape_init(&t);
  assert_string_equal(header_of(csv), "id,operator.country.name,tags,missing,currency.symbol,live,mb");
  for (int i = 0; i < 100; i++) // also when the shape is known
    assert_string_equal(row_of(csv, &t, json_sample), "174000000,France,\"a\"\"b;\xe2\x82\xac;\",,\xe2\x82\xac,true,-1.25e-3");
  assert_string_equal(row_of(csv, &t, "{\"other\":1}"), ",,,,,,");
  assert_string_equal(row_of(csv, &t, "{\"id\":9007199254740993,\"mb\":1e400}"), "9007199254740993,,,,,,1e400");
  json_tape_fini(&t);
  csv_free(csv);
}

static void cells_are_quoted_where_they_must_be(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b", NULL};
  static const struct {
    const char *json, *plain, *guarded;
  } cases[] = {
      {"{\"a\":\"x,y\",\"b\":\"say \\\"hi\\\"\"}", "\"x,y\",\"say \"\"hi\"\"\"", NULL},
      {"{\"a\":\"one\\ntwo\",\"b\":\"\\r\"}", "\"one\ntwo\",\"\r\"", "\"one\ntwo\",\"'\r\""},
      {"{\"a\":\"=cmd()\",\"b\":\"+1\"}", "=cmd(),+1", "'=cmd(),'+1"},
      {"{\"a\":\"=a,\\\"b\\\"\",\"b\":\"@x\"}", "\"=a,\"\"b\"\"\",@x", "\"'=a,\"\"b\"\"\",'@x"},
      {"{\"a\":-5,\"b\":\"-5\"}", "-5,-5", "-5,'-5"},
      {"{\"a\":\"nul\\u0000l\",\"b\":null}", "\"nul\xef\xbf\xbdl\",", NULL},
      {"{\"a\":\"\",\"b\":false}", ",false", NULL},
      {"{\"a\":{},\"b\":[]}", ",", NULL},
      {"{\"a\":[1,[2,3],\"x;y\"],\"b\":[\"-1\"]}", "1;2;3;x;y,-1", "1;2;3;x;y,'-1"},
      {"{\"a\":1,\"a\":2}", "2,", NULL},
      {"{\"\\u0061\":\" x \"}", " x ,", NULL},
      {"{\"a\":[null,1,null],\"b\":[{\"c\":1}]}", ";1;,", NULL},
  };
  for (int guard = 0; guard < 2; guard++) {
    struct csv *csv = with_columns(names, guard);
    struct json_tape t;
    json_tape_init(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
      assert_string_equal(row_of(csv, &t, cases[i].json), guard && cases[i].guarded ? cases[i].guarded : cases[i].plain);
    json_tape_fini(&t);
    csv_free(csv);
  }
}

static void what_is_found_gets_columns(void **state) {
  (void)state;
  struct csv *csv = csv_new(true, false);
  struct json_tape t;
  json_tape_init(&t);
  assert_string_equal(row_of(csv, &t, "{\"id\":1,\"at\":{\"x\":2}}"), "1,2");
  assert_string_equal(row_of(csv, &t, "{\"at\":{\"y\":3},\"id\":4}"), "4,,3");
  assert_string_equal(row_of(csv, &t, "{\"mnc\":[{\"id\":3,\"mnc\":\"01\"},{\"id\":4,\"mnc\":\"02\"}]}"), ",,,3;4,01;02");
  assert_string_equal(row_of(csv, &t, "{\"id\":1,\"at\":{\"x\":2}}"), "1,2,,,");
  assert_string_equal(row_of(csv, &t, "{\"a,b\":1}"), ",,,,,1");
  assert_string_equal(header_of(csv), "id,at.x,at.y,mnc.id,mnc.mnc,\"a,b\"");
  json_tape_fini(&t);
  csv_free(csv);
}

static void what_is_no_object_is_a_value(void **state) {
  (void)state;
  struct csv *csv = csv_new(true, false);
  struct json_tape t;
  json_tape_init(&t);
  assert_string_equal(row_of(csv, &t, "\"x\""), "x");
  assert_string_equal(row_of(csv, &t, "[1,2]"), "1;2");
  assert_string_equal(row_of(csv, &t, "{}"), "\"\"");
  assert_string_equal(row_of(csv, &t, "null"), "\"\"");
  assert_string_equal(header_of(csv), "value");
  json_tape_fini(&t);
  csv_free(csv);
}

static void a_file_has_so_many_columns(void **state) {
  (void)state;
  struct csv *csv = csv_new(true, false);
  struct json_tape t;
  struct json_fault fault;
  struct buf json, out;
  json_tape_init(&t);
  buf_init(&json, 1 << 20);
  buf_init(&out, 1 << 20);
  for (int i = 0; i < LIMIT_CSV_COLUMNS + 10; i++) assert_true(buf_printf(&json, "%c\"k%d\":%d", i ? ',' : '{', i, i));
  assert_true(buf_append(&json, ",\"", 2));
  for (int i = 0; i <= LIMIT_CSV_NAME_BYTES; i++) assert_true(buf_append_byte(&json, 'k'));
  assert_true(buf_append_text(&json, "\":{\"in\":1}}"));
  assert_true(json_tape_parse(&t, buf_slice(&json), &fault));
  assert_true(csv_row(csv, &t, &out));
  assert_int_equal(csv_columns(csv), LIMIT_CSV_COLUMNS);
  assert_memory_equal(out.at + out.len - 5, ",1023", 5);
  buf_fini(&json);
  buf_fini(&out);
  json_tape_fini(&t);
  csv_free(csv);
}

// Many shapes, so that plans give way to one another.
static void shapes_come_and_go(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b.c", NULL};
  struct csv *csv = with_columns(names, false);
  struct json_tape t;
  json_tape_init(&t);
  for (int round = 0; round < 60; round++)
    for (int shape = 0; shape < 50; shape++) {
      char json[200], expected[40];
      snprintf(json, sizeof json, "{\"x%d\":0,\"a\":%d,\"b\":{\"y%d\":1,\"c\":\"%d\"}}", shape, round, shape, shape);
      snprintf(expected, sizeof expected, "%d,%d", round, shape);
      assert_string_equal(row_of(csv, &t, json), expected);
    }
  json_tape_fini(&t);
  csv_free(csv);
}

// Each allocation fails once: nothing of the row is kept, and the next attempt is whole.
static void no_memory(void **state) {
  (void)state;
  struct json_tape t = json_parsed(json_sample);
  for (long nth = 1;; nth++) {
    mem_fail_at(nth);
    struct csv *csv = csv_new(true, false);
    struct buf out;
    buf_init(&out, 1 << 20);
    bool ok = csv && csv_row(csv, &t, &out) && csv_header(csv, &out);
    bool failed = mem_asked() >= nth;
    mem_fail_at(0);
    if (csv) {
      out.len = 0;
      assert_true(csv_row(csv, &t, &out));
      assert_int_equal(csv_columns(csv), 12);
      assert_memory_equal(out.at, "0.01666025,174000000,48,68,France,", 34);
    }
    buf_fini(&out);
    csv_free(csv);
    if (!failed) {
      assert_true(ok);
      break;
    }
  }
  json_tape_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fixed_columns_keep_their_order), cmocka_unit_test(cells_are_quoted_where_they_must_be),
      cmocka_unit_test(what_is_found_gets_columns),     cmocka_unit_test(what_is_no_object_is_a_value),
      cmocka_unit_test(a_file_has_so_many_columns),     cmocka_unit_test(shapes_come_and_go),
      cmocka_unit_test(no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
