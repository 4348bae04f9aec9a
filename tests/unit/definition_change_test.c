// Proves that a change of a stream changes what it names, and neither what is fixed nor a secret.
#include "definition_support.h"
#include "support/certificate.h"

static struct definition *changed(const struct definition *old, const char *change) {
  struct err err = {0};
  struct definition *d = try_change(old, change, &err);
  assert_string_equal(err.text, "");
  assert_non_null(d);
  return d;
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
  json_t *document = json_of_slice(d->document), *parameters = json_of("{\"c\":3}");
  assert_true(json_equal(json_object_get(document, "parameters"), parameters)); // parameters as a whole
  json_decref(parameters);
  json_decref(document);
  struct definition *same = changed(d, "{}");
  assert_true(slice_equal(same->document, d->document));
  definition_unref(same);
  definition_unref(d);
  definition_unref(old);
}

static void what_is_fixed_can_not_be_changed(void **state) {
  (void)state;
  static const char *const fixed[] = {"{\"organisation_id\":8}", "{\"organisation_id\":null}",
                                      "{\"type\":\"events\"}", "{\"sink\":\"rest_bulk\"}",
                                      "{\"history_days\":3}", "{\"id\":\"st_other\"}", "{\"id\":null}"};
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

static void what_is_shown_can_be_sent_back(void **state) {
  (void)state;
  struct definition *old = create("{\"organisation_id\":7,\"parameters\":{\"a\":0.008531},\"settings\":{\"url\":\"https://a.example\","
                                  "\"signing_secret\":\"s3cret\"}}");
  json_t *shown = definition_show(old);
  assert_true(memmem(old->document.at, old->document.len, "{\"a\":0.008531}", 14)); // as it was written
  json_object_set_new(shown, "status", json_pack("{s:s}", "state", "live"));
  struct err err = {0};
  struct definition *d = definition_change(&world, old, shown, &err);
  assert_string_equal(err.text, "");
  assert_true(slice_equal(d->document, old->document));
  definition_unref(d);
  json_decref(shown);
  assert_null(try_change(old, "{\"created_ms\":1}", &err)); // not shown
  assert_string_equal(err.text, "unknown field 'created_ms'");
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

// Those that are set now; a stream whose files went away meanwhile loads, and may be changed otherwise.
static void files_that_settings_name_are_looked_at(void **state) {
  (void)state;
  char files[3][PATH_ROOM + 16], body[4 * PATH_ROOM];
  static const char *const names[] = {"c.pem", "c.key", "other.key"};
  for (int i = 0; i < 3; i++)
    snprintf(files[i], sizeof files[i], "%s/%s", folder, names[i]);
  certificate_make(files[1], files[0], NULL);
  certificate_make(files[2], NULL, NULL);
  snprintf(body, sizeof body,
           "{\"settings\":{\"url\":\"https://a.example\",\"ca\":\"%s\",\"client_certificate\":\"%s\",\"client_key\":\"%s\"}}",
           files[0], files[0], files[1]);
  struct definition *d = create(body);
  static const struct {
    const char *setting;
    int file; // -1: none
    const char *words;
  } wrong[] = {
      {"ca", 1, "sink 'rest': setting ca: "},
      {"client_certificate", 2, "setting client_certificate: "},
      {"client_certificate", -1, "setting client_key: needs client_certificate"},
      {"client_key", 2, "setting client_key: "},
      {"client_key", -1, "setting client_certificate (without client_key): "},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct err err = {0};
    const char *quote = wrong[i].file < 0 ? "" : "\"";
    snprintf(body, sizeof body, "{\"settings\":{\"%s\":%s%s%s}}", wrong[i].setting, quote,
             wrong[i].file < 0 ? "null" : files[wrong[i].file], quote);
    assert_null(try_change(d, body, &err));
    if (!strstr(err.text, wrong[i].words)) fail_msg("%s\n%s", err.text, wrong[i].words);
  }
  assert_int_equal(unlink(files[0]), 0);
  struct definition *next = changed(d, "{\"settings\":{\"url\":\"https://b.example\"},\"name\":\"other\"}");
  struct err err = {0};
  struct definition *loaded = definition_load(&world, next->id, next->document, &err);
  assert_non_null(loaded);
  struct definition *bare = changed(next, "{\"settings\":{\"ca\":null,\"client_certificate\":null,\"client_key\":null}}");
  definition_unref(bare);
  definition_unref(loaded);
  definition_unref(next);
  definition_unref(d);
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
  json_t *document = json_of_slice(shared->document);
  assert_string_equal(json_string_value(json_object_get(document, "script_name")), "shared-1");
  assert_true(json_is_null(json_object_get(document, "script"))); // the source stays in its file
  json_decref(document);

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

static void active_is_set_alone(void **state) {
  (void)state;
  struct definition *d = create("{\"script\":\"return { api = 1 }\"}");
  struct err err = {0};
  struct definition *off = definition_set_active(&world, d, false, &err),
                    *on = definition_set_active(&world, off, true, &err);
  assert_string_equal(err.text, "");
  assert_false(off->active);
  assert_true(on->active);
  assert_true(slice_equal(on->document, d->document));
  definition_unref(on);
  definition_unref(off);
  definition_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_change_changes_what_it_names),
      cmocka_unit_test(what_is_fixed_can_not_be_changed),
      cmocka_unit_test(what_is_shown_can_be_sent_back),
      cmocka_unit_test(secrets_are_shown_masked_and_a_mask_keeps_them),
      cmocka_unit_test(files_that_settings_name_are_looked_at),
      cmocka_unit_test(a_mask_without_a_secret_behind_it_sets_nothing),
      cmocka_unit_test(scripts_come_from_the_definition_or_from_the_folder),
      cmocka_unit_test(active_is_set_alone),
  };
  return cmocka_run_group_tests(tests, open_world, close_world);
}
