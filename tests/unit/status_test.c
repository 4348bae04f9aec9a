// Proves that a stream's status shows what was counted, keeps its counts through a restart, and can always be
// shown as JSON.
#include "base/clock.h"
#include "base/mem.h"
#include "flow/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct status *new_status(void) {
  struct status *s = status_new();
  assert_non_null(s);
  return s;
}

static json_t *shown(struct status *s) {
  json_t *json = status_show(s, "v1");
  assert_non_null(json);
  return json;
}

static const char *text_of(const json_t *json, const char *name) {
  return json_string_value(json_object_get(json, name));
}

static json_int_t number_of(const json_t *json, const char *name) {
  const json_t *value = json_object_get(json, name);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

static void a_new_stream_has_done_nothing(void **state) {
  (void)state;
  struct status *s = new_status();
  json_t *json = status_show(s, NULL);
  json_t *expected =
      json_pack("{s:s, s:s, s:n, s:n, s:n, s:{}, s:i, s:f, s:i, s:i, s:i, s:i, s:i, s:n, s:n}", "state", "pending",
                "remote_status", "active", "last_http_status", "last_delivery_at", "last_error",
                "filtered_by", "lag_records", 0, "lag_seconds", 0.0, "delivered", 0, "filtered", 0, "dead", 0,
                "expired", 0, "retries", 0, "slowed_until", "script_version");
  assert_true(json_equal(json, expected));
  json_decref(expected);
  json_decref(json);
  status_unref(s);
  status_unref(NULL);
}

// In every state what the contract says of remote_status; inactive keeps the last.
static void states_have_their_names(void **state) {
  (void)state;
  static const struct {
    enum stream_state state;
    const char *name, *remote;
  } steps[] = {
      {STREAM_HISTORY, "history", "active"},
      {STREAM_LIVE, "live", "active"},
      {STREAM_INACTIVE, "inactive", "active"},
      {STREAM_RETRYING, "retrying", "deactivated"},
      {STREAM_LIVE, "live", "active"},
      {STREAM_PAUSED, "paused", "deactivated"},
      {STREAM_INACTIVE, "inactive", "deactivated"},
      {STREAM_PENDING, "pending", "active"},
      {STREAM_ERROR, "error", "deactivated"},
  };
  struct status *s = new_status();
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    status_set_state(s, steps[i].state);
    json_t *json = shown(s);
    assert_string_equal(text_of(json, "state"), steps[i].name);
    assert_string_equal(text_of(json, "remote_status"), steps[i].remote);
    assert_string_equal(stream_state_name(steps[i].state), steps[i].name);
    json_decref(json);
  }
  status_unref(s);
}

static void counts_are_shown_by_their_names(void **state) {
  (void)state;
  static const char *const names[STATUS_COUNTS] = {"delivered", "filtered", "dead", "expired", "retries"};
  struct status *s = new_status();
  for (int i = 0; i < STATUS_COUNTS; i++) {
    status_count(s, (enum status_count)i, 10);
    status_count(s, (enum status_count)i, (uint64_t)i);
  }
  atomic_store(&s->last_http_status, 503);
  atomic_store(&s->last_delivery_ms, 1763625600123);
  json_t *json = shown(s);
  for (int i = 0; i < STATUS_COUNTS; i++)
    assert_int_equal(number_of(json, names[i]), 10 + i);
  assert_int_equal(number_of(json, "last_http_status"), 503);
  assert_string_equal(text_of(json, "last_delivery_at"), "2025-11-20T08:00:00.123Z");
  assert_string_equal(text_of(json, "script_version"), "v1");
  json_decref(json);
  status_unref(s);
}

static void the_first_twenty_reasons_have_names_and_the_rest_is_other(void **state) {
  (void)state;
  struct status *s = new_status();
  for (int round = 1; round <= 3; round++)
    for (int i = 0; i < 25; i++) {
      char reason[16];
      snprintf(reason, sizeof reason, "reason %d", i);
      status_count_filtered(s, slice_of(reason), (uint64_t)round);
    }
  json_t *json = shown(s), *reasons = json_object_get(json, "filtered_by");
  assert_int_equal(number_of(json, "filtered"), 25 * 6);
  assert_int_equal(json_object_size(reasons), STATUS_REASONS + 1);
  assert_int_equal(number_of(reasons, "reason 0"), 6);
  assert_int_equal(number_of(reasons, "reason 19"), 6);
  assert_int_equal(number_of(reasons, "other"), 5 * 6);
  json_decref(json);
  status_unref(s);
}

static void long_and_empty_reasons_are_reasons_too(void **state) {
  (void)state;
  struct status *s = new_status();
  char reason[200];
  memset(reason, 'r', sizeof reason);
  status_count_filtered(s, slice_make(reason, sizeof reason), 1);
  status_count_filtered(s, slice_make(reason, STATUS_REASON_BYTES), 1); // the same when cut
  status_count_filtered(s, slice_make(reason, 3), 1);
  status_count_filtered(s, slice_of(""), 1);
  status_count_filtered(s, slice_make(NULL, 0), 1);
  json_t *json = shown(s), *reasons = json_object_get(json, "filtered_by");
  reason[STATUS_REASON_BYTES - 1] = 0;
  assert_int_equal(json_object_size(reasons), 3);
  assert_int_equal(number_of(reasons, reason), 2);
  assert_int_equal(number_of(reasons, "rrr"), 1);
  assert_int_equal(number_of(reasons, ""), 2);
  json_decref(json);
  status_unref(s);
}

// A hostile worker's: what is shown of it is one reason, however often it comes.
static void a_reason_that_is_no_text_is_one_reason(void **state) {
  (void)state;
  struct status *s = new_status();
  for (int i = 0; i < 3; i++) status_count_filtered(s, slice_of("cut \xc3"), 2);
  json_t *json = shown(s), *reasons = json_object_get(json, "filtered_by");
  assert_int_equal(json_object_size(reasons), 1);
  assert_int_equal(number_of(reasons, "cut ?"), 6);
  json_decref(json);
  status_unref(s);
}

static void without_memory_for_reasons_the_sum_is_still_right(void **state) {
  (void)state;
  struct status *s = new_status();
  mem_fail_at(1);
  status_count_filtered(s, slice_of("first"), 3);
  mem_fail_at(0);
  status_count_filtered(s, slice_of("second"), 4);
  json_t *json = shown(s);
  assert_int_equal(number_of(json, "filtered"), 7);
  assert_int_equal(number_of(json_object_get(json, "filtered_by"), "second"), 4);
  json_decref(json);
  mem_fail_at(1);
  status_count_filtered(s, slice_of("third"), 5); // no room for more than one
  mem_fail_at(0);
  json = shown(s);
  assert_int_equal(number_of(json, "filtered"), 12);
  assert_int_equal(json_object_size(json_object_get(json, "filtered_by")), 1);
  json_decref(json);
  status_unref(s);
}

static void without_memory_for_an_error_there_is_none_to_show(void **state) {
  (void)state;
  struct status *s = new_status();
  status_set_error(s, "first");
  mem_fail_at(1);
  status_set_error(s, "second");
  mem_fail_at(0);
  json_t *json = shown(s);
  assert_true(json_is_null(json_object_get(json, "last_error"))); // the first is no longer true
  json_decref(json);
  status_unref(s);
}

static void a_stream_that_was_stopped_says_how_to_go_on(void **state) {
  (void)state;
  static const struct {
    enum stream_state state;
    const char *error, *shown;
  } cases[] = {{STREAM_PAUSED, "HTTP status 404", "HTTP status 404; activate the stream to go on"},
               {STREAM_ERROR, "no success for 3 days", "no success for 3 days; activate the stream to go on"},
               {STREAM_PAUSED, NULL, "activate the stream to go on"},
               {STREAM_RETRYING, "HTTP status 503", "HTTP status 503"},
               {STREAM_INACTIVE, "HTTP status 503", "HTTP status 503"}};
  struct status *s = new_status();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    status_set_state(s, cases[i].state);
    status_set_error(s, cases[i].error);
    json_t *json = shown(s);
    assert_string_equal(text_of(json, "last_error"), cases[i].shown);
    json_decref(json);
  }
  status_unref(s);
}

// An error that was cut in the middle of a character, or never was a text: the stream must still be there to
// look at.
static void any_error_can_be_shown(void **state) {
  (void)state;
  static const struct {
    const char *error, *shown;
  } cases[] = {{"503 from the receiver", "503 from the receiver"},
               {"Ger\xc3\xa4t fehlt", "Ger\xc3\xa4t fehlt"},
               {"cut \xc3", "cut ?"},
               {"cut \xe2\x82", "cut ??"},
               {"\xff\xfe\x80", "???"},
               {"\xed\xa0\x80", "???"}, // half of a pair
               {"\xf4\x90\x80\x80", "????"}};
  struct status *s = new_status();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    status_set_error(s, cases[i].error);
    json_t *json = shown(s);
    assert_string_equal(text_of(json, "last_error"), cases[i].shown);
    json_decref(json);
  }
  char lengthy[2000];
  for (size_t at = 0; at < 4; at++) { // whatever character is cut
    memset(lengthy, 'x', at);
    for (size_t i = at; i + 4 < sizeof lengthy; i += 4)
      memcpy(lengthy + i, "\xf0\x9f\x98\x80", 5);
    status_set_error(s, lengthy);
    json_t *json = shown(s);
    assert_in_range(strlen(text_of(json, "last_error")), STATUS_ERROR_BYTES - 4, STATUS_ERROR_BYTES - 1);
    json_decref(json);
  }
  status_set_error(s, NULL);
  json_t *json = shown(s);
  assert_true(json_is_null(json_object_get(json, "last_error")));
  json_decref(json);
  status_unref(s);
}

static void the_lag_is_what_waits_in_the_journal_and_in_the_window(void **state) {
  (void)state;
  struct status *s = new_status();
  clock_set_ms(100000);
  assert_int_equal(status_lag(s), 0);
  atomic_store(&s->matched, 10);
  assert_int_equal(status_lag(s), 10);
  assert_true(status_lag_seconds(s) == 0); // since when is not known
  atomic_store(&s->settled_ms, 97500);
  assert_true(status_lag_seconds(s) == 2.5);
  atomic_store(&s->read, 10);
  atomic_store(&s->unsettled_read, 4);
  assert_int_equal(status_lag(s), 4);
  atomic_store(&s->unsettled_read, 0);
  assert_int_equal(status_lag(s), 0);
  assert_true(status_lag_seconds(s) == 0); // nothing waits
  atomic_store(&s->read, 11);              // its courier has read a block that is not counted yet
  assert_int_equal(status_lag(s), 0);
  clock_set_ms(0);
  status_unref(s);
}

static void counts_outlive_a_restart(void **state) {
  (void)state;
  struct status *s = new_status(), *next = new_status(), *cut = new_status();
  struct buf saved;
  buf_init(&saved, 1000);
  for (int i = 0; i < STATUS_COUNTS; i++)
    status_count(s, (enum status_count)i, UINT64_MAX / 2 - (uint64_t)i);
  atomic_store(&s->last_delivery_ms, 1763625600123);
  assert_true(status_save(s, &saved));
  for (size_t len = 0; len < saved.len; len++)
    assert_false(status_restore(cut, slice_make(saved.at, len)));
  for (int i = 0; i < STATUS_COUNTS; i++)
    assert_int_equal(atomic_load(&cut->counts[i]), 0);
  assert_true(status_restore(next, buf_slice(&saved)));
  for (int i = 0; i < STATUS_COUNTS; i++)
    assert_int_equal(atomic_load(&next->counts[i]), UINT64_MAX / 2 - (uint64_t)i);
  assert_int_equal(atomic_load(&next->last_delivery_ms), 1763625600123);
  buf_fini(&saved);
  mem_fail_at(1);
  assert_false(status_save(s, &saved));
  mem_fail_at(1);
  assert_null(status_new());
  mem_fail_at(0);
  status_unref(s);
  status_unref(next);
  status_unref(cut);
}

static void it_lives_as_long_as_somebody_holds_it(void **state) {
  (void)state;
  struct status *s = new_status();
  status_ref(s);
  status_unref(s);
  status_count(s, COUNT_DELIVERED, 1); // still there
  assert_int_equal(atomic_load(&s->counts[COUNT_DELIVERED]), 1);
  status_unref(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_stream_has_done_nothing),
      cmocka_unit_test(states_have_their_names),
      cmocka_unit_test(counts_are_shown_by_their_names),
      cmocka_unit_test(the_first_twenty_reasons_have_names_and_the_rest_is_other),
      cmocka_unit_test(long_and_empty_reasons_are_reasons_too),
      cmocka_unit_test(a_reason_that_is_no_text_is_one_reason),
      cmocka_unit_test(without_memory_for_an_error_there_is_none_to_show),
      cmocka_unit_test(without_memory_for_reasons_the_sum_is_still_right),
      cmocka_unit_test(a_stream_that_was_stopped_says_how_to_go_on),
      cmocka_unit_test(any_error_can_be_shown),
      cmocka_unit_test(the_lag_is_what_waits_in_the_journal_and_in_the_window),
      cmocka_unit_test(counts_outlive_a_restart),
      cmocka_unit_test(it_lives_as_long_as_somebody_holds_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
