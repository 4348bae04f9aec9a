// Proves that an alert becomes the record the contract shows, whatever its record looks like, under an id that stays the same.
#include "flow/alert_record.h"
#include "base/limits.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct definition definition = {.id = "st_1", .organisation = 80025, .script_version = "00c0ffee00c0ffee"};
static const struct script_alert login = {.key = "login:9", .title = "5 \"failed\" logins", .severity = SCRIPT_CRITICAL, .at_ms = INT64_C(1795142801000)};

static struct alert_source source_of(const char *record) {
  return (struct alert_source){.definition = &definition, .sequence = 12, .id = INT64_MAX, .kind = RECORD_EVENT,
                               .record = slice_of(record), .received_ms = 1000};
}

static char *write_one(const struct alert_source *source, const struct script_alert *alert) {
  struct json_tape tape;
  struct buf out;
  json_tape_init(&tape);
  buf_init(&out, LIMIT_ALERT_BYTES);
  assert_true(alert_record_write(source, alert, 0, &tape, &out));
  json_tape_fini(&tape);
  assert_non_null(buf_text(&out));
  size_t len;
  return buf_take(&out, &len);
}

static void it_is_the_record_of_the_contract(void **state) {
  (void)state;
  struct alert_source source = source_of("{\"id\":1,\"organisation\":{\"id\":80025,\"name\":\"WBV \\u0054\"},"
                                         "\"endpoint\":{\"id\": 7,\"name\":\"GPS\",\"tags\":null}}");
  char *text = write_one(&source, &login), wanted[1000];
  snprintf(wanted, sizeof wanted,
           "{\"id\":%lld,\"kind\":\"alert\",\"alert\":true,\"timestamp\":\"2026-11-20T02:46:41.000Z\",\"key\":\"login:9\","
           "\"title\":\"5 \\\"failed\\\" logins\",\"severity\":\"critical\",\"organisation\":{\"id\":80025,\"name\":\"WBV \\u0054\"},"
           "\"stream_id\":\"st_1\",\"script\":\"00c0ffee00c0ffee\",\"record\":{\"kind\":\"event\",\"id\":9223372036854775807},"
           "\"endpoint\":{\"id\": 7,\"name\":\"GPS\",\"tags\":null}}",
           (long long)alert_record_id("st_1", 12, 0));
  assert_string_equal(text, wanted);
  mem_free(text);
}

// What the record leaves out is null; of one that is gone the stream still tells whose it was.
static void what_is_not_there_is_null(void **state) {
  (void)state;
  struct definition of_all = definition;
  of_all.organisation = JOURNAL_ALL;
  of_all.script_name = "fleet";
  const struct {
    const struct definition *definition;
    const char *record, *wanted;
  } cases[] = {
      {&definition, "{\"organisation\":{\"id\":5}}", "\"organisation\":{\"id\":5,\"name\":null},\"stream_id\":\"st_1\","},
      {&definition, "{\"organisation\":{\"id\":5},\"endpoint\":null}", ",\"endpoint\":null}"},
      {&definition, "{\"organisation\":{\"id\":5},\"endpoint\":9}", ",\"endpoint\":9}"},
      {&definition, "", "\"organisation\":{\"id\":80025,\"name\":null},"},
      {&definition, "", ",\"endpoint\":null}"},
      {&of_all, "{\"organisation\":{\"id\":5,\"name\":\"x\"}}", "\"organisation\":{\"id\":5,\"name\":\"x\"},"},
      {&of_all, "", "\"organisation\":null,\"stream_id\":\"st_1\",\"script\":\"fleet\","},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct alert_source source = source_of(cases[i].record);
    source.definition = cases[i].definition;
    char *text = write_one(&source, &login);
    if (!strstr(text, cases[i].wanted)) fail_msg("%s is not in %s", cases[i].wanted, text);
    mem_free(text);
  }
}

static void a_time_out_of_range_gives_way_to_the_receipt(void **state) {
  (void)state;
  static const int64_t times[] = {-1, INT64_MIN, INT64_MAX, INT64_C(253402300800000)};
  struct alert_source source = source_of("{}");
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    struct script_alert alert = login;
    alert.at_ms = times[i];
    char *text = write_one(&source, &alert);
    assert_non_null(strstr(text, "\"timestamp\":\"1970-01-01T00:00:01.000Z\""));
    mem_free(text);
  }
}

// However long the record's parts and the script's texts are.
static void it_fits_its_limit(void **state) {
  (void)state;
  size_t long_name = LIMIT_ALERT_ENDPOINT_BYTES - 2;
  char *record = malloc(4 * LIMIT_ALERT_ENDPOINT_BYTES), *name = malloc(long_name + 1);
  struct script_alert alert = login;
  memset(name, 'n', long_name);
  name[long_name] = 0;
  memset(alert.key, '"', sizeof alert.key - 1);
  memset(alert.title, '\\', sizeof alert.title - 1);
  sprintf(record, "{\"organisation\":{\"id\":5,\"name\":\"%s\"},\"endpoint\":{\"id\":12,\"name\":\"%s\"}}", name, name);
  struct alert_source source = source_of(record);
  char *text = write_one(&source, &alert);
  assert_non_null(strstr(text, "n\"},\"stream_id\"")); // the name is whole
  assert_non_null(strstr(text, ",\"endpoint\":{\"id\":12}}"));
  mem_free(text);
  free(record);
  free(name);
}

static void an_id_is_positive_exact_and_stays(void **state) {
  (void)state;
  assert_int_equal(alert_record_id("st_1", 12, 0), alert_record_id("st_1", 12, 0));
  assert_int_not_equal(alert_record_id("st_1", 12, 0), alert_record_id("st_1", 12, 1));
  assert_int_not_equal(alert_record_id("st_1", 12, 0), alert_record_id("st_2", 12, 0));
  for (uint64_t sequence = 0; sequence < 100000; sequence++) {
    int64_t id = alert_record_id("st_1", sequence, 0);
    assert_true(id > 0 && id < INT64_C(1) << 53);
  }
  // As every version has to make it: ids on disk rest on it.
  assert_int_equal(alert_record_id("st_1", 12, 0), INT64_C(0xc51cc3d78314b));
}

static void short_of_memory_nothing_is_written(void **state) {
  (void)state;
  struct alert_source source = source_of("{\"organisation\":{\"id\":5,\"name\":\"x\"},\"endpoint\":{\"id\":7}}");
  bool ok = false;
  for (long n = 1; !ok; n++) {
    struct json_tape tape;
    struct buf out;
    json_tape_init(&tape);
    buf_init(&out, LIMIT_ALERT_BYTES);
    mem_fail_at(n);
    ok = alert_record_write(&source, &login, 0, &tape, &out);
    assert_true(ok || out.len == 0);
    assert_true(ok == (mem_asked() < n));
    mem_fail_at(0);
    json_tape_fini(&tape);
    buf_fini(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_the_record_of_the_contract),
      cmocka_unit_test(what_is_not_there_is_null),
      cmocka_unit_test(a_time_out_of_range_gives_way_to_the_receipt),
      cmocka_unit_test(it_fits_its_limit),
      cmocka_unit_test(an_id_is_positive_exact_and_stays),
      cmocka_unit_test(short_of_memory_nothing_is_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
