// Proves, with a real courier and a receiver that answers by plan, what becomes of a batch: delivered, tried again, halved, buried,
// held back by a pause; and that nothing is lost when memory is short.
#include "courier_support.h"

#include "api/unpack.h"

static struct world w;

static const char *const no_sinks[] = {NULL};

// ---- answers ----

static int plan[64]; // statuses, in turn; 0: 200 from here on
static const char *plan_retry_after;

static void by_plan(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  int status = plan[world->got_count - 1 < 63 ? world->got_count - 1 : 63];
  reply->status = status ? status : 200;
  reply->body = "an answer";
  if (reply->status >= 400) reply->retry_after = plan_retry_after;
}

// A sink that judges record by record, by the words of the answer: d, r or rSECONDS, x, p.
static const char *const with_list[] = {
    "list.lua",
    "local S = { api = 1, name = 'list', title = 'List', framing = 'lines', batch = { records = 100 },\n"
    "  settings = { { 'url', type = 'url', required = true } } }\n"
    "function S.request(batch, settings) return { url = settings.url, webhook = true } end\n"
    "function S.verdict(response)\n"
    "  if response.status ~= 200 then return end\n"
    "  local all = {}\n"
    "  for kind, seconds in response.body:gmatch('(%a)(%d*)') do\n"
    "    all[#all + 1] = kind == 'd' and 'delivered' or kind == 'r' and { 'retry', tonumber(seconds) }\n"
    "      or kind == 'x' and { 'reject', 'bad' } or { 'pause', 'full' }\n"
    "  end\n"
    "  return all\n"
    "end\nreturn S",
    NULL};
static const char *words[64]; // of the list sink's answers, in turn; NULL: all delivered

static void by_words(struct world *world, const struct got *got, struct reply *reply) {
  static char all[1000];
  uint32_t records = 0, n = world->got_count - 1;
  for (const char *p = got->body; *p; p++) records += *p == '\n';
  for (uint32_t i = 0; i < records; i++) all[i] = 'd';
  all[records] = 0;
  reply->body = n < 64 && words[n] ? words[n] : all;
}

static void open_list(int in_flight) {
  world_open(&w, with_list);
  memset(words, 0, sizeof words);
  w.answer = by_words;
  stream_open(&w, "list", "{}", in_flight);
}

static void open_with(const char *sink, const char *settings, int in_flight, void (*answer)(struct world *, const struct got *, struct reply *)) {
  world_open(&w, no_sinks);
  stream_open(&w, sink, settings, in_flight);
  memset(plan, 0, sizeof plan);
  plan_retry_after = NULL;
  w.answer = answer;
}

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

static uint64_t wait_ms;

static bool waits(struct world *world) {
  const struct heap_node *first = heap_first(&world->courier->lane_timers);
  if (first) wait_ms = first->due > courier_now_ms() ? first->due - courier_now_ms() : 0;
  return first && !world->courier->requests;
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

static const char *culprit; // a body with it in is refused

static void refuse_the_culprit(struct world *world, const struct got *got, struct reply *reply) {
  (void)world;
  reply->status = strstr(got->body, culprit) ? 422 : 200;
  reply->body = "no \xff such \"thing\"";
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

static void refuse_all(struct world *world, const struct got *got, struct reply *reply) {
  (void)world, (void)got;
  reply->status = 400;
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

static uint32_t tries_of(const char *body) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < w.got_count; i++) n += strcmp(w.got[i].body, body) == 0;
  return n;
}

static uint32_t wanted;
static const char *wanted_body;

static bool was_tried(struct world *world) {
  return tries_of(wanted_body) >= wanted && !world->courier->requests;
}

static bool others_settled(struct world *world) {
  return count_of(world, COUNT_DELIVERED) + 1 >= (uint64_t)world->sent;
}

static void try_until(const char *body, uint32_t tries) {
  wanted_body = body;
  wanted = tries_of(body) + tries;
  w.haste = true;
  run_until(&w, was_tried);
  w.haste = false;
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

// ---- record by record ----

static const int one_endpoint[100] = {0};

static uint32_t worst_failures;
static bool was_retrying;

static void watch_and_answer(struct world *world, const struct got *got, struct reply *reply) {
  by_words(world, got, reply);
  if (world->stream->failures > worst_failures) worst_failures = world->stream->failures;
  was_retrying |= stream_state(world->stream) == STREAM_RETRYING || world->stream->breaker_open;
}

static void what_is_left_of_a_partial_success_goes_again(void **state) {
  (void)state;
  open_list(1);
  w.answer = watch_and_answer;
  worst_failures = 0;
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
  worst_failures = 0;
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

// ---- short of memory ----

static bool is_ready(struct world *world) {
  return !list_empty(&world->stream->ready_lanes);
}

// The nth allocation from the first request on fails, for each n: what is sent is delivered or buried in the end.
static void fail_each_allocation(uint32_t records, const int *endpoints) {
  long n = 0;
  w.haste = true;
  do {
    w.courier->requests += LIMIT_REQUESTS; // nothing goes out until it is there
    send_records(&w, (int)records, endpoints);
    run_until(&w, is_ready);
    w.courier->requests -= LIMIT_REQUESTS;
    mem_fail_at(++n);
    run_until(&w, all_settled);
    assert_true(stream_state(w.stream) != STREAM_PAUSED);
  } while (mem_asked() >= n && n < 200);
  mem_fail_at(0);
  assert_true(n > 1);
  world_close(&w);
}

static void short_of_memory_a_record_is_delivered_all_the_same(void **state) {
  (void)state;
  open_with("rest", "{}", 8, by_plan);
  fail_each_allocation(2, NULL);
}

static void short_of_memory_a_batch_is_packed_all_the_same(void **state) {
  (void)state;
  open_with("rest_bulk", "{\"gzip\":true}", 1, by_plan);
  fail_each_allocation(5, NULL);
}

static void short_of_memory_a_dead_letter_is_kept_all_the_same(void **state) {
  (void)state;
  open_with("rest_bulk", "{}", 1, refuse_the_culprit);
  culprit = "{\"id\":";
  w.stream->dead_in_row = 0;
  fail_each_allocation(1, NULL);
}

// Four records: one is delivered, one is bad, two go again.
static void drop_some(struct world *world, const struct got *got, struct reply *reply) {
  by_words(world, got, reply);
  if (strlen(reply->body) == 4) reply->body = "d x r r";
}

static void short_of_memory_a_partial_success_is_carried_out_all_the_same(void **state) {
  (void)state;
  open_list(1);
  w.answer = drop_some;
  fail_each_allocation(4, one_endpoint);
}

// ---- stopped meanwhile ----

static void stop_the_stream(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  stream_enter(world->stream, STREAM_INACTIVE, NULL);
  reply->status = 401;
}

static bool is_quiet(struct world *world) {
  return world->got_count && !world->courier->requests;
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
      cmocka_unit_test(retry_after_is_honoured_up_to_an_hour),
      cmocka_unit_test(a_batch_is_halved_until_the_culprit_stands_alone),
      cmocka_unit_test(gzip_packs_the_body),
      cmocka_unit_test(a_hundred_dead_letters_in_a_row_pause),
      cmocka_unit_test(a_record_that_fails_for_a_day_while_others_succeed_is_buried),
      cmocka_unit_test(a_batch_that_fails_ten_times_while_others_succeed_is_halved),
      cmocka_unit_test(what_is_left_of_a_partial_success_goes_again),
      cmocka_unit_test(without_any_success_a_list_is_a_failure),
      cmocka_unit_test(a_list_waits_for_the_longest_time_it_asks_for),
      cmocka_unit_test(a_list_can_pause_the_stream_after_what_was_delivered),
      cmocka_unit_test(later_records_do_not_overtake_what_is_left),
      cmocka_unit_test(rejected_items_in_a_row_pause_as_well),
      cmocka_unit_test(an_item_left_behind_for_a_day_is_buried),
      cmocka_unit_test(a_record_is_settled_with_the_last_of_its_outputs_that_leaves),
      cmocka_unit_test(short_of_memory_a_record_is_delivered_all_the_same),
      cmocka_unit_test(short_of_memory_a_batch_is_packed_all_the_same),
      cmocka_unit_test(short_of_memory_a_dead_letter_is_kept_all_the_same),
      cmocka_unit_test(short_of_memory_a_partial_success_is_carried_out_all_the_same),
      cmocka_unit_test(an_answer_does_not_pause_what_its_owner_has_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
