// records_text.c - the records of a body that arrived: gzip unpacked, arrays and NDJSON taken apart, each as
// one line.
#include "cmd/records_text.h"
#include "base/json_write.h"
#include <strings.h>
#include <zlib.h>

enum {
  GZIP_WINDOW = 15 + 16, // zlib's way to ask for gzip alone
  UNPACK_STEP = 256 << 10,
};

void records_text_init(struct records_text *t, size_t max_bytes) {
  *t = (struct records_text){0};
  buf_init(&t->plain, max_bytes);
  buf_init(&t->line, max_bytes * 6 + 2); // a body that is no JSON may be all escapes
  json_tape_init(&t->tape);
  t->tape.max_bytes = max_bytes;
}

void records_text_fini(struct records_text *t) {
  buf_fini(&t->plain);
  buf_fini(&t->line);
  json_tape_fini(&t->tape);
}

// Inflates all of it into plain; true at the end of the gzip stream.
static bool inflate_all(z_stream *z, struct buf *plain, struct err *err) {
  for (;;) {
    if (!buf_reserve(plain, UNPACK_STEP)) return err_set(err, "the body is too big once unpacked");
    z->next_out = (Bytef *)plain->at + plain->len;
    z->avail_out = UNPACK_STEP;
    int code = inflate(z, Z_NO_FLUSH);
    plain->len += UNPACK_STEP - z->avail_out;
    if (code == Z_STREAM_END) return true;
    if (code != Z_OK) return err_set(err, "the body is not gzip, or cut short");
  }
}

static bool unpack(struct records_text *t, struct slice body, struct err *err) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)body.at, .avail_in = (uInt)body.len};
  t->plain.len = 0;
  if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) return err_set(err, "out of memory");
  bool ok = inflate_all(&z, &t->plain, err);
  inflateEnd(&z);
  t->body = buf_slice(&t->plain);
  return ok;
}

bool records_text_set(struct records_text *t, struct slice body, const char *content_encoding,
                      struct err *err) {
  t->at = 0;
  t->element = t->end = 0;
  t->body = body;
  if (!content_encoding || strcasecmp(content_encoding, "identity") == 0) return true;
  if (strcasecmp(content_encoding, "gzip") == 0) return unpack(t, body, err);
  return err_set(err, "content-encoding %s is not known here", content_encoding);
}

struct slice records_text_plain(const struct records_text *t) {
  return t->body;
}

// Line ends in valid JSON stand between its values only: blanks say the same.
static struct slice one_line(struct records_text *t, struct slice raw) {
  t->line.len = 0;
  if (!buf_append(&t->line, raw.at, raw.len)) return slice_of("null");
  for (size_t i = 0; i < t->line.len; i++)
    if (t->line.at[i] == '\n' || t->line.at[i] == '\r') t->line.at[i] = ' ';
  return buf_slice(&t->line);
}

static struct slice next_element(struct records_text *t) {
  struct slice raw = json_raw(&t->tape, t->element);
  t->element = t->tape.entries[t->element].next;
  return one_line(t, raw);
}

// What can't be read as JSON is shown whole, as a string.
static struct slice rest_as_string(struct records_text *t) {
  struct slice rest = slice_make(t->body.at + t->at, t->body.len - t->at);
  t->at = t->body.len;
  t->line.len = 0;
  return json_write_string(&t->line, rest) ? buf_slice(&t->line) : slice_of("null");
}

static void skip_space(struct records_text *t) {
  while (t->at < t->body.len && memchr(" \t\r\n", t->body.at[t->at], 4))
    t->at++;
}

bool records_text_next(struct records_text *t, struct slice *line) {
  while (t->element == t->end) {
    skip_space(t);
    if (t->at == t->body.len) return false;
    struct json_fault fault;
    size_t used;
    if (!json_tape_parse_first(&t->tape, slice_make(t->body.at + t->at, t->body.len - t->at), &used,
                               &fault)) {
      *line = rest_as_string(t);
      return true;
    }
    t->at += used;
    bool array = json_kind_of(&t->tape, 0) == TAPE_ARRAY;
    t->element = array ? 1 : 0;
    t->end = t->tape.entries[0].next;
  }
  *line = next_element(t);
  return true;
}
