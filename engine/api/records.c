// records.c - POST /api/v1/records: an object, an array or lines of them, judged one by one, answered when they are durable.
#include "api/app.h"
#include "api/unpack.h"
#include "base/json_write.h"
#include "base/limits.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_HEADERS = 512, ANSWER_BYTES = 64 << 20 };

struct ingest { // one request
  struct journal_append append; // first
  struct app *app;
  struct http_request *request;
  struct record_header *headers;
  size_t cap;
  struct buf unpacked, rejected;
  struct slice body;
  uint32_t index; // of the record at hand, from 0
  uint32_t rejections;
};

static void ingest_free(struct ingest *in) {
  buf_fini(&in->unpacked);
  buf_fini(&in->rejected);
  mem_free(in->headers);
  mem_free(in);
}

// ---- taking the body apart ----

static bool reject(struct ingest *in, const char *why) {
  in->rejections++;
  return buf_printf(&in->rejected, "%s{\"index\":%" PRIu32 ",\"error\":", in->rejected.len ? "," : "", in->index) &&
         json_write_string(&in->rejected, slice_of(why)) && buf_append_byte(&in->rejected, '}');
}

static struct record_header *next_header(struct ingest *in) {
  if (in->append.count == in->cap) {
    size_t cap = in->cap ? in->cap * 2 : FIRST_HEADERS;
    struct record_header *headers = mem_grow(in->headers, cap * sizeof *headers);
    if (!headers) return NULL;
    in->headers = headers;
    in->cap = cap;
  }
  return &in->headers[in->append.count];
}

// The record on the tape, which stands at `at` of the body. False: out of memory.
static bool take_record(struct ingest *in, size_t at) {
  struct err why = {0};
  struct record_header *header = next_header(in);
  if (!header) return false;
  *header = (struct record_header){0};
  if (!record_read_header(&in->app->tape, header, &why)) return reject(in, why.text);
  const struct json_entry *root = &in->app->tape.entries[0];
  header->offset = (uint32_t)(at + root->at);
  header->length = root->len;
  in->append.count++;
  return true;
}

static const char *in_words(const struct json_fault *fault) {
  switch (fault->kind) {
  case JSON_TOO_LONG: return "the record is longer than 1 MB";
  case JSON_TOO_DEEP: return "the record is nested deeper than 64";
  case JSON_NO_MEMORY: return "out of memory";
  default: return fault->what;
  }
}

static bool reject_broken(struct ingest *in, const struct json_fault *fault) {
  if (fault->kind != JSON_BROKEN) return reject(in, in_words(fault));
  char why[200];
  snprintf(why, sizeof why, "%s (byte %zu of the record)", fault->what, fault->at);
  return reject(in, why);
}

static void answer_broken(struct ingest *in, size_t at, const char *what) {
  http_answer_problem(in->request, 400, "the body is broken at byte %zu: %s; nothing of it was taken", at, what);
}

static void answer_no_memory(struct ingest *in) {
  http_answer_header(in->request, "Retry-After", "1");
  http_answer_problem(in->request, 503, "out of memory: send it again, or in smaller parts; nothing of it was taken");
}

static size_t skip_space(struct slice body, size_t at) {
  while (at < body.len && (body.at[at] == ' ' || body.at[at] == '\n' || body.at[at] == '\r' || body.at[at] == '\t')) at++;
  return at;
}

// One element of an array; *at moves behind it. False after an answer.
static bool take_element(struct ingest *in, size_t *at) {
  struct json_fault fault;
  struct slice rest = slice_make(in->body.at + *at, in->body.len - *at);
  size_t used = 0;
  bool ok;
  if (json_tape_parse_first(&in->app->tape, rest, &used, &fault)) {
    ok = take_record(in, *at);
  } else if (fault.kind == JSON_TOO_LONG || fault.kind == JSON_TOO_DEEP) {
    used = json_skip(rest);
    ok = used ? reject_broken(in, &fault) : false;
    if (!used) return answer_broken(in, *at + fault.at, "it ends in the middle of a record"), false;
  } else if (fault.kind == JSON_NO_MEMORY) {
    ok = false;
  } else {
    return answer_broken(in, *at + fault.at, fault.what), false;
  }
  if (!ok) return answer_no_memory(in), false;
  *at += used;
  in->index++;
  return true;
}

static bool take_array(struct ingest *in, size_t at) {
  at = skip_space(in->body, at + 1);
  if (at < in->body.len && in->body.at[at] == ']') at++;
  else {
    for (;;) {
      if (!take_element(in, &at)) return false;
      at = skip_space(in->body, at);
      char c = at < in->body.len ? in->body.at[at] : 0;
      at++;
      if (c == ']') break;
      if (c != ',') return answer_broken(in, at - 1, "expected ',' or ']' behind a record"), false;
    }
  }
  at = skip_space(in->body, at);
  return at == in->body.len || (answer_broken(in, at, "there is something behind the array"), false);
}

static bool take_object(struct ingest *in) {
  struct json_fault fault;
  if (json_tape_parse(&in->app->tape, in->body, &fault)) return take_record(in, 0) || (answer_no_memory(in), false);
  if (fault.kind == JSON_TOO_LONG || fault.kind == JSON_TOO_DEEP) return reject_broken(in, &fault) || (answer_no_memory(in), false);
  if (fault.kind == JSON_NO_MEMORY) return answer_no_memory(in), false;
  return answer_broken(in, fault.at, fault.what), false;
}

static bool take_line(struct ingest *in, size_t at, size_t len) {
  struct json_fault fault;
  if (skip_space(slice_make(in->body.at + at, len), 0) == len) return true; // an empty line is no record
  bool ok = json_tape_parse(&in->app->tape, slice_make(in->body.at + at, len), &fault) ? take_record(in, at)
            : fault.kind != JSON_NO_MEMORY                                            ? reject_broken(in, &fault)
                                                                                      : false;
  in->index++;
  return ok;
}

static bool take_lines(struct ingest *in) {
  for (size_t at = 0; at < in->body.len;) {
    const char *end = memchr(in->body.at + at, '\n', in->body.len - at);
    size_t len = end ? (size_t)(end - (in->body.at + at)) : in->body.len - at;
    if (!take_line(in, at, len)) return answer_no_memory(in), false;
    at += len + 1;
  }
  return true;
}

static bool take_body(struct ingest *in) {
  const char *type = http_request_header(in->request, "Content-Type");
  if (type && media_type_is(type, "application/x-ndjson")) return take_lines(in);
  if (type && !media_type_is(type, "application/json")) {
    if (*type) http_answer_problem(in->request, 415, "content type '%.80s' is not known: send application/json or application/x-ndjson", type);
    else http_answer_problem(in->request, 415, "the Content-Type is empty: send application/json or application/x-ndjson");
    return false;
  }
  size_t at = skip_space(in->body, 0);
  if (at < in->body.len && in->body.at[at] == '[') return take_array(in, at);
  return take_object(in);
}

static bool unpack_body(struct ingest *in) {
  const char *encoding = http_request_header(in->request, "Content-Encoding");
  buf_init(&in->unpacked, in->app->max_body);
  switch (unpack(encoding, http_request_body(in->request), &in->unpacked, &in->body)) {
  case UNPACK_DONE: return true;
  case UNPACK_TOO_LARGE:
    http_answer_problem(in->request, 413, "the body unpacks to more than %zu bytes: send it in smaller parts", in->app->max_body);
    return false;
  case UNPACK_BROKEN:
    http_answer_problem(in->request, 400, "the body is no whole %.20s stream; nothing of it was taken", encoding);
    return false;
  case UNPACK_UNKNOWN:
    http_answer_header(in->request, "Accept-Encoding", "gzip, zstd, identity");
    http_answer_problem(in->request, 415, "content encoding '%.40s' is not known: use gzip, zstd or none", encoding);
    return false;
  case UNPACK_NO_MEMORY: break;
  }
  answer_no_memory(in);
  return false;
}

// ---- the answer ----

static void count(struct ingest *in) {
  struct ingest_numbers *n = &in->app->numbers;
  for (size_t kind = 0; kind < RECORD_KINDS; kind++) n->accepted[kind] += in->append.accepted_of[kind];
  n->duplicates += in->append.duplicates;
  n->rejected += in->rejections;
}

static void answer_stored(struct ingest *in) {
  struct buf text;
  buf_init(&text, ANSWER_BYTES);
  bool ok = buf_printf(&text, "{\"accepted\":%zu,\"duplicates\":%zu,\"rejected\":[", in->append.accepted, in->append.duplicates) &&
            buf_append(&text, in->rejected.at, in->rejected.len) && buf_append_text(&text, "]}");
  count(in);
  if (ok) http_answer(in->request, 200, "application/json", buf_slice(&text));
  else http_answer_problem(in->request, 503, "out of memory: the records are stored, but there was no room to say more");
  buf_fini(&text);
}

static void stored(struct journal_append *append) {
  struct ingest *in = (struct ingest *)append;
  if (append->result == JOURNAL_STORED) {
    answer_stored(in);
  } else if (append->result == JOURNAL_FULL) {
    http_answer_header(in->request, "Retry-After", "5");
    http_answer_problem(in->request, 503, "the journal's disk is full; nothing of the body was taken: make room, and send it again");
  } else {
    http_answer_header(in->request, "Retry-After", "60");
    http_answer_problem(in->request, 503, "a write to the journal failed, so nothing more can be promised: the engine must be restarted");
  }
  ingest_free(in);
}

void records_post(struct route_call *call) {
  struct ingest *in = mem_zero(1, sizeof *in);
  if (!in) {
    http_answer_problem(call->request, 503, "out of memory: try again");
    return;
  }
  in->app = call->app;
  in->request = call->request;
  buf_init(&in->rejected, ANSWER_BYTES);
  if (!unpack_body(in) || !take_body(in)) {
    ingest_free(in);
    return;
  }
  in->append.loop = call->app->loop;
  in->append.records = in->headers;
  in->append.bytes = in->body.at;
  in->append.bytes_len = in->body.len;
  in->append.done = stored;
  if (journal_append(call->app->journal, &in->append)) return;
  http_answer_header(in->request, "Retry-After", "1");
  http_answer_problem(in->request, 429, "records come faster than the journal's disk takes them; nothing of the body was taken: wait");
  ingest_free(in);
}
