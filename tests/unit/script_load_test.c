// Proves that a script is compiled and checked with errors that name the place and the remedy, and that its
// facts are read.
#include "base/limits.h"
#include "base/mem.h"
#include "script_support.h"

#include <stdlib.h>

static void refused(const char *name, struct slice source, enum script_role role, const char *expected) {
  struct err err = {{0}};
  struct script *script = script_load(name, source, role, NULL, &err);
  if (script) fail_msg("taken, expected %s", expected);
  assert_string_equal(err.text, expected);
}

static void broken_scripts_are_refused_with_their_place(void **state) {
  (void)state;
  static const struct script_case cases[] = {
      {"local x =\n\nreturn }", "a:b:3: unexpected symbol near 'return'"},
      {"", "a:b: a script must return a table (local M = { api = 1 } ... return M), not a nil"},
      {"return 7", "a:b: a script must return a table (local M = { api = 1 } ... return M), not a number"},
      {"\n\nerror('no')", "a:b:3: no"},
      {"error({})", "a:b:1: error value is a table"},
      {"return {}", "a:b: the returned table needs api = 1"},
      {"return { api = 2 }", "a:b: this engine knows api = 1 only"},
      {"return { api = 1, fliter = 1 }", "a:b: 'fliter' is not known; did you mean 'filter'?"},
      {"return { api = 1, something = 1 }", "a:b: 'something' is not known"},
      {"return { api = 1, 5 }", "a:b: the returned table has a key that is a number"},
      {"return { api = 1, map = {} }", "a:b: 'map' must be a function, not a table"},
      {"return { api = 1, alert = true }", "a:b: 'alert' must be a function, not a boolean"},
      {"return { api = 1, match = 5 }", "a:b: 'match' must be a table, such as { kind = { \"event\" } }"},
      {"return { api = 1, match = { kinds = {} } }", "a:b: 'match.kinds' is not known; did you mean 'kind'?"},
      {"return { api = 1, match = { kind = 'event' } }",
       "a:b: match.kind must be a list, such as { \"event\" }"},
      {"return { api = 1, match = { kind = {} } }", "a:b: match.kind must be a list, such as { \"event\" }"},
      {"return { api = 1, match = { kind = { 'evnt' } } }",
       "a:b: match.kind: 'evnt' is no kind of record: \"event\", \"usage\" or \"alert\""},
      {"return { api = 1, match = { event_type = { 1, 70000 } } }",
       "a:b: match.event_type: number 2 of the list is neither a whole number from 0 to 65535 nor a name"},
      {"return { api = 1, match = { event_type = { 1.5 } } }",
       "a:b: match.event_type: number 1 of the list is neither a whole number from 0 to 65535 nor a name"},
      {"return { api = 1, match = { event_type = { 'Delete PDP Contxt' } } }",
       "a:b: match.event_type: 'Delete PDP Contxt' is no event type; did you mean 'Delete PDP Context'?"},
      {"return { api = 1, match = { event_type = { 5, 'PDP context created' } } }",
       "a:b: match.event_type: 'PDP context created' is no event type; did you mean 'Create PDP Context'?"},
      {"return { api = 1, match = { event_type = { 'nothing' } } }",
       "a:b: match.event_type: 'nothing' is no event type, such as 'Update location'"},
      {"x = 1", "a:b:1: global 'x' can't be assigned: use local"},
      {"type = 1", "a:b:1: global 'type' can't be assigned: use local"},
      {"tiem.iso(1)", "a:b:1: global 'tiem' is not known; did you mean 'time'?"},
      {"\nreqiure('x')", "a:b:2: global 'reqiure' is not known"},
      {"\x1bLJ\x02", "a:b: is bytecode; only source is taken"},
      {"\xef\xbb\xbf\x1bLJ\x02", "a:b: cannot load malformed bytecode"},
      {"while true do end", "a:b:1: took longer than 50 ms"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused("a:b", slice_of(cases[i].source), SCRIPT_STREAM, cases[i].expected);
}

static void a_source_has_a_largest_length(void **state) {
  (void)state;
  size_t len = 1 << 20;
  char *source = test_malloc(len), expected[100];
  memset(source, ' ', len);
  snprintf(expected, sizeof expected, "big: a script has at most %d bytes, this one has %zu",
           LIMIT_SCRIPT_SOURCE_BYTES, len);
  refused("big", slice_make(source, len), SCRIPT_STREAM, expected);
  memcpy(source, "return{api=1}", 13);
  struct script *script =
      script_load("big", slice_make(source, LIMIT_SCRIPT_SOURCE_BYTES), SCRIPT_STREAM, NULL, NULL);
  assert_non_null(script);
  script_free(script);
  test_free(source);
}

static void facts_say_what_is_there(void **state) {
  (void)state;
  const unsigned all = 1u << RECORD_EVENT | 1u << RECORD_USAGE | 1u << RECORD_ALERT;
  struct script *script = load("return { api = 1 }");
  const struct script_facts *facts = script_facts(script);
  assert_false(facts->has_filter || facts->has_map || facts->has_alert);
  assert_int_equal(facts->kinds, all);
  assert_int_equal(facts->event_type_count, 0);
  script_free(script);
  script = load("local f = function() end return { api = 1, filter = f, map = f, alert = f,"
                "match = { kind = { 'usage', 'alert' }, event_type = { 0, 65535 } } }");
  facts = script_facts(script);
  assert_true(facts->has_filter && facts->has_map && facts->has_alert);
  assert_int_equal(facts->kinds, all & ~(1u << RECORD_EVENT));
  assert_int_equal(facts->event_type_count, 2);
  assert_int_equal(facts->event_types[1], 65535);
  script_free(script);
}

static void event_types_may_be_named(void **state) {
  (void)state;
  struct script *script =
      load("return { api = 1, match = { event_type = { 'user authentication FAILED', 5, 'Generic' } } }");
  const struct script_facts *facts = script_facts(script);
  assert_int_equal(facts->event_type_count, 3);
  assert_int_equal(facts->event_types[0], 6);
  assert_int_equal(facts->event_types[1], 5);
  assert_int_equal(facts->event_types[2], 0);
  script_free(script);
}

static void match_asks_for_kind_and_event_type(void **state) {
  (void)state;
  struct script_facts facts = {.kinds = 1u << RECORD_EVENT | 1u << RECORD_USAGE};
  struct record_header event = {.kind = RECORD_EVENT, .event_type = 5}, usage = {.kind = RECORD_USAGE};
  struct record_header alert = {.kind = RECORD_ALERT};
  assert_true(script_match(&facts, &event));
  assert_true(script_match(&facts, &usage));
  assert_false(script_match(&facts, &alert));
  facts.event_types[0] = 0;
  facts.event_types[1] = 6;
  facts.event_type_count = 2;
  assert_false(script_match(&facts, &event));
  assert_false(script_match(&facts, &usage)); // has no event type, not the type 0
  event.event_type = 6;
  assert_true(script_match(&facts, &event));
}

static void a_sinks_table_may_hold_more(void **state) {
  (void)state;
  struct err err = {{0}};
  const char *source = "return { api = 1, name = 'x', settings = {}, map = function(rec) return rec end }";
  struct script *script = script_load("sink", slice_of(source), SCRIPT_SINK, NULL, &err);
  assert_non_null(script);
  assert_true(script_facts(script)->has_map);
  script_free(script);
  refused("sink", slice_of("return { api = 1, map = 5 }"), SCRIPT_SINK,
          "sink: 'map' must be a function, not a number");
}

static void a_loaded_script_is_small(void **state) {
  (void)state;
  struct script *script = load("return { api = 1, map = function(rec) return { id = rec.id } end }");
  assert_in_range(script_memory(script), 1, 40 << 10);
  script_free(script);
}

// From the last allocation back to the copy of the source: before that, a new Lua state is made, which does
// not survive a refusal.
static void a_load_without_memory_says_so(void **state) {
  (void)state;
  const struct slice source = slice_of("return { api = 1, map = function(rec) return { id = rec.id } end }");
  mem_fail_at(1000000); // counts
  script_free(script_load("x", source, SCRIPT_STREAM, NULL, NULL));
  struct err err = {{0}};
  for (long nth = mem_asked(); strcmp(err.text, "x: out of memory") != 0; nth--) {
    err.text[0] = 0;
    mem_fail_at(nth);
    struct script *script = script_load("x", source, SCRIPT_STREAM, NULL, &err);
    mem_fail_at(0);
    assert_true(nth > 3 && (script != NULL) == (err.text[0] == 0));
    script_free(script);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broken_scripts_are_refused_with_their_place),
      cmocka_unit_test(a_source_has_a_largest_length),
      cmocka_unit_test(facts_say_what_is_there),
      cmocka_unit_test(event_types_may_be_named),
      cmocka_unit_test(match_asks_for_kind_and_event_type),
      cmocka_unit_test(a_sinks_table_may_hold_more),
      cmocka_unit_test(a_loaded_script_is_small),
      cmocka_unit_test(a_load_without_memory_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
