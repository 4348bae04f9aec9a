// outgoing.c - texts copied, webhook headers, gzip.
#include "flow/outgoing.h"
#include "base/clock.h"
#include "base/limits.h"
#include "flow/gzip.h"
#include "net/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS_BYTES = 64 << 10, PACKED_BYTES = LIMIT_WINDOW_BYTES * 2, HEADER_BYTES = 256 };

void outgoing_init(struct outgoing *o) {
  buf_init(&o->texts, TEXTS_BYTES);
  buf_init(&o->packed, PACKED_BYTES);
}

void outgoing_clear(struct outgoing *o) {
  o->texts.len = 0;
  buf_fini(&o->packed);
}

void outgoing_fini(struct outgoing *o) {
  buf_fini(&o->texts);
  buf_fini(&o->packed);
}

static enum outgoing_made short_of_memory(struct err *err) {
  err_set(err, "out of memory");
  return OUTGOING_SHORT;
}

static enum outgoing_made too_long(struct err *err, const char *what) {
  err_set(err, "the request's %s too long", what);
  return OUTGOING_WRONG;
}

// ---- texts ----

static size_t text_room(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

static enum outgoing_made reserve_texts(struct outgoing *o, const struct sink_request *r, struct err *err) {
  size_t room = text_room(r->url) + text_room(r->method) + text_room(r->username) + text_room(r->password) + text_room(r->sign) +
                text_room(r->ca) + text_room(r->client_certificate) + text_room(r->client_key) + 3 * HEADER_BYTES;
  for (size_t i = 0; r->headers[i]; i++) room += text_room(r->headers[i]);
  o->texts.len = 0;
  if (room > o->texts.max) return too_long(err, "headers are");
  return buf_reserve(&o->texts, room) ? OUTGOING_MADE : short_of_memory(err);
}

// Room was reserved for all of them, so nothing moves.
static const char *keep(struct outgoing *o, const char *text) {
  if (!text) return NULL;
  char *at = o->texts.at + o->texts.len;
  size_t len = strlen(text) + 1;
  memcpy(at, text, len);
  o->texts.len += len;
  return at;
}

static const char *keep_header(struct outgoing *o, const char *format, const char *value) {
  char *at = o->texts.at + o->texts.len;
  int len = snprintf(at, HEADER_BYTES, format, value);
  o->texts.len += (size_t)(len < HEADER_BYTES ? len : HEADER_BYTES - 1) + 1;
  return at;
}

// Curl sends "name;" as a header without a value, and takes "name: " as one that it is not to send.
static const char *keep_line(struct outgoing *o, const char *line) {
  char *kept = (char *)(uintptr_t)keep(o, line);
  size_t name = strcspn(kept, ":");
  if (kept[name] && !kept[name + 1 + strspn(kept + name + 1, " \t")]) memcpy(kept + name, ";", 2);
  return kept;
}

static void keep_texts(struct outgoing *o, const struct sink_request *r) {
  o->send.url = keep(o, r->url);
  o->send.method = keep(o, r->method);
  o->send.username = keep(o, r->username);
  o->send.password = keep(o, r->password);
  o->send.sign = keep(o, r->sign);
  o->send.ca = keep(o, r->ca);
  o->send.client_certificate = keep(o, r->client_certificate);
  o->send.client_key = keep(o, r->client_key);
}

// ---- headers and body ----

static bool can_sign(const struct sink_request *r) {
  const char *previous = r->signing_secret_previous;
  return webhook_check_secret(r->signing_secret, NULL) && (!previous || webhook_check_secret(previous, NULL));
}

// The headers of Standard Webhooks, over the body as it is before gzip.
static enum outgoing_made add_webhook(struct outgoing *o, const struct sink_request *r, const char *id, size_t *count, struct err *err) {
  char number[24], signature[WEBHOOK_SIGNATURE_BYTES];
  int64_t now = clock_ms() / 1000;
  snprintf(number, sizeof number, "%" PRId64, now);
  o->headers[(*count)++] = keep_header(o, "webhook-id: %s", id);
  o->headers[(*count)++] = keep_header(o, "webhook-timestamp: %s", number);
  if (!r->signing_secret) return OUTGOING_MADE;
  if (!webhook_sign(r->signing_secret, r->signing_secret_previous, id, now, o->send.body, signature, err))
    return can_sign(r) ? OUTGOING_SHORT : OUTGOING_WRONG;
  o->headers[(*count)++] = keep_header(o, "webhook-signature: %s", signature);
  return OUTGOING_MADE;
}

// What the sink made lives until its next hook only, so it is copied; gzip makes a copy anyway.
static enum outgoing_made own_body(struct outgoing *o, const struct sink_request *r, struct err *err) {
  if (!r->gzip && !r->body.at) return OUTGOING_MADE;
  if (o->send.body.len > LIMIT_WINDOW_BYTES + LIMIT_RECORD_BYTES * 2) return too_long(err, "body is");
  o->packed.len = 0;
  if (!(r->gzip ? gzip_pack(o->send.body, &o->packed) : buf_append(&o->packed, r->body.at, r->body.len))) return short_of_memory(err);
  o->send.body = buf_slice(&o->packed);
  return OUTGOING_MADE;
}

enum outgoing_made outgoing_make(struct outgoing *o, const struct sink_request *r, const char *id, struct slice framed,
                                 struct err *err) {
  enum outgoing_made made = reserve_texts(o, r, err);
  if (made != OUTGOING_MADE) return made;
  size_t count = 0;
  for (; r->headers[count]; count++) o->headers[count] = keep_line(o, r->headers[count]);
  o->send.body = r->body.at ? r->body : framed;
  if (r->webhook && (made = add_webhook(o, r, id, &count, err)) != OUTGOING_MADE) return made;
  if ((made = own_body(o, r, err)) != OUTGOING_MADE) return made;
  if (r->gzip) o->headers[count++] = "Content-Encoding: gzip";
  o->headers[count] = NULL;
  o->send.headers = o->headers;
  o->send.timeout_ms = r->timeout_ms;
  keep_texts(o, r);
  return OUTGOING_MADE;
}
