#include "net/http_server.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/http_guard.h"
#include "net/http_listen.h"
#include "net/http_problem.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { DETAIL_BYTES = 1024, PROBLEM_BYTES = 8192 };

struct http_server {
  struct loop *loop;
  struct http_server_options options;
  struct evhttp *evhttp; // owns the listener
  struct evconnlistener *listener;
  struct http_guard *guard;
  struct list pending; // requests that are with their handler
  bool draining;
};

struct http_request {
  struct list link;
  struct http_server *server; // NULL: it has gone, and the evhttp_request is ours
  struct evhttp_request *evhttp;
  enum http_method method;
  bool loopback, close; // close: the connection ends with the answer
  char *decoded;        // the path, when it had percent signs
  void *state;
};

static void request_free(struct http_request *r) {
  list_remove(&r->link);
  free(r->decoded); // evhttp's allocation
  mem_free(r);
}

// Reading a request

static enum http_method method_of(struct evhttp_request *request) {
  switch (evhttp_request_get_command(request)) {
  case EVHTTP_REQ_POST:
    return HTTP_POST;
  case EVHTTP_REQ_PUT:
    return HTTP_PUT;
  case EVHTTP_REQ_PATCH:
    return HTTP_PATCH;
  case EVHTTP_REQ_DELETE:
    return HTTP_DELETE;
  case EVHTTP_REQ_HEAD:
    return HTTP_HEAD;
  case EVHTTP_REQ_OPTIONS:
    return HTTP_OPTIONS;
  default:
    return HTTP_GET; // evhttp lets no others in
  }
}

static bool is_loopback(const struct sockaddr *address) {
  if (!address) return false;
  if (address->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
  if (address->sa_family != AF_INET6) return false;
  const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

// What evhttp lets pass although two readers might see different ends of the request (RFC 9112, 6.3), or
// different hosts (3.2). NULL: nothing.
static const char *framing_fault(const struct http_request *r) {
  const struct evkeyvalq *headers = evhttp_request_get_input_headers(r->evhttp);
  const char *length = NULL, *coding = NULL, *host = NULL;
  for (const struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next) {
    const char **seen = !strcasecmp(h->key, "content-length")      ? &length
                        : !strcasecmp(h->key, "transfer-encoding") ? &coding
                        : !strcasecmp(h->key, "host")              ? &host
                                                                   : NULL;
    if (!seen) continue;
    if (*seen) return "Content-Length, Transfer-Encoding or Host is given twice";
    *seen = h->value;
  }
  if (!host && (r->evhttp->major > 1 || r->evhttp->minor > 0)) return "the Host header is missing";
  if (length && coding) return "both Content-Length and Transfer-Encoding are given";
  if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
    return "Content-Length is no number";
  if (coding && strcasecmp(coding, "chunked")) return "of transfer codings, only chunked is understood";
  if (r->method == HTTP_HEAD && (coding || (length && strcmp(length, "0"))))
    return "a HEAD request has no body";
  return NULL;
}

static bool decode_path(struct http_request *r) {
  const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r->evhttp));
  if (!path || *path != '/') return false;
  if (!strchr(path, '%')) return true;
  size_t len;
  r->decoded = evhttp_uridecode(path, 0, &len);
  return r->decoded && strlen(r->decoded) == len; // no NUL inside
}

static void hand_on(struct http_request *r) {
  const char *fault = framing_fault(r);
  if (fault) {
    r->close = true; // where the next request begins is anyone's guess
    http_answer_problem(r, 400, "%s", fault);
  } else if (evbuffer_get_length(evhttp_request_get_input_buffer(r->evhttp)) > r->server->options.max_body) {
    http_answer_problem(r, 413, HTTP_GUARD_TOO_LONG, r->server->options.max_body);
  } else if (!decode_path(r)) {
    http_answer_problem(r, 400, "the path must begin with / and be percent-encoded text");
  } else {
    r->server->options.handle(r, r->server->options.arg);
  }
}

static struct http_guarded *guarded(const struct http_request *r) {
  struct evhttp_connection *evcon = evhttp_request_get_connection(r->evhttp);
  return evcon ? http_guard_find(r->server->guard, evhttp_connection_get_bufferevent(evcon)) : NULL;
}

static void request_came(struct evhttp_request *request, void *arg) {
  struct http_server *server = arg;
  struct evhttp_connection *evcon = evhttp_request_get_connection(request);
  struct http_guarded *connection = http_guard_find(server->guard, evhttp_connection_get_bufferevent(evcon));
  struct http_request *r = connection ? mem_zero(1, sizeof *r) : NULL;
  if (connection) http_guard_received(connection);
  if (!r) { // out of memory
    if (connection) http_guard_answers(connection);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    evhttp_send_reply(request, 503, http_status_title(503), NULL);
    return;
  }
  *r = (struct http_request){.server = server, .evhttp = request, .method = method_of(request)};
  r->loopback = is_loopback(evhttp_connection_get_addr(evcon));
  list_push_back(&server->pending, &r->link);
  hand_on(r);
}

enum http_method http_request_method(const struct http_request *r) {
  return r->method;
}

const char *http_request_path(const struct http_request *r) {
  return r->decoded ? r->decoded : evhttp_uri_get_path(evhttp_request_get_evhttp_uri(r->evhttp));
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One name or value of a query, up to the byte `end`, decoded into out. False: no room, or a NUL in it.
static bool decode_part(const char *at, const char *end, char *out, size_t room) {
  for (; at < end && room > 1; room--) {
    char c = *at++;
    if (c == '+') c = ' ';
    int high = c == '%' && end - at >= 2 ? hex_digit(at[0]) : -1, low = high >= 0 ? hex_digit(at[1]) : -1;
    if (low >= 0) {
      c = (char)(high << 4 | low);
      at += 2;
    }
    if (!c) return false;
    *out++ = c;
  }
  if (room) *out = 0;
  return room && at == end;
}

bool http_request_query(const struct http_request *r, const char *name, char *out, size_t room) {
  char key[64];
  const char *at = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->evhttp));
  while (at && *at) {
    const char *end = at + strcspn(at, "&"), *equals = memchr(at, '=', (size_t)(end - at));
    if (decode_part(at, equals ? equals : end, key, sizeof key) && !strcmp(key, name))
      return decode_part(equals ? equals + 1 : end, end, out, room);
    at = *end ? end + 1 : end;
  }
  return false;
}

const char *http_request_header(const struct http_request *r, const char *name) {
  return evhttp_find_header(evhttp_request_get_input_headers(r->evhttp), name);
}

struct slice http_request_body(struct http_request *r) {
  struct evbuffer *body = evhttp_request_get_input_buffer(r->evhttp);
  size_t len = evbuffer_get_length(body);
  return slice_make(len ? evbuffer_pullup(body, -1) : NULL, len);
}

bool http_request_from_loopback(const struct http_request *r) {
  return r->loopback;
}

void http_request_set_state(struct http_request *r, void *state) {
  r->state = state;
}

void *http_request_state(const struct http_request *r) {
  return r->state;
}

// Answering

static void set_header(struct http_request *r, const char *name, const char *value) {
  struct evkeyvalq *headers = evhttp_request_get_output_headers(r->evhttp);
  evhttp_remove_header(headers, name);
  evhttp_add_header(headers, name, value);
}

void http_answer_header(struct http_request *r, const char *name, const char *value) {
  if (r->server) set_header(r, name, value);
}

static void answer_written(struct evhttp_request *request, void *arg) {
  (void)request;
  http_guard_answered(arg);
}

static bool add_body(struct http_request *r, int status, const char *content_type, struct slice body) {
  if (status == 204 || status == 304) return true;
  char length[24];
  snprintf(length, sizeof length, "%zu", body.len);
  set_header(r, "Content-Type", content_type);
  set_header(r, "Content-Length", length);
  return r->method == HTTP_HEAD ||
         evbuffer_add(evhttp_request_get_output_buffer(r->evhttp), body.at, body.len) == 0;
}

static void send_answer(struct http_request *r, int status, const char *content_type, struct slice body) {
  struct http_guarded *connection = guarded(r);
  if (!connection) { // the client has gone; this frees evhttp's request
    evhttp_send_reply(r->evhttp, status, NULL, NULL);
    return;
  }
  bool whole = add_body(r, status, content_type, body);
  if (!whole) { // out of memory
    status = 503;
    set_header(r, "Content-Length", "0");
  }
  if (r->close || r->server->draining || !whole) set_header(r, "Connection", "close");
  evhttp_request_set_on_complete_cb(r->evhttp, answer_written, connection);
  http_guard_answers(connection);
  evhttp_send_reply(r->evhttp, status, http_status_title(status), NULL);
}

void http_answer(struct http_request *r, int status, const char *content_type, struct slice body) {
  if (r->server)
    send_answer(r, status, content_type, body);
  else
    evhttp_request_free(r->evhttp);
  request_free(r);
}

void http_answer_problem(struct http_request *r, int status, const char *format, ...) {
  char detail[DETAIL_BYTES];
  struct buf body;
  va_list args;
  va_start(args, format);
  vsnprintf(detail, sizeof detail, format, args);
  va_end(args);
  buf_init(&body, PROBLEM_BYTES);
  if (!http_problem_write(&body, status, detail)) body.len = 0;
  http_answer(r, status, HTTP_PROBLEM_TYPE, buf_slice(&body));
  buf_fini(&body);
}

// The server

static struct http_guard_limits guard_limits(const struct http_server_options *o) {
  return (struct http_guard_limits){
      .max_body = o->max_body ? o->max_body : LIMIT_BODY_BYTES,
      .bodies_bytes = o->bodies_bytes ? o->bodies_bytes : LIMIT_BODIES_BYTES,
      .connections = o->connections ? o->connections : LIMIT_CONNECTIONS,
      .request_ms = o->request_ms ? o->request_ms : LIMIT_REQUEST_MS,
      .linger_ms = o->linger_ms ? o->linger_ms : LIMIT_LINGER_MS,
  };
}

static bool start(struct http_server *server, struct err *err) {
  struct http_guard_limits limits = guard_limits(&server->options);
  server->options.max_body = limits.max_body;
  struct evconnlistener *listener = http_listen(loop_base(server->loop), server->options.listen, err);
  if (!listener) return false;
  server->evhttp = evhttp_new(loop_base(server->loop));
  if (!server->evhttp || !evhttp_bind_listener(server->evhttp, listener)) {
    evconnlistener_free(listener);
    return err_set(err, "out of memory");
  }
  server->listener = listener;
  evhttp_set_max_headers_size(server->evhttp, LIMIT_HEADERS_BYTES);
  evhttp_set_max_body_size(server->evhttp, EV_SSIZE_MAX); // the guard bounds bodies
  evhttp_set_allowed_methods(server->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS);
  evhttp_set_gencb(server->evhttp, request_came, server);
  server->guard = http_guard_new(server->loop, server->evhttp, listener, &limits, err);
  return server->guard != NULL;
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    struct err *err) {
  struct http_server *server = mem_zero(1, sizeof *server);
  if (!server) {
    err_set(err, "out of memory");
    return NULL;
  }
  server->loop = loop;
  server->options = *options;
  list_init(&server->pending);
  if (start(server, err)) return server;
  http_server_free(server);
  return NULL;
}

bool http_server_busy(const struct http_server *server) {
  return !list_empty(&server->pending);
}

void http_server_free(struct http_server *server) {
  if (!server) return;
  for (struct list *link; (link = list_pop(&server->pending));) {
    struct http_request *r = list_item(link, struct http_request, link);
    // evhttp then leaves it alone, unless its connection has gone before: then it has done so already.
    evhttp_request_own(r->evhttp);
    r->server = NULL;
  }
  if (server->guard) http_guard_drain(server->guard);
  if (server->evhttp) evhttp_free(server->evhttp);
  http_guard_free(server->guard);
  mem_free(server);
}

int http_server_port(const struct http_server *server) {
  return http_listen_port(server->listener);
}

void http_server_drain(struct http_server *server) {
  server->draining = true;
  http_guard_drain(server->guard);
}
