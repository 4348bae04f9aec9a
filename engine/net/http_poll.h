// http_poll.h - curl's sockets and timer on a loop.
//
// A socket stays registered from its opening to its closing, not from request to request as curl asks: on a
// connection that is reused that saves two system calls a request.
#pragma once
#include "base/err.h"
#include <stddef.h>

struct event;
struct event_base;
struct http_socket;

struct http_poll {
  struct event_base *base;
  void *multi; // CURLM
  struct event *timer;
  struct http_socket **by_fd; // NULL: not known
  size_t fds;
  void (*progressed)(
      void *arg); // curl has done something: transfers may have ended. May call http_poll_fini.
  void *arg;
};

// Takes hold of the multi handle's callbacks. `base`, `multi`, `progressed` and `arg` are set by the caller.
bool http_poll_init(struct http_poll *p, struct err *err);
void http_poll_fini(struct http_poll *p); // takes zeroed; after the multi handle is cleaned up
// For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION. Open: -1 when it can't.
int http_poll_open(struct http_poll *p, int family, int type, int protocol);
int http_poll_close(struct http_poll *p, int fd);
