// Proves, with a real courier and a receiver that answers by plan, what becomes of a batch under the default verdict: delivered, tried
// again, halved, buried, held back by a pause.
#include "delivery_support.h"

#include "api/unpack.h"

// ---- the default verdict ----

static void a_delivered_record_is_settled(void **state) {
  (void)state;
  open_with("rest", "{}", 8, by_plan);
  send_records(&w, 3, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.got_count, 3);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 3);
  assert_int_equal(stream_state(w.stream), STREAM_LIVE);
  world_close(&w);
}

static void some_statuses_pause_and_keep_the_data(void **state) {
  (void)state;
  static const int statuses[] = {301, 401, 403, 404, 405, 410, 415, 501};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    char error[40];
    open_with("rest", "{}", 8, by_plan);
    plan[0] = statuses[i];
    send_records(&w, 1, NULL);
    run_until(&w, is_paused);
    snprintf(error, sizeof error, "HTTP status %d", statuses[i]);
    assert_string_equal(last_error(&w), error);
    assert_int_equal(w.status->last_http_status, statuses[i]);
    assert_int_equal(w.got_count, 1);
    stream_set_active(&w, true); // someone has mended it
    run_until(&w, all_settled);
    assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
    assert_string_equal(w.got[0].id, w.got[1].id);
    world_close(&w);
  }
}

static void others_are_tried_again_under_the_same_id(void **state) {
  (void)state;
  static const int statuses[] = {408, 425, 429, 500, 502, 503, 504};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    open_with("rest", "{}", 8, by_plan);
    w.haste = true;
    plan[0] = plan[1] = statuses[i];
    send_records(&w, 1, NULL);
    run_until(&w, all_settled);
    assert_int_equal(w.got_count, 3);
    assert_true(w.got[0].id[0] && !strcmp(w.got[0].id, w.got[1].id) && !strcmp(w.got[0].id, w.got[2].id));
    assert_int_equal(count_of(&w, COUNT_RETRIES), 2);
    assert_int_equal(count_of(&w, COUNT_DELIVERED), 1);
    assert_int_equal(stream_state(w.stream), STREAM_LIVE);
    world_close(&w);
  }
}

static bool is_retrying(struct world *world) {
  return stream_state(world->stream) == STREAM_RETRYING && !world->courier->requests;
}

static void nobody_there_is_tried_again(void **state) {
  (void)state;
  open_with("rest", "{\"url\":\"http://127.0.0.1:1/\"}", 8, by_plan);
  send_records(&w, 1, NULL);
  run_until(&w, is_retrying);
  assert_true(strlen(last_error(&w)) > 0);
  assert_int_equal(w.status->last_http_status, 0);
  assert_int_equal(w.stream->window.count, 1);
  world_close(&w);
}

static void a_refused_address_pauses(void **state) {
  (void)state;
  open_with("rest", "{\"url\":\"http://10.1.2.3/\"}", 8, by_plan);
  send_records(&w, 1, NULL);
  run_until(&w, is_paused);
  assert_non_null(strstr(last_error(&w), "10.1.2.3"));
  assert_int_equal(w.stream->window.count, 1);
  world_close(&w);
}

static void retry_after_is_honoured_up_to_an_hour(void **state) {
  (void)state;
  static const struct {
    const char *asked;
    uint64_t least, most;
  } cases[] = {{"30", 25000, 30000}, {"7200", 3590000, 3600000}, {"0", 0, 0}, {NULL, 0, 1000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    open_with("rest", "{}", 8, by_plan);
    plan[0] = 429;
    plan_retry_after = cases[i].asked;
    send_records(&w, 1, NULL);
    if (!cases[i].asked || cases[i].most) {
      run_until(&w, waits);
      assert_in_range(wait_ms, cases[i].least, cases[i].most);
    }
    w.haste = true;
    run_until(&w, all_settled);
    assert_int_equal(w.got_count, 2);
    world_close(&w);
  }
}

static void a_batch_is_halved_until_the_culprit_stands_alone(void **state) {
  (void)state;
  static const int one[16];
  open_with("rest_bulk", "{}", 1, refuse_the_culprit);
  culprit = "{\"id\":11}";
  send_records(&w, 16, one);
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 15);
  struct letters letters = letters_of(&w);
  assert_int_equal(letters.count, 1);
  json_int_t id = json_integer_value(json_object_get(json_object_get(letters.last, "record"), "id"));
  assert_int_equal(id, 11);
  assert_int_equal(json_integer_value(json_object_get(letters.last, "http_status")), 422);
  assert_string_equal(json_string_value(json_object_get(letters.last, "reason")), "HTTP status 422");
  assert_non_null(strstr(json_string_value(json_object_get(letters.last, "answer")), "such \"thing\""));
  json_decref(letters.last);
  assert_true(w.got_count >= 5 && w.got_count <= 16);
  world_close(&w);
}

static void gzip_packs_the_body(void **state) {
  (void)state;
  struct buf out;
  struct slice plain;
  open_with("rest_bulk", "{\"gzip\":true}", 1, by_plan);
  send_records(&w, 1, NULL);
  run_until(&w, all_settled);
  assert_string_equal(w.got[0].encoding, "gzip");
  buf_init(&out, 1 << 16);
  assert_int_equal(unpack("gzip", slice_make(w.got[0].body, w.got[0].body_len), &out, &plain), UNPACK_DONE);
  assert_true(slice_is(plain, "[{\"id\":1}]"));
  buf_fini(&out);
  world_close(&w);
}

static void a_hundred_dead_letters_in_a_row_pause(void **state) {
  (void)state;
  open_with("rest", "{}", 1, refuse_all);
  send_records(&w, 300, NULL);
  run_until(&w, is_paused);
  assert_int_equal(count_of(&w, COUNT_DEAD), 100);
  assert_non_null(strstr(last_error(&w), "100 dead letters in a row: HTTP status 400"));
  world_close(&w);
}

// ---- failures while others succeed ----

static void fail_the_culprit(struct world *world, const struct got *got, struct reply *reply) {
  (void)world;
  reply->status = strstr(got->body, culprit) ? 503 : 200;
}

static bool others_settled(struct world *world) {
  return count_of(world, COUNT_DELIVERED) + 1 >= (uint64_t)world->sent;
}

static void a_record_that_fails_for_a_day_while_others_succeed_is_buried(void **state) {
  (void)state;
  static const int64_t hour = 3600 * 1000, begun = 1700000000000;
  open_with("rest", "{}", 8, fail_the_culprit);
  culprit = "{\"id\":1}";
  clock_set_ms(begun);
  send_records(&w, 1, NULL);
  try_until(culprit, 3);
  clock_set_ms(begun + 30 * hour); // nobody else has tried: it may well be the receiver
  try_until(culprit, 1);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  send_records(&w, 1, NULL);
  w.haste = true;
  run_until(&w, others_settled);
  try_until(culprit, 1); // from here on it is its own fault
  clock_set_ms(begun + 53 * hour);
  try_until(culprit, 1);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  clock_set_ms(begun + 55 * hour);
  w.haste = true;
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DEAD), 1);
  struct letters letters = letters_of(&w);
  assert_string_equal(json_string_value(json_object_get(letters.last, "reason")), "HTTP status 503");
  json_decref(letters.last);
  world_close(&w);
}

static void a_batch_that_fails_ten_times_while_others_succeed_is_halved(void **state) {
  (void)state;
  static const int one[8] = {1, 1, 1, 1, 1, 1, 1, 1}, two[1] = {2};
  static const char whole[] = "[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4}]", half[] = "[{\"id\":1},{\"id\":2}]";
  open_with("rest_bulk", "{}", 8, fail_the_culprit);
  culprit = "{\"id\":1}";
  clock_set_ms(1700000000000);
  send_records(&w, 4, one);
  try_until(whole, 8);
  assert_int_equal(tries_of(half), 0);
  clock_set_ms(1700000001000);
  send_records(&w, 1, two);
  w.haste = true;
  wanted_body = half;
  wanted = 1;
  run_until(&w, was_tried);
  assert_in_range(tries_of(whole), 10, 20); // some while the other was on its way
  culprit = "nothing";
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 5);
  world_close(&w);
}

// ---- stopped meanwhile ----

static void stop_the_stream(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  stream_enter(world->stream, STREAM_INACTIVE, NULL);
  reply->status = 401;
}

static void an_answer_does_not_pause_what_its_owner_has_stopped(void **state) {
  (void)state;
  open_with("rest", "{}", 1, stop_the_stream);
  send_records(&w, 1, NULL);
  run_until(&w, is_quiet);
  assert_int_equal(stream_state(w.stream), STREAM_INACTIVE);
  assert_int_equal(w.status->last_http_status, 401);
  world_close(&w);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_delivered_record_is_settled),
      cmocka_unit_test(some_statuses_pause_and_keep_the_data),
      cmocka_unit_test(others_are_tried_again_under_the_same_id),
      cmocka_unit_test(nobody_there_is_tried_again),
      cmocka_unit_test(a_refused_address_pauses),
      cmocka_unit_test(retry_after_is_honoured_up_to_an_hour),
      cmocka_unit_test(a_batch_is_halved_until_the_culprit_stands_alone),
      cmocka_unit_test(gzip_packs_the_body),
      cmocka_unit_test(a_hundred_dead_letters_in_a_row_pause),
      cmocka_unit_test(a_record_that_fails_for_a_day_while_others_succeed_is_buried),
      cmocka_unit_test(a_batch_that_fails_ten_times_while_others_succeed_is_halved),
      cmocka_unit_test(an_answer_does_not_pause_what_its_owner_has_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
