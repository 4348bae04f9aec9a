// webhook.h - the headers of Standard Webhooks 1.0 (https://www.standardwebhooks.com): id, timestamp,
// signature.
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEBHOOK_SIGNATURE_BYTES = 160 };

// Whether webhook_sign takes the secret; err says why not.
bool webhook_check_secret(const char *secret, struct err *err);
// "v1,<base64 of HMAC-SHA256(secret, id.timestamp.body)>" for one secret, or two joined by a blank, into out.
// A secret is "whsec_" + base64, or any other text taken as it is. previous: NULL for none.
bool webhook_sign(const char *secret, const char *previous, const char *id, int64_t timestamp_s,
                  struct slice body, char out[WEBHOOK_SIGNATURE_BYTES], struct err *err);
// Whether one of the signatures in a webhook-signature header is right (compared in constant time).
bool webhook_verify(const char *secret, const char *header, const char *id, int64_t timestamp_s,
                    struct slice body);
