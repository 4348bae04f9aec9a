// http_server_test.c - whole requests in, answers out, now or later, whatever the client does meanwhile.
#include "base/buf.h"
#include "support/http_fixture.h"

#include <semaphore.h>

static struct fixture fixture;
static struct http_request *held; // the request of /hold, until it is released
static sem_t holding;

static void echo(struct http_request *r) {
  static const struct {
    enum http_method method;
    const char *name;
  } names[] = {{HTTP_GET, "GET"},     {HTTP_POST, "POST"},     {HTTP_PUT, "PUT"},
               {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}, {HTTP_HEAD, "HEAD"}};
  struct buf out;
  struct slice body = http_request_body(r);
  char query[32] = "-";
  const char *name = "?", *header = http_request_header(r, "x-test");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].method == http_request_method(r)) name = names[i].name;
  http_request_query(r, "q", query, sizeof query);
  buf_init(&out, ANSWER_ROOM);
  buf_printf(&out, "%s %s q=%s x=%s loopback=%d body=%zu:", name, http_request_path(r), query,
             header ? header : "-", http_request_from_loopback(r), body.len);
  buf_append(&out, body.at, body.len);
  http_answer_header(r, "X-Answer", "yes");
  http_answer(r, 200, "text/plain", buf_slice(&out));
  buf_fini(&out);
}

static void answer_posted(struct loop_task *task) {
  (void)task;
  http_answer(held, 200, "text/plain", slice_of("later"));
}

static void *post_answer(void *arg) {
  (void)arg;
  loop_post(fixture.loop, &fixture.task);
  return NULL;
}

static void handle(struct http_request *r, void *arg) {
  const char *path = http_request_path(r);
  assert_ptr_equal(arg, &fixture);
  if (!strcmp(path, "/later")) {
    pthread_t thread;
    held = r;
    pthread_create(&thread, NULL, post_answer, NULL);
    pthread_detach(thread);
  } else if (!strcmp(path, "/hold")) {
    http_request_set_state(r, &holding);
    held = r;
    sem_post(&holding);
  } else if (!strcmp(path, "/none")) {
    http_answer(r, 204, NULL, slice_of(""));
  } else if (!strcmp(path, "/problem")) {
    http_answer_header(r, "Retry-After", "7");
    http_answer_problem(r, 429, "wait %d \"seconds\"", 7);
  } else {
    echo(r);
  }
}

static int set_up(void **state) {
  (void)state;
  held = NULL;
  sem_init(&holding, 0, 0);
  fixture = (struct fixture){.task.run = answer_posted};
  fixture_start(&fixture,
                (struct http_server_options){.handle = handle, .arg = &fixture, .max_body = 100000});
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  fixture_stop(&fixture);
  sem_destroy(&holding);
  return 0;
}

static void requests_of_every_method_on_one_connection(void **state) {
  // Proves: method, path, query, header and body arrive decoded once, and the connection serves one request
  // after another.
  (void)state;
  struct client *c = client_open(&fixture);
  client_expect(c, "GET /a%20b%252F?p=1&q=x%26+y HTTP/1.1\r\nHost: h\r\nX-Test: 1\r\n\r\n", 200,
                "GET /a b%2F q=x& y x=1 loopback=1 body=0:");
  client_expect(c, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 200,
                "POST /p q=- x=- loopback=1 body=5:hello");
  client_expect(c, "PUT /p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz", 200,
                "PUT /p q= x=- loopback=1 body=1:z");
  client_expect(c, "PATCH /p?q=a%00b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz", 200, "PATCH /p q=a");
  client_expect(c, "DELETE /p?qq=1&q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", 200, "DELETE /p q=%zz");
  client_expect(c, "GET /none HTTP/1.1\r\nHost: h\r\n\r\n", 204, "");
  client_expect(c, "GET /problem HTTP/1.1\r\nHost: h\r\n\r\n", 429,
                "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,\"detail\":\"wait "
                "7 \\\"seconds\\\"\"}");
  client_close(c);
}

static void head_answers_without_a_body(void **state) {
  // Proves: HEAD tells the length that GET would have, sends no body, and the next answer follows directly.
  (void)state;
  struct client *c = client_open(&fixture);
  assert_true(client_say(c, "HEAD /p HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\n\r\n"));
  while (!strstr(c->bytes, "HTTP/1.1 204"))
    assert_true(client_read(c));
  assert_non_null(strstr(c->bytes, "\r\nContent-Length: 3"));
  assert_null(strstr(c->bytes, "HEAD /p"));
  client_close(c);
}

static void pipelined_requests_are_answered_in_order(void **state) {
  // Proves: fifty requests in one packet, among them ones answered later by another thread, get their answers
  // in order.
  (void)state;
  struct client *c = client_open(&fixture);
  char request[128], expected[32];
  struct buf all;
  buf_init(&all, ANSWER_ROOM);
  for (int i = 0; i < 50; i++) {
    snprintf(request, sizeof request, "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n%02d",
             i % 5 ? "p" : "later", i);
    buf_append_text(&all, request);
  }
  assert_true(client_send(c, all.at, all.len));
  for (int i = 0; i < 50; i++) {
    snprintf(expected, sizeof expected, "body=2:%02d", i);
    client_expect(c, NULL, 200, i % 5 ? expected : "later");
  }
  buf_fini(&all);
  client_close(c);
}

static void chunked_body_is_put_together(void **state) {
  // Proves: a body in chunks arrives whole, byte by byte or at once, with extensions and trailers.
  (void)state;
  const char *request = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5 "
                        ";x=y\r\nhello\r\n1\r\n \r\n6\r\nworld!"
                        "\r\n0\r\nX-Trailer: 1\r\n\r\n";
  struct client *c = client_open(&fixture);
  client_expect(c, request, 200, "body=12:hello world!");
  for (const char *p = request; *p; p++)
    assert_true(client_send(c, p, 1));
  client_expect(c, NULL, 200, "body=12:hello world!");
  client_close(c);
}

static void expect_continue_is_answered_before_the_body(void **state) {
  // Proves: a client that waits for "100 Continue" gets it, then its answer; another expectation is refused
  // in JSON.
  (void)state;
  struct client *c = client_open(&fixture);
  client_expect(c, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", 100,
                "");
  client_expect(c, "body", 200, "body=4:body");
  client_expect_refusal(c, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: tea\r\n\r\n", 417,
                        "100-continue");
  client_close(c);
}

static void large_body_arrives_whole(void **state) {
  // Proves: a body of the greatest size, in many packets, is contiguous and unchanged, and so is what comes right behind it.
  (void)state;
  struct client *c = client_open(&fixture);
  char head[128], *body = malloc(100000);
  for (int i = 0; i < 100000; i++)
    body[i] = (char)('a' + i % 23);
  snprintf(head, sizeof head, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 100000);
  client_say(c, head);
  for (int i = 0; i < 100000; i += 1000)
    assert_true(client_send(c, body + i, 1000));
  client_say(c, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz");
  struct answer a = client_answer(c);
  assert_int_equal(a.status, 200);
  assert_memory_equal(a.body.at + a.body.len - 100000, body, 100000);
  client_next(c, &a);
  client_expect(c, NULL, 200, "body=1:z");
  free(body);
  client_close(c);
}

static void connection_close_is_obeyed(void **state) {
  // Proves: "Connection: close" and HTTP/1.0 end the connection after the answer; HTTP/1.0 with keep-alive
  // does not.
  (void)state;
  struct client *c = client_open(&fixture);
  client_expect(c, "GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 200, "GET /p");
  assert_true(client_ended(c));
  client_close(c);
  c = client_open(&fixture);
  client_expect(c, "GET /p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "GET /p");
  client_expect(c, "GET /p HTTP/1.0\r\n\r\n", 200, "GET /p");
  assert_true(client_ended(c));
  client_close(c);
}

static void malformed_requests_get_a_clean_4xx(void **state) {
  // Proves: whatever can't be a request is refused in problem+json, never in HTML, and the connection ends.
  (void)state;
  static const struct {
    int status;
    const char *request;
  } cases[] = {
      {400, "nonsense\r\n\r\n"},
      {400, "GET /\r\n\r\n"},
      {400, "GET / HTTP/9.9\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nno colon\r\n\r\n"},
      {400, "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS hello, more or less\r\n\r\n"},
      {501, "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n"},
      {501, "CONNECT a:1 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {501, "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nz"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nz"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {400, "HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n-1\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nz"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct client *c = client_open(&fixture);
    client_expect_refusal(c, cases[i].request, cases[i].status,
                          *cases[i].request == 'H' ? "" : "about:blank");
    client_close(c);
  }
}

static void hosts_are_asked_of_http_1_1_alone(void **state) {
  // Proves: an older client need not name the host; a name may be empty.
  (void)state;
  static const char *const requests[] = {"GET /p HTTP/1.0\r\n\r\n", "GET /p HTTP/1.1\r\nHost:\r\n\r\n"};
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    struct client *c = client_open(&fixture);
    client_expect(c, requests[i], 200, "GET /p");
    client_close(c);
  }
}

static void a_body_is_too_long_however_its_head_comes(void **state) {
  // Proves: the limit holds to the byte in chunks and behind a head that is read in pieces; what is just within
  // it is taken.
  (void)state;
  static char body[100001], padding[5001];
  static const struct {
    const char *end, *tail; // of the head, behind the body
    size_t bytes;
    int status;
  } cases[] = {
      {"Transfer-Encoding: chunked\r\n\r\n186a0\r\n", "\r\n0\r\n\r\n", 100000, 200},
      {"Transfer-Encoding: chunked\r\n\r\n186a1\r\n", "\r\n0\r\n\r\n", 100001, 413},
      {"Content-Length: 100000\r\n\r\n", "", 100000, 200},
      {"Content-Length: 100001\r\n\r\n", "", 100001, 413},
  };
  memset(body, 'x', sizeof body);
  memset(padding, 'x', sizeof padding - 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct client *c = client_open(&fixture);
    client_say(c, "POST /p HTTP/1.1\r\nHost: h\r\nX: ");
    client_say(c, padding);
    client_say(c, "\r\n");
    client_say(c, cases[i].end);
    client_send(c, body, cases[i].bytes);
    client_say(c, cases[i].tail);
    client_expect(c, NULL, cases[i].status, cases[i].status == 200 ? "body=100000" : "100000 bytes");
    client_close(c);
  }
}

static void strange_paths_are_refused(void **state) {
  // Proves: a path with a NUL or without a slash never reaches a handler, and the connection goes on.
  (void)state;
  struct client *c = client_open(&fixture);
  client_expect(c, "GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "the path");
  client_expect(c, "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400, "the path");
  client_expect(c, "GET /.. HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /..");
  client_close(c);
}

static void hold_one(struct client *c) {
  client_say(c, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  sem_wait(&holding);
}

static void client_gone_before_its_answer(void **state) {
  // Proves: a client that goes away, half or with a reset, between request and answer harms nothing; its body
  // stays valid.
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct client *c = client_open(&fixture);
    hold_one(c);
    assert_ptr_equal(http_request_state(held), &holding);
    if (i == 1) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (i == 2)
      shutdown(c->fd, SHUT_WR);
    else
      close(c->fd);
    assert_true(slice_is(http_request_body(held), "body"));
    loop_post(fixture.loop, &fixture.task);
    if (i == 2) {
      client_expect(c, NULL, 200, "later");
      close(c->fd);
    }
    free(c);
    c = client_open(&fixture); // once this is answered, the task has run
    client_expect(c, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /p");
    client_close(c);
  }
}

static void server_freed_before_its_answer(void **state) {
  // Proves: a request that outlives its server can still be read and answered.
  (void)state;
  struct client *c = client_open(&fixture);
  hold_one(c);
  loop_stop(fixture.loop);
  pthread_join(fixture.thread, NULL);
  http_server_free(fixture.server);
  assert_true(slice_is(http_request_body(held), "body"));
  http_answer_header(held, "X-Late", "yes");
  http_answer_problem(held, 503, "too late");
  assert_true(client_ended(c));
  client_close(c);
  loop_free(fixture.loop);
  set_up(NULL);
}

static void drain_now(struct loop_task *task) {
  (void)task;
  http_server_drain(fixture.server);
  sem_post(&holding);
}

static void drain_answers_what_is_under_way(void **state) {
  // Proves: draining closes idle connections, takes no new ones, and still answers those under way, closing
  // after them.
  (void)state;
  struct loop_task drain = {.run = drain_now};
  struct client *idle = client_open(&fixture), *busy = client_open(&fixture), *late;
  client_expect(idle, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "GET /p");
  hold_one(busy);
  loop_post(fixture.loop, &drain);
  sem_wait(&holding);
  assert_true(client_ended(idle));
  late = client_open(&fixture); // into the kernel's queue
  loop_post(fixture.loop, &fixture.task);
  struct answer a = client_answer(busy);
  assert_int_equal(a.status, 200);
  assert_non_null(strstr(a.head, "Connection: close"));
  client_next(busy, &a);
  assert_true(client_ended(busy));
  client_close(idle);
  client_close(busy);
  client_close(late);
}

static void unusable_addresses_are_named(void **state) {
  // Proves: what can't be listened on fails with the address and the reason.
  (void)state;
  static const char *const bad[] = {
      "", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "::1:80", "[::1]", "[]:1", "256.1.1.1:x"};
  struct http_server_options options = {.handle = handle};
  char taken[64];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct err err = {0};
    options.listen = bad[i];
    assert_null(http_server_new(fixture.loop, &options, &err));
    assert_non_null(strstr(err.text, "can't listen on"));
  }
  struct err err = {0};
  snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(fixture.server));
  options.listen = taken;
  assert_null(http_server_new(fixture.loop, &options, &err));
  assert_non_null(strstr(err.text, "in use"));
  http_server_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(requests_of_every_method_on_one_connection, set_up, tear_down),
      cmocka_unit_test_setup_teardown(head_answers_without_a_body, set_up, tear_down),
      cmocka_unit_test_setup_teardown(pipelined_requests_are_answered_in_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(chunked_body_is_put_together, set_up, tear_down),
      cmocka_unit_test_setup_teardown(expect_continue_is_answered_before_the_body, set_up, tear_down),
      cmocka_unit_test_setup_teardown(large_body_arrives_whole, set_up, tear_down),
      cmocka_unit_test_setup_teardown(connection_close_is_obeyed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(malformed_requests_get_a_clean_4xx, set_up, tear_down),
      cmocka_unit_test_setup_teardown(hosts_are_asked_of_http_1_1_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_body_is_too_long_however_its_head_comes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(strange_paths_are_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(client_gone_before_its_answer, set_up, tear_down),
      cmocka_unit_test_setup_teardown(server_freed_before_its_answer, set_up, tear_down),
      cmocka_unit_test_setup_teardown(drain_answers_what_is_under_way, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unusable_addresses_are_named, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
