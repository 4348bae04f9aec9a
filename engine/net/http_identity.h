// http_identity.h - a client's certificate and key of one request.
#pragma once
#include "base/err.h"

// Sets them on a curl handle, read from their files (PEM). No `key`: it is in the certificate's file. A connection or a TLS session
// is shared only with requests of the same certificate and key.
bool http_identity_set(void *easy, const char *certificate, const char *key, struct err *err);
