#include "net/http_client.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/http_identity.h"
#include "net/http_poll.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
  TIMEOUT_MS = 30000, // of a request that sets none
  OWN_HEADERS = 3,
  EXPECT_BYTES = 1 << 16,       // curl asks "Expect: 100-continue" only for bodies of a megabyte
  READ_BYTES = 4096,            // at a time; curl allocates them anew for each request
  WRITE_BYTES = 16 << 10,       // at a time, the least that curl takes; each handle keeps a buffer of so many
  LARGE_WRITE_BYTES = 64 << 10, // the same for a body that is longer
  BODY_KEPT_BYTES = 8192        // room for an answer that a pooled transfer keeps
};

// A pooled easy handle and the one request it carries.
struct transfer {
  struct list link; // in client->idle or client->busy
  struct http_client *client;
  CURL *easy;
  struct http_send *send;
  uint64_t started_ns;
  struct curl_slist *headers; // nodes that point to the request's own lines: nothing is copied
  size_t headers_cap;
  char *url;                      // the one that is set and checked
  long write_bytes;               // as set
  bool particular;                // has options that the next request must not inherit
  unsigned permitted;             // addresses that the egress policy let pass
  char refused[INET6_ADDRSTRLEN]; // the last that it did not; empty: none
  bool cut;                       // the answer was longer than anybody reads
  size_t head_bytes, body_bytes;
  struct buf body;
  char error[CURL_ERROR_SIZE];
};

struct http_client {
  const struct egress *egress;
  CURLM *multi;
  struct http_poll poll;
  struct http_identities *identities; // made when the first request has a certificate
  struct list idle, busy;
  size_t idle_count;
  bool telling; // `done` runs somewhere above
  bool doomed;  // freed from within it
};

// What curl asks while a transfer is under way

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  struct transfer *t = arg;
  if (!egress_permits(t->client->egress, &address->addr)) {
    const struct sockaddr *sa = &address->addr;
    const void *at = sa->sa_family == AF_INET6
                         ? (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr
                         : (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    if (!inet_ntop(sa->sa_family, at, t->refused, sizeof t->refused)) strcpy(t->refused, "?");
    return CURL_SOCKET_BAD;
  }
  t->permitted++;
  return http_poll_open(&t->client->poll, address->family, address->socktype, address->protocol);
}

static int close_socket(void *arg, curl_socket_t fd) {
  struct http_client *client = arg;
  return http_poll_close(&client->poll, fd);
}

static bool parse_address(const char *text, struct sockaddr_storage *out) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
  memset(out, 0, sizeof *out);
  out->ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
  return out->ss_family == AF_INET ? inet_pton(AF_INET, text, &v4->sin_addr) == 1
                                   : inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

// Before each request, also on a connection that an earlier one opened: the policy is that of the client, but
// may have changed.
static int before_request(void *arg, char *remote, char *local, int remote_port, int local_port) {
  (void)local, (void)remote_port, (void)local_port;
  struct transfer *t = arg;
  struct sockaddr_storage address;
  if (parse_address(remote, &address) && egress_permits(t->client->egress, (struct sockaddr *)&address))
    return CURL_PREREQFUNC_OK;
  snprintf(t->refused, sizeof t->refused, "%s", remote);
  t->permitted = 0;
  return CURL_PREREQFUNC_ABORT;
}

static size_t head_came(char *at, size_t size, size_t count, void *arg) {
  (void)at;
  struct transfer *t = arg;
  t->head_bytes += size * count;
  return t->head_bytes <= LIMIT_ANSWER_BYTES ? size * count : 0;
}

static size_t body_came(char *at, size_t size, size_t count, void *arg) {
  struct transfer *t = arg;
  size_t len = size * count, room = LIMIT_ANSWER_BYTES - t->body.len;
  if (!buf_append(&t->body, at, len < room ? len : room)) return 0;
  t->body_bytes += len;
  t->cut = t->body_bytes > LIMIT_ANSWER_DROP_BYTES;
  return t->cut ? 0 : len;
}

size_t http_response_headers(const struct http_response *response, struct http_header *out, size_t room) {
  size_t count = 0;
  if (!response->easy) {
    for (; count < response->header_count && count < room; count++) out[count] = response->headers[count];
    return count;
  }
  struct curl_header *h = NULL;
  while (count < room && (h = curl_easy_nextheader(response->easy, CURLH_HEADER, 0, h)))
    out[count++] = (struct http_header){slice_of(h->name), slice_of(h->value)};
  return count;
}

// Easy handles

// curl gives the buffer of another size back.
static void set_write_bytes(struct transfer *t, size_t body) {
  long bytes = body > WRITE_BYTES ? LARGE_WRITE_BYTES : WRITE_BYTES;
  if (t->write_bytes == bytes) return;
  curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, bytes);
  t->write_bytes = bytes;
}

static void set_constants(struct transfer *t) {
  CURL *easy = t->easy;
  struct http_client *client = t->client;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                   1L); // a name server that hangs must not hold up the loop when a request times out
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_BYTES);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, head_came);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_came);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
}

static void transfer_free(struct transfer *t) {
  list_remove(&t->link);
  if (t->easy) curl_easy_cleanup(t->easy);
  buf_fini(&t->body);
  mem_free(t->headers);
  mem_free(t->url);
  mem_free(t);
}

static struct transfer *transfer_new(struct http_client *client) {
  struct transfer *t = mem_zero(1, sizeof *t);
  if (!t) return NULL;
  t->client = client;
  buf_init(&t->body, LIMIT_ANSWER_BYTES);
  t->easy = curl_easy_init();
  if (t->easy) {
    set_constants(t);
    return t;
  }
  transfer_free(t);
  return NULL;
}

static struct transfer *take(struct http_client *client) {
  struct list *link = list_first(&client->idle);
  struct transfer *t = link ? list_item(link, struct transfer, link) : transfer_new(client);
  if (!t) return NULL;
  client->idle_count -= link ? 1 : 0;
  list_remove(&t->link);
  list_push_back(&client->busy, &t->link);
  t->permitted = 0;
  t->refused[0] = t->error[0] = 0;
  t->cut = false;
  t->head_bytes = t->body_bytes = t->body.len = 0;
  return t;
}

static void give_back(struct transfer *t) {
  struct http_client *client = t->client;
  if (t->send) t->send->easy = NULL;
  t->send = NULL;
  if (client->idle_count >= LIMIT_IDLE_TRANSFERS) {
    transfer_free(t);
    return;
  }
  if (t->particular) {
    curl_easy_reset(
        t->easy); // it forgets the size of its buffer and keeps the buffer: the next request sets it again
    t->write_bytes = 0;
    set_constants(t);
    t->particular = false;
    mem_free(t->url);
    t->url = NULL;
  }
  if (t->body.cap > BODY_KEPT_BYTES) buf_fini(&t->body);
  list_remove(&t->link);
  list_push_front(
      &client->idle,
      &t->link); // the last used is the likeliest to have the right URL set, and to be in the cache
  client->idle_count++;
}

// Filling in a request

static bool set_url(struct transfer *t, const char *url, struct err *err) {
  if (t->url && !strcmp(t->url, url)) return true;
  CURLU *parts = curl_url();
  CURLUcode code = parts ? curl_url_set(parts, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
  curl_url_cleanup(parts);
  if (code) return err_set(err, "unusable URL \"%s\": %s", url, curl_url_strerror(code));
  if (strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8))
    return err_set(err, "unusable URL \"%s\": it must begin with http:// or https://", url);
  char *copy = mem_copy(url, strlen(url));
  if (!copy || curl_easy_setopt(t->easy, CURLOPT_URL, url)) {
    mem_free(copy);
    return err_set(err, "out of memory");
  }
  mem_free(t->url);
  t->url = copy;
  return true;
}

static bool make_room(struct transfer *t, size_t headers) {
  if (headers <= t->headers_cap) return true;
  struct curl_slist *nodes = mem_grow(t->headers, headers * sizeof *nodes);
  if (!nodes) return false;
  t->headers = nodes;
  t->headers_cap = headers;
  return true;
}

static struct curl_slist *add_header(struct curl_slist *node, const char *line) {
  *node = (struct curl_slist){.data = (char *)(uintptr_t)line, .next = node + 1}; // curl only reads it
  return node + 1;
}

static bool set_headers(struct transfer *t, const struct http_send *send, struct err *err) {
  size_t count = 0;
  bool has_type = false;
  for (; send->headers && send->headers[count]; count++) {
    if (strpbrk(send->headers[count], "\r\n")) return err_set(err, "a header has a line break in it");
    has_type |= !strncasecmp(send->headers[count], "content-type:", 13);
  }
  if (!make_room(t, count + OWN_HEADERS)) return err_set(err, "out of memory");
  // As a line, for curl writes what comes by CURLOPT_USERAGENT twice, and slowly.
  struct curl_slist *node = add_header(t->headers, HTTP_USER_AGENT);
  // An empty one keeps curl from adding its own.
  if (send->body.len >= EXPECT_BYTES) node = add_header(node, "Expect:");
  if (!has_type) node = add_header(node, "Content-Type:");
  for (size_t i = 0; i < count; i++)
    node = add_header(node, send->headers[i]);
  node[-1].next = NULL;
  return !curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) || err_set(err, "out of memory");
}

static bool set_method(struct transfer *t, const struct http_send *send) {
  bool post = !strcmp(send->method, "POST"), get = !strcmp(send->method, "GET"),
       head = !strcmp(send->method, "HEAD");
  bool body = post || send->body.len || !strcmp(send->method, "PUT") || !strcmp(send->method, "PATCH");
  if (body) {
    set_write_bytes(t, send->body.len);
    curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, send->body.at ? send->body.at : "");
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)send->body.len);
  } else {
    curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    if (head) curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
  }
  const char *custom = post || (get && !body) || (head && !body) ? NULL : send->method;
  return curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, custom) == CURLE_OK;
}

static bool set_particulars(struct transfer *t, const struct http_send *send) {
  const struct {
    CURLoption option;
    const char *value;
  } texts[] = {{CURLOPT_USERNAME, send->username},
               {CURLOPT_PASSWORD, send->password},
               {CURLOPT_AWS_SIGV4, send->sign},
               {CURLOPT_CAINFO, send->ca}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (!texts[i].value) continue;
    t->particular = true;
    if (curl_easy_setopt(t->easy, texts[i].option, texts[i].value)) return false;
  }
  return true;
}

static bool set_identity(struct transfer *t, const struct http_send *send, struct err *err) {
  struct http_client *client = t->client;
  t->particular = true;
  if (!client->identities && !(client->identities = http_identities_new()))
    return err_set(err, "out of memory");
  const struct http_identity *identity = http_identities_read(client->identities, send->client_certificate,
                                                              send->client_key, clock_mono_ms(), err);
  return identity && (http_identity_set(t->easy, identity) || err_set(err, "out of memory"));
}

static bool fill(struct transfer *t, const struct http_send *send, struct err *err) {
  long timeout_ms = send->timeout_ms ? (long)send->timeout_ms : TIMEOUT_MS;
  if (!set_url(t, send->url, err) || !set_headers(t, send, err)) return false;
  curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
  if (!set_method(t, send) || !set_particulars(t, send)) return err_set(err, "out of memory");
  return !send->client_certificate || set_identity(t, send, err);
}

// Telling how it went

static enum http_outcome outcome_of(struct transfer *t, CURLcode code, int status) {
  if (code == CURLE_OK || (t->cut && status)) return HTTP_ANSWERED;
  if (t->refused[0] && !t->permitted) {
    char address[sizeof t->refused];
    memcpy(address, t->refused, sizeof address);
    snprintf(t->error, sizeof t->error, "the address %s is not one that streams may reach (see egress.allow)",
             address);
    return HTTP_REFUSED;
  }
  if (t->head_bytes > LIMIT_ANSWER_BYTES)
    snprintf(t->error, sizeof t->error, "the answer's headers are longer than %d bytes", LIMIT_ANSWER_BYTES);
  else if (!t->error[0])
    snprintf(t->error, sizeof t->error, "%s", curl_easy_strerror(code));
  return HTTP_TRANSPORT;
}

static int64_t retry_after_ms(CURL *easy) {
  curl_off_t seconds = 0; // 0 also when the header is absent
  curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
  if (seconds <= 0) return -1;
  return (seconds < LIMIT_RETRY_AFTER_S ? seconds : LIMIT_RETRY_AFTER_S) * 1000;
}

static void tell(struct transfer *t, CURLcode code) {
  long status = 0;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  struct http_response response = {.status = (int)status, .retry_after_ms = -1};
  response.outcome = outcome_of(t, code, response.status);
  response.took_us = (clock_mono_ns() - t->started_ns) / 1000;
  if (response.outcome == HTTP_ANSWERED) {
    response.easy = t->easy;
    response.body = buf_slice(&t->body);
    if (status >= 300) response.retry_after_ms = retry_after_ms(t->easy);
  } else {
    response.error = t->error;
  }
  struct http_send *send = t->send;
  send->easy = NULL;
  t->send = NULL;
  send->done(send, &response);
}

static void destroy(struct http_client *client) {
  struct list *lists[] = {&client->busy, &client->idle};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    for (struct list *link; (link = list_first(lists[i]));) {
      struct transfer *t = list_item(link, struct transfer, link);
      if (t->send) t->send->easy = NULL;
      if (client->multi) curl_multi_remove_handle(client->multi, t->easy);
      transfer_free(t);
    }
  if (client->multi) curl_multi_cleanup(client->multi);
  http_poll_fini(&client->poll);
  http_identities_free(client->identities);
  mem_free(client);
}

static void progressed(void *arg) {
  struct http_client *client = arg;
  int left;
  assert(!client->telling);
  client->telling = true;
  for (CURLMsg *message; !client->doomed && (message = curl_multi_info_read(client->multi, &left));) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode code = message->data.result; // the message goes with the handle
    struct transfer *t;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    curl_multi_remove_handle(client->multi, t->easy);
    tell(t, code);
    give_back(t);
  }
  client->telling = false;
  if (client->doomed) destroy(client);
}

// The client

bool http_client_send(struct http_client *client, struct http_send *send, struct err *err) {
  struct transfer *t = take(client);
  if (!t) return err_set(err, "out of memory");
  t->started_ns = clock_mono_ns();
  bool ok = fill(t, send, err);
  CURLMcode code = ok ? curl_multi_add_handle(client->multi, t->easy) : CURLM_OK;
  if (ok && !code) {
    t->send = send;
    send->easy = t;
    return true;
  }
  if (code) err_set(err, "can't start a request: %s", curl_multi_strerror(code));
  t->particular = true;
  give_back(t);
  return false;
}

void http_client_cancel(struct http_client *client, struct http_send *send) {
  struct transfer *t = send->easy;
  if (!t) return;
  curl_multi_remove_handle(client->multi, t->easy);
  give_back(t);
}

static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_new(struct loop *loop, const struct egress *egress, struct err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_curl);
  struct http_client *client = mem_zero(1, sizeof *client);
  if (!client) {
    err_set(err, "out of memory");
    return NULL;
  }
  client->egress = egress;
  list_init(&client->idle);
  list_init(&client->busy);
  client->multi = curl_multi_init();
  client->poll = (struct http_poll){
      .base = loop_base(loop), .multi = client->multi, .progressed = progressed, .arg = client};
  if (client->multi && http_poll_init(&client->poll, err)) {
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_IDLE_CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return client;
  }
  err_set(err, "out of memory");
  destroy(client);
  return NULL;
}

void http_client_free(struct http_client *client) {
  if (!client) return;
  if (client->telling)
    client->doomed = true;
  else
    destroy(client);
}
