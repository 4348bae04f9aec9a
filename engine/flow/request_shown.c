#include "flow/request_shown.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/masked.h"
#include "flow/outgoing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct request_shown {
  struct outgoing out;
  struct buf texts;             // of what is shown; its parts are slices of it once all are there
  bool secrets;                 // there are some; with other ones the sink is asked for each request again
  char *settings;               // those, as JSON
  struct sink_runner *runner;   // of that sink: what the first one was given must hold
  struct sink_binding *binding; // NULL: the sink does not take them, so nothing is shown that it made
};

static bool bind_others(struct request_shown *p, struct sink *sink, const json_t *settings, struct err *err) {
  struct err refused = {0};
  json_t *others;
  if (!masked_settings(sink, settings, &others)) return err_set(err, "out of memory");
  if (!others) return true;
  p->secrets = true;
  p->settings = json_dumps(others, JSON_COMPACT);
  json_decref(others);
  p->runner = p->settings ? sink_runner_new(err) : NULL;
  if (!p->settings) err_set(err, "out of memory");
  if (p->runner) p->binding = sink_bind(p->runner, sink, slice_of(p->settings), &refused);
  return p->runner;
}

struct request_shown *request_shown_new(struct sink *sink, const json_t *settings, struct err *err) {
  struct request_shown *p = mem_zero(1, sizeof *p);
  if (!p) return err_set(err, "out of memory"), NULL;
  outgoing_init(&p->out);
  buf_init(&p->texts, 2 * LIMIT_BATCH_BYTES);
  if (bind_others(p, sink, settings, err)) return p;
  request_shown_free(p);
  return NULL;
}

void request_shown_free(struct request_shown *p) {
  if (!p) return;
  sink_unbind(p->binding);
  sink_runner_free(p->runner);
  free(p->settings);
  outgoing_fini(&p->out);
  buf_fini(&p->texts);
  mem_free(p);
}

// The request with the other secrets; an empty one where the sink makes none of them.
static struct sink_request ask_again(struct request_shown *p, const struct sink_batch *batch) {
  struct sink_request other = {0};
  struct err refused = {0};
  if (p->binding && sink_request(p->binding, batch, &other, &refused)) return other;
  return (struct sink_request){.url = "", .body = slice_of("")};
}

// Where a token stands, wherever it came from.
static bool is_credential(const char *line, size_t name_len) {
  static const char *const words[] = {"authorization", "cookie", "token",   "secret",
                                      "password",      "apikey", "api-key", "access-key"};
  char name[128];
  snprintf(name, sizeof name, "%.*s", (int)name_len, line);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasestr(name, words[i])) return true;
  return false;
}

// "Basic " and the like of an Authorization, which is no secret.
static int scheme_len(struct slice value) {
  const char *end = memchr(value.at, ' ', value.len);
  return end ? (int)(end + 1 - value.at) : 0;
}

// A line is as sinks write it or as curl takes it: "name;" has no value.
static struct slice value_of(const char *line, size_t name_len) {
  return slice_of(line[name_len] == ':' ? line + name_len + 1 + strspn(line + name_len + 1, " \t") : "");
}

// The value of the header with the line's name among others, which may stand in another order.
static struct slice find_value(const char *const *lines, const char *line, size_t name_len) {
  for (; *lines; lines++)
    if (strncasecmp(*lines, line, name_len) == 0 && (*lines)[name_len] == ':')
      return value_of(*lines, name_len);
  return slice_of("");
}

// ---- what is shown ----

// The text behind all others: its place is its length until all are there.
static bool end_part(struct request_shown *p, size_t from, bool ok, struct slice *part) {
  *part = slice_make(NULL, p->texts.len - from);
  return ok;
}

static bool add_masked(struct request_shown *p, struct slice text, struct slice other, struct slice *part) {
  size_t from = p->texts.len;
  return end_part(p, from, masked_write(text, other, &p->texts), part);
}

static bool add_credential(struct request_shown *p, const char *line, size_t name_len, struct slice value,
                           struct slice *part) {
  size_t from = p->texts.len;
  int scheme = strncasecmp(line, "authorization", name_len) == 0 ? scheme_len(value) : 0;
  bool ok = buf_append(&p->texts, value.at, (size_t)scheme) && buf_append_text(&p->texts, "********");
  return end_part(p, from, ok, part);
}

static struct shown_header *next_header(struct shown *out) {
  assert(out->header_count < REQUEST_SHOWN_HEADERS);
  return &out->headers[out->header_count++];
}

// One of the engine's own.
static bool add_plain(struct request_shown *p, const char *name, const char *value, struct shown *out) {
  struct shown_header *header = next_header(out);
  struct slice text = slice_of(value);
  return add_masked(p, slice_of(name), slice_of(name), &header->name) &&
         add_masked(p, text, text, &header->value);
}

// `others` NULL: the sink did not make it.
static bool add_header(struct request_shown *p, const char *line, const char *const *others,
                       struct shown *out) {
  size_t name_len = strcspn(line, ":;");
  struct slice name = slice_make(line, name_len), value = value_of(line, name_len);
  struct shown_header *header = next_header(out);
  if (!add_masked(p, name, name, &header->name)) return false;
  if (value.len && is_credential(line, name_len))
    return add_credential(p, line, name_len, value, &header->value);
  return add_masked(p, value, others ? find_value(others, line, name_len) : value, &header->value);
}

static bool add_headers(struct request_shown *p, const struct sink_request *made,
                        const struct sink_request *other, struct shown *out) {
  static const char agent[] = HTTP_USER_AGENT;
  const struct http_send *send = &p->out.send;
  size_t own = 0;
  while (made->headers[own])
    own++;
  bool ok = add_plain(p, "User-Agent", value_of(agent, strcspn(agent, ":")).at, out);
  if (send->sign)
    ok = ok && add_plain(p, "Authorization", "AWS4-HMAC-SHA256 ********", out);
  else if (send->username)
    ok = ok && add_plain(p, "Authorization", "Basic ********", out);
  for (size_t i = 0; ok && send->headers[i]; i++)
    ok = add_header(p, send->headers[i], i < own ? other->headers : NULL, out);
  return ok;
}

static void place(const struct request_shown *p, size_t *at, struct slice *part) {
  part->at = p->texts.at + *at;
  *at += part->len;
}

// In the order in which they were added.
static void place_all(const struct request_shown *p, struct shown *out) {
  size_t at = 0;
  place(p, &at, &out->method);
  place(p, &at, &out->url);
  for (size_t i = 0; i < out->header_count; i++) {
    place(p, &at, &out->headers[i].name);
    place(p, &at, &out->headers[i].value);
  }
  place(p, &at, &out->body);
}

bool request_shown_make(struct request_shown *p, const struct sink_batch *batch,
                        const struct sink_request *made, struct slice body, struct shown *out,
                        struct err *err) {
  const struct http_send *send = &p->out.send;
  if (outgoing_make(&p->out, made, batch->id, body, err) != OUTGOING_MADE) return false;
  struct sink_request other = p->secrets ? ask_again(p, batch) : *made;
  struct slice method = slice_of(send->method);
  p->texts.len = 0;
  out->header_count = 0;
  bool ok = add_masked(p, method, method, &out->method) &&
            add_masked(p, slice_of(send->url), slice_of(other.url), &out->url) &&
            add_headers(p, made, &other, out) &&
            add_masked(p, body, made->body.at ? other.body : body, &out->body);
  outgoing_clear(&p->out);
  if (ok) place_all(p, out);
  return ok || err_set(err, "the request is too long to be shown, or memory is short");
}
