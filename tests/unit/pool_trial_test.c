// pool_trial_test.c - programs tried in throw-away workers: results, failures, crashes, hangs and lies, each
// in words and with its record.
#include "base/rand.h"
#include "pool_support.h"
#include "script/confine.h"
#include "script/pool_trial.h"
#include "script/worker.h"
#include "script/worker_process.h"
#include "script/worker_trial.h"

#include <libgen.h>
#include <sys/mman.h>

// ---- a worker that lies ----

static void scribble(void *at, size_t len) {
  for (char *p = at; len >= 8; p += 8, len -= 8)
    memcpy(p, &(uint64_t){rand_u64()}, 8);
}

// A note that is right but for one number.
static void lie_in_one_number(struct trial_sheet *sheet, uint32_t wild) {
  struct trial_note *note = &sheet->notes[1];
  struct script_output *output = (void *)sheet->output;
  note->output_count = 1;
  note->byte_count = 2;
  memcpy(output + 1, "{}", 2);
  *output = (struct script_output){.body_len = 2};
  uint32_t *numbers[] = {&note->outcome,     &note->output_count, &note->mapped_count,  &note->byte_count,
                         &note->alert_count, &note->log_bytes,    &output->body_at,     &output->body_len,
                         &output->key_at,    &output->key_len,    (uint32_t *)&note->at};
  *numbers[rand_u64() % (sizeof numbers / sizeof *numbers)] = wild | 1u << 30;
}

_Noreturn static void play_liar(void) {
  struct trial_sheet *sheet =
      mmap(NULL, sizeof *sheet, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_MEMORY, 0);
  rand_seed(sheet->records[0].sequence);
  uint32_t wild = (uint32_t)rand_u64();
  atomic_store(&sheet->loaded, TRIAL_ACCEPTED);
  switch (rand_u64() % 4) {
  case 0:
    scribble(sheet->notes, sizeof sheet->notes);
    atomic_store(&sheet->done, 2);
    break;
  case 1:
    atomic_store(&sheet->done, wild | 1u << 20);
    break;
  default:
    lie_in_one_number(sheet, wild);
    atomic_store(&sheet->done, 2);
  }
  _exit(0);
}

// ---- tries ----

enum { RECORDS = 4 };

static struct fixture f;
static unsigned trials_open;

struct attempt {
  struct pool_trial trial; // first
  struct program *program;
  struct pool_trial_record records[LIMIT_TRIAL_RECORDS];
  char bytes[RECORDS][128];
};

static void attempt_done(struct pool_trial *trial) {
  (void)trial;
  trials_open--;
}

static bool attempts_ended(struct fixture *fixture) {
  (void)fixture;
  return trials_open == 0;
}

static void attempt_begin(struct attempt *a, const char *script, const char *sink) {
  *a = (struct attempt){.program = program_of(script, sink, "s")};
  for (uint32_t i = 0; i < RECORDS; i++) {
    size_t len = write_record(a->bytes[i], sizeof a->bytes[i], i + 1, 0);
    a->records[i] = (struct pool_trial_record){
        {.sequence = i + 1, .kind = RECORD_EVENT, .event_type = 5, .organisation = 7, .id = i + 1},
        slice_make(a->bytes[i], len)};
  }
  a->trial = (struct pool_trial){
      .loop = f.loop, .program = a->program, .records = a->records, .count = RECORDS, .done = attempt_done};
}

static void attempt_start(struct attempt *a) {
  trials_open++;
  pool_trial(f.pool, &a->trial);
}

static void attempt_end(struct attempt *a) {
  pool_trial_fini(&a->trial);
  program_unref(a->program);
}

static void attempt(struct attempt *a, const char *script, const char *sink) {
  attempt_begin(a, script, sink);
  attempt_start(a);
  run_until(&f, attempts_ended);
}

static void expect_body(const struct pool_output *output, const char *body) {
  char text[256];
  snprintf(text, sizeof text, "%.*s", (int)output->body.len, output->body.at);
  assert_string_equal(text, body);
}

static void expect_failed(const struct attempt *a, uint32_t i, const char *words) {
  const struct pool_trial_result *result = &a->trial.results[i];
  assert_int_equal(result->outcome, SCRIPT_FAILED);
  assert_non_null(strstr(result->text, words));
}

// ---- tests ----

static int open_pool(void **state) {
  (void)state;
  fixture_open(&f, NULL, 1);
  return 0;
}

static int close_pool(void **state) {
  (void)state;
  fixture_close(&f);
  return 0;
}

static void each_record_has_its_own_outcome(void **state) {
  // Kept, filtered with its reason, failed with its line, and what was logged; windows begin empty and count
  // on.
  (void)state;
  static const char script[] = "local M = { api = 1 }\n"
                               "function M.filter(rec, ctx)\n"
                               "  log('saw', rec.id, ctx.count('k', '1h'))\n"
                               "  if rec.id == 2 then return false, 'two' end\n"
                               "  if rec.id == 3 then return rec.nothing.at.all end\n"
                               "  return true\n"
                               "end\n"
                               "function M.map(rec) return array{ { id = rec.id }, { more = true } } end\n"
                               "return M\n";
  struct attempt a;
  attempt(&a, script, "");
  assert_int_equal(a.trial.end, POOL_TRIAL_DONE);
  assert_false(a.trial.broke);
  const struct pool_trial_result *results = a.trial.results;
  assert_int_equal(results[0].outcome, SCRIPT_KEPT);
  assert_int_equal(results[0].output_count, 2);
  expect_body(&results[0].outputs[0], "{\"id\":1}");
  expect_body(&results[0].outputs[1], "{\"more\":true}");
  assert_int_equal(results[0].mapped_count, 0);
  assert_non_null(strstr(results[0].log, "saw"));
  assert_int_equal(results[1].outcome, SCRIPT_FILTERED);
  assert_string_equal(results[1].text, "two");
  expect_failed(&a, 2, "nothing");
  assert_int_equal(results[2].line, 5);
  expect_body(&results[3].outputs[0], "{\"id\":4}");
  assert_true(results[3].tried);
  assert_string_equal(results[3].log, "saw 4 3"); // what failed left no trace
  attempt_end(&a);
}

static void alerts_come_with_their_record(void **state) {
  // What the alert hook raised, what it stumbled over, and none of a record that failed.
  (void)state;
  static const char script[] =
      "local M = { api = 1 }\n"
      "function M.alert(rec)\n"
      "  if rec.id == 2 then return rec.no.such end\n"
      "  return { key = 'k' .. rec.id, title = 'T', severity = 'warn', for_s = 60 }\n"
      "end\n"
      "function M.filter(rec) if rec.id == 3 then error('no') end return rec.id ~= 4, 'four' end\n"
      "return M\n";
  struct attempt a;
  attempt(&a, script, "");
  const struct pool_trial_result *results = a.trial.results;
  assert_int_equal(results[0].alert_count, 1);
  assert_string_equal(results[0].alerts[0].key, "k1");
  assert_int_equal(results[0].alerts[0].severity, SCRIPT_WARN);
  assert_int_equal(results[0].alerts[0].for_s, 60);
  assert_true(results[1].alert_failed);
  assert_int_equal(results[1].alert_line, 3);
  assert_int_equal(results[1].outcome, SCRIPT_KEPT);
  assert_int_equal(results[2].outcome, SCRIPT_FAILED);
  assert_int_equal(results[2].alert_count, 0);
  assert_int_equal(results[3].outcome, SCRIPT_FILTERED);
  assert_int_equal(results[3].alert_count, 1);
  attempt_end(&a);
}

static void the_sinks_map_follows(void **state) {
  // Its results come beside the script's; what it drops is left out, where it drops all the record is
  // filtered.
  (void)state;
  static const char script[] = "return { api = 1, map = function(rec)\n"
                               "  if rec.id == 2 then return { skip = true } end\n"
                               "  if rec.id == 3 then return { wrong = true } end\n"
                               "  return array{ { n = rec.id }, { skip = true } } end }\n";
  static const char sink[] = "local S = { api = 1 }\n"
                             "function S.map(rec, ctx)\n"
                             "  if rec.skip then return nil end\n"
                             "  if rec.wrong then error('wrong') end\n"
                             "  return { tag = ctx.settings.tag, n = rec.n }, 'key' .. rec.n\n"
                             "end\n"
                             "return S\n";
  struct attempt a;
  attempt(&a, script, sink);
  assert_string_equal(a.trial.err.text, "");
  const struct pool_trial_result *results = a.trial.results;
  assert_int_equal(results[0].output_count, 2);
  assert_int_equal(results[0].mapped_count, 1);
  expect_body(&results[0].mapped[0], "{\"n\":1,\"tag\":\"t\"}");
  assert_true(slice_is(results[0].mapped[0].key, "key1"));
  assert_int_equal(results[1].outcome, SCRIPT_FILTERED);
  assert_string_equal(results[1].text, "map");
  expect_failed(&a, 2, "wrong");
  assert_int_equal(results[3].mapped_count, 1);
  attempt_end(&a);
}

static void without_a_script_records_stay_as_they_are(void **state) {
  // Byte for byte.
  (void)state;
  struct attempt a;
  attempt(&a, "", "");
  assert_int_equal(a.trial.end, POOL_TRIAL_DONE);
  expect_body(&a.trial.results[1].outputs[0], a.bytes[1]);
  attempt_end(&a);
}

static void calls_out_of_time_and_memory_fail_alone(void **state) {
  // The state is thrown away as in production; the next record is tried by a new one, with the same windows.
  (void)state;
  static const char script[] = "local M, seen = { api = 1 }, 0\n"
                               "function M.map(rec, ctx)\n"
                               "  local n = ctx.count('k', '1h')\n"
                               "  seen = seen + 1\n"
                               "  if rec.id == 2 then while true do end end\n"
                               "  if rec.id == 3 then local t = {} for i = 1, 1e9 do t[i] = {} end end\n"
                               "  return { n = n, seen = seen }\n"
                               "end\n"
                               "return M\n";
  struct attempt a;
  attempt(&a, script, "");
  const struct pool_trial_result *results = a.trial.results;
  assert_int_equal(results[1].outcome, SCRIPT_TIMEOUT);
  assert_true(results[2].outcome == SCRIPT_MEMORY || results[2].outcome == SCRIPT_TIMEOUT);
  expect_body(&results[3].outputs[0], "{\"n\":2,\"seen\":1}");
  assert_false(a.trial.broke);
  attempt_end(&a);
}

static void what_does_not_compile_is_refused_in_words(void **state) {
  // With the line, for the script and for the sink; a parser's crash, too.
  (void)state;
  struct attempt a;
  attempt(&a, "return {\n  api = 1,\n  map = function( end\n}", "");
  assert_int_equal(a.trial.end, POOL_TRIAL_REFUSED);
  assert_non_null(strstr(a.trial.err.text, "test:3:"));
  assert_null(a.trial.results);
  attempt_end(&a);
  attempt(&a, "", "return 7");
  assert_int_equal(a.trial.end, POOL_TRIAL_REFUSED);
  assert_non_null(strstr(a.trial.err.text, "sink"));
  attempt_end(&a);
  attempt(&a, "local _\nfor _ in (nil):foo() do end\n", "");
  assert_int_equal(a.trial.end, POOL_TRIAL_REFUSED);
  assert_non_null(strstr(a.trial.err.text, "test: the script crashed its worker"));
  attempt_end(&a);
}

static void a_lie_in_the_sheet_blames_a_record_and_hurts_nobody(void **state) {
  // Wild counts, offsets and texts, many times: nothing outside the sheet is read (ASan looks on).
  (void)state;
  char self[1000], folder[] = "/tmp/pool_trial.XXXXXX", path[64];
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(len > 0);
  self[len] = 0;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/liar", folder);
  assert_int_equal(symlink(self, path), 0);
  fixture_open(&f, path, 1);
  for (uint32_t round = 1; round <= 200; round++) {
    struct attempt a;
    attempt_begin(&a, "", "");
    a.records[0].header.sequence = round;
    attempt_start(&a);
    run_until(&f, attempts_ended);
    assert_int_equal(a.trial.end, POOL_TRIAL_DONE);
    assert_true(a.trial.broke);
    assert_in_range(a.trial.at, 0, 2);
    for (uint32_t i = a.trial.at; i < RECORDS; i++)
      assert_int_equal(a.trial.results[i].outcome, SCRIPT_FAILED);
    attempt_end(&a);
  }
  fixture_close(&f);
  unlink(path);
  rmdir(folder);
}

static void a_call_that_its_hook_can_not_end_is_ended(void **state) {
  // The record it was at is named; those before it have their results, those behind it were not tried.
  (void)state;
  char self[1000], folder[] = "/tmp/pool_trial.XXXXXX", path[64];
  ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(len > 0);
  self[len] = 0;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/stuck", folder);
  assert_int_equal(symlink(self, path), 0);
  fixture_open(&f, path, 1);
  struct attempt a;
  attempt(&a, "", "");
  assert_int_equal(a.trial.end, POOL_TRIAL_DONE);
  assert_true(a.trial.broke);
  assert_int_equal(a.trial.at, 2);
  assert_int_equal(a.trial.results[1].outcome, SCRIPT_KEPT);
  expect_failed(&a, 2, "took too long and was ended");
  assert_true(a.trial.results[2].tried);
  expect_failed(&a, 3, "not tried: the script took too long and was ended on record 3 of these");
  assert_false(a.trial.results[3].tried);
  attempt_end(&a);
  fixture_close(&f);
  unlink(path);
  rmdir(folder);
}

static void many_at_once_queue(void **state) {
  // Three times as many as are run at a time: each its own answer.
  (void)state;
  enum { MANY = 3 * LIMIT_TRIALS };
  static struct attempt all[MANY];
  for (int i = 0; i < MANY; i++) {
    attempt_begin(&all[i],
                  i % 2 ? "return { api = 1, filter = function() return false, 'no' end }" : "return 7", "");
    attempt_start(&all[i]);
  }
  run_until(&f, attempts_ended);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(all[i].trial.end, i % 2 ? POOL_TRIAL_DONE : POOL_TRIAL_REFUSED);
    if (i % 2) assert_string_equal(all[i].trial.results[3].text, "no");
    attempt_end(&all[i]);
  }
}

static void results_past_the_limit_fail_in_words(void **state) {
  // A hundred records that become 256 KB each.
  (void)state;
  static struct attempt a;
  attempt_begin(&a,
                "local text = string.rep('x', 250000)\n"
                "return { api = 1, map = function(rec) return { text = text } end }",
                "");
  for (uint32_t i = RECORDS; i < LIMIT_TRIAL_RECORDS; i++)
    a.records[i] = a.records[i % RECORDS];
  a.trial.count = LIMIT_TRIAL_RECORDS;
  attempt_start(&a);
  run_until(&f, attempts_ended);
  assert_int_equal(a.trial.end, POOL_TRIAL_DONE);
  assert_int_equal(a.trial.results[10].outcome, SCRIPT_KEPT);
  expect_failed(&a, LIMIT_TRIAL_RECORDS - 1, "try fewer");
  attempt_end(&a);
}

static void memory_that_is_short_is_an_error(void **state) {
  // Each allocation in turn; the watch thread makes them.
  (void)state;
  for (long nth = 1; nth <= 40; nth++) {
    struct attempt a;
    attempt_begin(&a, "return { api = 1 }", "");
    mem_fail_at(nth);
    attempt_start(&a);
    run_until(&f, attempts_ended);
    mem_fail_at(0);
    assert_true(a.trial.end == POOL_TRIAL_DONE || strstr(a.trial.err.text, "memory"));
    attempt_end(&a);
  }
}

_Noreturn static void play_stuck(void) {
  struct trial_sheet *sheet =
      mmap(NULL, sizeof *sheet, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_FD_MEMORY, 0);
  atomic_store(&sheet->loaded, TRIAL_ACCEPTED);
  atomic_store(&sheet->done, 2);
  for (;;) {
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "worker") == 0) {
    bool trial = argc > 2 && strcmp(argv[2], "try") == 0;
    if (trial && strcmp(basename(argv[0]), "liar") == 0) play_liar();
    if (trial && strcmp(basename(argv[0]), "stuck") == 0) play_stuck();
    return worker_main(argc, argv);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_record_has_its_own_outcome, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(alerts_come_with_their_record, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(the_sinks_map_follows, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(without_a_script_records_stay_as_they_are, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(calls_out_of_time_and_memory_fail_alone, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(what_does_not_compile_is_refused_in_words, open_pool, close_pool),
      cmocka_unit_test(a_lie_in_the_sheet_blames_a_record_and_hurts_nobody),
      cmocka_unit_test(a_call_that_its_hook_can_not_end_is_ended),
      cmocka_unit_test_setup_teardown(many_at_once_queue, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(results_past_the_limit_fail_in_words, open_pool, close_pool),
      cmocka_unit_test_setup_teardown(memory_that_is_short_is_an_error, open_pool, close_pool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
