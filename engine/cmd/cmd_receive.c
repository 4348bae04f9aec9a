// cmd_receive.c - `sluice receive`: a receiver for development: prints each record that arrives, checks
// signatures, fails on demand.
#include "base/limits.h"
#include "base/rand.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/records_text.h"
#include "net/webhook.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

static const char usage[] =
    "usage: sluice receive [--port P] [--host H] [--fail PERCENT] [--secret S] [--count N] [--quiet] [--slow "
    "BYTES_PER_SECOND]\n"
    "Answers every POST and prints each record it holds as one line of JSON.\n"
    "  --port P       0 takes any free one (default 9000)\n"
    "  --host H       address to listen on (default 127.0.0.1)\n"
    "  --fail PERCENT answers so many of the requests 500, at random, and prints nothing of them\n"
    "  --secret S     checks webhook-signature; a wrong one is answered 401\n"
    "  --count N      ends after N records, or a few more: a request's records are printed together\n"
    "  --quiet        prints no records, only the closing count\n"
    "  --slow BYTES_PER_SECOND  answers no faster than this\n";

enum { BODY_BYTES = 64 << 20 }; // more than any batch of a shipped sink

struct receiver {
  struct event_base *base;
  struct evhttp *http;
  struct ev_token_bucket_cfg *slow; // NULL: as fast as it goes
  const char *host, *secret;
  int64_t port, fail_percent, count, slow_bytes;
  bool quiet;
  struct records_text text;
  int64_t records, requests, failed, refused;
};

static bool ended(const struct receiver *r) {
  return r->count > 0 && r->records >= r->count;
}

static void after_answer(struct evhttp_request *request, void *arg) {
  (void)request;
  struct receiver *r = arg;
  if (ended(r)) event_base_loopexit(r->base, NULL);
}

static void answer(struct receiver *r, struct evhttp_request *request, int status, const char *reason) {
  struct evhttp_connection *connection = evhttp_request_get_connection(request);
  if (r->slow) bufferevent_set_rate_limit(evhttp_connection_get_bufferevent(connection), r->slow);
  evhttp_request_set_on_complete_cb(request, after_answer, r);
  evhttp_send_reply(request, status, reason, NULL);
}

static const char *header(struct evhttp_request *request, const char *name) {
  return evhttp_find_header(evhttp_request_get_input_headers(request), name);
}

static bool signature_right(const struct receiver *r, struct evhttp_request *request, struct slice body) {
  const char *signature = header(request, "webhook-signature");
  const char *id = header(request, "webhook-id");
  const char *timestamp = header(request, "webhook-timestamp");
  return signature && id && timestamp &&
         webhook_verify(r->secret, signature, id, strtoll(timestamp, NULL, 10), body);
}

// The records of a good body, each on a line of stdout: all of them, since all are answered 200.
static void print_records(struct receiver *r) {
  struct slice line;
  while (records_text_next(&r->text, &line)) {
    r->records++;
    if (!r->quiet) printf("%.*s\n", (int)line.len, line.at);
  }
  if (fflush(stdout) != 0) event_base_loopexit(r->base, NULL); // nobody reads on
}

static void take(struct evhttp_request *request, void *arg) {
  struct receiver *r = arg;
  struct evbuffer *input = evhttp_request_get_input_buffer(request);
  struct slice body = slice_make(evbuffer_pullup(input, -1), evbuffer_get_length(input));
  struct err err = {0};
  r->requests++;
  if (ended(r)) { // on its way out: what would not be printed is not taken
    r->refused++;
    answer(r, request, 503, "Service Unavailable");
  } else if (r->fail_percent > 0 && (int64_t)(rand_u64() % 100) < r->fail_percent) {
    r->failed++;
    answer(r, request, 500, "failing on purpose");
  } else if (!records_text_set(&r->text, body, header(request, "Content-Encoding"), &err)) {
    fprintf(stderr, "%s: %s\n", evhttp_request_get_uri(request), err.text);
    r->refused++;
    answer(r, request, 400, "Bad Request");
  } else if (r->secret && !signature_right(r, request, records_text_plain(&r->text))) {
    const char *id = header(request, "webhook-id");
    fprintf(stderr, "%s: webhook-signature is missing or wrong (webhook-id %s)\n",
            evhttp_request_get_uri(request), id ? id : "none");
    r->refused++;
    answer(r, request, 401, "Unauthorized");
  } else {
    print_records(r);
    answer(r, request, 200, "OK");
  }
}

static void stop(int signal_number, short what, void *arg) {
  (void)signal_number;
  (void)what;
  event_base_loopbreak(arg);
}

static bool listen_on(struct receiver *r, struct err *err) {
  struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(r->http, r->host, (uint16_t)r->port);
  if (!bound) return err_set_errno(err, "cannot listen on %s:%" PRId64, r->host, r->port);
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) != 0)
    return err_set_errno(err, "cannot read the port");
  bool six = address.ss_family == AF_INET6;
  in_port_t port =
      six ? ((struct sockaddr_in6 *)&address)->sin6_port : ((struct sockaddr_in *)&address)->sin_port;
  fprintf(stderr, six ? "listening on http://[%s]:%u\n" : "listening on http://%s:%u\n", r->host,
          ntohs(port));
  return true;
}

static bool start(struct receiver *r, struct err *err) {
  r->base = event_base_new();
  r->http = r->base ? evhttp_new(r->base) : NULL;
  if (!r->http) return err_set(err, "out of memory");
  if (r->slow_bytes > 0) {
    size_t rate = (size_t)r->slow_bytes;
    r->slow = ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, rate, rate, NULL);
    if (!r->slow) return err_set(err, "out of memory");
  }
  evhttp_set_max_body_size(r->http, BODY_BYTES);
  evhttp_set_max_headers_size(r->http, LIMIT_HEADERS_BYTES);
  evhttp_set_allowed_methods(r->http, EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH);
  evhttp_set_gencb(r->http, take, r);
  return listen_on(r, err);
}

static int run(struct receiver *r) {
  struct err err = {0};
  signal(SIGPIPE, SIG_IGN);
  records_text_init(&r->text, BODY_BYTES);
  bool ok = start(r, &err);
  if (ok) {
    struct event *term = evsignal_new(r->base, SIGTERM, stop, r->base);
    struct event *interrupt = evsignal_new(r->base, SIGINT, stop, r->base);
    event_add(term, NULL);
    event_add(interrupt, NULL);
    event_base_dispatch(r->base);
    event_free(term);
    event_free(interrupt);
    fprintf(stderr,
            "received %" PRId64 " records in %" PRId64 " requests (%" PRId64 " failed on purpose, %" PRId64
            " refused)\n",
            r->records, r->requests, r->failed, r->refused);
  } else {
    fprintf(stderr, "receive: %s\n", err.text);
  }
  if (r->http) evhttp_free(r->http);
  if (r->slow) ev_token_bucket_cfg_free(r->slow);
  if (r->base) event_base_free(r->base);
  records_text_fini(&r->text);
  return ok ? 0 : 1;
}

static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                        {"host", required_argument, NULL, 'H'},
                                        {"fail", required_argument, NULL, 'f'},
                                        {"secret", required_argument, NULL, 's'},
                                        {"count", required_argument, NULL, 'c'},
                                        {"quiet", no_argument, NULL, 'q'},
                                        {"slow", required_argument, NULL, 'S'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

int cmd_receive(int argc, char **argv) {
  struct receiver r = {.host = "127.0.0.1", .port = 9000};
  bool ok = true;
  int c;
  optind = 1;
  while (ok && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (c) {
    case 'p':
      ok = args_number("--port", optarg, 0, 65535, &r.port);
      break;
    case 'f':
      ok = args_number("--fail", optarg, 0, 100, &r.fail_percent);
      break;
    case 'c':
      ok = args_number("--count", optarg, 1, INT64_MAX, &r.count);
      break;
    case 'S':
      ok = args_number("--slow", optarg, 1, 1 << 30, &r.slow_bytes);
      break;
    case 'H':
      r.host = optarg;
      break;
    case 's':
      r.secret = optarg;
      break;
    case 'q':
      r.quiet = true;
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    default:
      return args_wrong("receive");
    }
  }
  if (!ok) return args_wrong("receive");
  if (optind != argc) return args_unexpected("receive", argv[optind]);
  return run(&r);
}
