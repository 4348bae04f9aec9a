#include "flow/verdict.h"

#include <stdio.h>

static enum sink_verdict_kind of_status(int status) {
  switch (status) {
  case 401: case 403: case 404: case 405: case 410: case 415: case 501:
    return SINK_PAUSE;
  case 408: case 425: case 429:
    return SINK_RETRY;
  }
  if (status >= 200 && status < 300) return SINK_DELIVERED;
  if (status >= 300 && status < 400) return SINK_PAUSE;
  if (status >= 400 && status < 500) return SINK_REJECT;
  return SINK_RETRY;
}

void verdict_words(const struct http_response *response, char *out, size_t bytes) {
  if (response->outcome == HTTP_ANSWERED) snprintf(out, bytes, "HTTP status %d", response->status);
  else snprintf(out, bytes, "%s", response->error ? response->error : "no answer");
}

void verdict_default(const struct http_response *response, struct sink_verdict *out) {
  *out = (struct sink_verdict){.seconds = -1};
  if (response->outcome == HTTP_ANSWERED) out->kind = of_status(response->status);
  else out->kind = response->outcome == HTTP_REFUSED ? SINK_PAUSE : SINK_RETRY;
  verdict_words(response, out->why, sizeof out->why);
}
