// Proves that the files of a client's certificate are read once a second, that a file which was replaced
// counts then, and that identities differ where their keys do.
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/http_identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[40];
static struct http_identities *identities;

static const char *in_folder(const char *name) {
  static char paths[4][80];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_text(const char *name, const char *text) {
  struct err err = {0};
  assert_true(disk_replace_file(in_folder(name), slice_of(text), 0600, &err));
}

static int set_up(void **state) {
  (void)state;
  strcpy(folder, "/tmp/identity_test_XXXXXX");
  assert_non_null(mkdtemp(folder));
  write_text("c", "certificate");
  write_text("k1", "key 1");
  write_text("k2", "key 2");
  return (identities = http_identities_new()) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  struct err err = {0};
  http_identities_free(identities);
  return disk_remove_folder(folder, &err) ? 0 : -1;
}

static const struct http_identity *identity(const char *certificate, const char *key, uint64_t now_ms) {
  struct err err = {0};
  const struct http_identity *found =
      http_identities_read(identities, in_folder(certificate), key ? in_folder(key) : NULL, now_ms, &err);
  if (!found) fail_msg("%s", err.text);
  return found;
}

static void files_are_read_once_a_second(void **state) {
  (void)state;
  const struct http_identity *first = identity("c", "k1", 5000);
  assert_true(slice_is(first->key, "key 1"));
  write_text("k1", "another");
  assert_ptr_equal(identity("c", "k1", 5999), first);
  assert_true(slice_is(first->key, "key 1"));
  assert_true(slice_is(identity("c", "k1", 6000)->key, "another"));
  struct err err = {0};
  assert_int_equal(remove(in_folder("k1")), 0);
  assert_true(slice_is(identity("c", "k1", 6999)->key, "another"));
  assert_null(http_identities_read(identities, in_folder("c"), in_folder("k1"), 7000, &err));
  assert_non_null(strstr(err.text, "the client's key: cannot read"));
}

static void another_key_is_another_certificate(void **state) {
  (void)state;
  char first[200];
  struct slice one = identity("c", "k1", 0)->certificate;
  snprintf(first, sizeof first, "%.*s", (int)one.len, one.at);
  struct slice other = identity("c", "k2", 0)->certificate;
  assert_int_equal(one.len, other.len);
  assert_memory_equal(first, "certificate\n", 12);
  assert_memory_equal(other.at, "certificate\n", 12);
  assert_false(slice_is(other, first));
  const struct http_identity *own = identity("c", NULL, 0);
  assert_true(slice_is(own->key, "certificate"));
}

// Proves: more of them than are kept push out those read first.
static void so_many_are_kept(void **state) {
  (void)state;
  char name[16];
  for (int i = 0; i <= LIMIT_IDENTITIES; i++) {
    snprintf(name, sizeof name, "c%d", i);
    write_text(name, "old");
    identity(name, "k1", 100 + (uint64_t)i);
  }
  for (int i = 0; i <= LIMIT_IDENTITIES; i++) {
    snprintf(name, sizeof name, "c%d", i);
    write_text(name, "new");
  }
  snprintf(name, sizeof name, "c%d", LIMIT_IDENTITIES);
  assert_memory_equal(identity(name, "k1", 200)->certificate.at, "old", 3);
  assert_memory_equal(identity("c1", "k1", 200)->certificate.at, "old", 3);
  assert_memory_equal(identity("c0", "k1", 200)->certificate.at, "new", 3);
}

static void without_memory_it_is_said(void **state) {
  (void)state;
  struct err err = {0};
  mem_fail_at(1000000);
  identity("c", "k1", 0);
  long asked = mem_asked();
  assert_true(asked > 3);
  for (long nth = 1; nth <= asked; nth++) {
    err = (struct err){0};
    mem_fail_at(nth);
    assert_null(
        http_identities_read(identities, in_folder("c"), in_folder("k1"), (uint64_t)nth * 1000, &err));
    assert_true(err.text[0]);
  }
  mem_fail_at(0);
  identity("c", "k1", 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(files_are_read_once_a_second, set_up, tear_down),
      cmocka_unit_test_setup_teardown(another_key_is_another_certificate, set_up, tear_down),
      cmocka_unit_test_setup_teardown(so_many_are_kept, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_memory_it_is_said, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("http_identity", tests, NULL, NULL);
}
