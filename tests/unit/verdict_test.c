// Proves the default verdict for every HTTP status, as the contract's paragraph "Default verdict" lists them,
// and for requests without an answer.
#include "flow/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool among(int status, const int *statuses) {
  for (; *statuses; statuses++)
    if (*statuses == status) return true;
  return false;
}

// The paragraph, sentence by sentence.
static enum sink_verdict_kind as_promised(int status) {
  static const int pausing[] = {401, 403, 404, 405, 410, 415, 501, 0}, retried[] = {408, 425, 429, 0};
  if (status / 100 == 2) return SINK_DELIVERED;
  if (status / 100 == 3 || among(status, pausing)) return SINK_PAUSE;
  if (status / 100 == 5 || among(status, retried)) return SINK_RETRY;
  return SINK_REJECT;
}

static struct sink_verdict verdict_of(const struct http_response *response) {
  struct sink_verdict verdict;
  memset(&verdict, 0x5a, sizeof verdict); // nothing of what was there before stays
  verdict_default(response, &verdict);
  assert_null(verdict.each);
  assert_true(verdict.seconds < 0); // the engine's own delay, or Retry-After
  assert_non_null(memchr(verdict.why, 0, sizeof verdict.why));
  return verdict;
}

static void every_status_means_what_the_contract_says(void **state) {
  (void)state;
  for (int status = 200; status <= 599; status++) {
    struct http_response response = {.outcome = HTTP_ANSWERED, .status = status, .retry_after_ms = 5000};
    struct sink_verdict verdict = verdict_of(&response);
    char number[8];
    snprintf(number, sizeof number, "%d", status);
    if (verdict.kind != as_promised(status)) fail_msg("status %d", status);
    assert_non_null(strstr(verdict.why, number)); // a person can see why
  }
}

// No final answer at all, or none that HTTP knows: nothing is lost by trying again.
static void strange_statuses_are_retried(void **state) {
  (void)state;
  static const int strange[] = {0, 100, 101, 103, 199, 600, 999};
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    struct http_response response = {.outcome = HTTP_ANSWERED, .status = strange[i]};
    assert_int_equal(verdict_of(&response).kind, SINK_RETRY);
  }
}

static void without_an_answer_the_policy_pauses_and_the_network_retries(void **state) {
  (void)state;
  struct http_response refused = {.outcome = HTTP_REFUSED, .error = "10.0.0.1 is not allowed"};
  struct http_response broken = {
      .outcome = HTTP_TRANSPORT, .error = "the certificate has expired", .status = 200};
  struct http_response silent = {.outcome = HTTP_TRANSPORT};
  assert_int_equal(verdict_of(&refused).kind, SINK_PAUSE);
  assert_string_equal(verdict_of(&refused).why, refused.error);
  assert_int_equal(verdict_of(&broken).kind, SINK_RETRY);
  assert_string_equal(verdict_of(&broken).why, broken.error);
  assert_int_equal(verdict_of(&silent).kind, SINK_RETRY);
  assert_true(strlen(verdict_of(&silent).why) > 0);
}

static void a_long_error_is_cut(void **state) {
  (void)state;
  char error[1000];
  memset(error, 'x', sizeof error);
  error[sizeof error - 1] = 0;
  struct http_response response = {.outcome = HTTP_TRANSPORT, .error = error};
  assert_int_equal(strlen(verdict_of(&response).why), sizeof((struct sink_verdict *)0)->why - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_status_means_what_the_contract_says),
      cmocka_unit_test(strange_statuses_are_retried),
      cmocka_unit_test(without_an_answer_the_policy_pauses_and_the_network_retries),
      cmocka_unit_test(a_long_error_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
