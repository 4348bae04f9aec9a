// Proves that a changed file is taken over or refused whole whatever fails on the way, and that a script which fails for record after
// record gives way to the one before it, without a record lost or a dead letter too many.
#include "courier_support.h"

#include "flow/reload_parts.h"
#include "flow/streams.h"

enum { SENT = 150 };

static struct world w;
static struct streams *streams;
static struct reload *reload;
static const char *id; // of the stream

static const char one[] = "return { api = 1, map = function(rec) return { id = rec.id, v = 1 } end }";
static const char two[] = "return { api = 1, map = function(rec) return { id = rec.id, v = 2 } end }";
static const char failing[] = "return { api = 1, map = function(rec) return rec.no.such end }";

static void write_script(const char *text) {
  char path[128];
  struct err err = {0};
  snprintf(path, sizeof path, "%s/shared.lua", w.folder);
  assert_true(disk_replace_file(path, slice_of(text), 0600, &err));
}

static void open_all(void) {
  struct err err = {0};
  static char sinks[128];
  world_open(&w, NULL);
  snprintf(sinks, sizeof sinks, "%s/sinks", w.folder);
  struct streams_options options = {.loop = w.courier->loop, .store = w.store, .journal = w.journal, .pool = w.pool,
                                    .couriers = &w.courier, .courier_count = 1,
                                    .world = {.sinks = w.sinks, .scripts_folder = w.folder, .store = w.store}};
  streams = streams_new(&options, &err);
  assert_true(streams && streams_load(streams, &err));
  struct reload_options files = {.loop = w.courier->loop, .pool = w.pool, .streams = streams, .sinks = w.sinks,
                                 .scripts_folder = w.folder, .sinks_folder = sinks};
  reload = reload_new(&files, &err);
  assert_non_null(reload);
}

static void close_all(void) {
  struct reload *files = reload;
  struct streams *all = streams;
  world_close(&w);
  reload_free(files);
  streams_free(all);
}

static const struct stream_entry *entry(void) {
  return streams_find(streams, id);
}

// ---- requests ----

static enum streams_outcome outcome;
static bool answered;

static void note_answer(const struct streams_answer *answer, void *arg) {
  static char made[DEFINITION_ID_BYTES];
  (void)arg;
  snprintf(made, sizeof made, "%s", answer->id ? answer->id : "");
  id = made;
  outcome = answer->outcome;
  answered = true;
}

static bool is_answered(struct world *world) {
  (void)world;
  return answered;
}

static void create(const char *field, const char *script) {
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/in", http_server_port(w.receiver));
  json_t *body = json_pack("{s:s, s:s, s:s, s:i, s:{s:s}, s:s}", "name", "n", "type", "events", "sink", "rest_bulk", "organisation_id",
                           ORGANISATION, "settings", "url", url, field, script);
  answered = false;
  streams_create(streams, body, note_answer, NULL);
  json_decref(body);
  run_until(&w, is_answered);
  assert_int_equal(outcome, STREAMS_DONE);
  w.stream = courier_stream(w.courier, id);
  w.status = entry()->status;
  status_ref(w.status);
  w.definition = entry()->definition;
  definition_ref(w.definition);
}

static void change_script(const char *script) {
  json_t *body = json_pack("{s:s}", "script", script);
  answered = false;
  streams_change(streams, entry(), body, note_answer, NULL);
  json_decref(body);
  run_until(&w, is_answered);
  assert_int_equal(outcome, STREAMS_DONE);
}

static void activate(void) {
  answered = false;
  streams_set_active(streams, entry(), true, note_answer, NULL);
  run_until(&w, is_answered);
}

// ---- conditions ----

static bool is_at_rest(struct world *world) { // settled, or paused
  bool still = !world->courier->requests && !world->stream->letters && saver_idle(world->courier->saver) && !entry()->changing;
  if (atomic_load(&commits_refused) >= 2) atomic_store(&commits_fail, false);
  if (world->stream->redriving || !still) return false;
  return all_settled(world) || (stream_state(world->stream) == STREAM_PAUSED && !entry()->alarmed);
}

static bool has_looked(struct world *world) {
  (void)world;
  return !reload->working && list_empty(&reload->waiting);
}

static const char *awaited_version;

static bool has_version(struct world *world) {
  (void)world;
  return strcmp(entry()->definition->script_version, awaited_version) == 0 && !entry()->changing;
}

static void await_version(const char *source) {
  char version[DEFINITION_VERSION_BYTES];
  definition_version(slice_of(source), version);
  awaited_version = version;
  run_until(&w, has_version);
}

static bool has_version_error(struct world *world) {
  return world->status->version_error != NULL;
}

static bool has_no_version_error(struct world *world) {
  return world->status->version_error == NULL;
}

// ---- tests ----

static void a_failing_version_gives_way_and_what_it_failed_for_is_delivered(void **state) {
  (void)state;
  open_all();
  create("script", one);
  change_script(failing);
  send_records(&w, SENT, NULL);
  run_until(&w, all_settled);
  assert_int_equal(count_of(&w, COUNT_DELIVERED), SENT);
  assert_int_equal(count_of(&w, COUNT_DEAD), 0);
  assert_int_equal(letters_of(&w).count, 0);
  assert_true(entry()->definition->bad_version[0] != 0);
  close_all();
}

static void let_commits_fail(void) {
  atomic_store(&commits_fail, true);
}

// Whichever commit fails, and the next one with it: in the end each record is delivered or a dead letter, and counted as that.
static void a_store_that_fails_in_the_middle_loses_nothing(void **state) {
  (void)state;
  for (int n = 1; n <= 5; n++) {
    open_all();
    create("script", one);
    change_script(failing);
    commits_ended = let_commits_fail;
    atomic_store(&commits_before, n);
    send_records(&w, SENT, NULL);
    run_until(&w, is_at_rest);
    atomic_store(&commits_before, 0);
    atomic_store(&commits_fail, false);
    for (int i = 0; i < 3 && !all_settled(&w); i++) {
      activate();
      run_until(&w, is_at_rest);
    }
    assert_true(all_settled(&w));
    struct letters letters = letters_of(&w);
    json_decref(letters.last);
    assert_int_equal(letters.count, count_of(&w, COUNT_DEAD));
    assert_int_equal(count_of(&w, COUNT_DELIVERED) + count_of(&w, COUNT_DEAD), SENT);
    close_all();
  }
}

static void a_changed_file_is_taken_over_and_a_broken_one_is_told_until_it_is_mended(void **state) {
  (void)state;
  open_all();
  write_script(one);
  create("script_name", "shared");
  write_script(two);
  await_version(two);
  write_script("broken");
  run_until(&w, has_version_error);
  assert_non_null(strstr(w.status->version_error, "shared.lua:1: "));
  assert_non_null(strstr(w.status->version_error, " goes on)"));
  write_script(two);
  run_until(&w, has_no_version_error);
  close_all();
}

// The store refuses the new version: the old one goes on, and a second look takes the new one over.
static void a_version_that_can_not_be_stored_is_not_taken_over(void **state) {
  (void)state;
  open_all();
  write_script(one);
  create("script_name", "shared");
  atomic_store(&commits_fail, true);
  write_script(two);
  run_until(&w, has_version_error);
  char version[DEFINITION_VERSION_BYTES];
  definition_version(slice_of(one), version);
  assert_string_equal(entry()->definition->script_version, version);
  assert_string_equal(w.stream->outfit->definition->script_version, version);
  atomic_store(&commits_fail, false);
  reload_all(reload);
  await_version(two);
  run_until(&w, has_no_version_error);
  close_all();
}

// Allocations fail one after the other in a look at the file: a further look takes it over all the same.
static void a_look_without_memory_leaves_the_old_version_and_no_trace(void **state) {
  (void)state;
  open_all();
  write_script(one);
  create("script_name", "shared");
  for (long n = 1; n <= 40; n++) {
    const char *next = n % 2 ? two : one;
    write_script(next);
    mem_fail_at(n);
    reload_all(reload);
    run_until(&w, has_looked);
    mem_fail_at(0);
    reload_all(reload);
    await_version(next);
    send_records(&w, 3, NULL);
    run_until(&w, all_settled);
    assert_non_null(strstr(w.got[w.got_count - 1].body, n % 2 ? "\"v\":2" : "\"v\":1"));
  }
  assert_int_equal(count_of(&w, COUNT_DELIVERED), 3 * 40);
  close_all();
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) return worker_main(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_failing_version_gives_way_and_what_it_failed_for_is_delivered),
      cmocka_unit_test(a_store_that_fails_in_the_middle_loses_nothing),
      cmocka_unit_test(a_changed_file_is_taken_over_and_a_broken_one_is_told_until_it_is_mended),
      cmocka_unit_test(a_version_that_can_not_be_stored_is_not_taken_over),
      cmocka_unit_test(a_look_without_memory_leaves_the_old_version_and_no_trace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
