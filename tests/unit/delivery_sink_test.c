// Proves that what a sink's own hooks say is done: verdicts record by record, requests that follow at once, mistakes.
#include "delivery_support.h"

// ---- record by record ----

static uint32_t worst_failures, worst_stuck;
static bool was_retrying;

static void watch_and_answer(struct world *world, const struct got *got, struct reply *reply) {
  by_words(world, got, reply);
  if (world->stream->failures > worst_failures) worst_failures = world->stream->failures;
  size_t first = 0;
  const struct lane *lane = lane_each(world->stream, &first);
  const struct batch *batch = list_item(lane->batches.next, struct batch, link);
  if (batch->stuck > worst_stuck) worst_stuck = batch->stuck;
  was_retrying |= stream_state(world->stream) == STREAM_RETRYING || world->stream->breaker_open;
}

static void what_is_left_of_a_partial_success_goes_again(void **state) {
  (void)state;
  open_list(1);
  w.answer = watch_and_answer;
  worst_failures = worst_stuck = 0;
  was_retrying = false;
  words[0] = "d r d r r r r r r r";
  static const char *const left[] = {"r d r r r r r r", "r d r r r r r", "r d r r r r", "r d r r r", "r d r r", "r d r", "r d"};
  for (int i = 0; i < 7; i++) words[1 + i] = left[i];
  w.haste = true;
  send_records(&w, 10, one_endpoint);
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 9);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 10);
  assert_int_equal(count_of(&w, COUNT_RETRIES), 8);
  assert_int_equal(worst_failures, 0); // some are delivered each time: the receiver lives
  assert_int_equal(worst_stuck, 1); // and the wait does not grow
  assert_false(was_retrying);
  assert_string_equal(w.got[8].body, "{\"id\":2}\n");
  for (int i = 1; i < 9; i++) assert_string_equal(w.got[i].id, w.got[0].id);
  world_close(&w);
}

static void without_any_success_a_list_is_a_failure(void **state) {
  (void)state;
  open_list(1);
  words[0] = "r r";
  words[1] = "x r";
  w.answer = watch_and_answer;
  was_retrying = false;
  worst_failures = worst_stuck = 0;
  w.haste = true;
  send_records(&w, 2, one_endpoint);
  run_until(&w, all_settled);
  assert_int_equal(worst_failures, 2);
  assert_true(was_retrying);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  assert_int_equal(count_of(&w, COUNT_DEAD), 1);
  world_close(&w);
}

static void a_list_waits_for_the_longest_time_it_asks_for(void **state) {
  (void)state;
  open_list(1);
  words[0] = "r5 d r20 r";
  send_records(&w, 4, one_endpoint);
  run_until(&w, waits);
  assert_in_range(wait_ms, 15000, 20000);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  w.haste = true;
  run_until(&w, all_settled);
  assert_string_equal(w.got[1].body, "{\"id\":1}\n{\"id\":3}\n{\"id\":4}\n");
  world_close(&w);
}

static void a_list_can_pause_the_stream_after_what_was_delivered(void **state) {
  (void)state;
  open_list(1);
  words[0] = "d r p x d";
  send_records(&w, 5, one_endpoint);
  run_until(&w, is_paused);
  assert_string_equal(last_error(&w), "full");
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 2);
  assert_int_equal(count_of(&w, COUNT_DEAD), 1);
  assert_int_equal(w.got_count, 1);
  stream_set_active(&w, true);
  run_until(&w, all_settled);
  assert_string_equal(w.got[1].body, "{\"id\":2}\n{\"id\":3}\n");
  assert_string_equal(w.got[1].id, w.got[0].id);
  struct letters letters = letters_of(&w);
  assert_string_equal(json_string_value(json_object_get(letters.last, "reason")), "bad");
  json_decref(letters.last);
  world_close(&w);
}

static bool was_tried_twice(struct world *world) {
  return world->got_count == 2 && !world->courier->requests;
}

static void later_records_do_not_overtake_what_is_left(void **state) {
  (void)state;
  static const int endpoints[] = {1, 2, 1};
  open_list(8);
  words[0] = "r60 d r60";
  send_records(&w, 3, endpoints);
  run_until(&w, waits);
  send_records(&w, 2, endpoints); // one behind those that wait, one that need not
  run_until(&w, was_tried_twice);
  assert_string_equal(w.got[1].body, "{\"id\":5}\n");
  w.haste = true;
  run_until(&w, all_settled);
  assert_string_equal(w.got[2].body, "{\"id\":1}\n{\"id\":3}\n");
  assert_string_equal(w.got[3].body, "{\"id\":4}\n");
  world_close(&w);
}

static void rejected_items_in_a_row_pause_as_well(void **state) {
  (void)state;
  static char rejects[101];
  memset(rejects, 'x', 100);
  open_list(1);
  for (int i = 0; i < 64; i++) words[i] = rejects;
  send_records(&w, 100, one_endpoint);
  run_until(&w, is_paused);
  assert_int_equal(count_of(&w, COUNT_DEAD), 100);
  world_close(&w);
}

static void always_fail_the_first(struct world *world, const struct got *got, struct reply *reply) {
  by_words(world, got, reply);
  if (strstr(got->body, "{\"id\":1}")) ((char *)(uintptr_t)reply->body)[0] = 'r';
}

static void an_item_left_behind_for_a_day_is_buried(void **state) {
  (void)state;
  static const int64_t hour = 3600 * 1000, begun = 1700000000000;
  open_list(1);
  w.answer = always_fail_the_first;
  clock_set_ms(begun);
  send_records(&w, 3, one_endpoint);
  run_until(&w, waits);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 2);
  send_records(&w, 1, (int[]){9}); // another lane would do; with one it waits behind
  clock_set_ms(begun + hour);
  stream_succeeded(w.stream, 200); // as another lane's would
  try_until("{\"id\":1}\n", 1);
  clock_set_ms(begun + 24 * hour);
  try_until("{\"id\":1}\n", 1);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  clock_set_ms(begun + 26 * hour);
  w.haste = true;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DEAD), 1);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 3);
  world_close(&w);
}

static void a_record_is_settled_with_the_last_of_its_outputs_that_leaves(void **state) {
  (void)state;
  world_open(&w, with_list);
  memset(words, 0, sizeof words);
  w.answer = by_words;
  w.script = "return { api = 1, map = function(rec) return array{ { n = 1 }, { n = 2 }, { n = 3 } } end }";
  stream_open(&w, "list", "{}", 1);
  words[0] = "d r60 d";
  words[1] = "r60";
  send_records(&w, 1, one_endpoint);
  run_until(&w, waits);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 0);
  assert_int_equal(w.stream->window.count, 1);
  w.haste = true;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  assert_string_equal(w.got[2].body, "{\"n\":2}\n");
  world_close(&w);
}

// ---- requests that follow at once ----

// A sink whose body is its note, and that does what the answer says.
static const char *const with_notes[] = {
    "notes.lua",
    "local S = { api = 1, name = 'notes', title = 'Notes', framing = 'custom', settings = { { 'url', type = 'url', required = true } } }\n"
    "function S.request(batch, settings) return { url = settings.url, body = batch.note or 'none' } end\n"
    "function S.verdict(response, batch)\n"
    "  if response.body == 'again' then return 'again', (batch.note or '') .. 'x' end\n"
    "  if response.body ~= '' then return response.body end\n"
    "end\nreturn S",
    NULL};

static void open_notes(void) {
  world_open(&w, with_notes);
  memset(words, 0, sizeof words);
  w.answer = by_words;
  stream_open(&w, "notes", "{}", 1);
}

static void again_asks_at_once_with_its_note(void **state) {
  (void)state;
  open_notes();
  words[0] = words[1] = "again";
  words[2] = "delivered";
  send_records(&w, 1, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 3);
  assert_string_equal(w.got[0].body, "none");
  assert_string_equal(w.got[1].body, "x");
  assert_string_equal(w.got[2].body, "xx");
  assert_int_equal(count_of(&w, COUNT_RETRIES), 0);
  world_close(&w);
}

static void ask_again(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  reply->body = world->got_count < 150 ? "again" : "delivered";
}

static void again_for_ever_is_a_failure(void **state) {
  (void)state;
  open_notes();
  w.answer = ask_again;
  w.haste = true;
  send_records(&w, 1, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 150);
  assert_int_equal(count_of(&w, COUNT_RETRIES), 1);
  world_close(&w);
}

static void stop_then_again(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  if (world->got_count == 1) stream_enter(world->stream, STREAM_INACTIVE, NULL);
  reply->body = world->got_count == 1 ? "again" : "delivered";
}

static void again_waits_while_its_stream_is_stopped(void **state) {
  (void)state;
  open_notes();
  w.answer = stop_then_again;
  send_records(&w, 1, NULL);
  run_until(&w, is_quiet);
  assert_int_equal(w.got_count, 1);
  stream_set_active(&w, true);
  run_until(&w, all_settled);
  assert_string_equal(w.got[1].body, "x");
  world_close(&w);
}

static void a_verdict_without_words_gets_the_answers(void **state) {
  (void)state;
  static const char *const verdicts[] = {"halve", "reject"};
  for (int i = 0; i < 2; i++) {
    open_notes();
    words[0] = verdicts[i];
    send_records(&w, 1, NULL);
    run_until(&w, all_settled);
    struct letters letters = letters_of(&w);
    assert_string_equal(json_string_value(json_object_get(letters.last, "reason")), "HTTP status 200");
    json_decref(letters.last);
    world_close(&w);
  }
}

static void a_mistake_in_a_hook_pauses_and_keeps_the_data(void **state) {
  (void)state;
  static const char *const broken[] = {
      "broken.lua",
      "local S = { api = 1, name = 'broken', title = 'B', framing = 'lines', settings = { { 'url', type = 'url' } } }\n"
      "function S.request(batch, settings) return { url = nil .. settings.url } end\nreturn S",
      NULL};
  world_open(&w, broken);
  stream_open(&w, "broken", "{}", 1);
  send_records(&w, 1, NULL);
  run_until(&w, is_paused);
  assert_non_null(strstr(last_error(&w), "broken.lua:2: attempt to concatenate"));
  assert_int_equal(w.stream->window.count, 1);
  world_close(&w);
}

static void time_that_was_short_is_a_failed_attempt(void **state) {
  (void)state;
  static const char *const slow[] = {
      "slow.lua",
      "local S = { api = 1, name = 'slow', title = 'S', framing = 'lines', settings = { { 'url', type = 'url' } } }\n"
      "function S.request(batch, settings) while batch.attempt < 2 do end return { url = settings.url } end\nreturn S",
      NULL};
  world_open(&w, slow);
  stream_open(&w, "slow", "{}", 1);
  w.haste = true;
  send_records(&w, 1, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 1);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
  assert_true(count_of(&w, COUNT_RETRIES) >= 1);
  world_close(&w);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_left_of_a_partial_success_goes_again),
      cmocka_unit_test(without_any_success_a_list_is_a_failure),
      cmocka_unit_test(a_list_waits_for_the_longest_time_it_asks_for),
      cmocka_unit_test(a_list_can_pause_the_stream_after_what_was_delivered),
      cmocka_unit_test(later_records_do_not_overtake_what_is_left),
      cmocka_unit_test(rejected_items_in_a_row_pause_as_well),
      cmocka_unit_test(an_item_left_behind_for_a_day_is_buried),
      cmocka_unit_test(a_record_is_settled_with_the_last_of_its_outputs_that_leaves),
      cmocka_unit_test(again_asks_at_once_with_its_note),
      cmocka_unit_test(again_for_ever_is_a_failure),
      cmocka_unit_test(again_waits_while_its_stream_is_stopped),
      cmocka_unit_test(a_verdict_without_words_gets_the_answers),
      cmocka_unit_test(a_mistake_in_a_hook_pauses_and_keeps_the_data),
      cmocka_unit_test(time_that_was_short_is_a_failed_attempt),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
