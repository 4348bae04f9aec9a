// http_receiver.h - a receiver on threads of its own that answers as the path says, well or badly.
//
//   /echo the request itself   /status/NNN?RETRY-AFTER   /body/N that many bytes   /heads headers without end
//   /hang nothing at all       /drop closes              /half closes in the midst of its body
#pragma once
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RECEIVER_REQUEST_BYTES = 1 << 20, RECEIVER_CONNECTIONS = 64 };

struct receiver {
  int listener, port;
  pthread_t thread, threads[RECEIVER_CONNECTIONS];
  int fds[RECEIVER_CONNECTIONS];
  atomic_int connections, requests; // so far
};

struct receiver_connection {
  struct receiver *receiver;
  int fd;
};

static inline bool receiver_say(int fd, const char *at, size_t len) {
  while (len) {
    ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
    if (n <= 0) return false;
    at += n;
    len -= (size_t)n;
  }
  return true;
}

// Reads one request into text; its length, or 0 at the end of the stream.
static inline size_t receiver_request(int fd, char *text) {
  size_t len = 0, whole = 0;
  while (!whole || len < whole) {
    ssize_t n = recv(fd, text + len, RECEIVER_REQUEST_BYTES - 1 - len, 0);
    if (n <= 0) return 0;
    len += (size_t)n;
    text[len] = 0;
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length:");
    if (end) whole = (size_t)(end - text) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
  }
  return len;
}

static inline bool receiver_answer(int fd, int status, const char *headers, const char *body, size_t len,
                                   bool head) {
  char text[512];
  int n =
      snprintf(text, sizeof text, "HTTP/1.1 %d Words\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);
  return receiver_say(fd, text, (size_t)n) && (head || receiver_say(fd, body, len));
}

static inline bool receiver_status(int fd, const char *path) {
  char headers[128] = "Location: /echo\r\n", retry[96];
  int status = atoi(path);
  if (sscanf(path, "%*d?%95[^ ]", retry) == 1) {
    for (char *p = retry; *p; p++)
      *p = *p == '+' ? ' ' : *p;
    snprintf(headers, sizeof headers, "Retry-After: %s\r\n", retry);
  }
  return receiver_answer(fd, status, headers, "words", 5, false);
}

static inline bool receiver_body(int fd, const char *path) {
  size_t len = strtoul(path, NULL, 10);
  char *body = malloc(len + 1);
  memset(body, 'b', len + 1);
  bool ok = receiver_answer(fd, 200, "", body, len, false);
  free(body);
  return ok;
}

static inline bool receiver_reply(int fd, const char *text, size_t len) {
  const char *path = strchr(text, ' ') + 1;
  if (!strncmp(path, "/status/", 8)) return receiver_status(fd, path + 8);
  if (!strncmp(path, "/body/", 6)) return receiver_body(fd, path + 6);
  if (!strncmp(path, "/hang", 5)) return true;
  if (!strncmp(path, "/half", 5))
    return receiver_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha", 40), false;
  if (!strncmp(path, "/heads", 6)) {
    receiver_say(fd, "HTTP/1.1 200 OK\r\n", 17);
    while (receiver_say(fd, "X-Endless: 0123456789012345678901234567890123456789\r\n", 53))
      continue;
    return false;
  }
  if (strncmp(path, "/echo", 5)) return false;
  return receiver_answer(fd, 200, "", text, len, !strncmp(text, "HEAD", 4));
}

static inline void *receiver_serve(void *arg) {
  struct receiver_connection *c = arg;
  char *text = malloc(RECEIVER_REQUEST_BYTES);
  for (size_t len; (len = receiver_request(c->fd, text));) {
    atomic_fetch_add(&c->receiver->requests, 1);
    if (!receiver_reply(c->fd, text, len)) break;
  }
  shutdown(c->fd, SHUT_RDWR); // closed at the end, when no thread can mistake its number
  free(text);
  free(c);
  return NULL;
}

static inline void *receiver_accept(void *arg) {
  struct receiver *r = arg;
  for (int i = 0; i < RECEIVER_CONNECTIONS; i++) {
    int fd = accept(r->listener, NULL, NULL);
    if (fd < 0) break;
    struct receiver_connection *c = malloc(sizeof *c);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *c = (struct receiver_connection){r, fd};
    r->fds[i] = fd;
    atomic_fetch_add(&r->connections, 1); // before its first answer
    pthread_create(&r->threads[i], NULL, receiver_serve, c);
  }
  return NULL;
}

static inline void receiver_start(struct receiver *r) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  memset(r, 0, sizeof *r);
  r->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(r->listener, (struct sockaddr *)&address, len) || listen(r->listener, 64)) abort();
  getsockname(r->listener, (struct sockaddr *)&address, &len);
  r->port = ntohs(address.sin_port);
  pthread_create(&r->thread, NULL, receiver_accept, r);
}

static inline void receiver_stop(struct receiver *r) {
  shutdown(r->listener, SHUT_RDWR);
  pthread_join(r->thread, NULL);
  for (int i = 0; i < r->connections; i++)
    shutdown(r->fds[i], SHUT_RDWR);
  for (int i = 0; i < r->connections; i++) {
    pthread_join(r->threads[i], NULL);
    close(r->fds[i]);
  }
  close(r->listener);
}
