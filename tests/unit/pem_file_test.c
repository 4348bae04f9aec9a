// Proves that a file which does not hold the certificates or the key it should is told apart, and why.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/pem_file.h"
#include "support/certificate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[32];

static const char *in_folder(const char *name) {
  static char paths[8][64];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_text(const char *name, const char *text) {
  struct err err = {0};
  assert_true(disk_replace_file(in_folder(name), slice_of(text), 0600, &err));
}

static char *text_of(const char *name) {
  struct err err = {0};
  size_t len;
  char *text = pem_file_read(in_folder(name), &len, &err);
  assert_non_null(text);
  return text;
}

static void join(const char *name, const char *first, const char *second) {
  char both[16384];
  snprintf(both, sizeof both, "%s%s", first, second);
  write_text(name, both);
}

static int set_up(void **state) {
  (void)state;
  strcpy(folder, "/tmp/pem_test_XXXXXX");
  assert_non_null(mkdtemp(folder));
  certificate_make(in_folder("a.key"), in_folder("a.pem"), NULL);
  certificate_make(in_folder("b.key"), in_folder("b.pem"), NULL);
  certificate_make(in_folder("locked.key"), NULL, "secret");
  char *a = text_of("a.pem"), *b = text_of("b.pem"), *key = text_of("a.key");
  join("both.pem", a, b);
  join("with_key.pem", a, key);
  join("key_first.pem", key, a);
  b[strlen(b) / 2] = '!';
  join("broken.pem", a, b);
  mem_free(a);
  mem_free(b);
  mem_free(key);
  write_text("text.pem", "no PEM\n");
  write_text("empty.pem", "");
  assert_int_equal(mkfifo(in_folder("pipe.pem"), 0600), 0);
  char *much = calloc(LIMIT_PEM_FILE_BYTES + 2, 1);
  memset(much, 'x', LIMIT_PEM_FILE_BYTES + 1);
  write_text("long.pem", much);
  free(much);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  struct err err = {0};
  return disk_remove_folder(folder, &err) ? 0 : -1;
}

static void expect(bool ok, const struct err *err, const char *words, const char *what) {
  if (ok == !*words && strstr(err->text, words) && !*err->text == !*words) return;
  fail_msg("%s: %d \"%s\", expected \"%s\"", what, ok, err->text, words);
}

static void certificates_are_told_from_what_is_none(void **state) {
  (void)state;
  static const struct {
    const char *name, *words;
  } cases[] = {
      {"a.pem", ""},
      {"both.pem", ""},
      {"with_key.pem", ""},
      {"key_first.pem", ""},
      {"none.pem", "No such file"},
      {"a.key", "has no certificate in PEM form"},
      {"text.pem", "has no certificate in PEM form"},
      {"empty.pem", "has no certificate in PEM form"},
      {"broken.pem", "certificate 2 in it can't be read"},
      {"pipe.pem", "not a regular file"},
      {"long.pem", "longer than 1048576 bytes"},
      {".", "not a regular file"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {0};
    bool ok = pem_file_check_certificates(in_folder(cases[i].name), &err);
    expect(ok, &err, cases[i].words, cases[i].name);
  }
}

static void keys_are_told_from_those_of_others(void **state) {
  (void)state;
  static const struct {
    const char *key, *certificate, *words;
  } cases[] = {
      {"a.key", "a.pem", ""},
      {"with_key.pem", "with_key.pem", ""},
      {"key_first.pem", "a.pem", ""},
      {"a.key", "both.pem", ""},
      {"b.key", "a.pem", "not that of the certificate"},
      {"b.key", "both.pem", "not that of the certificate"}, // the first counts
      {"a.pem", "a.pem", "has no private key"},
      {"text.pem", "a.pem", "has no private key"},
      {"locked.key", "a.pem", "needs a password"},
      {"none.key", "a.pem", "No such file"},
      {"a.key", "none.pem", "No such file"},
      {"a.key", "text.pem", "has no certificate"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct err err = {0};
    bool ok = pem_file_check_key(in_folder(cases[i].key), in_folder(cases[i].certificate), &err);
    expect(ok, &err, cases[i].words, cases[i].key);
  }
}

static void without_memory_it_is_said(void **state) {
  (void)state;
  long asked;
  struct err err = {0};
  mem_fail_at(1000000);
  assert_true(pem_file_check_key(in_folder("a.key"), in_folder("a.pem"), &err));
  assert_true((asked = mem_asked()) > 0);
  for (long nth = 1; nth <= asked; nth++) {
    err = (struct err){0};
    mem_fail_at(nth);
    assert_false(pem_file_check_key(in_folder("a.key"), in_folder("a.pem"), &err));
    assert_true(err.text[0]);
  }
  mem_fail_at(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(certificates_are_told_from_what_is_none),
      cmocka_unit_test(keys_are_told_from_those_of_others),
      cmocka_unit_test(without_memory_it_is_said),
  };
  return cmocka_run_group_tests_name("pem_file", tests, set_up, tear_down);
}
