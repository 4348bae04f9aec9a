// http_client_tls_test.c - requests with a client's certificate and key, to a receiver that asks for them.
#include "base/disk.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "support/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 16 };

struct tls_receiver {
  SSL_CTX *tls;
  int listener, port;
  pthread_t thread, threads[CONNECTIONS];
  SSL *connections[CONNECTIONS];
  int count;
  atomic_int requests, accepted; // accepted: with a client's certificate that holds
};

static struct tls_receiver receiver;
static char folder[32];
static struct loop *loop;
static struct egress egress;
static struct http_client *client;

// ---- certificates ----

static char *in_folder(const char *name) {
  static char paths[8][64];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void make_key(const char *key, const char *certificate) {
  certificate_make(in_folder(key), certificate ? in_folder(certificate) : NULL, NULL);
}

// ---- the receiver ----

static void *serve(void *arg) {
  SSL *ssl = arg;
  char in[4096];
  int len = 0;
  if (SSL_accept(ssl) == 1) atomic_fetch_add(&receiver.accepted, 1);
  for (int got; (got = SSL_read(ssl, in + len, (int)sizeof in - 1 - len)) > 0;) {
    len += got;
    in[len] = 0;
    if (!strstr(in, "\r\n\r\n")) continue;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    atomic_fetch_add(&receiver.requests, 1);
    if (SSL_write(ssl, answer, sizeof answer - 1) <= 0) break;
    len = 0;
  }
  return NULL;
}

static void *listen_on(void *arg) {
  (void)arg;
  for (int fd; receiver.count < CONNECTIONS && (fd = accept(receiver.listener, NULL, NULL)) >= 0; receiver.count++) {
    SSL *ssl = receiver.connections[receiver.count] = SSL_new(receiver.tls);
    SSL_set_fd(ssl, fd);
    assert_int_equal(pthread_create(&receiver.threads[receiver.count], NULL, serve, ssl), 0);
  }
  return NULL;
}

static void receiver_start(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  receiver = (struct tls_receiver){.tls = SSL_CTX_new(TLS_server_method()), .listener = socket(AF_INET, SOCK_STREAM, 0)};
  assert_int_equal(SSL_CTX_use_certificate_file(receiver.tls, in_folder("server.pem"), SSL_FILETYPE_PEM), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey_file(receiver.tls, in_folder("server.key"), SSL_FILETYPE_PEM), 1);
  assert_int_equal(SSL_CTX_load_verify_locations(receiver.tls, in_folder("right.pem"), NULL), 1);
  SSL_CTX_set_verify(receiver.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL_CTX_set_session_id_context(receiver.tls, (const unsigned char *)"test", 4);
  assert_int_equal(bind(receiver.listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(receiver.listener, CONNECTIONS), 0);
  assert_int_equal(getsockname(receiver.listener, (struct sockaddr *)&address, &len), 0);
  receiver.port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&receiver.thread, NULL, listen_on, NULL), 0);
}

static void receiver_stop(void) {
  shutdown(receiver.listener, SHUT_RDWR);
  pthread_join(receiver.thread, NULL);
  for (int i = 0; i < receiver.count; i++) {
    int fd = SSL_get_fd(receiver.connections[i]);
    shutdown(fd, SHUT_RDWR);
    pthread_join(receiver.threads[i], NULL);
    SSL_free(receiver.connections[i]);
    close(fd);
  }
  close(receiver.listener);
  SSL_CTX_free(receiver.tls);
}

static int set_up(void **state) {
  (void)state;
  struct err err = {0};
  strcpy(folder, "/tmp/tls_test_XXXXXX");
  assert_non_null(mkdtemp(folder));
  signal(SIGPIPE, SIG_IGN);
  make_key("server.key", "server.pem");
  make_key("right.key", "right.pem");
  make_key("wrong.key", NULL);
  receiver_start();
  egress = (struct egress){0};
  loop = loop_new(&err);
  client = http_client_new(loop, &egress, &err);
  return egress_allow(&egress, "127.0.0.1", &err) && client ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  struct err err = {0};
  http_client_free(client);
  loop_free(loop);
  receiver_stop();
  return disk_remove_folder(folder, &err) ? 0 : -1;
}

// ---- requests ----

struct call {
  struct http_send send;
  enum http_outcome outcome;
  int status;
};

static void note(struct http_send *send, const struct http_response *response) {
  struct call *c = (struct call *)(void *)send;
  c->outcome = response->outcome;
  c->status = response->status;
  loop_stop(loop);
}

// The status of the answer; 0: there was none. `key` NULL: none is given.
static int post(const char *certificate, const char *key) {
  struct err err = {0};
  char url[64];
  snprintf(url, sizeof url, "https://127.0.0.1:%d/", receiver.port);
  struct call c = {.send = {.url = url, .method = "POST", .timeout_ms = 20000, .ca = in_folder("server.pem"), .done = note}};
  if (certificate) c.send.client_certificate = in_folder(certificate);
  if (key) c.send.client_key = in_folder(key);
  if (!http_client_send(client, &c.send, &err)) fail_msg("%s", err.text);
  loop_run(loop);
  assert_true((c.outcome == HTTP_ANSWERED) == (c.status != 0));
  return c.status;
}

// Proves: requests with the same certificate and key share a connection; one with the same certificate and another key, or none,
// does not get onto it, nor one without a certificate: they fail before a byte of them is sent, and the right key goes on.
static void connections_are_shared_by_who_has_the_key(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) assert_int_equal(post("right.pem", "right.key"), 200);
  assert_int_equal(receiver.accepted, 1);
  assert_int_equal(post("right.pem", "wrong.key"), 0);
  assert_int_equal(post("right.pem", NULL), 0);
  assert_int_equal(post(NULL, NULL), 0);
  assert_int_equal(receiver.requests, 3);
  assert_int_equal(post("right.pem", "right.key"), 200);
  assert_int_equal(receiver.requests, 4);
  assert_int_equal(receiver.accepted, 1);
}

// Proves: a key in the certificate's own file will do, and a file that isn't there is said.
static void files_are_read(void **state) {
  (void)state;
  struct err err = {0};
  size_t len, key_len;
  char both[8192];
  char *certificate = disk_read_file(in_folder("right.pem"), 4096, &len, &err);
  char *key = disk_read_file(in_folder("right.key"), 4096, &key_len, &err);
  snprintf(both, sizeof both, "%s%s", certificate, key);
  assert_true(disk_replace_file(in_folder("both.pem"), slice_of(both), 0600, &err));
  mem_free(certificate);
  mem_free(key);
  assert_int_equal(post("both.pem", NULL), 200);
  for (int i = 0; i < 2; i++) {
    struct call c = {.send = {.url = "https://127.0.0.1/", .method = "POST", .done = note}};
    c.send.client_certificate = in_folder(i ? "right.pem" : "none.pem");
    c.send.client_key = in_folder("none.key");
    assert_false(http_client_send(client, &c.send, &err));
    assert_non_null(strstr(err.text, i ? "the client's key" : "the client's certificate"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(connections_are_shared_by_who_has_the_key, set_up, tear_down),
      cmocka_unit_test_setup_teardown(files_are_read, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("http_client_tls", tests, NULL, NULL);
}
