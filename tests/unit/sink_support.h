// sink_support.h - sinks from texts or from the folder that is shipped, bound to settings, and their hooks
// run on a batch of two.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "script/sink.h"

// ---- a sink and a binding from texts ----

static inline struct sink *load(const char *source) {
  struct err err = {0};
  struct sink *sink = sink_load("t.lua", slice_of(source), &err);
  assert_string_equal(err.text, "");
  assert_non_null(sink);
  return sink;
}

static inline json_t *settings_from(const char *text) {
  json_t *settings = json_loads(text, 0, NULL);
  assert_non_null(settings);
  return settings;
}

static inline json_t *checked(const struct sink *sink, const char *text) {
  struct err err = {0};
  json_t *given = settings_from(text), *settings = sink_check_settings(sink, given, &err);
  json_decref(given);
  assert_string_equal(err.text, "");
  assert_non_null(settings);
  return settings;
}

struct kept_text { // a binding's settings
  struct kept_text *next;
  char *json;
};

struct bound {
  struct sink *sink;
  struct kept_text *texts;
  struct sink_runner *runner;
  struct sink_binding *binding;
  struct sink_request request;
  struct sink_verdict verdict;
  struct err err;
};

static inline struct sink_binding *bound_to(struct bound *b, const char *settings) {
  json_t *s = checked(b->sink, settings);
  struct kept_text *text = malloc(sizeof *text);
  *text = (struct kept_text){b->texts, json_dumps(s, JSON_COMPACT)};
  b->texts = text;
  json_decref(s);
  return sink_bind(b->runner, b->sink, slice_of(text->json), &b->err);
}

static inline void open_bound(struct bound *b, struct sink *sink, const char *settings) {
  *b = (struct bound){.sink = sink, .runner = sink_runner_new(NULL)};
  b->binding = bound_to(b, settings);
  assert_string_equal(b->err.text, "");
  assert_non_null(b->binding);
}

static inline void close_bound(struct bound *b) {
  sink_unbind(b->binding);
  for (struct kept_text *text; (text = b->texts);) {
    b->texts = text->next;
    free(text->json);
    free(text);
  }
  sink_runner_free(b->runner);
  sink_unref(b->sink);
}

static int items_asked;

static const struct sink_item *item(const struct sink_batch *batch, uint32_t i, struct sink_item *room) {
  (void)batch;
  items_asked++;
  *room = (struct sink_item){.key = slice_of(i ? "" : "k0"), .body = slice_of(i ? "{\"n\":1}" : "{\"n\":0}")};
  return room;
}

static const struct sink_batch two __attribute__((unused)) = {.id = "msg_1",
                                                              .kind = "event",
                                                              .attempt = 3,
                                                              .now_ms = 1700000000123,
                                                              .record_count = 2,
                                                              .item = item,
                                                              .note = "n1"};

static inline bool request(struct bound *b) {
  b->err = (struct err){0};
  return sink_request(b->binding, &two, &b->request, &b->err);
}

static inline bool verdict(struct bound *b, int status, const char *body) {
  static const struct http_header headers[] = {{{"ETag", 4}, {"\"9b\"", 4}}, {{"X-Amz-Request-Id", 16}, {"R", 1}}};
  struct http_response response = {.headers = headers,
                                   .header_count = 2,
                                   .outcome = status ? HTTP_ANSWERED : HTTP_TRANSPORT,
                                   .status = status,
                                   .body = slice_of(body),
                                   .retry_after_ms = 7000,
                                   .error = "broke off"};
  b->err = (struct err){0};
  return sink_verdict(b->binding, &two, &response, &b->verdict, &b->err);
}

static inline const char *header(const struct sink_request *r, const char *name) {
  size_t len = strlen(name);
  for (size_t i = 0; r->headers[i]; i++)
    if (strncmp(r->headers[i], name, len) == 0 && strncmp(r->headers[i] + len, ": ", 2) == 0)
      return r->headers[i] + len + 2;
  return NULL;
}

#define SINK(body)                                                                                           \
  "local S = { api = 1, name = 't' }\nfunction S.request(b, s) return { url = 'http://h/' } end\n" body      \
  "\nreturn S"
#define REQUEST(body)                                                                                        \
  "local S = { api = 1, name = 't', settings = { { 'p', type = 'secret' }, { 'h', type = 'headers' } } }\n"  \
  "function S.request(batch, settings)\n" body "\nend\nreturn S"

static inline struct sink *shipped(const char *name) {
  char folder[300];
  struct err err = {0};
  snprintf(folder, sizeof folder, "%s", __FILE__);
  char *slash = strrchr(folder, '/');
  snprintf(slash ? slash : folder, sizeof folder - (size_t)((slash ? slash : folder) - folder),
           "%s../../sinks", slash ? "/" : "");
  struct sink_set *set = sink_set_load(folder, &err);
  assert_string_equal(err.text, "");
  struct sink *sink = sink_set_find(set, name);
  assert_non_null(sink);
  assert_string_equal(sink_set_suggest(set, "rest_bluk"), "rest_bulk");
  sink_ref(sink);
  sink_set_free(set);
  return sink;
}
