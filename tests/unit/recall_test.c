// Proves that what ctx counts is what it counts when nothing happens: whatever is lost, dropped or moved in the middle, each record is
// mapped to the same number, and what the store has is of the moment of the position.
#include "courier_support.h"
#include "flow/recall.h"

#include <signal.h>

enum { RECORDS = 600, LOTS = 20000 };

// The ids are 1, 2, 3, ...: so are the numbers.
static const char counts[] = "local M = { api = 1 }\n"
                             "function M.map(rec, ctx) return { id = rec.id, n = ctx.count('k', '24h') } end\n"
                             "return M";
static const char counts_late[] = "local M = { api = 1 }\n"
                                  "function M.map(rec, ctx)\n"
                                  "  if rec.id <= 20 then return { id = rec.id, n = rec.id } end\n"
                                  "  return { id = rec.id, n = 20 + ctx.count('k', '24h') }\n"
                                  "end\nreturn M";
static const char fails_at_ten[] = "local M = { api = 1 }\n"
                                   "function M.map(rec, ctx)\n"
                                   "  local n = ctx.count('k', '24h')\n"
                                   "  if rec.id == 10 then error('no') end\n"
                                   "  return { id = rec.id, n = rec.id < 10 and n or n + 1 }\n"
                                   "end\nreturn M";

static struct world w;
static int fail_every; // so many requests, one fails; 0: none
static bool holds;     // none is answered well

static void answer(struct world *world, const struct got *got, struct reply *reply) {
  (void)got;
  if (holds || (fail_every && world->got_count % (uint32_t)fail_every == 0)) reply->status = 503;
}

static void open_script(const char *script, const char *sink) {
  static const char *const none[] = {NULL};
  world_open(&w, none);
  fail_every = 0;
  holds = false;
  w.haste = true;
  w.answer = answer;
  w.script = script;
  stream_open(&w, sink, "{}", 4);
}

static void kill_worker(void) {
  pid_t pid = pool_worker_pid(w.pool, 0);
  if (pid > 0) kill(pid, SIGKILL); // else it is just being replaced
}

static void check_numbers(void) {
  static bool seen[LOTS + 1];
  memset(seen, 0, sizeof seen);
  assert_true(w.got_count < GOT_MOST);
  for (uint32_t i = 0; i < w.got_count; i++) {
    json_t *body = json_loadb(w.got[i].body, w.got[i].body_len, 0, NULL);
    int64_t id = json_integer_value(json_object_get(body, "id"));
    assert_true(id > 0 && id <= LOTS);
    assert_int_equal(json_integer_value(json_object_get(body, "n")), id);
    seen[id] = true;
    json_decref(body);
  }
  uint64_t missing = 0;
  for (int64_t id = 1; id <= w.sent; id++) missing += !seen[id];
  assert_int_equal(missing, count_of(&w, COUNT_DEAD));
}

static bool saved(struct world *world) {
  return all_settled(world) && !world->stream->recall.bytes;
}

static void finish(void) {
  holds = false;
  run_until(&w, saved);
  check_numbers();
  world_close(&w);
}

static bool some_came(struct world *world) {
  return world->got_count >= 50;
}

static bool has_traces(struct world *world) {
  return world->stream->recall.bytes > 0;
}

static void every_record_has_its_number(void **state) {
  (void)state;
  open_script(counts, "rest");
  fail_every = 5;
  send_records(&w, RECORDS, NULL);
  run_until(&w, saved);
  assert_true(w.stream->window.traced);
  assert_int_equal(store_count(w.store, STORE_WINDOWS, slice_make(w.definition->id, strlen(w.definition->id) + 1)), 2); // and the clock
  finish();
}

static void the_first_trace_may_come_late(void **state) {
  (void)state;
  open_script(counts_late, "rest");
  send_records(&w, 15, NULL);
  run_until(&w, all_settled);
  assert_false(w.stream->window.traced);
  send_records(&w, 100, NULL);
  finish();
}

static void a_worker_dies(void **state) {
  (void)state;
  open_script(counts, "rest");
  for (int i = 0; i < 4; i++) {
    send_records(&w, 150, NULL);
    if (i == 1) run_until(&w, has_traces);
    if (i == 2) run_until(&w, some_came);
    kill_worker();
  }
  finish();
}

static void memory_is_given_back_in_the_middle(void **state) {
  (void)state;
  open_script(counts, "rest");
  fail_every = 3;
  for (int i = 0; i < 6; i++) {
    send_records(&w, 100, NULL);
    if (i & 1) run_until(&w, has_traces);
    stream_shed(w.stream);
  }
  finish();
}

static bool was_refused(struct world *world) {
  (void)world;
  return atomic_load(&commits_refused) > 2;
}

static void a_write_that_fails_loses_nothing(void **state) {
  (void)state;
  open_script(counts, "rest");
  atomic_store(&commits_fail, true);
  send_records(&w, RECORDS, NULL);
  run_until(&w, was_refused);
  assert_true(w.stream->recall.bytes > 0);
  kill_worker(); // what the store lacks comes from memory
  send_records(&w, 10, NULL);
  run_until(&w, some_came);
  atomic_store(&commits_fail, false);
  finish();
}

static void it_moves_to_the_penalty_worker_and_back(void **state) {
  (void)state;
  open_script(counts, "rest");
  send_records(&w, 100, NULL);
  run_until(&w, has_traces);
  penalty_begin(w.stream);
  send_records(&w, 100, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.stream->worker, 1);
  w.stream->conduct.penalty_until_ms = 1;
  send_records(&w, 100, NULL);
  run_until(&w, all_settled);
  assert_int_equal(w.stream->worker, 0);
  finish();
}

static void a_failed_record_leaves_no_trace(void **state) {
  (void)state;
  open_script(fails_at_ten, "rest");
  holds = true;
  send_records(&w, 40, NULL);
  run_until(&w, has_traces);
  stream_shed(w.stream);
  run_until(&w, has_traces);
  kill_worker();
  send_records(&w, 40, NULL);
  finish();
}

static void answer_all_but_the_first(struct world *world, const struct got *got, struct reply *reply) {
  if (!holds || !strstr(got->body, "\"n\":1}")) return;
  reply->status = 503;
  world->got_count--; // it comes again and again
}

static bool all_but_one(struct world *world) {
  return count_of(world, COUNT_DELIVERED) + 1 >= (uint64_t)world->sent && saver_idle(world->courier->saver);
}

static bool is_idle(struct world *world) {
  return !world->courier->requests && !world->stream->jobs && saver_idle(world->courier->saver);
}

// The first record settles while what is settled behind it still has to run for its trace: little at a time, at the penalty worker.
static void what_is_settled_far_ahead_counts_when_it_moves(void **state) {
  (void)state;
  open_script(counts, "rest");
  w.answer = answer_all_but_the_first;
  holds = true;
  send_records(&w, 400, NULL);
  run_until(&w, all_but_one);
  stream_set_active(&w, false);
  run_until(&w, is_idle);
  holds = false;
  penalty_begin(w.stream);
  stream_set_active(&w, true);
  run_until(&w, saved);
  w.stream->conduct.penalty_until_ms = 1; // home again: what it has comes from the store
  send_records(&w, 20, NULL);
  finish();
}

static bool has_failed_often(struct world *world) {
  return stream_state(world->stream) == STREAM_PAUSED && !world->stream->letters && !world->courier->requests && saver_idle(world->courier->saver);
}

static void redrive(const char *script) {
  struct err err = {0};
  struct definition_world world = {.sinks = w.sinks, .scripts_folder = w.folder};
  json_t *change = json_pack("{s:s}", "script", script);
  struct definition *next = definition_change(&world, w.definition, change, &err);
  json_decref(change);
  assert_string_equal(err.text, "");
  struct order order = {.world = &w, .command = {.order = COURIER_CHANGE, .definition = next, .status = w.status, .resume = true,
                                                 .redrive = true, .reply = w.courier->loop, .done = note_obeyed}};
  w.obeyed = false;
  courier_command(w.courier, &order.command);
  run_until(&w, has_obeyed);
  definition_unref(w.definition);
  w.definition = next;
}

static void what_failed_counts_when_it_is_redriven(void **state) {
  static const char fails_past_fifty[] = "local M = { api = 1 }\n"
                                         "function M.map(rec, ctx)\n"
                                         "  if rec.id > 50 then error('no') end\n"
                                         "  return { id = rec.id, n = ctx.count('k', '24h') }\n"
                                         "end\nreturn M";
  (void)state;
  open_script(fails_past_fifty, "rest");
  send_records(&w, 200, NULL);
  run_until(&w, has_failed_often);
  redrive(counts);
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  finish();
}

static bool is_full(struct world *world) {
  return recall_full(world->stream) && !world->stream->jobs;
}

static void what_waits_to_be_saved_is_bounded(void **state) {
  static const char large[] = "local M = { api = 1 }\nlocal text = ('x'):rep(1000)\n"
                              "function M.map(rec, ctx)\n"
                              "  for i = 1, 90 do ctx.set('k' .. i, text .. rec.id) end\n"
                              "  return { id = rec.id, n = ctx.count('k', '24h') }\nend\nreturn M";
  (void)state;
  open_script(large, "rest");
  holds = true;
  send_records(&w, RECORDS, NULL);
  run_until(&w, is_full);
  assert_true(w.stream->recall.bytes < 2 * LIMIT_TRACE_BYTES + (1 << 20));
  kill_worker();
  stream_shed(w.stream);
  finish();
}

static bool is_fed(struct world *world) {
  return world->stream->jobs > 0 || all_settled(world);
}

static void short_of_memory_the_numbers_are_the_same(void **state) {
  (void)state;
  long n = 0;
  open_script(counts, "rest");
  do {
    if (n % 3 == 0) kill_worker();
    mem_fail_at(0);
    w.courier->draining = true; // nothing is read until it is there
    send_records(&w, 3, NULL);
    w.courier->draining = false;
    loop_post(w.courier->loop, &w.courier->another_turn);
    run_until(&w, is_fed);
    if (n % 2) stream_shed(w.stream);
    mem_fail_at(++n);
    run_until(&w, all_settled);
  } while (n < 50);
  mem_fail_at(0);
  finish();
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_record_has_its_number),
      cmocka_unit_test(the_first_trace_may_come_late),
      cmocka_unit_test(a_worker_dies),
      cmocka_unit_test(memory_is_given_back_in_the_middle),
      cmocka_unit_test(a_write_that_fails_loses_nothing),
      cmocka_unit_test(it_moves_to_the_penalty_worker_and_back),
      cmocka_unit_test(a_failed_record_leaves_no_trace),
      cmocka_unit_test(what_is_settled_far_ahead_counts_when_it_moves),
      cmocka_unit_test(what_failed_counts_when_it_is_redriven),
      cmocka_unit_test(what_waits_to_be_saved_is_bounded),
      cmocka_unit_test(short_of_memory_the_numbers_are_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
