// http_guard_test.c - what slow, greedy and broken clients get, and that nobody else pays for them.
#include "base/clock.h"
#include "support/http_fixture.h"

#include <netinet/tcp.h>

enum { BODY = 200000, BODIES = 350000, CONNECTIONS = 8, REQUEST_MS = 150, LINGER_MS = 300 };

static struct fixture fixture;

static void handle(struct http_request *r, void *arg) {
  (void)arg;
  static char large[900000];
  bool big = !strcmp(http_request_path(r), "/large");
  http_answer(r, 200, "text/plain", big ? slice_make(large, sizeof large) : slice_of("ok"));
}

static int set_up(void **state) {
  (void)state;
  fixture_start(&fixture, (struct http_server_options){.handle = handle,
                                                       .max_body = BODY,
                                                       .bodies_bytes = BODIES,
                                                       .connections = CONNECTIONS,
                                                       .request_ms = REQUEST_MS,
                                                       .linger_ms = LINGER_MS});
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  fixture_stop(&fixture);
  return 0;
}

static void expect_others_served(void) {
  struct client *c = client_open(&fixture);
  client_expect(c, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok");
  client_close(c);
}

// One byte after the other until the server has had enough; a byte that can't be sent any more ends it, too.
static void drip(struct client *c, const char *text) {
  struct pollfd p = {.fd = c->fd, .events = POLLIN};
  client_say(c, text);
  while (poll(&p, 1, 5) == 0 && client_send(c, "x", 1))
    continue;
}

static void slow_requests_end_with_408(void **state) {
  // Proves: neither a dripped request line, nor headers, nor a body, nor chunks keep a connection beyond its
  // time, on a connection's first request as on its second.
  (void)state;
  static const char *const beginnings[] = {
      "G", "GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"};
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
    struct client *c = client_open(&fixture);
    uint64_t start_ms = clock_mono_ms();
    if (i == 4) { // the first of the two is answered
      client_say(c, beginnings[i]);
      client_expect(c, NULL, 200, "ok");
      drip(c, "");
    } else {
      drip(c, beginnings[i]);
    }
    client_expect_refusal(c, NULL, 408, "faster");
    assert_in_range(clock_mono_ms() - start_ms, REQUEST_MS - 20, PATIENCE_MS);
    client_close(c);
  }
}

static void idle_connections_end_silently(void **state) {
  // Proves: a connection that says nothing, at first or after an answer, is closed without a word.
  (void)state;
  struct client *silent = client_open(&fixture), *served = client_open(&fixture);
  client_expect(served, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok");
  assert_true(client_ended(silent));
  assert_true(client_ended(served));
  client_close(silent);
  client_close(served);
}

static void answer_not_taken_ends(void **state) {
  // Proves: a client that asks and does not read its answer is reset when its time is over.
  (void)state;
  struct client *c = client_open(&fixture);
  setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
  for (int i = 0; i < 20; i++)
    client_say(c, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  struct pollfd p = {.fd = c->fd}; // reads nothing, and yet sees the end
  assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
  assert_true(p.revents & POLLERR);
  client_close(c);
  expect_others_served();
}

static void too_long_body_gets_413_while_it_is_sent(void **state) {
  // Proves: a client that sends far too much, announced or in chunks, can finish writing and then read 413.
  (void)state;
  static char filler[65536];
  static const char *const heads[] = {
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"};
  memset(filler, ';', sizeof filler);
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    struct client *c = client_open(&fixture);
    client_say(c, heads[i]);
    if (i == 2) client_say(c, "1"); // a chunk's size with an extension that never ends
    for (size_t sent = 0; sent < 400000; sent += 50000)
      client_send(c, filler, 50000);
    client_expect_refusal(c, NULL, 413, "200000 bytes");
    client_close(c);
  }
}

static void endless_headers_get_431(void **state) {
  // Proves: headers beyond their limit are refused, in one line or in many.
  (void)state;
  char line[1024];
  memset(line, 'x', sizeof line);
  for (int many = 0; many < 2; many++) {
    struct client *c = client_open(&fixture);
    client_say(c, "GET / HTTP/1.1\r\nX: ");
    memcpy(line + sizeof line - 6, many ? "\r\nX: x" : "xxxxxx", 6);
    for (int i = 0; i < 40; i++)
      client_send(c, line, sizeof line);
    client_expect_refusal(c, NULL, 431, "16384 bytes");
    client_close(c);
  }
}

static void refused_client_is_cut_off_in_the_end(void **state) {
  // Proves: a refused client that goes on sending and never reads is cut off after the lingering time.
  (void)state;
  static char filler[65536];
  struct client *c = client_open(&fixture);
  client_say(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
  uint64_t start_ms = clock_mono_ms();
  while (client_send(c, filler, sizeof filler))
    assert_in_range(clock_mono_ms() - start_ms, 0, PATIENCE_MS);
  client_close(c);
  expect_others_served();
}

static void bodies_together_are_bounded(void **state) {
  // Proves: the connection that makes all bodies together too long gets 503 with Retry-After; small requests
  // and the other bodies go on; what a closed connection held is free again.
  (void)state;
  static char filler[190000];
  const char *head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 190000\r\n\r\n";
  for (int round = 0; round < 3; round++) {
    struct client *first = client_open(&fixture), *second = client_open(&fixture);
    client_say(first, head);
    client_send(first, filler, 180000);
    client_expect(second, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok");
    // Whether `first` has been read by now is not known, so `second` goes on until one of the two is told.
    client_say(second, head);
    client_send(second, filler, 189999);
    struct pollfd p[] = {{.fd = first->fd, .events = POLLIN}, {.fd = second->fd, .events = POLLIN}};
    assert_true(poll(p, 2, PATIENCE_MS) > 0);
    struct client *refused = p[0].revents ? first : second, *other = p[0].revents ? second : first;
    struct answer a = client_answer(refused);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head, "Retry-After: "));
    if (round) { // once by finishing, then by going away
      client_send(other, filler, refused == first ? 1 : 10000);
      client_expect(other, NULL, 200, "ok");
    }
    client_close(first);
    client_close(second);
  }
}

static void promises_are_not_held_against_others(void **state) {
  // Proves: connections that promise more than all bodies may take, and send little, leave room for those that send.
  (void)state;
  static char filler[BODY];
  const char *head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n";
  struct client *promising[CONNECTIONS - 1], *sending = client_open(&fixture);
  for (int i = 0; i < CONNECTIONS - 1; i++) {
    promising[i] = client_open(&fixture);
    client_say(promising[i], head);
    client_send(promising[i], filler, 5000);
  }
  for (int i = 0; i < 3; i++) {
    client_say(sending, head);
    client_send(sending, filler, BODY);
    client_expect(sending, NULL, 200, "ok");
  }
  for (int i = 0; i < CONNECTIONS - 1; i++)
    client_close(promising[i]);
  client_close(sending);
}

static void a_length_that_does_not_count_holds_nothing_up(void **state) {
  // Proves: where the body ends before the length that its head gives, the answer comes at once.
  (void)state;
  static const char *const heads[] = {
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 150000\r\n\r\n"};
  static char chunk[6000];
  memset(chunk, 'x', sizeof chunk);
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    struct client *c = client_open(&fixture);
    client_say(c, heads[i]);
    client_say(c, "1770\r\n");
    client_send(c, chunk, sizeof chunk);
    client_say(c, "\r\n0\r\n\r\n");
    assert_int_equal(client_answer(c).status, 400);
    client_close(c);
  }
}

static void connections_are_bounded(void **state) {
  // Proves: over the limit, a new connection is told 503 and closed; far over it, it waits its turn; those
  // within go on.
  (void)state;
  enum { CROWD = 200 };
  struct client *within[CONNECTIONS], *crowd[CROWD];
  for (int i = 0; i < CONNECTIONS; i++) {
    within[i] = client_open(&fixture);
    client_expect(within[i], "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok");
  }
  for (int i = 0; i < CROWD; i++)
    crowd[i] = client_open(&fixture);
  client_expect_refusal(crowd[0], NULL, 503, "too many connections");
  for (int i = 1; i < CROWD; i++) {
    struct answer a = client_answer(crowd[i]);
    assert_true(a.status == 503 ||
                a.status == 0); // 0: its turn came when there was room, and it said nothing
    client_close(crowd[i]);
  }
  client_close(crowd[0]);
  for (int i = 0; i < CONNECTIONS; i++)
    client_close(within[i]);
  expect_others_served();
}

static void greedy_pipelining_is_bounded_and_answered(void **state) {
  // Proves: thousands of requests sent ahead are all answered, though the server reads only so far ahead.
  (void)state;
  enum { REQUESTS = 3000 };
  struct client *c = client_open(&fixture);
  pid_t writer = fork();
  if (!writer) {
    for (int i = 0; i < REQUESTS; i++)
      client_say(c, "GET /p HTTP/1.1\r\nHost: h\r\nX: 0123456789012345678901234567\r\n\r\n");
    _exit(0);
  }
  for (int i = 0; i < REQUESTS; i++)
    client_expect(c, NULL, 200, "ok");
  client_close(c);
}

static void broken_connections_leave_nothing(void **state) {
  // Proves: connections reset at every stage leave no slot taken.
  (void)state;
  static const char *const stages[] = {
      "",
      "G",
      "GET / HTTP/1.1\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n12",
      "nonsense\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
      "GET /large HTTP/1.1\r\n\r\n",
      "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"};
  for (int round = 0; round < 10; round++)
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
      struct client *c = client_open(&fixture);
      client_say(c, stages[i]);
      if (round % 2) client_read(c);
      setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
      client_close(c);
    }
  expect_others_served();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(slow_requests_end_with_408, set_up, tear_down),
      cmocka_unit_test_setup_teardown(idle_connections_end_silently, set_up, tear_down),
      cmocka_unit_test_setup_teardown(answer_not_taken_ends, set_up, tear_down),
      cmocka_unit_test_setup_teardown(too_long_body_gets_413_while_it_is_sent, set_up, tear_down),
      cmocka_unit_test_setup_teardown(endless_headers_get_431, set_up, tear_down),
      cmocka_unit_test_setup_teardown(refused_client_is_cut_off_in_the_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown(bodies_together_are_bounded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(promises_are_not_held_against_others, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_length_that_does_not_count_holds_nothing_up, set_up, tear_down),
      cmocka_unit_test_setup_teardown(connections_are_bounded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(greedy_pipelining_is_bounded_and_answered, set_up, tear_down),
      cmocka_unit_test_setup_teardown(broken_connections_leave_nothing, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("http_guard", tests, NULL, NULL);
}
