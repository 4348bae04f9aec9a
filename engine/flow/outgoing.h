// outgoing.h - a sink's request as it goes out: its texts copied, with the headers of webhooks and gzip.
#pragma once
#include "base/buf.h"
#include "net/http_client.h"
#include "script/sink.h"

struct outgoing {
  struct http_send send; // first
  struct buf texts;      // URL, method, headers, credentials: copies that live as long as the request
  struct buf packed;     // a body of its own: the sink's, or gzip's
  const char *headers[SINK_HEADER_LINES + 5]; // the sink's, three of webhooks, one of gzip, NULL
};

void outgoing_init(struct outgoing *o);
void outgoing_clear(struct outgoing *o); // its request is over; the room for texts stays
void outgoing_fini(struct outgoing *o);

enum outgoing_made {
  OUTGOING_MADE,
  OUTGOING_SHORT, // memory or time was short: it may go well another time
  OUTGOING_WRONG, // it will not: the sink's hook failed, or what it returned can't be sent
};
// Fills `send`, all but `done`. `id` is the webhook-id; `framed`, the body where the sink made none, stays the caller's.
enum outgoing_made outgoing_make(struct outgoing *o, const struct sink_request *request, const char *id, struct slice framed,
                                 struct err *err);
