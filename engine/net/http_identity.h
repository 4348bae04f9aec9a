// http_identity.h - clients' certificates and keys as requests are given them, read from their files at most once a second.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

// Two are the same only if certificate and key are; so a connection or a TLS session is never shared with who has another key.
struct http_identity {
  struct slice certificate, key; // PEM
};

struct http_identities; // those lately used, of one thread

struct http_identities *http_identities_new(void);            // NULL: out of memory
void http_identities_free(struct http_identities *identities); // takes NULL

// That in these files, as they were within the last second. No `key`: it is in the certificate's file. NULL with err. Holds until
// the next read.
const struct http_identity *http_identities_read(struct http_identities *identities, const char *certificate, const char *key,
                                                 uint64_t now_ms, struct err *err);
// Sets it on a curl handle, which copies it. False: out of memory.
bool http_identity_set(void *easy, const struct http_identity *identity);
