// answer.c - JSON in and out, and pages of lists.
#include "api/app.h"
#include "flow/json_text.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_BYTES = 1 << 30 };

void answer_json(struct http_request *request, int status, json_t *body) {
  struct buf text;
  buf_init(&text, ANSWER_BYTES);
  if (body && json_text_write(&text, body)) http_answer(request, status, "application/json", buf_slice(&text));
  else http_answer_problem(request, 503, "out of memory: try again");
  json_decref(body);
  buf_fini(&text);
}

json_t *request_json(struct http_request *request) {
  const char *type = http_request_header(request, "Content-Type");
  if (type && strncmp(type, "application/json", 16) != 0 && strncmp(type, "application/merge-patch+json", 28) != 0) {
    http_answer_problem(request, 415, "send the body as application/json, not %.80s", type);
    return NULL;
  }
  struct slice body = http_request_body(request);
  json_error_t why;
  json_t *json = json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, &why);
  if (!json) http_answer_problem(request, 400, "the body is not valid JSON: line %d, column %d: %s", why.line, why.column, why.text);
  return json;
}

bool request_page(struct http_request *request, struct page *page) {
  char text[32] = "100", *end;
  http_request_query(request, "limit", text, sizeof text);
  long limit = strtol(text, &end, 10);
  if (*end || !text[0] || limit < 1 || limit > 1000) {
    http_answer_problem(request, 400, "'limit' must be a number from 1 to 1000");
    return false;
  }
  page->limit = (size_t)limit;
  if (!http_request_query(request, "after", page->after, sizeof page->after)) page->after[0] = 0;
  return true;
}
