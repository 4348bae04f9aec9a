// webhook_test.c - signatures of Standard Webhooks, against a known one and against tampering.
#include "net/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// The example that the specification's libraries share.
static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const char body[] = "{\"test\": 2432232314}";
static const char known[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
enum { AT_S = 1614265330 };

static void known_signature(void **state) {
  // Proves: the shared example comes out as published, and a plain secret is taken as it is (computed with
  // Python's hmac).
  (void)state;
  char out[WEBHOOK_SIGNATURE_BYTES];
  struct err err = {0};
  assert_true(webhook_sign(secret, NULL, id, AT_S, slice_of(body), out, &err));
  assert_string_equal(out, known);
  assert_true(webhook_sign("plain secret", NULL, "msg_1", -5, slice_of(NULL), out, &err));
  assert_string_equal(out, "v1,PFZh4zE353lfYO7KQoZpofhLGMxgjJBpl3Ey45mfBus=");
}

static void two_secrets_make_two_signatures(void **state) {
  // Proves: while a secret is replaced both signatures are there, and a receiver that knows either one
  // accepts.
  (void)state;
  char out[WEBHOOK_SIGNATURE_BYTES];
  struct err err = {0};
  assert_true(webhook_sign("new", secret, id, AT_S, slice_of(body), out, &err));
  assert_non_null(strstr(out, known));
  assert_true(webhook_verify("new", out, id, AT_S, slice_of(body)));
  assert_true(webhook_verify(secret, out, id, AT_S, slice_of(body)));
  assert_false(webhook_verify("old", out, id, AT_S, slice_of(body)));
}

static void tampering_is_seen(void **state) {
  // Proves: another body, id, time, secret or version, and a header that is cut or empty, do not verify.
  (void)state;
  char header[256];
  assert_true(webhook_verify(secret, known, id, AT_S, slice_of(body)));
  assert_false(webhook_verify(secret, known, id, AT_S, slice_of("{\"test\": 2432232315}")));
  assert_false(webhook_verify(secret, known, "msg_2", AT_S, slice_of(body)));
  assert_false(webhook_verify(secret, known, id, AT_S + 1, slice_of(body)));
  assert_false(webhook_verify("whsec_AAAA", known, id, AT_S, slice_of(body)));
  snprintf(header, sizeof header, "v1a,%s", known + 3);
  assert_false(webhook_verify(secret, header, id, AT_S, slice_of(body)));
  snprintf(header, sizeof header, "%.*s", (int)strlen(known) - 1, known);
  assert_false(webhook_verify(secret, header, id, AT_S, slice_of(body)));
  assert_false(webhook_verify(secret, "", id, AT_S, slice_of(body)));
  assert_false(webhook_verify(secret, "  v1, v1,= ", id, AT_S, slice_of(body)));
  snprintf(header, sizeof header, "v1,AAAA  v2,xyz %s ", known);
  assert_true(webhook_verify(secret, header, id, AT_S, slice_of(body)));
}

static void base64_with_or_without_padding(void **state) {
  // Proves: a base64 secret of any length is the same with its padding and without, and broken or empty ones
  // are refused.
  (void)state;
  static const char *const same[][2] = {
      {"whsec_YQ==", "whsec_YQ"}, {"whsec_YWI=", "whsec_YWI"}, {"whsec_YWJj", "whsec_YWJj"}};
  static const char *const plain[] = {"a", "ab", "abc"};
  static const char *const bad[] = {
      "whsec_",     "whsec_A",    "whsec_YQ=", "whsec_YQ===", "whsec_Y Q=", "whsec_YQ=Q",
      "whsec_====", "whsec_-_-_", ""};
  char first[WEBHOOK_SIGNATURE_BYTES], second[WEBHOOK_SIGNATURE_BYTES], third[WEBHOOK_SIGNATURE_BYTES],
      large[1024] = "whsec_";
  for (size_t i = 0; i < 3; i++) {
    struct err err = {0};
    assert_true(webhook_sign(same[i][0], NULL, id, AT_S, slice_of(body), first, &err));
    assert_true(webhook_sign(same[i][1], NULL, id, AT_S, slice_of(body), second, &err));
    assert_true(webhook_sign(plain[i], NULL, id, AT_S, slice_of(body), third, &err));
    assert_string_equal(first, second);
    assert_string_equal(first, third);
    assert_true(webhook_check_secret(same[i][0], &err) && webhook_check_secret(plain[i], &err));
  }
  memset(large + 6, 'A', sizeof large - 7);
  for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
    struct err err = {0};
    assert_false(webhook_sign(i ? bad[i - 1] : large, NULL, id, AT_S, slice_of(body), first, &err));
    assert_false(webhook_check_secret(i ? bad[i - 1] : large, NULL));
    assert_non_null(strstr(err.text, "signing secret"));
    assert_false(webhook_sign("good", i ? bad[i - 1] : large, id, AT_S, slice_of(body), first, NULL));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_signature),
      cmocka_unit_test(two_secrets_make_two_signatures),
      cmocka_unit_test(tampering_is_seen),
      cmocka_unit_test(base64_with_or_without_padding),
  };
  return cmocka_run_group_tests_name("webhook", tests, NULL, NULL);
}
