// Proves that a stream's definition is taken with its defaults or refused in words, field by field, and that
// what is stored reads back the same.
#include "definition_support.h"

static void assert_shows(const struct definition *d, const char *expected) {
  json_t *shown = definition_show(d), *is = json_of(expected);
  char *text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS),
       *wanted = json_dumps(is, JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(text, wanted);
  free(text);
  free(wanted);
  json_decref(is);
  json_decref(shown);
}

static void what_is_not_given_has_its_default(void **state) {
  (void)state;
  struct definition *d = create("{}");
  assert_memory_equal(d->id, "st_", 3);
  assert_int_equal(strlen(d->id), 23);
  assert_string_equal(d->name, "Fleet");
  assert_string_equal(d->type, "usage");
  assert_int_equal(d->kinds, 1u << RECORD_USAGE);
  assert_true(d->organisation == JOURNAL_ALL);
  assert_int_equal(d->in_flight, 8);
  assert_true(d->active);
  assert_int_equal(d->start, 42);
  assert_true(d->created_ms > 0);
  assert_null(d->script_name);
  assert_string_equal(d->script_version, "");
  assert_null(d->program); // records go as they are
  assert_int_equal(definition_script(d).len, 0);
  assert_string_equal(d->sink->name, "rest");
  assert_string_equal(setting(d, "method"), "POST");
  assert_true(slice_is(d->settings, "{\"url\":\"https://a.example/in\",\"method\":\"POST\",\"auth\":\"none\",\"timeout_s\":30}"));
  char expected[600];
  snprintf(expected, sizeof expected,
           "{\"id\":\"%s\",\"name\":\"Fleet\",\"organisation_id\":null,\"type\":\"usage\",\"sink\":\"rest\","
           "\"settings\":"
           "{\"url\":\"https://a.example/"
           "in\",\"method\":\"POST\",\"auth\":\"none\",\"timeout_s\":30},\"script\":null,"
           "\"script_name\":null,\"parameters\":{},\"history_days\":0,\"in_flight\":8,\"active\":true}",
           d->id);
  assert_shows(d, expected);
  definition_unref(d);
}

static void what_is_given_is_taken(void **state) {
  (void)state;
  struct definition *d = create(
      "{\"organisation_id\":-9007199254740993,\"type\":\"usage_and_events\",\"sink\":\"rest_bulk\",\"in_"
      "flight\":64,"
      "\"active\":false,\"history_days\":0,\"parameters\":{\"above_mb\":5},\"script\":\"return { api = 1 }\","
      "\"settings\":{\"url\":\"http://"
      "b.example\",\"format\":\"ndjson\",\"max_records\":10000,\"gzip\":true}}");
  assert_true(d->organisation == -9007199254740993);
  assert_int_equal(d->kinds, 1u << RECORD_USAGE | 1u << RECORD_EVENT);
  assert_int_equal(d->in_flight, 64);
  assert_false(d->active);
  assert_int_equal(strlen(d->script_version), 16);
  assert_true(slice_is(definition_script(d), "return { api = 1 }"));
  assert_int_equal(d->program->sink.len, 0); // rest_bulk has no map
  json_t *context = json_loadb(d->program->context.at, d->program->context.len, 0, NULL);
  json_t *stream = json_object_get(context, "stream");
  assert_string_equal(json_string_value(json_object_get(stream, "id")), d->id);
  assert_string_equal(json_string_value(json_object_get(stream, "name")), "Fleet");
  assert_int_equal(json_integer_value(json_object_get(stream, "organisation_id")), d->organisation);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(context, "parameters"), "above_mb")),
                   5);
  json_decref(context);
  definition_unref(d);
}

static const struct {
  const char *fields, *words; // what the message must say
} wrong[] = {
    {"{\"name\":\"(none)\"}", "'name' is missing"},
    {"{\"name\":null}", "'name' is missing"},
    {"{\"name\":\"\"}", "'name' is missing"},
    {"{\"name\":7}", "'name' must be a string"},
    {"{\"name\":\"a\\nb\"}", "'name' contains a control character"},
    {"{\"type\":\"(none)\"}", "'type' must be"},
    {"{\"type\":\"event\"}", "'type' must be"},
    {"{\"type\":[\"usage\"]}", "'type' must be a string"},
    {"{\"sink\":\"(none)\"}", "'sink' is missing"},
    {"{\"sink\":null}", "'sink' is missing"},
    {"{\"sink\":\"rest_bluk\"}", "did you mean 'rest_bulk'"},
    {"{\"sink\":\"kafka\"}", "unknown sink 'kafka'"},
    {"{\"sink\":1}", "'sink' must be a string"},
    {"{\"sink\":\"pager\",\"settings\":{}}", "takes no records of type 'usage'"},
    {"{\"settings\":\"(none)\"}", "url"},
    {"{\"settings\":null}", "'settings' must be an object"},
    {"{\"settings\":[]}", "'settings' must be an object"},
    {"{\"settings\":{}}", "url"},
    {"{\"settings\":{\"url\":\"ftp://a\"}}", "url"},
    {"{\"settings\":{\"url\":\"http://a\",\"methd\":\"PUT\"}}", "did you mean \"method\""},
    {"{\"settings\":{\"url\":\"http://a\",\"method\":\"GET\"}}", "method"},
    {"{\"settings\":{\"url\":\"http://a\",\"auth\":\"bearer\"}}", "token"},
    {"{\"settings\":{\"url\":\"http://a\",\"auth\":\"bearer\",\"token\":\"********\"}}", "mask"},
    {"{\"settings\":{\"url\":\"http://a\",\"timeout_s\":0}}", "timeout_s"},
    {"{\"organisation_id\":\"80025\"}", "'organisation_id' must be an integer"},
    {"{\"organisation_id\":1.5}", "'organisation_id' must be an integer"},
    {"{\"organisation_id\":-9223372036854775808}", "'organisation_id'"}, // stands for all of them inside
    {"{\"in_flight\":0}", "'in_flight' must be an integer from 1 to 64"},
    {"{\"in_flight\":65}", "'in_flight' must be an integer from 1 to 64"},
    {"{\"in_flight\":8.0}", "'in_flight' must be an integer"},
    {"{\"in_flight\":\"8\"}", "'in_flight' must be an integer"},
    {"{\"history_days\":8}", "'history_days' must be an integer from 0 to 7"},
    {"{\"history_days\":-1}", "'history_days' must be an integer from 0 to 7"},
    {"{\"active\":1}", "'active' must be true or false"},
    {"{\"active\":null}", "'active' must be true or false"},
    {"{\"parameters\":[1]}", "'parameters' must be an object"},
    {"{\"parameters\":null}", "'parameters' must be an object"},
    {"{\"script\":{}}", "'script' must be Lua source"},
    {"{\"script_name\":7}", "'script_name' must be a string"},
    {"{\"script_name\":\"\"}", "a script's name is 1 to 64"},
    {"{\"script_name\":\"../../etc/passwd\"}", "a script's name is 1 to 64"},
    {"{\"script_name\":\"Shared\"}", "a script's name is 1 to 64"},
    {"{\"script_name\":\"nowhere\"}", "script_name 'nowhere'"},
    {"{\"script_name\":\"too_long\"}", "script_name 'too_long'"},
    {"{\"script_name\":\"shared-1\",\"script\":\"return { api = 1 }\"}", "can't both be set"},
    {"{\"setings\":{}}", "did you mean 'settings'"},
    {"{\"zzzzzzzzzz\":1}", "unknown field 'zzzzzzzzzz'"},
    {"{\"id\":\"st_mine\"}", "unknown field 'id'"}, // ours to give
    {"{\"start\":1}", "unknown field 'start'"},
    {"{\"created_ms\":1}", "unknown field 'created_ms'"},
};

static void each_wrong_field_is_refused_in_words(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct err err = {0};
    struct definition *d = try_create(wrong[i].fields, &err);
    if (d || !strstr(err.text, wrong[i].words)) fail_msg("%s: \"%s\"", wrong[i].fields, err.text);
  }
}

// The same mistakes in a change: the old definition stands. What is not there is not wrong then.
static void each_wrong_field_of_a_change_is_refused_too(void **state) {
  (void)state;
  struct definition *old = create("{}");
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct err err = {0};
    if (strstr(wrong[i].fields, "(none)") || strstr(wrong[i].fields, "\"settings\":{}")) continue;
    struct definition *d = try_change(old, wrong[i].fields, &err);
    if (d || !err.text[0]) fail_msg("%s: \"%s\"", wrong[i].fields, err.text);
  }
  definition_unref(old);
}

static void a_body_that_is_no_object_is_refused(void **state) {
  (void)state;
  static const char *const others[] = {"[]", "1", "null", "\"x\""};
  struct definition *old = create("{}");
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    struct err first = {0}, second = {0};
    json_t *body = json_of(others[i]);
    assert_null(definition_create(&world, body, 1, &first));
    assert_null(definition_change(&world, old, body, &second));
    assert_non_null(strstr(first.text, "must be a JSON object"));
    assert_non_null(strstr(second.text, "must be a JSON object"));
    json_decref(body);
  }
  definition_unref(old);
}

static void long_texts_are_taken_up_to_their_limit(void **state) {
  (void)state;
  static char fields[LIMIT_SCRIPT_SOURCE_BYTES + 100];
  for (int more = 0; more < 2; more++) {
    struct err err = {0};
    snprintf(fields, sizeof fields, "{\"name\":\"%0*d\"}", DEFINITION_NAME_BYTES + more, 7);
    struct definition *d = try_create(fields, &err);
    assert_int_equal(d == NULL, more);
    definition_unref(d);
    snprintf(fields, sizeof fields, "{\"script\":\"--%0*d\"}", LIMIT_SCRIPT_SOURCE_BYTES - 2 + more, 7);
    d = try_create(fields, &err);
    assert_int_equal(d == NULL, more);
    definition_unref(d);
  }
}

static void a_sink_that_maps_has_a_program_without_a_script(void **state) {
  (void)state;
  struct definition *d = create("{\"type\":\"alerts\",\"sink\":\"pager\",\"settings\":{}}");
  assert_int_equal(d->kinds, 1u << RECORD_ALERT);
  assert_non_null(d->program);
  assert_int_equal(definition_script(d).len, 0); // nothing of a customer's to compile
  assert_true(d->program->sink.len > 0);
  definition_unref(d);
}

static void contexts_are_made_for_what_reads_them(void **state) {
  (void)state;
  struct definition *script = create("{\"script\":\"return { api = 1 }\"}");
  struct definition *map = create("{\"type\":\"alerts\",\"sink\":\"pager\",\"settings\":{}}");
  assert_true(script->program->context.len > 0);
  assert_int_equal(script->program->sink_context.len, 0);
  assert_int_equal(map->program->context.len, 0);
  assert_true(map->program->sink_context.len > 0);
  definition_unref(map);
  definition_unref(script);
}

static void secrets_do_not_reach_the_workers(void **state) {
  (void)state;
  struct definition *d = create("{\"type\":\"alerts\",\"sink\":\"pager\",\"script\":\"return { api = 1 }\","
                                "\"settings\":{\"token\":\"t0p\"}}");
  assert_string_equal(setting(d, "token"), "t0p");
  char *context = mem_copy(d->program->context.at, d->program->context.len);
  char *sink_context = mem_copy(d->program->sink_context.at, d->program->sink_context.len);
  assert_null(strstr(context, "t0p"));
  assert_null(strstr(sink_context, "t0p"));
  assert_non_null(strstr(sink_context, "\"settings\":{}"));
  mem_free(context);
  mem_free(sink_context);
  definition_unref(d);
}

static void what_is_stored_reads_back_the_same(void **state) {
  (void)state;
  struct definition *d =
      create("{\"script\":\"return { api = 1 }\",\"organisation_id\":7,\"in_flight\":3,\"active\":false,"
             "\"settings\":{\"url\":\"https://a.example\",\"signing_secret\":\"s3cret\"}}");
  char *text = mem_copy(d->document.at, d->document.len);
  struct err err = {0};
  struct definition *loaded = definition_load(&world, d->id, slice_of(text), &err);
  assert_string_equal(err.text, "");
  assert_true(slice_equal(loaded->document, d->document));
  assert_string_equal(loaded->id, d->id);
  assert_string_equal(loaded->script_version, d->script_version);
  assert_string_equal(setting(loaded, "signing_secret"), "s3cret");
  assert_int_equal(loaded->start, 42);
  definition_unref(loaded);
  for (size_t len = 0; len < strlen(text); len += 7) { // damage is an error with the stream's name
    struct err why = {0};
    assert_null(definition_load(&world, d->id, slice_make(text, len), &why));
    assert_non_null(strstr(why.text, d->id));
  }
  mem_free(text);
  definition_unref(d);
}

// Its text is found by walking the document's: neither another member's name or value may pass for it.
static void settings_are_told_from_what_looks_like_them(void **state) {
  (void)state;
  struct definition *d = create(
      "{\"name\":\"\\\"settings\\\":{}\",\"parameters\":{\"settings\":{\"url\":\"http://b\"},\"deep\":[[{\"settings\":1}]]}}");
  assert_string_equal(d->name, "\"settings\":{}");
  assert_string_equal(setting(d, "url"), "https://a.example/in");
  definition_unref(d);
}

// The nth allocation of ours fails, for each n there is: a message, and no leak. (jansson has its own.)
static void without_memory_it_says_so(void **state) {
  (void)state;
  static const char *const bodies[] = {"{}", "{\"script\":\"return { api = 1 }\"}",
                                       "{\"script_name\":\"shared-1\"}",
                                       "{\"type\":\"alerts\",\"sink\":\"pager\",\"settings\":{}}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    struct definition *old = create(bodies[i]);
    for (long nth = 1;; nth++) {
      struct err first = {0}, second = {0};
      mem_fail_at(nth);
      struct definition *d = try_create(bodies[i], &first);
      bool all = mem_asked() < nth;
      mem_fail_at(nth);
      struct definition *change = try_change(old, "{\"name\":\"New\"}", &second);
      mem_fail_at(0);
      assert_int_equal(d == NULL, first.text[0] != 0);
      assert_int_equal(change == NULL, second.text[0] != 0);
      if (nth == 1) assert_null(d);
      definition_unref(change);
      definition_unref(d);
      if (all) break;
    }
    definition_unref(old);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_not_given_has_its_default),
      cmocka_unit_test(what_is_given_is_taken),
      cmocka_unit_test(each_wrong_field_is_refused_in_words),
      cmocka_unit_test(each_wrong_field_of_a_change_is_refused_too),
      cmocka_unit_test(a_body_that_is_no_object_is_refused),
      cmocka_unit_test(long_texts_are_taken_up_to_their_limit),
      cmocka_unit_test(a_sink_that_maps_has_a_program_without_a_script),
      cmocka_unit_test(secrets_do_not_reach_the_workers),
      cmocka_unit_test(what_is_stored_reads_back_the_same),
      cmocka_unit_test(settings_are_told_from_what_looks_like_them),
      cmocka_unit_test(contexts_are_made_for_what_reads_them),
      cmocka_unit_test(without_memory_it_says_so),
  };
  return cmocka_run_group_tests(tests, open_world, close_world);
}
