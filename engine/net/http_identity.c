// http_identity.c - curl shares connections and TLS sessions between requests whose certificates are the same, whatever their keys:
// who has another's certificate, which is no secret, but not its key would send over that one's connection. So curl is given the
// contents of the files, not their names: it compares those of the certificate, and a line of text behind it, which a reader of PEM
// skips, is the key's digest. It also makes a file that was replaced count from the next request on.
#include "net/http_identity.h"
#include "base/buf.h"
#include "base/disk.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { FILE_BYTES = 256 << 10, DIGEST_BYTES = 32 };

static bool append_digest(struct buf *out, struct slice key) {
  unsigned char digest[DIGEST_BYTES];
  size_t len = sizeof digest;
  bool ok = EVP_Q_digest(NULL, "SHA256", NULL, key.at, key.len, digest, &len) == 1 && buf_append_byte(out, '\n');
  for (size_t i = 0; ok && i < len; i++) ok = buf_printf(out, "%02x", digest[i]);
  return ok && buf_append_byte(out, '\n');
}

static bool set_blob(CURL *easy, CURLoption option, struct slice bytes) {
  struct curl_blob blob = {.data = (void *)(uintptr_t)bytes.at, .len = bytes.len, .flags = CURL_BLOB_COPY};
  return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static bool set_both(CURL *easy, struct slice certificate, struct slice key) {
  struct buf distinct;
  buf_init(&distinct, FILE_BYTES + 2 * DIGEST_BYTES + 2);
  bool ok = buf_append(&distinct, certificate.at, certificate.len) && append_digest(&distinct, key) &&
            set_blob(easy, CURLOPT_SSLCERT_BLOB, buf_slice(&distinct)) && set_blob(easy, CURLOPT_SSLKEY_BLOB, key);
  if (distinct.at) OPENSSL_cleanse(distinct.at, distinct.len); // a certificate's file may hold the key
  buf_fini(&distinct);
  return ok;
}

bool http_identity_set(void *easy, const char *certificate, const char *key, struct err *err) {
  size_t certificate_len, key_len;
  char *certificate_text = disk_read_file(certificate, FILE_BYTES, &certificate_len, err);
  if (!certificate_text) return err_prepend(err, "the client's certificate");
  char *key_text = disk_read_file(key ? key : certificate, FILE_BYTES, &key_len, err);
  bool ok = key_text ? set_both(easy, slice_make(certificate_text, certificate_len), slice_make(key_text, key_len)) ||
                           err_set(err, "out of memory")
                     : err_prepend(err, "the client's key");
  if (key_text) OPENSSL_cleanse(key_text, key_len);
  OPENSSL_cleanse(certificate_text, certificate_len);
  mem_free(key_text);
  mem_free(certificate_text);
  return ok;
}
