// http_client.h - outgoing HTTP (libcurl multi) on one loop: many requests at once, connections reused.
//
// Redirects are not followed; only http and https; no proxy from the environment; TLS verified; every
// connection, new or reused, passes the egress policy on its resolved address.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "net/egress.h"
#include "net/loop.h"

struct http_client;

#define HTTP_USER_AGENT "User-Agent: Sluice/" SLUICE_VERSION // the first header of every request

enum http_outcome {
  HTTP_ANSWERED,  // status holds
  HTTP_REFUSED,   // egress policy: no connection was made
  HTTP_TRANSPORT, // could not connect, broke off, timed out, or the certificate is wrong: `error` says which
};

struct http_header {
  struct slice name, value;
};

struct http_response {
  enum http_outcome outcome;
  int status;
  struct slice body;      // at most LIMIT_ANSWER_BYTES of it
  int64_t retry_after_ms; // from Retry-After (seconds or a date), at most an hour; -1: none
  const char *error;      // words for HTTP_REFUSED and HTTP_TRANSPORT
  uint64_t took_us;
  void *easy;                       // the client's; NULL in a response that was made by hand:
  const struct http_header *headers; // then these, header_count of them
  size_t header_count;
};
enum { HTTP_HEADERS_SEEN = 64 };

// The answer's headers in the order they came, at most `room`; returns how many. Borrowed while the response is valid.
size_t http_response_headers(const struct http_response *response, struct http_header *out, size_t room);

// One request. The caller fills it, keeps it and all it points to until `done`, which runs on the loop's
// thread, never from inside http_client_send. The response is valid during `done`.
struct http_send {
  const char *url;
  const char *method;         // "POST"
  const char *const *headers; // "name: value" lines, ended by NULL
  struct slice body;
  uint32_t timeout_ms;             // whole request; 0: 30,000
  const char *username, *password; // basic authentication; NULL: none
  const char *sign; // AWS signature V4 "aws:amz:REGION:SERVICE" with username/password as keys; NULL: none
  const char *ca, *client_certificate, *client_key; // file names; NULL: the system's, none, none
  void (*done)(struct http_send *send, const struct http_response *response);
  void *easy; // the client's
};

struct http_client *http_client_new(struct loop *loop, const struct egress *egress, struct err *err);
void http_client_free(struct http_client *client); // takes NULL; requests under way end without `done`
// False when it could not even be started (out of memory, unusable URL): `done` will not run.
bool http_client_send(struct http_client *client, struct http_send *send, struct err *err);
void http_client_cancel(struct http_client *client, struct http_send *send); // `done` will not run
