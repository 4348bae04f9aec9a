// sink_test.c - proves that sink files are read, or refused in words.
#include "sink_support.h"

#include <stdlib.h>
#include <unistd.h>

static void reads_a_file(void **state) {
  // Proves: every key of a sink file lands in the sink, and its description says the same.
  (void)state;
  struct sink *sink = load(
      "local S = { api = 1, name = 'slack-2', title = 'Slack', accepts = { 'alert', 'event' }, framing = "
      "'lines',\n"
      "settings = { { 'url', type = 'url', label = 'Webhook', help = 'h', required = true, secret = true },\n"
      "  { 'n', type = 'integer', min = 1, max = 5, default = 2 },\n"
      "  { 'mode', type = 'choice', choices = { 'a', 'b' }, default = 'b' } },\n"
      "batch = { records = 50, bytes = 1000, seconds = 1.5, by = 'kind', one_per_key = true, planned = true "
      "} }\n"
      "function S.map(rec, ctx) return {} end\nfunction S.request(b, s) return {} end\n"
      "function S.verdict() end\nfunction S.probe() end\nreturn S");
  assert_string_equal(sink->name, "slack-2");
  assert_string_equal(sink->title, "Slack");
  assert_int_equal(strlen(sink->version), 12);
  assert_int_equal(sink->accepts, 1 << 1 | 1 << 3);
  assert_int_equal(sink->setting_count, 3);
  assert_true(sink->settings[0].required && sink->settings[0].secret && sink->settings[0].type == SINK_URL);
  assert_int_equal(json_integer_value(sink->settings[1].initial), 2);
  assert_string_equal(sink->settings[2].choices[1], "b");
  assert_null(sink->settings[2].choices[2]);
  assert_int_equal(sink->batch_records, 50);
  assert_int_equal(sink->batch_bytes, 1000);
  assert_int_equal(sink->batch_ms, 1500);
  assert_true(sink->by_kind && sink->one_per_key && sink->planned);
  assert_true(sink->has_map && sink->has_request && sink->has_verdict && sink->has_probe);
  json_t *shown = sink_describe(sink);
  assert_string_equal(json_string_value(json_object_get(shown, "title")), "Slack");
  assert_int_equal(json_array_size(json_object_get(shown, "settings")), 3);
  json_decref(shown);
  sink_unref(sink);
}

static void refuses_files_in_words(void **state) {
  // Proves: each mistake in a sink file is named with its file and, where it can be known, its line.
  (void)state;
  static const struct {
    const char *source, *why;
  } cases[] = {
      {"return {", "t.lua:1: unexpected symbol near '<eof>'"},
      {"return 5", "t.lua: a sink must return a table"},
      {"return { api = 2 }", "t.lua:1: api must be 1"},
      {"return { api = 1,\nnaem = 't' }", "t.lua:2: sink: unknown \"naem\": did you mean \"name\"?"},
      {"return { api = 1,\n\nname = 'T' }", "t.lua:3: name must be 1 to 64 of a-z, 0-9, \"_\" and \"-\""},
      {"return { api = 1, name = 't' }", "t.lua: the function request(batch, settings) is missing"},
      {"return { api = 1, name = 't', request = 1 }", "t.lua:1: request must be a function"},
      {SINK("function S.verdcit() end"), "t.lua:3: sink: unknown \"verdcit\": did you mean \"verdict\"?"},
      {SINK("S.accepts = { 'cdr' }"), "t.lua:3: accepts must be a list of \"event\", \"usage\", \"alert\""},
      {SINK("S.framing = 'csv'"),
       "t.lua:3: framing must be \"one\", \"array\", \"lines\", \"custom\" or a function"},
      {SINK("S.batch = { records = 0 }"), "t.lua:3: records must be a whole number from 1 to 10000"},
      {SINK("S.batch = { records = 2 }"),
       "t.lua:3: framing \"one\" sends one record: batch.records must be 1"},
      {SINK("S.batch = { recods = 1 }"), "t.lua:3: batch: unknown \"recods\": did you mean \"records\"?"},
      {SINK("S.batch = { seconds = -1 }"), "t.lua:3: seconds must be from 0 to 3600"},
      {SINK("S.settings = { 5 }"), "t.lua:3: settings must be a list of tables"},
      {SINK("S.settings = { { 'a' } }"),
       "t.lua:3: setting a: type must be string, secret, integer, number, boolean, choice, url or headers"},
      {SINK("S.settings = { { 'a', type = 'string', lable = 'x' } }"),
       "t.lua:3: a: unknown \"lable\": did you mean \"label\"?"},
      {SINK("S.settings = {\n{ 'a', type = 'choice' } }"),
       "t.lua:4: setting a: type \"choice\" needs choices = { ... }"},
      {SINK("S.settings = { { 'a', type = 'integer', min = 3, max = 2 } }"),
       "t.lua:3: setting a: min and max leave no value"},
      {SINK("S.settings = { { 'a', type = 'integer', max = 2, default = 3 } }"),
       "t.lua:3: setting a: default must be from -9.00719925474099e+15 to 2"},
      {SINK("S.settings = { { 'a', type = 'string' }, { 'a', type = 'string' } }"),
       "t.lua:3: setting a is there twice"},
      {SINK("S.settings = { { 'a', type = 'string', required = { b = 'x' } } }"),
       "t.lua:3: setting a: required names \"b\", which is no setting"},
      {SINK("S.settings = { 'headers', 'oauth' }"),
       "t.lua:3: no settings are called \"oauth\": headers, auth, signing, timeout_s or tls"},
      {SINK("S.settings = { { 'token', type = 'string' },\n'auth' }"),
       "t.lua:3: setting token is there twice"},
      {SINK("local s = {} for i = 1, 22 do s[i] = 'tls' end S.settings = s"),
       "t.lua:3: a sink has at most 64 settings"},
      {"while true do end", "t.lua:1: took longer than 50 ms"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {0};
    assert_null(sink_load("t.lua", slice_of(cases[i].source), &err));
    assert_string_equal(err.text, cases[i].why);
  }
}

static void write_file(const char *folder, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void loads_a_folder(void **state) {
  // Proves: good files stand, a broken one and a second of the same name are left out with an error, specs
  // are not looked at.
  (void)state;
  char folder[] = "/tmp/sink_test_XXXXXX", path[128];
  static const char *const names[] = {"a.lua", "b.lua", "c.lua", "t_spec.lua", "notes.txt"};
  assert_non_null(mkdtemp(folder));
  write_file(folder, "a.lua", SINK(""));
  write_file(folder, "b.lua", "return {");
  write_file(folder, "c.lua", SINK("S.title = 'again'"));
  write_file(folder, "t_spec.lua", "no lua");
  write_file(folder, "notes.txt", "no lua");
  struct err err = {0};
  struct sink_set *set = sink_set_load(folder, &err);
  assert_non_null(set);
  assert_int_equal(sink_set_count(set), 1);
  assert_non_null(strstr(err.text, "b.lua:1: unexpected symbol"));
  assert_string_equal(sink_set_find(set, "t")->title, "t");
  assert_null(sink_set_find(set, "u"));
  sink_set_free(set);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  rmdir(folder);
  err = (struct err){0};
  assert_null(sink_set_load(folder, &err));
  assert_non_null(strstr(err.text, "can't be read"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_file),
      cmocka_unit_test(refuses_files_in_words),
      cmocka_unit_test(loads_a_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
