// Proves that the list of streams, the store and the courier agree in the end, also when the courier refuses a change that was
// stored, and the store then refuses to take it back.
#include "courier_support.h"

#include "flow/streams.h"

static struct world w;
static struct streams *streams;

// A sink that can't be used with some settings; that shows only when a courier binds them.
static const char *const with_fussy[] = {
    "fussy.lua",
    "local S = { api = 1, name = 'fussy', title = 'Fussy', settings = { { 'mode', type = 'string' } } }\n"
    "function S.framing(settings) return settings.mode == 'bad' and error('not this mode') or 'lines' end\n"
    "function S.request(batch, settings) return { url = 'http://127.0.0.1:9/' } end\nreturn S",
    NULL};

static void open_streams(void) {
  struct err err = {0};
  world_open(&w, with_fussy);
  struct streams_options options = {.loop = w.courier->loop, .store = w.store, .journal = w.journal, .pool = w.pool,
                                    .couriers = &w.courier, .courier_count = 1,
                                    .world = {.sinks = w.sinks, .scripts_folder = w.folder}};
  streams = streams_new(&options, &err);
  assert_true(streams && streams_load(streams, &err));
}

static void close_streams(void) {
  struct streams *all = streams;
  world_close(&w);
  streams_free(all);
}

// ---- requests and their answers ----

static struct {
  bool there;
  enum streams_outcome outcome;
  char id[DEFINITION_ID_BYTES], error[ERR_TEXT];
} answered;

static void note_answer(const struct streams_answer *answer, void *arg) {
  (void)arg;
  assert_false(answered.there); // once
  answered.there = true;
  answered.outcome = answer->outcome;
  snprintf(answered.id, sizeof answered.id, "%s", answer->id ? answer->id : "");
  snprintf(answered.error, sizeof answered.error, "%s", answer->err.text);
}

static bool is_answered(struct world *world) {
  (void)world;
  return answered.there;
}

static void await_answer(void) {
  run_until(&w, is_answered);
}

static void begin_create(const char *mode) {
  json_t *body = json_pack("{s:s, s:s, s:s, s:i, s:{s:s}}", "name", "n", "type", "events", "sink", "fussy", "organisation_id", 7,
                           "settings", "mode", mode);
  memset(&answered, 0, sizeof answered);
  streams_create(streams, body, note_answer, NULL);
  json_decref(body);
}

static void begin_change(const char *id, const char *mode) {
  json_t *body = json_pack("{s:{s:s}}", "settings", "mode", mode);
  memset(&answered, 0, sizeof answered);
  streams_change(streams, streams_find(streams, id), body, note_answer, NULL);
  json_decref(body);
}

static const char *create_good(void) {
  static char id[DEFINITION_ID_BYTES];
  begin_create("good");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_DONE);
  memcpy(id, answered.id, sizeof id);
  return id;
}

// The mode in the store; empty: the stream is not there.
static const char *stored_mode(const char *id) {
  static char mode[16];
  size_t len;
  char *text = store_get(w.store, STORE_STREAMS, slice_of(id), &len);
  json_t *document = text ? json_loadb(text, len, 0, NULL) : NULL;
  const char *found = json_string_value(json_object_get(json_object_get(document, "settings"), "mode"));
  snprintf(mode, sizeof mode, "%s", found ? found : "");
  json_decref(document);
  mem_free(text);
  return mode;
}

static const char *waited_for;

static bool has_been_taken_back(struct world *world) {
  (void)world;
  return !streams_find(streams, waited_for)->changing;
}

static bool is_out_of_the_store(struct world *world) {
  (void)world;
  return !stored_mode(waited_for)[0];
}

// ---- tests ----

static void what_the_courier_refuses_is_taken_back(void **state) {
  (void)state;
  open_streams();
  const char *id = create_good();
  begin_change(id, "bad");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_REFUSED);
  assert_non_null(strstr(answered.error, "not this mode"));
  assert_string_equal(stored_mode(id), "good");
  assert_false(streams_find(streams, id)->changing);
  begin_create("bad");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_REFUSED);
  assert_int_equal(streams_count(streams), 1);
  assert_string_equal(stored_mode(answered.id), "");
  begin_change(id, "fine");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_DONE);
  assert_string_equal(stored_mode(id), "fine");
  close_streams();
}

static void let_commits_fail(void) {
  atomic_store(&commits_fail, true);
}

static void after_one_commit(void (*then)(void)) {
  commits_ended = then;
  atomic_store(&commits_before, 1);
}

// A change that the courier refuses, while the store takes nothing more.
static void fail_to_take_back(void) {
  open_streams();
  waited_for = create_good();
  after_one_commit(let_commits_fail);
  begin_change(waited_for, "bad");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_FAILED); // not hidden
}

static void a_change_that_can_not_be_taken_back_is_tried_again_until_it_is(void **state) {
  (void)state;
  fail_to_take_back();
  assert_non_null(strstr(answered.error, "not this mode"));
  assert_non_null(strstr(answered.error, "could not be set back"));
  assert_string_equal(stored_mode(waited_for), "bad");
  begin_change(waited_for, "fine"); // nothing is built on what is being taken back
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_BUSY);
  atomic_store(&commits_fail, false);
  run_until(&w, has_been_taken_back);
  assert_string_equal(stored_mode(waited_for), "good");
  create_good(); // stored behind it, so it has been told by then
  close_streams();
}

static void a_creation_that_can_not_be_taken_back_is_tried_again_until_it_is(void **state) {
  (void)state;
  open_streams();
  after_one_commit(let_commits_fail);
  begin_create("bad");
  await_answer();
  assert_int_equal(answered.outcome, STREAMS_FAILED);
  assert_int_equal(streams_count(streams), 0);
  waited_for = answered.id;
  assert_string_equal(stored_mode(waited_for), "bad");
  atomic_store(&commits_fail, false);
  run_until(&w, is_out_of_the_store);
  create_good(); // stored behind it, so it has been told by then
  close_streams();
}

static void what_still_waits_to_be_taken_back_is_freed_at_the_end(void **state) {
  (void)state;
  fail_to_take_back();
  close_streams();
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_the_courier_refuses_is_taken_back),
      cmocka_unit_test(a_change_that_can_not_be_taken_back_is_tried_again_until_it_is),
      cmocka_unit_test(a_creation_that_can_not_be_taken_back_is_tried_again_until_it_is),
      cmocka_unit_test(what_still_waits_to_be_taken_back_is_freed_at_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
