// http_identity.c - curl shares connections and TLS sessions between requests whose certificates are the same, whatever their keys:
// who has another's certificate, which is no secret, but not its key would send over that one's connection. So curl is given the
// contents of the files, not their names: it compares those of the certificate, and a line of text behind it, which a reader of PEM
// skips, is the key's digest. It also makes a file that was replaced count, from the next second on.
#include "net/http_identity.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/pem_file.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { DIGEST_BYTES = 32, DIGEST_TEXT_BYTES = 2 * DIGEST_BYTES + 2, FRESH_MS = 1000 };

struct identity {
  struct http_identity shown; // of the texts below
  struct buf names;           // certificate and key, each with a NUL behind it; empty: this place is free
  struct buf certificate;     // with the key's digest
  char *key;
  uint64_t read_ms;
};

struct http_identities {
  struct identity all[LIMIT_IDENTITIES];
};

static void forget(struct identity *i) {
  if (i->certificate.at) OPENSSL_cleanse(i->certificate.at, i->certificate.len);
  if (i->key) OPENSSL_cleanse(i->key, i->shown.key.len);
  buf_fini(&i->names);
  buf_fini(&i->certificate);
  mem_free(i->key);
  *i = (struct identity){0};
}

static bool append_digest(struct buf *out, struct slice key) {
  unsigned char digest[DIGEST_BYTES];
  size_t len = sizeof digest;
  bool ok = EVP_Q_digest(NULL, "SHA256", NULL, key.at, key.len, digest, &len) == 1 && buf_append_byte(out, '\n');
  for (size_t i = 0; ok && i < len; i++) ok = buf_printf(out, "%02x", digest[i]);
  return ok && buf_append_byte(out, '\n');
}

static bool read_both(struct identity *i, const char *certificate, const char *key, struct err *err) {
  size_t len;
  char *text = pem_file_read(certificate, &len, err);
  if (!text) return err_prepend(err, "the client's certificate");
  i->key = pem_file_read(key, &i->shown.key.len, err);
  i->shown.key.at = i->key;
  bool ok = i->key ? (buf_reserve(&i->certificate, len + DIGEST_TEXT_BYTES) && buf_append(&i->certificate, text, len) &&
                      append_digest(&i->certificate, i->shown.key)) ||
                         err_set(err, "out of memory")
                   : err_prepend(err, "the client's key");
  i->shown.certificate = buf_slice(&i->certificate);
  OPENSSL_cleanse(text, len); // a certificate's file may hold the key
  mem_free(text);
  return ok;
}

static bool is_of(const struct identity *i, const char *certificate, const char *key) {
  return i->names.len && strcmp(i->names.at, certificate) == 0 && strcmp(i->names.at + strlen(certificate) + 1, key) == 0;
}

// That of these files, or the place for it: a free one, else the one that was read first.
static struct identity *place_for(struct http_identities *identities, const char *certificate, const char *key) {
  struct identity *place = identities->all;
  for (struct identity *i = identities->all; i < identities->all + LIMIT_IDENTITIES; i++) {
    if (is_of(i, certificate, key)) return i;
    if (!i->names.len ? place->names.len > 0 : place->names.len && i->read_ms < place->read_ms) place = i;
  }
  return place;
}

const struct http_identity *http_identities_read(struct http_identities *identities, const char *certificate, const char *key,
                                                 uint64_t now_ms, struct err *err) {
  if (!key) key = certificate;
  struct identity *i = place_for(identities, certificate, key);
  if (is_of(i, certificate, key) && now_ms - i->read_ms < FRESH_MS) return &i->shown;
  forget(i);
  buf_init(&i->names, strlen(certificate) + strlen(key) + 2);
  buf_init(&i->certificate, LIMIT_PEM_FILE_BYTES + DIGEST_TEXT_BYTES);
  i->read_ms = now_ms;
  bool ok = (buf_append(&i->names, certificate, strlen(certificate) + 1) && buf_append(&i->names, key, strlen(key) + 1)) ||
            err_set(err, "out of memory");
  if (ok && read_both(i, certificate, key, err)) return &i->shown;
  forget(i);
  return NULL;
}

static bool set_blob(CURL *easy, CURLoption option, struct slice bytes) {
  struct curl_blob blob = {.data = (void *)(uintptr_t)bytes.at, .len = bytes.len, .flags = CURL_BLOB_COPY};
  return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

bool http_identity_set(void *easy, const struct http_identity *identity) {
  return set_blob(easy, CURLOPT_SSLCERT_BLOB, identity->certificate) && set_blob(easy, CURLOPT_SSLKEY_BLOB, identity->key);
}

struct http_identities *http_identities_new(void) {
  return mem_zero(1, sizeof(struct http_identities));
}

void http_identities_free(struct http_identities *identities) {
  if (!identities) return;
  for (struct identity *i = identities->all; i < identities->all + LIMIT_IDENTITIES; i++) forget(i);
  mem_free(identities);
}
