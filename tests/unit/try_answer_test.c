// try_answer_test.c - what became of tried records, as JSON: spliced, masked, and whole or not at all.
#include "api/try_answer.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char SINK[] =
    "return { api = 1, name = 's', title = 'S', accepts = { 'event' }, framing = 'one',\n"
    "  settings = { { 'url', type = 'secret', label = 'URL', required = true } },\n"
    "  batch = { records = 1, bytes = 100000 },\n"
    "  request = function(batch, settings)\n"
    "    local body = batch.records[1].body\n"
    "    if body:find('fail', 1, true) then error('no request for ' .. settings.url) end\n"
    "    return { url = settings.url, method = 'PUT', headers = { n = 'v' } }\n"
    "  end }\n";

static struct pool_output outputs[2];
static struct pool_trial_result results[4];
static struct try_item items[6];
static struct try_plan plan;
static char settings[] = "{\"url\":\"https://h.example/deep-s3cret\"}";

static int setup(void **state) {
  (void)state;
  struct err err = {0};
  plan = (struct try_plan){.stream_id = "st_try", .settings = settings};
  plan.sink = sink_load("s.lua", slice_of(SINK), &err);
  assert_string_equal(err.text, "");
  outputs[0] = (struct pool_output){.body = slice_of("{\"n\":0.0085310000000000004}")};
  outputs[1] = (struct pool_output){.body = slice_of("{\"fail\":1}")};
  results[0] = (struct pool_trial_result){
      .outcome = SCRIPT_KEPT, .tried = true, .outputs = outputs, .output_count = 1};
  results[0].alert_count = 1;
  results[0].alerts[0] =
      (struct script_alert){.key = "k\"", .title = "t", .severity = SCRIPT_CRITICAL, .for_s = 300};
  results[0].log_bytes = (uint32_t)snprintf(results[0].log, sizeof results[0].log, "one\ntwo");
  results[1] = (struct pool_trial_result){.outcome = SCRIPT_FILTERED, .tried = true, .text = "why \"not\""};
  results[1].alert_failed = true;
  snprintf(results[1].alert_text, sizeof results[1].alert_text, "oh");
  results[2] =
      (struct pool_trial_result){.outcome = SCRIPT_TIMEOUT, .tried = true, .text = "slow", .line = 7};
  results[3] = (struct pool_trial_result){
      .outcome = SCRIPT_KEPT, .tried = true, .outputs = outputs + 1, .output_count = 1};
  for (uint32_t i = 0; i < 4; i++)
    items[i] = (struct try_item){.record = slice_of("{\"id\":1}"),
                                 .header = {.kind = RECORD_EVENT, .id = 1, .sequence = i + 1},
                                 .result = &results[i]};
  items[4] = (struct try_item){.record = slice_of("7"), .refused = "no record"};
  items[5] = (struct try_item){.record = slice_of("{}"), .reason = "sink"};
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sink_unref(plan.sink);
  return 0;
}

static void each_item_says_what_became_of_it(void **state) {
  // All fields every time, in one order; the sink's secret and what was made of it are stars, in errors, too.
  (void)state;
  static const char expected[] =
      "{\"items\":["
      "{\"record\":{\"id\":1},\"kept\":true,\"reason\":null,\"records\":[{\"n\":0.0085310000000000004}],"
      "\"alerts\":[{\"key\":\"k\\\"\",\"title\":\"t\",\"severity\":\"critical\",\"for_s\":300}],\"log\":["
      "\"one\",\"two\"],"
      "\"error\":null,\"request\":{\"method\":\"PUT\",\"url\":\"https://********\",\"headers\":{"
      "\"User-Agent\":\"Sluice/" SLUICE_VERSION
      "\",\"n\":\"v\"},\"body\":\"{\\\"n\\\":0.0085310000000000004}\"},"
      "\"request_count\":1},"
      "{\"record\":{\"id\":1},\"kept\":false,\"reason\":\"why \\\"not\\\"\",\"records\":[],\"alerts\":[],"
      "\"alert_error\":{\"message\":\"oh\",\"line\":null},\"log\":[],\"error\":null,\"request\":null,"
      "\"request_count\":0},"
      "{\"record\":{\"id\":1},\"kept\":false,\"reason\":null,\"records\":[],\"alerts\":[],\"log\":[],"
      "\"error\":{\"message\":\"slow\",\"line\":7},\"request\":null,\"request_count\":0},"
      "{\"record\":{\"id\":1},\"kept\":true,\"reason\":null,\"records\":[{\"fail\":1}],\"alerts\":[],\"log\":"
      "[],"
      "\"error\":{\"message\":\"s.lua:6: no request for "
      "********\",\"line\":null},\"request\":null,\"request_count\":0},"
      "{\"record\":7,\"kept\":false,\"reason\":null,\"records\":[],\"alerts\":[],\"log\":[],"
      "\"error\":{\"message\":\"no record\",\"line\":null},\"request\":null,\"request_count\":0},"
      "{\"record\":{},\"kept\":false,\"reason\":\"sink\",\"records\":[],\"alerts\":[],\"log\":[],\"error\":"
      "null,"
      "\"request\":null,\"request_count\":0}]}";
  struct buf out;
  struct err err = {0};
  buf_init(&out, 1 << 20);
  assert_true(try_answer_write(&out, items, 6, &plan, &err));
  assert_string_equal(buf_text(&out), expected);
  buf_fini(&out);
}

// Allocations that an answer of so many items takes.
static long allocations(uint32_t count) {
  struct buf out;
  buf_init(&out, 1 << 20);
  mem_fail_at(LONG_MAX);
  assert_true(try_answer_write(&out, items, count, &plan, NULL));
  long asked = mem_asked();
  mem_fail_at(0);
  buf_fini(&out);
  return asked;
}

static void without_memory_or_room_there_is_no_answer(void **state) {
  // Each allocation in turn, but for those of new Lua states, whose library does not stand it: false with
  // words, or all of it; never a secret.
  (void)state;
  long opened = allocations(0), all = allocations(6);
  assert_true(all > opened + 5);
  for (long nth = opened; nth <= all; nth++) {
    struct buf out;
    struct err err = {0};
    buf_init(&out, 1 << 20);
    mem_fail_at(nth);
    bool ok = try_answer_write(&out, items, 6, &plan, &err);
    mem_fail_at(0);
    assert_true(ok || err.text[0]);
    if (ok) assert_null(strstr(buf_text(&out), "s3cret"));
    buf_fini(&out);
  }
  struct buf small;
  struct err err = {0};
  buf_init(&small, 300);
  assert_false(try_answer_write(&small, items, 6, &plan, &err));
  assert_non_null(strstr(err.text, "try fewer"));
  buf_fini(&small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_item_says_what_became_of_it, setup, teardown),
      cmocka_unit_test_setup_teardown(without_memory_or_room_there_is_no_answer, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
