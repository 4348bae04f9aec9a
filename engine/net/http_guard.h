// http_guard.h - what a connection to the HTTP server may cost: how many, how long, how many bytes. What goes
// beyond is refused.
//
// Stands between evhttp and its connections, for evhttp (2.1.12) bounds neither their number nor their time
// as a whole, sends its errors as HTML, and closes in a way that a client still sending never reads why. A
// refused client gets problem+json with "Connection: close"; what it still sends is read and dropped for a
// while so that it can read that.
#pragma once
#include "base/err.h"
#include "net/loop.h"
#include <stddef.h>
#include <stdint.h>

struct bufferevent;
struct evconnlistener;
struct evhttp;
struct http_guard;
struct http_guarded; // one connection

struct http_guard_limits {
  size_t max_body;      // of one request, as sent
  size_t bodies_bytes;  // of all requests that have begun and are not answered
  unsigned connections; // open at once; some more are let in to be told
  uint32_t
      request_ms; // from accept or the last answer to a whole request; and for a client to take its answer
  uint32_t linger_ms; // how long a refused client may go on sending
};

#define HTTP_GUARD_TOO_LONG                                                                                  \
  "the body is longer than %zu bytes; send several smaller requests" // its 413: max_body

struct http_guard *http_guard_new(struct loop *loop, struct evhttp *http, struct evconnlistener *listener,
                                  const struct http_guard_limits *limits, struct err *err);
void http_guard_free(struct http_guard *guard); // takes NULL; after http_guard_drain and evhttp_free
// Accepts no more, and closes the connections that wait between two requests.
void http_guard_drain(struct http_guard *guard);

struct http_guarded *http_guard_find(struct http_guard *guard, struct bufferevent *bev); // NULL: not ours
void http_guard_received(struct http_guarded *c); // a whole request is with its handler: its clock stops
void http_guard_answers(struct http_guarded *c);  // before its answer is written
void http_guard_answered(struct http_guarded *c); // its answer is written: the next request may come
