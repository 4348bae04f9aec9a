// Proves that the dictionary has every field of the manual's samples, finds paths and event types, and
// answers slips with what was meant.
#include "script/dictionary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { EVENT = 1 << RECORD_EVENT, USAGE = 1 << RECORD_USAGE, ALERT = 1 << RECORD_ALERT };

static bool is_one_of(const char *word, const char *const *words) {
  for (; *words; words++)
    if (strcmp(word, *words) == 0) return true;
  return false;
}

static void every_row_is_whole(void **state) {
  (void)state;
  static const char *const types[] = {"integer",   "number", "string", "boolean",
                                      "timestamp", "object", "list",   NULL};
  for (size_t i = 0; i < dictionary_field_count; i++) {
    const struct dictionary_field *f = &dictionary_fields[i];
    const char *end = strrchr(f->path, '.'), *list = strrchr(f->path, '[');
    if (list > end) end = list;
    assert_true(is_one_of(f->type, types));
    assert_true(*f->meaning && !strchr(f->meaning, '\n'));
    assert_true(f->kinds && !(f->kinds & ~(unsigned)(EVENT | USAGE | ALERT)));
    assert_true(strlen(f->path) < DICTIONARY_PATH_BYTES);
    if (!end) continue;
    struct slice above = slice_make(f->path, (size_t)(end - f->path));
    if ((dictionary_kinds(above) & f->kinds) != f->kinds) fail_msg("%s has nothing above it", f->path);
    for (size_t j = 0; j < i; j++)
      assert_false(strcmp(f->path, dictionary_fields[j].path) == 0 &&
                   (f->kinds & dictionary_fields[j].kinds));
  }
}

static void paths_are_found_with_their_kinds(void **state) {
  (void)state;
  assert_string_equal(dictionary_field(slice_of("detail.volume.total"))->type, "number");
  assert_null(dictionary_field(slice_of("detail.volum")));
  assert_null(dictionary_field(slice_of("")));
  assert_int_equal(dictionary_kinds(slice_of("id")), EVENT | USAGE | ALERT);
  assert_int_equal(dictionary_kinds(slice_of("imsi")), EVENT | USAGE); // of two rows
  assert_int_equal(dictionary_kinds(slice_of("cost")), USAGE);
  assert_int_equal(dictionary_kinds(slice_of("costs")), 0);
  assert_true(dictionary_in_event(slice_of("detail.volume"), 5));
  assert_false(dictionary_in_event(slice_of("detail.volume"), 1));
  assert_false(dictionary_in_event(slice_of("detail"), 6));
  assert_false(dictionary_in_event(slice_of("detail"), 65535));
  assert_true(dictionary_in_event(slice_of("id"), 65535));
  assert_true(dictionary_in_event(slice_of("unknown"), 1));
}

static void children_are_one_step_below(void **state) {
  (void)state;
  const struct dictionary_field *found[DICTIONARY_FIELDS];
  assert_int_equal(dictionary_children(slice_of("detail.volume"), found, DICTIONARY_FIELDS), 3);
  assert_string_equal(found[2]->path, "detail.volume.total");
  assert_int_equal(dictionary_children(slice_of("detail.volume"), found, 2), 2);
  assert_int_equal(dictionary_children(slice_of("detail.tapcode"), found, DICTIONARY_FIELDS), 1);
  assert_string_equal(found[0]->path, "detail.tapcode[]");
  assert_int_equal(dictionary_children(slice_of("detail.tapcode[]"), found, DICTIONARY_FIELDS), 2);
  assert_int_equal(dictionary_children(slice_of("event_type.id"), found, DICTIONARY_FIELDS), 0);
  size_t top = dictionary_children(slice_of(""), found, DICTIONARY_FIELDS);
  for (size_t i = 0; i < top; i++)
    assert_null(strpbrk(found[i]->path, ".["));
}

static void slips_find_the_path(void **state) {
  (void)state;
  static const struct {
    const char *wrong;
    unsigned kinds;
    const char *meant;
  } cases[] = {
      {"event_sevrity", EVENT, "event_severity"},
      {"event_sevrity.id", EVENT, "event_severity.id"},
      {"detail.volum.total", EVENT, "detail.volume.total"},
      {"detail.volum.totl", EVENT, "detail.volume"},
      {"detail.volume.totl", EVENT, "detail.volume.total"},
      {"detail.tapcode[].tapcod", EVENT, "detail.tapcode[].tapcode"},
      {"total", EVENT, "detail.volume.total"},
      {"total", USAGE, "volume.total"},
      {"country.name", USAGE, "operator.country.name"},
      {"endpoint_id", USAGE, "endpoint.id"},
      {"event_sevrity", USAGE, NULL}, // usage records have none
      {"something", EVENT | USAGE | ALERT, NULL},
      {"", EVENT, NULL},
      {".", EVENT, NULL},
      {"detail.", EVENT, "detail"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[DICTIONARY_PATH_BYTES];
    const char *got = dictionary_suggest(slice_of(cases[i].wrong), cases[i].kinds, out);
    if (!got != !cases[i].meant || (got && strcmp(got, cases[i].meant) != 0))
      fail_msg("'%s' finds %s, not %s", cases[i].wrong, got, cases[i].meant);
  }
  char endless[1000], out[DICTIONARY_PATH_BYTES];
  memset(endless, 'a', sizeof endless);
  assert_null(dictionary_suggest(slice_make(endless, sizeof endless), EVENT, out));
}

static void event_types_are_found(void **state) {
  (void)state;
  assert_string_equal(dictionary_event(0)->name, "Generic");
  assert_string_equal(dictionary_event(15)->name, "SMS API Callback");
  assert_null(dictionary_event(16));
  assert_int_equal(dictionary_event_named("create pdp context")->id, 3);
  assert_null(dictionary_event_named("create"));
  static const char *const cases[][2] = {{"Delete PDP Contxt", "Delete PDP Context"},
                                         {"sim activaton", "SIM activation"},
                                         {"PDP Context created", "Create PDP Context"},
                                         {"user failed authentication", "User authentication failed"},
                                         {"PDP Context", NULL},
                                         {"nothing", NULL},
                                         {"", NULL},
                                         {" ", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *got = dictionary_event_suggest(cases[i][0]);
    if (!got != !cases[i][1] || (got && strcmp(got, cases[i][1]) != 0))
      fail_msg("'%s' finds %s, not %s", cases[i][0], got, cases[i][1]);
  }
  for (const struct dictionary_entry *e = dictionary_event_types; e->name; e++)
    assert_ptr_equal(dictionary_event(e->id), e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_whole),          cmocka_unit_test(paths_are_found_with_their_kinds),
      cmocka_unit_test(children_are_one_step_below), cmocka_unit_test(slips_find_the_path),
      cmocka_unit_test(event_types_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
