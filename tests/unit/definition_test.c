// Proves that a stream's definition is taken with its defaults or refused in words, field by field, that a
// change changes what it names and no secret, and that what is stored reads back the same.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/definition.h"
#include "journal/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_ROOM = 1024 };

static char folder[] = "/tmp/sluice-definition-XXXXXX";
static struct definition_world world;

// ---- a world with the shipped sinks, one that takes alerts only, and shared scripts ----

static void write_file(const char *name, struct slice text) {
  char path[PATH_ROOM];
  struct err err = {0};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_true(disk_replace_file(path, text, 0600, &err));
}

static void copy_sink(const char *name) {
  char path[PATH_ROOM], to[64];
  struct err err = {0};
  size_t len;
  snprintf(path, sizeof path, "%.*s../../sinks/%s", (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__,
           name);
  snprintf(to, sizeof to, "sinks/%s", name);
  char *source = disk_read_file(path, 1 << 20, &len, &err);
  assert_string_equal(err.text, "");
  write_file(to, slice_make(source, len));
  mem_free(source);
}

static int open_world(void **state) {
  (void)state;
  char sinks[PATH_ROOM];
  static char scripts[PATH_ROOM];
  struct err err = {0};
  assert_non_null(mkdtemp(folder));
  snprintf(sinks, sizeof sinks, "%s/sinks", folder);
  snprintf(scripts, sizeof scripts, "%s/scripts", folder);
  assert_true(disk_make_folder(sinks, &err) && disk_make_folder(scripts, &err));
  copy_sink("rest.lua");
  copy_sink("rest_bulk.lua");
  write_file(
      "sinks/pager.lua",
      slice_of("return { api = 1, name = 'pager', title = 'Pager', accepts = { 'alert' }, framing = 'one',\n"
               "  settings = {}, batch = { records = 1, bytes = 1000 },\n"
               "  map = function(rec, ctx) return rec end,\n"
               "  request = function(batch, settings) return { url = 'http://127.0.0.1/' } end }\n"));
  write_file("scripts/shared-1.lua", slice_of("return { api = 1 } -- shared"));
  static char much[LIMIT_SCRIPT_SOURCE_BYTES + 1];
  memset(much, '-', sizeof much);
  write_file("scripts/too_long.lua", slice_make(much, sizeof much));
  world.sinks = sink_set_load(sinks, &err);
  world.scripts_folder = scripts;
  assert_string_equal(err.text, "");
  assert_int_equal(sink_set_count(world.sinks), 3);
  return 0;
}

static int close_world(void **state) {
  (void)state;
  static const char *const folders[] = {"/sinks", "/scripts", ""};
  struct err err = {0};
  sink_set_free((struct sink_set *)(uintptr_t)world.sinks);
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s%s", folder, folders[i]);
    disk_remove_folder(path, &err);
  }
  return err.text[0];
}

// ---- bodies: a right one, with some fields put over it ----

static const char right[] = "{\"name\":\"Fleet\",\"type\":\"usage\",\"sink\":\"rest\",\"settings\":{\"url\":"
                            "\"https://a.example/in\"}}";

static json_t *json_of(const char *text) {
  json_error_t why;
  json_t *json = json_loads(text, JSON_DECODE_ANY, &why);
  if (!json) fail_msg("%s: %s", text, why.text);
  return json;
}

static json_t *body_with(const char *fields) {
  json_t *body = json_of(right), *over = json_of(fields), *value;
  const char *name;
  json_object_foreach(over, name, value) {
    if (json_is_string(value) && strcmp(json_string_value(value), "(none)") == 0)
      json_object_del(body, name);
    else
      json_object_set(body, name, value);
  }
  json_decref(over);
  return body;
}

static struct definition *try_create(const char *fields, struct err *err) {
  json_t *body = body_with(fields), *before = json_deep_copy(body);
  struct definition *d = definition_create(&world, body, 42, err);
  assert_true(json_equal(body, before)); // the caller's
  json_decref(body);
  json_decref(before);
  return d;
}

static struct definition *create(const char *fields) {
  struct err err = {0};
  struct definition *d = try_create(fields, &err);
  assert_string_equal(err.text, "");
  assert_non_null(d);
  return d;
}

static struct definition *try_change(const struct definition *old, const char *change, struct err *err) {
  json_t *body = json_of(change), *before = json_deep_copy(old->document);
  struct definition *d = definition_change(&world, old, body, err);
  assert_true(json_equal(old->document, before));
  json_decref(before);
  json_decref(body);
  return d;
}

static struct definition *changed(const struct definition *old, const char *change) {
  struct err err = {0};
  struct definition *d = try_change(old, change, &err);
  assert_string_equal(err.text, "");
  assert_non_null(d);
  return d;
}

static const char *setting(const struct definition *d, const char *name) {
  return json_string_value(json_object_get(d->settings, name));
}

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

// ---- tests ----

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
  assert_int_equal(json_integer_value(json_object_get(d->settings, "timeout_s")), 30);
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
    {"{\"script_name\":\"\"}", "'script_name' must be"},
    {"{\"script_name\":\"../../etc/passwd\"}", "'script_name' must be"},
    {"{\"script_name\":\"Shared\"}", "'script_name' must be"},
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

static void a_change_changes_what_it_names(void **state) {
  (void)state;
  struct definition *old = create("{\"organisation_id\":7,\"parameters\":{\"a\":1,\"b\":2}}");
  struct definition *d = changed(
      old, "{\"name\":\"New\",\"in_flight\":1,\"parameters\":{\"c\":3},\"settings\":{\"method\":\"PUT\"}}");
  assert_string_equal(d->id, old->id);
  assert_int_equal(d->created_ms, old->created_ms);
  assert_int_equal(d->start, old->start);
  assert_int_equal(d->organisation, 7);
  assert_string_equal(d->name, "New");
  assert_int_equal(d->in_flight, 1);
  assert_string_equal(setting(d, "method"), "PUT");
  assert_string_equal(setting(d, "url"), "https://a.example/in"); // settings are changed one by one
  json_t *parameters = json_of("{\"c\":3}");
  assert_true(json_equal(json_object_get(d->document, "parameters"), parameters)); // parameters as a whole
  json_decref(parameters);
  struct definition *same = changed(d, "{}");
  assert_true(json_equal(same->document, d->document));
  definition_unref(same);
  definition_unref(d);
  definition_unref(old);
}

static void what_is_fixed_can_not_be_changed(void **state) {
  (void)state;
  static const char *const fixed[] = {"{\"organisation_id\":8}", "{\"organisation_id\":null}",
                                      "{\"type\":\"events\"}", "{\"sink\":\"rest_bulk\"}",
                                      "{\"history_days\":3}"};
  struct definition *old = create("{\"organisation_id\":7}");
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
    struct err err = {0};
    assert_null(try_change(old, fixed[i], &err));
    assert_non_null(strstr(err.text, "can't be changed"));
  }
  struct definition *d = changed(
      old, "{\"organisation_id\":7,\"type\":\"usage\",\"sink\":\"rest\",\"history_days\":0,\"name\":\"N\"}");
  assert_string_equal(d->name, "N"); // sent back as it is, it is no change
  definition_unref(d);
  definition_unref(old);
}

static void secrets_are_shown_masked_and_a_mask_keeps_them(void **state) {
  (void)state;
  struct definition *old =
      create("{\"settings\":{\"url\":\"https://"
             "a.example\",\"auth\":\"bearer\",\"token\":\"t0p\",\"signing_secret\":\"s3cret\"}}");
  json_t *shown = definition_show(old), *settings = json_object_get(shown, "settings");
  char *text = json_dumps(shown, 0);
  assert_null(strstr(text, "t0p"));
  assert_null(strstr(text, "s3cret"));
  assert_string_equal(json_string_value(json_object_get(settings, "token")), "********");
  free(text);

  json_t *body = json_object(); // a client that changes one field of what it was shown
  json_object_set(body, "settings", settings);
  json_object_set_new(settings, "url", json_string("https://b.example"));
  struct err err = {0};
  struct definition *d = definition_change(&world, old, body, &err);
  assert_string_equal(err.text, "");
  assert_string_equal(setting(d, "token"), "t0p");
  assert_string_equal(setting(d, "signing_secret"), "s3cret");
  assert_string_equal(setting(d, "url"), "https://b.example");
  json_decref(body);
  json_decref(shown);

  struct definition *next = changed(d, "{\"settings\":{\"token\":\"new\",\"signing_secret\":null}}");
  assert_string_equal(setting(next, "token"), "new");
  assert_null(setting(next, "signing_secret"));                           // null takes a setting away
  assert_null(try_change(next, "{\"settings\":{\"token\":null}}", &err)); // unless it is needed
  assert_non_null(strstr(err.text, "token"));
  struct err masked = {0};
  assert_null(try_change(
      next, "{\"settings\":{\"auth\":\"none\",\"token\":null,\"password\":\"********\",\"username\":7}}",
      &masked));
  definition_unref(next);
  definition_unref(d);
  definition_unref(old);
}

// A mask for a secret that was never set must not become the secret.
static void a_mask_without_a_secret_behind_it_sets_nothing(void **state) {
  (void)state;
  struct definition *old = create("{}");
  struct definition *d = changed(old, "{\"settings\":{\"signing_secret\":\"********\"}}");
  assert_null(setting(d, "signing_secret"));
  definition_unref(d);
  definition_unref(old);
}

static void scripts_come_from_the_definition_or_from_the_folder(void **state) {
  (void)state;
  struct definition *own = create("{\"script\":\"return { api = 1 }\",\"organisation_id\":7}");
  struct definition *shared = changed(own, "{\"script\":null,\"script_name\":\"shared-1\"}");
  assert_string_equal(shared->script_name, "shared-1");
  assert_true(slice_is(definition_script(shared), "return { api = 1 } -- shared"));
  assert_string_equal(shared->program->script_name, "shared-1.lua");
  assert_string_not_equal(own->script_version, shared->script_version);
  assert_null(strstr(json_string_value(json_object_get(shared->document, "script_name")), "/"));
  assert_true(json_is_null(json_object_get(shared->document, "script"))); // the source stays in its file

  struct definition *none = changed(shared, "{\"script_name\":null}");
  assert_null(none->program);
  assert_string_equal(none->script_version, "");
  struct definition *again = changed(none, "{\"script\":\"return { api = 1 }\"}");
  assert_string_equal(again->script_version, own->script_version); // the same text
  definition_unref(again);
  definition_unref(none);
  definition_unref(shared);
  definition_unref(own);
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

static void secrets_do_not_reach_the_workers(void **state) {
  (void)state;
  struct definition *d =
      create("{\"script\":\"return { api = 1 "
             "}\",\"settings\":{\"url\":\"https://a.example\",\"auth\":\"bearer\",\"token\":\"t0p\"}}");
  char *context = mem_copy(d->program->context.at, d->program->context.len);
  char *sink_context = mem_copy(d->program->sink_context.at, d->program->sink_context.len);
  assert_null(strstr(context, "t0p"));
  assert_null(strstr(sink_context, "t0p"));
  mem_free(context);
  mem_free(sink_context);
  definition_unref(d);
}

static void what_is_stored_reads_back_the_same(void **state) {
  (void)state;
  struct definition *d =
      create("{\"script\":\"return { api = 1 }\",\"organisation_id\":7,\"in_flight\":3,\"active\":false,"
             "\"settings\":{\"url\":\"https://a.example\",\"signing_secret\":\"s3cret\"}}");
  char *text = json_dumps(d->document, JSON_COMPACT);
  struct err err = {0};
  struct definition *loaded = definition_load(&world, d->id, slice_of(text), &err);
  assert_string_equal(err.text, "");
  assert_true(json_equal(loaded->document, d->document));
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
  free(text);
  definition_unref(d);
}

static void active_is_set_alone(void **state) {
  (void)state;
  struct definition *d = create("{\"script\":\"return { api = 1 }\"}");
  struct err err = {0};
  struct definition *off = definition_set_active(&world, d, false, &err),
                    *on = definition_set_active(&world, off, true, &err);
  assert_string_equal(err.text, "");
  assert_false(off->active);
  assert_true(on->active);
  assert_true(json_equal(on->document, d->document));
  definition_unref(on);
  definition_unref(off);
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
      cmocka_unit_test(a_change_changes_what_it_names),
      cmocka_unit_test(what_is_fixed_can_not_be_changed),
      cmocka_unit_test(secrets_are_shown_masked_and_a_mask_keeps_them),
      cmocka_unit_test(a_mask_without_a_secret_behind_it_sets_nothing),
      cmocka_unit_test(scripts_come_from_the_definition_or_from_the_folder),
      cmocka_unit_test(a_sink_that_maps_has_a_program_without_a_script),
      cmocka_unit_test(secrets_do_not_reach_the_workers),
      cmocka_unit_test(what_is_stored_reads_back_the_same),
      cmocka_unit_test(active_is_set_alone),
      cmocka_unit_test(without_memory_it_says_so),
  };
  return cmocka_run_group_tests(tests, open_world, close_world);
}
