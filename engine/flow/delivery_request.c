// delivery_request.c - a batch as its sink's request: texts copied, webhook headers, gzip.
#include "base/clock.h"
#include "flow/delivery.h"
#include "flow/gzip.h"
#include "net/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS_BYTES = 64 << 10, PACKED_BYTES = LIMIT_WINDOW_BYTES * 2, HEADER_BYTES = 256 };

void delivery_init(struct delivery *d) {
  buf_init(&d->texts, TEXTS_BYTES);
  buf_init(&d->packed, PACKED_BYTES);
}

void delivery_fini(struct delivery *d) {
  buf_fini(&d->texts);
  buf_fini(&d->packed);
}

static enum delivery_made short_of_memory(struct err *err) {
  err_set(err, "out of memory");
  return DELIVERY_SHORT;
}

static enum delivery_made too_long(struct err *err, const char *what) {
  err_set(err, "the request's %s too long", what);
  return DELIVERY_WRONG;
}

// ---- texts ----

static size_t text_room(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

static enum delivery_made reserve_texts(struct delivery *d, const struct sink_request *r, struct err *err) {
  size_t room = text_room(r->url) + text_room(r->method) + text_room(r->username) + text_room(r->password) + text_room(r->sign) +
                text_room(r->ca) + text_room(r->client_certificate) + text_room(r->client_key) + 3 * HEADER_BYTES;
  for (size_t i = 0; r->headers[i]; i++) room += text_room(r->headers[i]);
  d->texts.len = 0;
  if (room > d->texts.max) return too_long(err, "headers are");
  return buf_reserve(&d->texts, room) ? DELIVERY_MADE : short_of_memory(err);
}

// Room was reserved for all of them, so nothing moves.
static const char *keep(struct delivery *d, const char *text) {
  if (!text) return NULL;
  char *at = d->texts.at + d->texts.len;
  size_t len = strlen(text) + 1;
  memcpy(at, text, len);
  d->texts.len += len;
  return at;
}

static const char *keep_header(struct delivery *d, const char *format, const char *value) {
  char *at = d->texts.at + d->texts.len;
  int len = snprintf(at, HEADER_BYTES, format, value);
  d->texts.len += (size_t)(len < HEADER_BYTES ? len : HEADER_BYTES - 1) + 1;
  return at;
}

// Curl sends "name;" as a header without a value, and takes "name: " as one that it is not to send.
static const char *keep_line(struct delivery *d, const char *line) {
  char *kept = (char *)(uintptr_t)keep(d, line);
  size_t name = strcspn(kept, ":");
  if (kept[name] && !kept[name + 1 + strspn(kept + name + 1, " \t")]) memcpy(kept + name, ";", 2);
  return kept;
}

static void keep_texts(struct delivery *d, const struct sink_request *r) {
  d->send.url = keep(d, r->url);
  d->send.method = keep(d, r->method);
  d->send.username = keep(d, r->username);
  d->send.password = keep(d, r->password);
  d->send.sign = keep(d, r->sign);
  d->send.ca = keep(d, r->ca);
  d->send.client_certificate = keep(d, r->client_certificate);
  d->send.client_key = keep(d, r->client_key);
}

// ---- headers and body ----

static bool can_sign(const struct sink_request *r) {
  const char *previous = r->signing_secret_previous;
  return webhook_check_secret(r->signing_secret, NULL) && (!previous || webhook_check_secret(previous, NULL));
}

// The headers of Standard Webhooks, over the body as it is before gzip.
static enum delivery_made add_webhook(struct delivery *d, const struct sink_request *r, size_t *count, struct err *err) {
  char number[24], signature[WEBHOOK_SIGNATURE_BYTES];
  int64_t now = clock_ms() / 1000;
  snprintf(number, sizeof number, "%" PRId64, now);
  d->headers[(*count)++] = keep_header(d, "webhook-id: %s", d->batch->id);
  d->headers[(*count)++] = keep_header(d, "webhook-timestamp: %s", number);
  if (!r->signing_secret) return DELIVERY_MADE;
  if (!webhook_sign(r->signing_secret, r->signing_secret_previous, d->batch->id, now, d->send.body, signature, err))
    return can_sign(r) ? DELIVERY_SHORT : DELIVERY_WRONG;
  d->headers[(*count)++] = keep_header(d, "webhook-signature: %s", signature);
  return DELIVERY_MADE;
}

// What the sink made lives until its next hook only, so it is copied; gzip makes a copy anyway.
static enum delivery_made own_body(struct delivery *d, const struct sink_request *r, struct err *err) {
  if (!r->gzip && !r->body.at) return DELIVERY_MADE;
  if (d->send.body.len > LIMIT_WINDOW_BYTES + LIMIT_RECORD_BYTES * 2) return too_long(err, "body is");
  d->packed.len = 0;
  if (!(r->gzip ? gzip_pack(d->send.body, &d->packed) : buf_append(&d->packed, r->body.at, r->body.len))) return short_of_memory(err);
  d->send.body = buf_slice(&d->packed);
  return DELIVERY_MADE;
}

static enum delivery_made fill_request(struct delivery *d, const struct sink_request *r, struct err *err) {
  enum delivery_made made = reserve_texts(d, r, err);
  if (made != DELIVERY_MADE) return made;
  size_t count = 0;
  for (; r->headers[count]; count++) d->headers[count] = keep_line(d, r->headers[count]);
  d->send.body = r->body.at ? r->body : buf_slice(&d->batch->bytes);
  if (r->webhook && (made = add_webhook(d, r, &count, err)) != DELIVERY_MADE) return made;
  if ((made = own_body(d, r, err)) != DELIVERY_MADE) return made;
  if (r->gzip) d->headers[count++] = "Content-Encoding: gzip";
  d->headers[count] = NULL;
  d->send.headers = d->headers;
  d->send.timeout_ms = r->timeout_ms;
  keep_texts(d, r);
  return DELIVERY_MADE;
}

enum delivery_made delivery_make(struct delivery *d, struct err *err) {
  struct batch *b = d->batch;
  struct sink_request request = {0};
  if (!batch_seal(b)) return short_of_memory(err);
  batch_name(b, d->lane->stream->outfit->definition->id);
  b->attempt++;
  struct sink_batch view = batch_view(b);
  if (sink_request(d->outfit->binding, &view, &request, err)) return fill_request(d, &request, err);
  return request.passing ? DELIVERY_SHORT : DELIVERY_WRONG;
}
