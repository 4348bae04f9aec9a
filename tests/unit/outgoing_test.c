// outgoing_test.c - proves that a request goes out with all that belongs to it, in texts of its own, or not at all.
#include "base/clock.h"
#include "base/mem.h"
#include "flow/outgoing.h"
#include "net/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char framed[] = "[1,2]";

static struct sink_request whole(void) {
  return (struct sink_request){.url = "http://h/",
                               .method = "PUT",
                               .headers = {"X-A: b", "X-Empty: "},
                               .webhook = true,
                               .signing_secret = "a secret",
                               .username = "u",
                               .timeout_ms = 7};
}

static void it_is_whole_and_its_own(void **state) {
  (void)state;
  char url[] = "http://h/", expected[WEBHOOK_SIGNATURE_BYTES + 32] = "webhook-signature: ";
  struct outgoing o = {0};
  struct err err = {0};
  struct sink_request r = whole();
  r.url = url;
  outgoing_init(&o);
  clock_set_ms(1700000000000);
  assert_int_equal(outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err), OUTGOING_MADE);
  url[0] = '!'; // the sink's texts go with its next hook
  assert_string_equal(o.send.url, "http://h/");
  assert_string_equal(o.send.method, "PUT");
  assert_string_equal(o.send.username, "u");
  assert_null(o.send.password);
  assert_int_equal(o.send.timeout_ms, 7);
  assert_string_equal(o.send.headers[0], "X-A: b");
  assert_string_equal(o.send.headers[1], "X-Empty;"); // as curl wants it
  assert_string_equal(o.send.headers[2], "webhook-id: st_1-5");
  assert_string_equal(o.send.headers[3], "webhook-timestamp: 1700000000");
  assert_true(webhook_sign("a secret", NULL, "st_1-5", 1700000000, slice_of(framed), expected + strlen(expected), &err));
  assert_string_equal(o.send.headers[4], expected);
  assert_null(o.send.headers[5]);
  assert_ptr_equal(o.send.body.at, framed); // the batch's, which outlives the request
  outgoing_clear(&o);
  outgoing_fini(&o);
  clock_set_ms(0);
}

static void what_the_sink_made_is_copied(void **state) {
  (void)state;
  char body[] = "made";
  struct outgoing o = {0};
  struct err err = {0};
  struct sink_request r = {.url = "http://h/", .method = "POST", .body = slice_of(body)};
  outgoing_init(&o);
  assert_int_equal(outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err), OUTGOING_MADE);
  body[0] = '!';
  assert_true(slice_is(o.send.body, "made"));
  assert_null(o.send.headers[0]);
  r.gzip = true;
  assert_int_equal(outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err), OUTGOING_MADE);
  assert_string_equal(o.send.headers[0], "Content-Encoding: gzip");
  assert_int_equal((unsigned char)o.send.body.at[0], 0x1f);
  outgoing_fini(&o);
}

static void what_can_not_be_sent_is_wrong(void **state) {
  (void)state;
  static char line[70000] = "X-A: ";
  struct outgoing o = {0};
  struct err err = {0};
  struct sink_request r = whole();
  outgoing_init(&o);
  r.signing_secret = "whsec_!";
  assert_int_equal(outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err), OUTGOING_WRONG);
  assert_non_null(strstr(err.text, "signing secret"));
  memset(line + 5, 'x', sizeof line - 6);
  r = whole();
  r.headers[0] = line;
  err = (struct err){0};
  assert_int_equal(outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err), OUTGOING_WRONG);
  assert_string_equal(err.text, "the request's headers are too long");
  outgoing_fini(&o);
}

static void short_memory_is_told_apart(void **state) {
  (void)state;
  struct sink_request r = whole();
  r.gzip = true;
  for (long nth = 1;; nth++) {
    struct outgoing o = {0};
    struct err err = {0};
    outgoing_init(&o);
    mem_fail_at(nth);
    enum outgoing_made made = outgoing_make(&o, &r, "st_1-5", slice_of(framed), &err);
    bool failed = mem_asked() >= nth;
    mem_fail_at(0);
    outgoing_fini(&o);
    assert_int_equal(made, failed ? OUTGOING_SHORT : OUTGOING_MADE);
    if (!failed) break;
    assert_string_equal(err.text, "out of memory");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_whole_and_its_own),
      cmocka_unit_test(what_the_sink_made_is_copied),
      cmocka_unit_test(what_can_not_be_sent_is_wrong),
      cmocka_unit_test(short_memory_is_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
