#include "cmd/request_print.h"
#include "base/mem.h"
#include "cmd/masked.h"
#include "flow/outgoing.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct request_print {
  struct outgoing out;
  bool secrets;               // there are some; with other ones the sink is asked for each request again
  char *settings;             // those, as JSON
  struct sink_runner *runner; // of that sink: what the first one was given must hold
  struct sink_binding *binding; // NULL: the sink does not take them, so nothing is shown that it made
};

static bool bind_others(struct request_print *p, struct sink *sink, const json_t *settings, struct err *err) {
  struct err refused = {0};
  json_t *others = masked_settings(sink, settings);
  if (!others) return true;
  p->secrets = true;
  p->settings = mem_must(json_dumps(others, JSON_COMPACT));
  json_decref(others);
  p->runner = sink_runner_new(err);
  if (p->runner) p->binding = sink_bind(p->runner, sink, slice_of(p->settings), &refused);
  return p->runner;
}

struct request_print *request_print_new(struct sink *sink, const json_t *settings, struct err *err) {
  struct request_print *p = mem_must(mem_zero(1, sizeof *p));
  outgoing_init(&p->out);
  if (bind_others(p, sink, settings, err)) return p;
  request_print_free(p);
  return NULL;
}

void request_print_free(struct request_print *p) {
  if (!p) return;
  sink_unbind(p->binding);
  sink_runner_free(p->runner);
  free(p->settings);
  outgoing_fini(&p->out);
  mem_free(p);
}

// The request with the other secrets; an empty one where the sink makes none of them.
static struct sink_request ask_again(struct request_print *p, const struct sink_batch *batch) {
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
    if (strncasecmp(*lines, line, name_len) == 0 && (*lines)[name_len] == ':') return value_of(*lines, name_len);
  return slice_of("");
}

// `others` NULL: the sink did not make it.
static void print_header(const char *line, const char *const *others) {
  size_t name_len = strcspn(line, ":;");
  struct slice value = value_of(line, name_len);
  printf("%.*s: ", (int)name_len, line);
  if (value.len && is_credential(line, name_len))
    printf("%.*s********", strncasecmp(line, "authorization", name_len) == 0 ? scheme_len(value) : 0, value.at);
  else
    masked_print(value, others ? find_value(others, line, name_len) : value, stdout);
  putchar('\n');
}

static void print_headers(const struct http_send *send, const struct sink_request *made,
                          const struct sink_request *other) {
  size_t own = 0;
  while (made->headers[own])
    own++;
  puts(HTTP_USER_AGENT);
  if (send->sign)
    puts("Authorization: AWS4-HMAC-SHA256 ********");
  else if (send->username)
    puts("Authorization: Basic ********");
  for (size_t i = 0; send->headers[i]; i++)
    print_header(send->headers[i], i < own ? other->headers : NULL);
}

bool request_print(struct request_print *p, const struct sink_batch *batch, const struct sink_request *made,
                   struct slice body, struct err *err) {
  const struct http_send *send = &p->out.send;
  if (outgoing_make(&p->out, made, batch->id, body, err) != OUTGOING_MADE) return false;
  struct sink_request other = p->secrets ? ask_again(p, batch) : *made;
  printf("%s ", send->method);
  masked_print(slice_of(send->url), slice_of(other.url), stdout);
  putchar('\n');
  print_headers(send, made, &other);
  putchar('\n');
  masked_print(body, made->body.at ? other.body : body, stdout);
  if (!body.len || body.at[body.len - 1] != '\n') putchar('\n');
  outgoing_clear(&p->out);
  return true;
}
