// verdict.h - what an answer means for a batch when its sink does not say.
#pragma once
#include "net/http_client.h"
#include "script/sink.h"

// 2xx delivered. 3xx, 401, 403, 404, 405, 410, 415, 501 and an egress refusal pause the stream. 408, 425, 429, other 5xx, transport and
// certificate errors retry. Other 4xx reject (the batch is halved until the culprit stands alone).
void verdict_default(const struct http_response *response, struct sink_verdict *out);
// The answer in words, for a verdict without any.
void verdict_words(const struct http_response *response, char *out, size_t bytes);
