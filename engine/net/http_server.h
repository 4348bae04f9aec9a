// http_server.h - the HTTP/1.1 server (evhttp) on one loop: bounded connections, whole requests in, answers
// out.
//
// A handler gets the request when all of it is there, and answers it then or later, on the loop's thread,
// exactly once. What a connection may cost is bounded: LIMIT_CONNECTIONS of them, LIMIT_REQUEST_MS for a
// request to be whole, LIMIT_HEADERS_BYTES, the body limit (413), LIMIT_BODIES_BYTES for all bodies being
// received (503 + Retry-After). Errors are application/problem+json (RFC 9457) with a "detail" that says what
// to do.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

struct http_server;
struct http_request;

enum http_method {
  HTTP_GET = 1,
  HTTP_POST = 2,
  HTTP_PUT = 4,
  HTTP_PATCH = 8,
  HTTP_DELETE = 16,
  HTTP_HEAD = 32,
  HTTP_OPTIONS = 64
};

struct http_server_options {
  const char *listen; // "127.0.0.1:8080", "[::1]:0"; port 0: any free one
  void (*handle)(struct http_request *request, void *arg); // called once a request is whole
  void *arg;
  // 0: what limits.h says.
  size_t max_body, bodies_bytes;
  unsigned connections;
  uint32_t request_ms, linger_ms;
};

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    struct err *err);
void http_server_free(
    struct http_server *server); // takes NULL; requests not answered yet still have to be, into the void
int http_server_port(const struct http_server *server);
// Stops accepting; requests under way are still answered, with Connection: close.
void http_server_drain(struct http_server *server);
bool http_server_busy(const struct http_server *server); // whether a request waits for its answer

// The request, valid until it is answered. Slices are borrowed from it.
enum http_method http_request_method(const struct http_request *r);
const char *http_request_path(const struct http_request *r); // percent-decoded once, without the query
bool http_request_query(const struct http_request *r, const char *name, char *out,
                        size_t room); // false: absent (or too long)
const char *http_request_header(const struct http_request *r, const char *name); // NULL: absent
struct slice http_request_body(struct http_request *r); // contiguous, as sent (maybe compressed)
bool http_request_from_loopback(const struct http_request *r);
// For the handler's own state; freed by the handler.
void http_request_set_state(struct http_request *r, void *state);
void *http_request_state(const struct http_request *r);

void http_answer_header(struct http_request *r, const char *name, const char *value); // before the answer
void http_answer(struct http_request *r, int status, const char *content_type, struct slice body);
// {"type":"about:blank","title":...,"status":status,"detail":...}
void http_answer_problem(struct http_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
