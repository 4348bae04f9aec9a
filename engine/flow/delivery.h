// delivery.h - one request of a lane's first batch, from its making to its end; for the two delivery*.c alone.
#pragma once
#include "flow/courier_parts.h"
#include "flow/outgoing.h"

struct delivery {
  struct outgoing out;   // first
  struct list link;      // in its stream
  struct lane *lane;
  struct batch *batch;
  struct outfit *outfit;
  struct delivery *spare;
  uint32_t again;
};

// ---- delivery.c ----
void delivery_start(struct delivery *d); // makes the request and sends it
void delivery_end(struct delivery *d);   // it is over; its lane may send again
void delivery_free(struct delivery *d);  // the same, and the caller says what its lane does

// ---- delivery_verdict.c: the delivery may be gone after each of these ----
void delivery_answered(struct http_send *send, const struct http_response *response);
void delivery_failed(struct delivery *d, const char *why); // an attempt without an answer
void delivery_refused(struct delivery *d, const char *why); // the stream pauses
