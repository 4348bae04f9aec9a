// delivery.h - one request of a lane's first batch, from its making to its end; for the three delivery*.c alone.
#pragma once
#include "flow/courier_parts.h"

struct delivery {
  struct http_send send; // first
  struct list link;      // in its stream
  struct lane *lane;
  struct batch *batch;
  struct outfit *outfit;
  struct delivery *spare;
  struct buf texts; // URL, method, headers, credentials: copies that live as long as the request
  struct buf packed; // a body of its own: the sink's, or gzip's
  const char *headers[SINK_HEADER_LINES + 5]; // the sink's, three of webhooks, one of gzip, NULL
  uint32_t again;
};

// ---- delivery.c ----
void delivery_start(struct delivery *d); // makes the request and sends it
void delivery_end(struct delivery *d);   // it is over; its lane may send again
void delivery_free(struct delivery *d);  // the same, and the caller says what its lane does

// ---- delivery_request.c ----
void delivery_init(struct delivery *d); // zeroed
void delivery_fini(struct delivery *d);
enum delivery_made {
  DELIVERY_MADE,
  DELIVERY_SHORT, // memory or time was short: it may go well another time
  DELIVERY_WRONG, // it will not: the sink's hook failed, or what it returned can't be sent
};
enum delivery_made delivery_make(struct delivery *d, struct err *err);

// ---- delivery_verdict.c: the delivery may be gone after each of these ----
void delivery_answered(struct http_send *send, const struct http_response *response);
void delivery_failed(struct delivery *d, const char *why); // an attempt without an answer
void delivery_refused(struct delivery *d, const char *why); // the stream pauses
