// records_text.h - the records of a body that arrived: gzip unpacked, arrays and NDJSON taken apart, each as
// one line.
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/json_tape.h"
#include "base/slice.h"

struct records_text {
  struct buf plain; // the body, unpacked when it was packed
  struct buf line;  // the last record
  struct slice body;
  size_t at; // in body: what has been read
  struct json_tape tape;
  uint32_t element, end; // of an array being read: entries still to come; equal: none
};

void records_text_init(struct records_text *t, size_t max_bytes);
void records_text_fini(struct records_text *t);
// Begins with a body, borrowed until the next one. content_encoding: NULL or "identity", "gzip".
bool records_text_set(struct records_text *t, struct slice body, const char *content_encoding,
                      struct err *err);
// The body as it was before gzip.
struct slice records_text_plain(const struct records_text *t);
// The next record without line ends in it; what is not JSON comes as one JSON string. Borrowed until the next
// call.
bool records_text_next(struct records_text *t, struct slice *line);
