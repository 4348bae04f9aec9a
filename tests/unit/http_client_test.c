// http_client_test.c - requests out, whatever the receiver does; and no address reached that the policy
// forbids.
#include "base/limits.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "support/http_receiver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct call {
  struct http_send send;
  char url[128];
  enum http_outcome outcome;
  int status;
  size_t body_len;
  char body[4096], error[256]; // as much of the body as has room
  int64_t retry_after_ms;
  char length[32]; // what the header Content-Length said
  int told;
  void (*then)(struct call *call); // inside done
};

static struct receiver receiver;
static struct loop *loop;
static struct egress egress;
static struct http_client *client;
static int awaited;

static int set_up(void **state) {
  (void)state;
  struct err err = {0};
  receiver_start(&receiver);
  egress = (struct egress){0};
  loop = loop_new(&err);
  client = http_client_new(loop, &egress, &err);
  return egress_allow(&egress, "127.0.0.1", &err) && client ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  http_client_free(client);
  loop_free(loop);
  receiver_stop(&receiver);
  return 0;
}

static void note(struct http_send *send, const struct http_response *response) {
  struct call *c = (struct call *)(void *)send;
  c->told++;
  c->outcome = response->outcome;
  c->status = response->status;
  c->retry_after_ms = response->retry_after_ms;
  c->body_len = response->body.len;
  snprintf(c->body, sizeof c->body, "%.*s", (int)response->body.len,
           response->body.at ? response->body.at : "");
  snprintf(c->error, sizeof c->error, "%s", response->error ? response->error : "");
  struct http_header headers[HTTP_HEADERS_SEEN];
  size_t count = http_response_headers(response, headers, HTTP_HEADERS_SEEN);
  for (size_t i = 0; i < count; i++)
    if (!strcasecmp(headers[i].name.at, "content-length"))
      snprintf(c->length, sizeof c->length, "%.*s", (int)headers[i].value.len, headers[i].value.at);
  if (c->then) c->then(c);
  if (--awaited == 0) loop_stop(loop);
}

static void start(struct call *c, const char *path) {
  struct err err = {0};
  if (*path == '/')
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d%s", receiver.port, path);
  else
    snprintf(c->url, sizeof c->url, "%s", path);
  c->send.url = c->url;
  c->send.done = note;
  if (!c->send.method) c->send.method = "POST";
  if (!http_client_send(client, &c->send, &err)) fail_msg("%s", err.text);
  assert_int_equal(c->told, 0);
  awaited++;
}

static void finish(void) {
  loop_run(loop);
  assert_int_equal(awaited, 0);
}

static void request_is_sent_as_given(void **state) {
  // Proves: method, headers and body go out as given, with our User-Agent and without what curl would add of
  // its own.
  (void)state;
  static const char *const methods[] = {"POST", "PUT", "PATCH", "GET", "DELETE", "HEAD", "POST", "GET"};
  const char *headers[] = {"Content-Type: application/json", "webhook-id: 1", NULL};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    bool body = *methods[i] == 'P';
    struct call c = {
        .send = {.method = methods[i], .headers = headers, .body = slice_of(body ? "{\"a\":1}" : "")}};
    start(&c, "/echo");
    finish();
    assert_int_equal(c.outcome, HTTP_ANSWERED);
    assert_int_equal(c.status, 200);
    if (!strcmp(methods[i], "HEAD")) continue;
    assert_int_equal(strtoul(c.length, NULL, 10), c.body_len);
    char line[64];
    snprintf(line, sizeof line, "%s /echo HTTP/1.1\r\n", methods[i]);
    assert_memory_equal(c.body, line, strlen(line));
    assert_non_null(strstr(c.body, "\r\nUser-Agent: Sluice/" SLUICE_VERSION "\r\n"));
    assert_non_null(strstr(c.body, "\r\nContent-Type: application/json\r\nwebhook-id: 1\r\n"));
    assert_null(strstr(c.body, "Expect"));
    assert_string_equal(strstr(c.body, "\r\n\r\n") + 4, body ? "{\"a\":1}" : "");
  }
  assert_int_equal(receiver.connections, 1);
}

static void empty_and_large_bodies_are_sent(void **state) {
  // Proves: an empty POST says so; a body of more than one write arrives whole and without a wait for "100
  // Continue".
  (void)state;
  struct call c = {0};
  start(&c, "/echo");
  finish();
  assert_non_null(strstr(c.body, "\r\nContent-Length: 0\r\n"));
  assert_null(strstr(c.body, "Content-Type"));
  char *large = malloc(1000000);
  memset(large, 'x', 1000000);
  struct call d = {.send = {.body = slice_make(large, 1000000)}};
  start(&d, "/echo");
  finish();
  assert_int_equal(d.status, 200);
  assert_int_equal(d.body_len, LIMIT_ANSWER_BYTES);
  assert_null(strstr(d.body, "Expect"));
  free(large);
}

static void bodies_of_all_sizes_share_a_handle(void **state) {
  // Proves: a handle that has sent a small body sends a large one whole, and the other way round, also after
  // its options were reset; its buffer for writing is of the size that it is told.
  (void)state;
  static const size_t sizes[] = {100, 500000, 16384, 16385, 500000, 1};
  char *bytes = malloc(500000);
  memset(bytes, 'y', 500000);
  for (int particular = 0; particular < 2; particular++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      struct call c = {.send = {.body = slice_make(bytes, sizes[i])}};
      if (particular) c.send.username = "u", c.send.password = "p";
      char line[64];
      snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n", sizes[i]);
      start(&c, "/echo");
      finish();
      assert_int_equal(c.status, 200);
      assert_non_null(strstr(c.body, line));
    }
  assert_int_equal(receiver.connections, 1);
  free(bytes);
}

static void send_again(struct call *c) {
  if (c->told >= 100) return;
  struct err err = {0};
  int told = c->told;
  assert_true(http_client_send(client, &c->send, &err));
  assert_int_equal(c->told, told);
  awaited++;
}

static void connections_are_reused(void **state) {
  // Proves: eight lanes of a hundred requests each, every next one sent from within done, need eight
  // connections at most.
  (void)state;
  struct call lanes[8] = {0};
  for (int i = 0; i < 8; i++) {
    lanes[i].then = send_again;
    start(&lanes[i], "/status/200");
  }
  finish();
  for (int i = 0; i < 8; i++)
    assert_int_equal(lanes[i].told, 100);
  assert_int_equal(receiver.requests, 800);
  assert_true(receiver.connections <= 8);
}

static void broken_idle_connection_is_replaced(void **state) {
  // Proves: after a receiver has closed a connection that was kept, the next request goes out on a new one.
  (void)state;
  struct call first = {0}, second = {0};
  start(&first, "/echo");
  finish();
  shutdown(receiver.fds[0], SHUT_RDWR);
  start(&second, "/echo");
  finish();
  assert_int_equal(second.status, 200);
  assert_int_equal(receiver.connections, 2);
}

static void long_answers_are_cut(void **state) {
  // Proves: of a long answer the beginning is kept and the rest dropped; of one without end the status still
  // counts.
  (void)state;
  struct call medium = {0}, endless = {0}, next = {0};
  start(&medium, "/body/200000");
  finish();
  start(&next, "/echo");
  finish();
  assert_int_equal(medium.status, 200);
  assert_int_equal(medium.body_len, LIMIT_ANSWER_BYTES);
  assert_int_equal(receiver.connections, 1);
  start(&endless, "/body/100000000");
  finish();
  assert_int_equal(endless.outcome, HTTP_ANSWERED);
  assert_int_equal(endless.status, 200);
  assert_int_equal(endless.body_len, LIMIT_ANSWER_BYTES);
}

static void statuses_and_retry_after(void **state) {
  // Proves: every status is an answer, redirects are not followed, and Retry-After is read in both forms, up
  // to an hour.
  (void)state;
  char future[96], date[64];
  time_t then = time(NULL) + 100;
  struct tm tm;
  strftime(date, sizeof date, "%a,+%d+%b+%Y+%H:%M:%S+GMT", gmtime_r(&then, &tm));
  snprintf(future, sizeof future, "/status/503?%s", date);
  const struct {
    const char *path;
    int status;
    int64_t least_ms, most_ms;
  } cases[] = {{"/status/302", 302, -1, -1},
               {"/status/200?7", 200, -1, -1},
               {"/status/404", 404, -1, -1},
               {"/status/429?7", 429, 7000, 7000},
               {"/status/503?999999", 503, 3600000, 3600000},
               {"/status/503?soon", 503, -1, -1},
               {"/status/503?-5", 503, -1, -1},
               {"/status/503?Wed,+21+Oct+2015+07:28:00+GMT", 503, -1, -1},
               {future, 503, 95000, 100000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct call c = {0};
    start(&c, cases[i].path);
    finish();
    assert_int_equal(c.outcome, HTTP_ANSWERED);
    assert_int_equal(c.status, cases[i].status);
    if (c.retry_after_ms < cases[i].least_ms || c.retry_after_ms > cases[i].most_ms)
      fail_msg("%s: %lld", cases[i].path, (long long)c.retry_after_ms);
  }
}

static void transport_failures_are_named(void **state) {
  // Proves: a receiver that hangs, drops, breaks off, has no end of headers, speaks no TLS or isn't there is
  // HTTP_TRANSPORT, with words.
  (void)state;
  char https[64];
  snprintf(https, sizeof https, "https://127.0.0.1:%d/hang", receiver.port);
  static const char *const words[] = {"time", "Empty reply", "bytes remaining", "headers are longer",
                                      "SSL",  "connect"};
  const char *paths[] = {"/hang", "/drop", "/half", "/heads", https, "http://127.0.0.1:1/"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    struct call c = {.send.timeout_ms = *words[i] == 't' || *words[i] == 'S' ? 150 : 5000};
    start(&c, paths[i]);
    finish();
    assert_int_equal(c.outcome, HTTP_TRANSPORT);
    bool hung_up_on =
        *words[i] == 'S' &&
        strstr(c.error, "time"); // the receiver may wait for more of what it takes for a request
    if (!strcasestr(c.error, words[i]) && !hung_up_on) fail_msg("%s: \"%s\"", paths[i], c.error);
  }
}

static void forbidden_addresses_are_not_reached(void **state) {
  // Proves: however it is spelled, a forbidden address is refused with its name and no connection is made.
  (void)state;
  static const char *const hosts[] = {
      "127.0.0.1",          "2130706433",      "0x7f.1",   "127.1",           "localhost", "[::1]",
      "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3", "[fd00:ec2::254]", "0.0.0.0",   "[::]"};
  egress.allow_count = 0;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    char url[96];
    struct call c = {0};
    snprintf(url, sizeof url, "http://%s:%d/echo", hosts[i], receiver.port);
    start(&c, url);
    finish();
    if (c.outcome != HTTP_REFUSED) fail_msg("%s: outcome %d \"%s\"", hosts[i], (int)c.outcome, c.error);
    assert_non_null(strstr(c.error, "egress.allow"));
    assert_true(strchr(c.error, '.') || strchr(c.error, ':'));
  }
  assert_int_equal(receiver.requests, 0);
}

static void policy_holds_on_kept_connections(void **state) {
  // Proves: a connection that is kept is judged again before each request.
  (void)state;
  struct call before = {0}, after = {0};
  start(&before, "/echo");
  finish();
  assert_int_equal(before.status, 200);
  egress.allow_count = 0;
  start(&after, "/echo");
  finish();
  assert_int_equal(after.outcome, HTTP_REFUSED);
  assert_non_null(strstr(after.error, "127.0.0.1"));
  assert_int_equal(receiver.requests, 1);
}

static void environment_proxies_are_ignored(void **state) {
  // Proves: http_proxy in the environment changes nothing.
  (void)state;
  struct call c = {0};
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  start(&c, "/echo");
  finish();
  unsetenv("http_proxy");
  assert_int_equal(c.status, 200);
}

static void unusable_requests_are_not_started(void **state) {
  // Proves: what is no http URL, and a header that would smuggle in another, fail at once and in words; done
  // does not run.
  (void)state;
  static const char *const urls[] = {"",
                                     "nonsense",
                                     "http://",
                                     "ftp://127.0.0.1/x",
                                     "file:///etc/passwd",
                                     "http://a b/",
                                     "gopher://127.0.0.1/",
                                     "HTTP//x",
                                     "http://h:99999/"};
  const char *split[] = {"X: a\r\nY: b", NULL};
  for (size_t i = 0; i <= sizeof urls / sizeof *urls; i++) {
    bool url = i < sizeof urls / sizeof *urls;
    struct err err = {0};
    struct call c = {.send = {.method = "POST",
                              .url = url ? urls[i] : "http://127.0.0.1/",
                              .headers = url ? NULL : split,
                              .done = note}};
    assert_false(http_client_send(client, &c.send, &err));
    assert_non_null(strstr(err.text, url ? "unusable URL" : "line break"));
    http_client_cancel(client, &c.send); // nothing to cancel
  }
}

static void particulars_do_not_leak_into_the_next(void **state) {
  // Proves: user, password and signature go with their own request and no other.
  (void)state;
  struct call basic = {.send = {.username = "u", .password = "p"}}, plain = {0}, plain_too = {0},
              sign = {.send = {.username = "AKID",
                               .password = "secret",
                               .sign = "aws:amz:eu-west-1:kinesis",
                               .body = slice_of("{}")}};
  start(&basic, "/echo");
  finish();
  assert_non_null(strstr(basic.body, "\r\nAuthorization: Basic dTpw\r\n"));
  start(&plain, "/echo");
  finish();
  assert_null(strstr(plain.body, "Authorization"));
  start(&sign, "/echo");
  finish();
  assert_non_null(strstr(sign.body, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/"));
  assert_non_null(strstr(sign.body, "/eu-west-1/kinesis/aws4_request"));
  start(&plain_too, "/echo");
  finish();
  assert_null(strstr(plain_too.body, "Authorization"));
}

static struct call *victim;

static void cancel_victim(struct call *c) {
  (void)c;
  http_client_cancel(client, &victim->send);
  awaited -= !victim->told;
}

static void cancelled_requests_are_never_told(void **state) {
  // Proves: a request may be cancelled before it has begun, while it waits for its answer, from within
  // another's done (even when both have ended), and after its end; its done does not run, and others go on.
  (void)state;
  struct call early = {0}, waiting = {0}, quick[2] = {{.then = cancel_victim}, {.then = cancel_victim}},
              after = {0};
  start(&early, "/echo");
  http_client_cancel(client, &early.send);
  awaited--;
  start(&waiting, "/hang");
  victim = &waiting;
  start(&quick[0], "/echo");
  finish();
  assert_int_equal(waiting.told, 0);
  for (int i = 0; i < 20; i++) { // which of the two ends first is the receiver's to say
    struct call a = {.then = cancel_victim}, b = {0};
    victim = &b;
    start(&b, "/echo");
    start(&a, "/echo");
    finish();
    assert_int_equal(a.told, 1);
    assert_true(b.told <= 1);
  }
  start(&after, "/echo");
  finish();
  http_client_cancel(client, &after.send);
  assert_int_equal(early.told, 0);
}

static void free_client(struct call *c) {
  (void)c;
  http_client_free(client);
  client = NULL;
}

static void client_may_be_freed_at_any_time(void **state) {
  // Proves: freeing the client with requests not begun, under way, or from within done ends them without a
  // word.
  (void)state;
  struct err err = {0};
  struct call fresh = {0}, waiting[3] = {0}, last = {.then = free_client};
  start(&fresh, "/echo");
  free_client(NULL);
  client = http_client_new(loop, &egress, &err);
  for (int i = 0; i < 3; i++)
    start(&waiting[i], "/hang");
  start(&last, "/echo");
  awaited = 1;
  finish();
  assert_int_equal(last.told, 1);
  assert_int_equal(fresh.told + waiting[0].told + waiting[1].told + waiting[2].told, 0);
  http_client_free(NULL);
}

static void running_out_of_memory_refuses_the_request(void **state) {
  // Proves: whichever allocation fails, the request is refused in words or told as failed, and the client
  // goes on.
  (void)state;
  const char *headers[] = {"X: 1", NULL};
  for (long nth = 1; nth <= 12; nth++) {
    struct err err = {0};
    struct call c = {.send = {.method = "POST", .headers = headers, .done = note}}, next = {0};
    snprintf(c.url, sizeof c.url, "http://127.0.0.1:%d/echo?%ld", receiver.port, nth);
    c.send.url = c.url;
    mem_fail_at(nth);
    if (http_client_send(client, &c.send, &err)) {
      awaited++;
      finish();
    } else {
      assert_non_null(strstr(err.text, "out of memory"));
    }
    mem_fail_at(0);
    start(&next, "/echo");
    finish();
    assert_int_equal(next.status, 200);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(request_is_sent_as_given, set_up, tear_down),
      cmocka_unit_test_setup_teardown(empty_and_large_bodies_are_sent, set_up, tear_down),
      cmocka_unit_test_setup_teardown(bodies_of_all_sizes_share_a_handle, set_up, tear_down),
      cmocka_unit_test_setup_teardown(connections_are_reused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(broken_idle_connection_is_replaced, set_up, tear_down),
      cmocka_unit_test_setup_teardown(long_answers_are_cut, set_up, tear_down),
      cmocka_unit_test_setup_teardown(statuses_and_retry_after, set_up, tear_down),
      cmocka_unit_test_setup_teardown(transport_failures_are_named, set_up, tear_down),
      cmocka_unit_test_setup_teardown(forbidden_addresses_are_not_reached, set_up, tear_down),
      cmocka_unit_test_setup_teardown(policy_holds_on_kept_connections, set_up, tear_down),
      cmocka_unit_test_setup_teardown(environment_proxies_are_ignored, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unusable_requests_are_not_started, set_up, tear_down),
      cmocka_unit_test_setup_teardown(particulars_do_not_leak_into_the_next, set_up, tear_down),
      cmocka_unit_test_setup_teardown(cancelled_requests_are_never_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(client_may_be_freed_at_any_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(running_out_of_memory_refuses_the_request, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
