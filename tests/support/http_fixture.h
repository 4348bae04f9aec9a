// http_fixture.h - an HTTP server on a thread of its own, and a blocking client that sends bytes as they are
// given.
#pragma once
#include "net/http_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_ROOM = 1 << 20, PATIENCE_MS = 10000 };

struct fixture {
  struct loop *loop;
  struct http_server *server;
  pthread_t thread;
  struct loop_task task; // for the test's own use
};

struct client {
  int fd;
  size_t len; // bytes read and not consumed
  char bytes[ANSWER_ROOM];
};

struct answer {
  int status;
  size_t head_len;
  char head[4096];
  struct slice body; // in the client's bytes, until its next answer
};

static inline void *fixture_run(void *arg) {
  struct fixture *f = arg;
  loop_run(f->loop);
  return NULL;
}

static inline void fixture_start(struct fixture *f, struct http_server_options options) {
  struct err err = {0};
  options.listen = options.listen ? options.listen : "127.0.0.1:0";
  f->loop = loop_new(&err);
  f->server = http_server_new(f->loop, &options, &err);
  if (!f->server) fail_msg("%s", err.text);
  assert_int_equal(pthread_create(&f->thread, NULL, fixture_run, f), 0);
}

static inline void fixture_stop(struct fixture *f) {
  loop_stop(f->loop);
  pthread_join(f->thread, NULL);
  http_server_free(f->server);
  loop_free(f->loop);
}

static inline struct client *client_open(const struct fixture *f) {
  struct client *c = malloc(sizeof *c);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)http_server_port(f->server)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->len = 0;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(c->fd, (struct sockaddr *)&address, sizeof address), 0);
  return c;
}

static inline void client_close(struct client *c) {
  close(c->fd);
  free(c);
}

// False: the server has closed its side.
static inline bool client_send(struct client *c, const void *at, size_t len) {
  for (size_t done = 0; done < len;) {
    ssize_t n = send(c->fd, (const char *)at + done, len - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static inline bool client_say(struct client *c, const char *text) {
  return client_send(c, text, strlen(text));
}

// Waits for bytes; false at the end of the stream.
static inline bool client_read(struct client *c) {
  struct pollfd p = {.fd = c->fd, .events = POLLIN};
  if (poll(&p, 1, PATIENCE_MS) != 1) fail_msg("no answer within %d ms", PATIENCE_MS);
  ssize_t n = recv(c->fd, c->bytes + c->len, sizeof c->bytes - 1 - c->len, 0);
  if (n > 0) c->len += (size_t)n;
  c->bytes[c->len] = 0;
  return n > 0;
}

static inline void client_consume(struct client *c, size_t len) {
  memmove(c->bytes, c->bytes + len, c->len - len);
  c->len -= len;
  c->bytes[c->len] = 0;
}

// The next answer; status 0: the stream ended instead. The client's bytes keep the answer until
// client_consume.
static inline struct answer client_answer(struct client *c) {
  struct answer a = {0};
  char *end;
  c->bytes[c->len] = 0;
  while (!(end = strstr(c->bytes, "\r\n\r\n")))
    if (!client_read(c)) return a;
  a.head_len = (size_t)(end - c->bytes) + 4;
  assert_true(a.head_len < sizeof a.head);
  memcpy(a.head, c->bytes, a.head_len);
  assert_int_equal(sscanf(a.head, "HTTP/1.%*d %d", &a.status), 1);
  const char *length = strcasestr(a.head, "\r\ncontent-length:");
  size_t body_len = length ? strtoul(length + 17, NULL, 10) : 0;
  while (c->len < a.head_len + body_len)
    if (!client_read(c)) break;
  a.body = slice_make(c->bytes + a.head_len, body_len < c->len - a.head_len ? body_len : c->len - a.head_len);
  return a;
}

static inline void client_next(struct client *c, const struct answer *a) {
  client_consume(c, a->head_len + a->body.len);
}

static inline bool client_ended(struct client *c) {
  return !client_read(c);
}

// Sends one request, and checks the answer's status and what its body holds.
static inline void client_expect(struct client *c, const char *request, int status, const char *in_body) {
  if (request) assert_true(client_say(c, request));
  struct answer a = client_answer(c);
  assert_int_equal(a.status, status);
  if (!memmem(a.body.at, a.body.len, in_body, strlen(in_body)))
    fail_msg("\"%s\" is not in \"%.*s\"", in_body, (int)a.body.len, a.body.at);
  client_next(c, &a);
}

// The same for a refusal: problem+json, and the connection ends after it.
static inline void client_expect_refusal(struct client *c, const char *request, int status,
                                         const char *in_body) {
  if (request) client_say(c, request);
  struct answer a = client_answer(c);
  assert_int_equal(a.status, status);
  assert_non_null(strstr(a.head, "application/problem+json"));
  assert_non_null(strstr(a.head, "Connection: close"));
  if (!memmem(a.body.at, a.body.len, in_body, strlen(in_body)))
    fail_msg("\"%s\" is not in \"%.*s\"", in_body, (int)a.body.len, a.body.at);
  client_next(c, &a);
  assert_true(client_ended(c));
}
