#include "net/webhook.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
  KEY_BYTES = 512,   // of a base64 secret, decoded
  MAC_BYTES = 32,    // SHA-256
  BASE64_BYTES = 48, // of a MAC, with a NUL
};

static const char secret_prefix[] = "whsec_", version[] = "v1,";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Fetched once: a fetch costs more than a short message. NULL: out of memory; the next one may go well.
static EVP_MAC *fetch_hmac(void) {
  static _Atomic(EVP_MAC *) kept;
  EVP_MAC *hmac = atomic_load(&kept), *before = NULL;
  if (hmac) return hmac;
  hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  if (!hmac || atomic_compare_exchange_strong(&kept, &before, hmac)) return hmac;
  EVP_MAC_free(hmac); // another thread was first
  return before;
}

// Base64 with its padding or without it.
static bool decode(const char *text, unsigned char out[KEY_BYTES], size_t *len) {
  unsigned char padded[KEY_BYTES / 3 * 4 + 4];
  size_t digits = strspn(text, alphabet), padding = (4 - digits % 4) % 4, given = strspn(text + digits, "=");
  if (text[digits + given] || padding == 3 || (given && given != padding) ||
      digits + padding > KEY_BYTES / 3 * 4)
    return false;
  memcpy(padded, text, digits);
  memset(padded + digits, '=', padding);
  int decoded = EVP_DecodeBlock(out, padded, (int)(digits + padding));
  *len = (size_t)decoded - padding;
  return decoded >= 0;
}

static bool key_of(const char *secret, unsigned char room[KEY_BYTES], struct slice *key, struct err *err) {
  *key = slice_of(secret);
  if (!strncmp(secret, secret_prefix, sizeof secret_prefix - 1)) {
    if (!decode(secret + sizeof secret_prefix - 1, room, &key->len))
      return err_set(err, "the signing secret is not base64 behind \"%s\" (of at most %d bytes)",
                     secret_prefix, KEY_BYTES);
    key->at = (const char *)room;
  }
  return key->len || err_set(err, "the signing secret is empty");
}

bool webhook_check_secret(const char *secret, struct err *err) {
  unsigned char room[KEY_BYTES];
  struct slice key;
  bool ok = key_of(secret, room, &key, err);
  OPENSSL_cleanse(room, sizeof room);
  return ok;
}

static bool mac_of(struct slice key, const char *id, int64_t timestamp_s, struct slice body,
                   unsigned char out[MAC_BYTES]) {
  static char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  char middle[32];
  int middle_len = snprintf(middle, sizeof middle, ".%lld.", (long long)timestamp_s);
  size_t len;
  EVP_MAC *hmac = fetch_hmac();
  EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
  bool ok = context && EVP_MAC_init(context, (const unsigned char *)key.at, key.len, params) &&
            EVP_MAC_update(context, (const unsigned char *)id, strlen(id)) &&
            EVP_MAC_update(context, (const unsigned char *)middle, (size_t)middle_len) &&
            EVP_MAC_update(context, (const unsigned char *)body.at, body.len) &&
            EVP_MAC_final(context, out, &len, MAC_BYTES);
  EVP_MAC_CTX_free(context);
  return ok;
}

static bool signature(const char *secret, const char *id, int64_t timestamp_s, struct slice body,
                      char out[BASE64_BYTES], struct err *err) {
  unsigned char room[KEY_BYTES], mac[MAC_BYTES];
  struct slice key;
  bool ok = key_of(secret, room, &key, err) && (mac_of(key, id, timestamp_s, body, mac) ||
                                                err_set(err, "can't compute a signature: out of memory"));
  if (ok) EVP_EncodeBlock((unsigned char *)out, mac, MAC_BYTES);
  OPENSSL_cleanse(room, sizeof room);
  return ok;
}

bool webhook_sign(const char *secret, const char *previous, const char *id, int64_t timestamp_s,
                  struct slice body, char out[WEBHOOK_SIGNATURE_BYTES], struct err *err) {
  char now[BASE64_BYTES], before[BASE64_BYTES];
  if (!signature(secret, id, timestamp_s, body, now, err)) return false;
  if (previous && !signature(previous, id, timestamp_s, body, before, err))
    return err_prepend(err, "the previous one");
  snprintf(out, WEBHOOK_SIGNATURE_BYTES, "%s%s%s%s%s", version, now, previous ? " " : "",
           previous ? version : "", previous ? before : "");
  return true;
}

bool webhook_verify(const char *secret, const char *header, const char *id, int64_t timestamp_s,
                    struct slice body) {
  char expected[BASE64_BYTES];
  bool found = false;
  if (!signature(secret, id, timestamp_s, body, expected, NULL)) return false;
  size_t expected_len = strlen(expected), version_len = sizeof version - 1;
  for (const char *at = header; *at;) {
    size_t len = strcspn(at, " ");
    if (len == version_len + expected_len && !strncmp(at, version, version_len))
      found |= CRYPTO_memcmp(at + version_len, expected, expected_len) == 0;
    at += len;
    at += strspn(at, " ");
  }
  return found;
}
