// certificate.h - keys and certificates made for a test.
#pragma once
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// For 127.0.0.1, signed by itself, an hour old and good for another.
static inline X509 *certificate_of(EVP_PKEY *key, const char *name) {
  X509 *x = X509_new();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                             -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_EXTENSION *address = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(x, address, -1);
  X509_EXTENSION_free(address);
  X509_set_pubkey(x, key);
  assert_true(X509_sign(x, key, EVP_sha256()) > 0);
  return x;
}

// A key in a file of its own; with `certificate`, also one of it in that file. A `password` locks the key.
static inline void certificate_make(const char *key_path, const char *certificate, const char *password) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  FILE *out = fopen(key_path, "w");
  assert_true(key && out);
  assert_true(PEM_write_PKCS8PrivateKey(out, key, password ? EVP_aes_256_cbc() : NULL, password,
                                        password ? (int)strlen(password) : 0, NULL, NULL));
  fclose(out);
  if (certificate) {
    X509 *x = certificate_of(key, certificate);
    out = fopen(certificate, "w");
    assert_true(out && PEM_write_X509(out, x));
    fclose(out);
    X509_free(x);
  }
  EVP_PKEY_free(key);
}
