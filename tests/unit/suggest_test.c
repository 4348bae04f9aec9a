// Proves that a slip of the finger is answered with the word that was meant, and anything else with none.
#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"url",      "method",         "headers",   "auth", "username",
                                    "password", "signing_secret", "timeout_s", "ca",   NULL};

static void slips_find_the_word(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"method", "method"},
      {"metod", "method"},
      {"mehtod", "method"},
      {"header", "headers"},
      {"haeders", "headers"},
      {"timeout", "timeout_s"},
      {"uri", "url"},
      {"signing-secret", "signing_secret"},
      {"pasword", "password"},
      {"ulr", "url"},
      {"user_name", "username"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(suggest(cases[i][0], words), cases[i][1]);
}

static void strangers_find_none(void **state) {
  (void)state;
  static const char *const cases[] = {"", "x", "cb", "body", "retries", "mthd_x", "urlurl", "authorisation"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_null(suggest(cases[i], words));
  char endless[1000];
  memset(endless, 'a', sizeof endless);
  endless[sizeof endless - 1] = 0;
  assert_null(suggest(endless, words));
  assert_null(suggest("url", (const char *const[]){NULL}));
  assert_null(suggest("url", (const char *const[]){endless, NULL}));
}

static void the_nearest_wins(void **state) { // and of equals the first
  (void)state;
  static const char *const near[] = {"batches", "batched", "batch_by", NULL};
  assert_string_equal(suggest("batchs", near), "batches");
  assert_string_equal(suggest("batche", near), "batches");
  assert_string_equal(suggest("batchby", near), "batch_by");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slips_find_the_word),
      cmocka_unit_test(strangers_find_none),
      cmocka_unit_test(the_nearest_wins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
