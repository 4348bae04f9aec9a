// config_test.c - proves that sluice.lua is read over the defaults and that each mistake in it is named with
// its place.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "script/config.h"

#include <stdlib.h>
#include <unistd.h>

static char file[64];

static int make_file(void **state) {
  (void)state;
  strcpy(file, "/tmp/config_test_XXXXXX");
  int fd = mkstemp(file);
  return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
  (void)state;
  return unlink(file);
}

static bool load(const char *text, struct config *config, struct err *err) {
  FILE *f = fopen(file, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  *err = (struct err){0};
  config_defaults(config);
  return config_load(config, file, err);
}

static void reads_everything(void **state) {
  // Proves: each key of the contract's example lands where it belongs, and what the file leaves out keeps its
  // default.
  (void)state;
  struct config c;
  struct err err;
  bool ok =
      load("local mb = '16MB'\n"
           "return { listen = '127.0.0.1:9', data = '/var/lib/sluice', workers = 3, couriers = 4,\n"
           "  isolation = 'organisation',\n"
           "  journal = { kind = 'local', retention = '2h', compression = 'zstd:3' },\n"
           "  scripts = '/tmp', sinks = '/', egress = { allow = { '127.0.0.0/8', '10.1.2.3' } },\n"
           "  limits = { body = mb, memory = '1GB', script_time = '70ms', script_memory = 8388608 } }\n",
           &c, &err);
  assert_string_equal(err.text, "");
  assert_true(ok);
  assert_string_equal(c.listen, "127.0.0.1:9");
  assert_true(c.isolated);
  assert_string_equal(c.data, "/var/lib/sluice");
  assert_string_equal(c.scripts, "/tmp");
  assert_string_equal(c.sinks, "/");
  assert_string_equal(c.portal, "portal/dist");
  assert_int_equal(c.workers, 3);
  assert_int_equal(c.couriers, 4);
  assert_int_equal(c.retention_ms, 2 * 3600 * 1000);
  assert_int_equal(c.zstd_level, 3);
  assert_int_equal(c.egress.allow_count, 2);
  assert_int_equal(c.body_bytes, 16 << 20);
  assert_int_equal(c.memory_bytes, 1 << 30);
  assert_int_equal(c.script_ms, 70);
  assert_int_equal(c.script_bytes, 8 << 20);
}

static void has_defaults(void **state) {
  // Proves: an empty table changes nothing, and the defaults are the contract's.
  (void)state;
  struct config c;
  struct err err;
  assert_true(load("return {}", &c, &err));
  assert_string_equal(c.listen, "127.0.0.1:8080");
  assert_string_equal(c.data, "data");
  assert_true(c.workers >= 1 && c.couriers >= 1);
  assert_int_equal(c.retention_ms, 7 * 24 * 3600 * 1000LL);
  assert_true(c.zstd_level != 0);
  assert_int_equal(c.egress.allow_count, 0);
  assert_int_equal(c.script_ms, 50);
}

static void names_each_mistake(void **state) {
  // Proves: every wrong file is refused with file, line where there is one, and what would be right.
  (void)state;
  static const struct {
    const char *text, *why; // why: behind the file's name
  } cases[] = {
      {"return {\n  workrs = 2 }", ":2: unknown key \"workrs\": did you mean \"workers\"?"},
      {"return {\n\n  jurnal = { kind = 'local' } }",
       ":3: unknown key \"jurnal\": did you mean \"journal\"?"},
      {"return { zzzzz = 2 }", ":1: unknown key \"zzzzz\""},
      {"return { limits = {\n bodi = 1 } }", ":2: unknown key \"limits.bodi\": did you mean \"body\"?"},
      {"return { ['a b'] = 1 }", ":1: unknown key \"a b\""},
      {"return { 'data' }", ":1: a value without a name in the table"},
      {"return {\n [1]=\"a\" }", ":2: a value without a name in the table"},
      {"local x = 1\nreturn { x }", ":2: a value without a name in the table"},
      {"return {\n limits = { 7 } }", ":2: a value without a name in limits"},
      {"return {\n workers = 0 }", ":2: workers must be a whole number from 1 to 256"},
      {"return { workers = 1.5 }", ":1: workers must be a whole number from 1 to 256"},
      {"return { workers = '2' }", ":1: workers must be a whole number from 1 to 256"},
      {"return { listen = 8080 }", ":1: listen must be a text in quotes"},
      {"return { data = '' }", ":1: data must be a text of 1 to 511 bytes"},
      {"return { isolation = 'tenant' }", ":1: isolation must be \"shared\" or \"organisation\""},
      {"return { journal = { kind = 'nats' } }",
       ":1: kind \"nats\" is not built into this version: use \"local\", the embedded journal"},
      {"return { journal = 'local' }", ":1: journal must be a table"},
      {"return { journal = { retention = 7 } }",
       ":1: retention must be a time with its unit, such as \"7d\" (at least \"1h\", at most \"3650d\")"},
      {"return { journal = { compression = 'zstd:99' } }",
       ":1: compression must be \"zstd\", \"none\" or \"zstd:LEVEL\" with a level from -50 to 19"},
      {"return { limits = { body = '16 mb' } }", ":1: body must be a size from \"1KB\" to \"1024MB\""},
      {"return { limits = { script_time = '1m' } }",
       ":1: script_time must be a time with its unit, such as \"50ms\" (at least \"1ms\", at most \"10s\")"},
      {"return { egress = { allow = '127.0.0.0/8' } }",
       ":1: allow must be a list such as { \"127.0.0.0/8\" }"},
      {"return { tls = { key = 'k' } }", ":1: tls is not in this version: put a TLS proxy in front"},
      {"return {\n tls = { certificate = 'c', key = 'k' } }",
       ":2: tls is not in this version: put a TLS proxy in front"},
      {"return {\n listen = '127.0.0.1' }",
       ":2: listen must be HOST:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\""},
      {"return { listen = ':80' }",
       ":1: listen must be HOST:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\""},
      {"return { listen = '::1:80' }",
       ":1: listen must be HOST:PORT, such as \"127.0.0.1:8080\" or \"[::1]:8080\""},
      {"return { listen = 'nohost:99999' }", ":1: listen: the port must be a whole number from 0 to 65535"},
      {"return { listen = '[::1]:' }", ":1: listen: the port must be a whole number from 0 to 65535"},
      {"return { listen = 'a:8o' }", ":1: listen: the port must be a whole number from 0 to 65535"},
      {"return {\n\n sinks = '/nowhere/sinks' }", ":3: sinks: there is no folder \"/nowhere/sinks\""},
      {"return { scripts = '/dev/null' }", ":1: scripts: there is no folder \"/dev/null\""},
      {"return 5", ":1: must return a table: return { ... }"},
      {"return {\n  data = \n}", ":3: unexpected symbol near '}'"},
      {"return { data = os.getenv('HOME') }", ":1: attempt to index global 'os' (a nil value)"},
      {"while true do end", ":1: the file does not come to an end"},
      {"\033LJ\2\n", ": attempt to load chunk with wrong mode"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct config c;
    struct err err;
    char expected[600];
    assert_false(load(cases[i].text, &c, &err));
    snprintf(expected, sizeof expected, "%s%s", file, cases[i].why);
    assert_string_equal(err.text, expected);
  }
}

static void names_a_missing_file(void **state) {
  // Proves: a file that is not there is an error with its name.
  (void)state;
  struct config c;
  struct err err = {0};
  config_defaults(&c);
  assert_false(config_load(&c, "/tmp/config_test_absent/sluice.lua", &err));
  assert_non_null(strstr(err.text, "/tmp/config_test_absent/sluice.lua"));
}

static void reads_units(void **state) {
  // Proves: sizes and times are taken with their units and nothing else.
  (void)state;
  size_t bytes;
  int64_t ms;
  assert_true(config_size("100", &bytes) && bytes == 100);
  assert_true(config_size("64KB", &bytes) && bytes == 64 << 10);
  assert_true(config_size("2GB", &bytes) && bytes == (size_t)2 << 30);
  assert_true(config_duration_ms("50ms", &ms) && ms == 50);
  assert_true(config_duration_ms("10s", &ms) && ms == 10000);
  assert_true(config_duration_ms("5m", &ms) && ms == 300000);
  assert_true(config_duration_ms("7d", &ms) && ms == 7 * 86400000LL);
  static const char *const wrong_sizes[] = {"",  "MB", "-1", "1.5MB", "16 MB", "1XB", "9999999999999999GB",
                                            " 1"};
  for (size_t i = 0; i < sizeof wrong_sizes / sizeof *wrong_sizes; i++)
    assert_false(config_size(wrong_sizes[i], &bytes));
  static const char *const wrong_times[] = {"", "5", "s", "-1s", "1.5h", "1y", "99999999999999999d"};
  for (size_t i = 0; i < sizeof wrong_times / sizeof *wrong_times; i++)
    assert_false(config_duration_ms(wrong_times[i], &ms));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reads_everything, make_file, remove_file),
      cmocka_unit_test_setup_teardown(has_defaults, make_file, remove_file),
      cmocka_unit_test_setup_teardown(names_each_mistake, make_file, remove_file),
      cmocka_unit_test(names_a_missing_file),
      cmocka_unit_test(reads_units),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
