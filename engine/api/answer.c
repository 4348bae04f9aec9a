// answer.c - JSON in and out, and pages of lists.
#include "api/app.h"
#include "flow/json_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_BYTES = 1 << 30 };

void answer_json(struct http_request *request, int status, json_t *body) {
  struct buf text;
  buf_init(&text, ANSWER_BYTES);
  if (body && json_text_write(&text, body)) http_answer(request, status, "application/json", buf_slice(&text));
  else http_answer_problem(request, 503, "out of memory: try again");
  json_decref(body);
  buf_fini(&text);
}

// Where a text's byte is, as an editor counts: from 1, in characters.
static void place_of(struct slice text, size_t at, int *line, int *column) {
  *line = *column = 1;
  for (size_t i = 0; i < at && i < text.len; i++) {
    if (text.at[i] == '\n') ++*line, *column = 1;
    else if (((unsigned char)text.at[i] & 0xC0) != 0x80) ++*column;
  }
}

// What is right JSON and yet not taken, in words; NULL: it is not right.
static const char *not_taken(enum json_error_code code) {
  switch (code) {
  case json_error_null_character:
  case json_error_null_byte_in_key: return "\\u0000 is not taken in a text";
  case json_error_duplicate_key: return "a field is there twice";
  case json_error_numeric_overflow: return "this number is too large";
  case json_error_stack_overflow: return "too many arrays and objects are inside each other";
  default: return NULL;
  }
}

// The tape tells what was expected, and where. What it takes and jansson does not is half a character.
static const char *expected(struct slice body, int *line, int *column) {
  struct json_tape tape;
  struct json_fault fault;
  const char *what = "this is not JSON";
  json_tape_init(&tape);
  tape.max_bytes = body.len;
  if (json_tape_parse(&tape, body, &fault)) what = "an escape is half of a surrogate pair";
  else if (fault.kind == JSON_BROKEN) what = fault.what, place_of(body, fault.at, line, column);
  json_tape_fini(&tape);
  return what;
}

// jansson's own words are for programmers.
static void answer_bad_json(struct http_request *request, struct slice body, const json_error_t *why) {
  enum json_error_code code = json_error_code(why);
  const char *what = not_taken(code);
  int line = why->line, column = why->column;
  if (code == json_error_out_of_memory) http_answer_problem(request, 503, "out of memory: try again");
  else if (what) http_answer_problem(request, 400, "the body can't be taken: line %d, column %d: %s", line, column, what);
  else {
    what = expected(body, &line, &column);
    http_answer_problem(request, 400, "the body is not valid JSON: line %d, column %d: %s", line, column, what);
  }
}

bool media_type_is(const char *type, const char *name) {
  size_t len = strlen(name);
  return strncasecmp(type, name, len) == 0 && (!type[len] || type[len] == ';' || type[len] == ' ');
}

// Whether the body may be JSON by its type; a request that does not say is believed to be. False after a 415 answer.
static bool may_be_json(struct http_request *request) {
  const char *type = http_request_header(request, "Content-Type");
  if (!type || media_type_is(type, "application/json") || media_type_is(type, "application/merge-patch+json")) return true;
  if (*type) http_answer_problem(request, 415, "send the body as application/json, not %.80s", type);
  else http_answer_problem(request, 415, "the Content-Type is empty: send the body as application/json");
  return false;
}

json_t *request_json(struct http_request *request) {
  return request_json_of(request, http_request_body(request));
}

json_t *request_json_of(struct http_request *request, struct slice body) {
  if (!may_be_json(request)) return NULL;
  if (!body.len) {
    http_answer_problem(request, 400, "the body is empty: send a JSON object");
    return NULL;
  }
  json_error_t why;
  json_t *json = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
  if (!json) answer_bad_json(request, body, &why);
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
