// send_input.c - what a file to send is, told by its first byte and whether its first line is a whole value.
#include "cmd/send_input.h"
#include "base/limits.h"
#include <stdlib.h>
#include <string.h>

enum { READ_STEP = 256 << 10 };

static const char blanks[] = " \t\r\n";

static struct slice without_blanks(struct slice text) {
  while (text.len > 0 && memchr(blanks, text.at[0], 4))
    text = slice_make(text.at + 1, text.len - 1);
  while (text.len > 0 && memchr(blanks, text.at[text.len - 1], 4))
    text.len--;
  return text;
}

static bool begins_with(struct slice text, const char *bytes, size_t len) {
  return text.len >= len && memcmp(text.at, bytes, len) == 0;
}

static bool refuse_packed(struct slice line, struct err *err) {
  const char *tool = begins_with(line, "\x1f\x8b", 2)           ? "gzip"
                     : begins_with(line, "\x28\xb5\x2f\xfd", 4) ? "zstd"
                                                                : NULL;
  return !tool ||
         err_set(err, "it is packed by %s: unpack it first, as in `%s -dc FILE | sluice send -`", tool, tool);
}

static bool head_append(struct send_input *in, const char *at, size_t len, struct err *err) {
  return buf_append(&in->head, at, len) || err_set(err, "a line is too long");
}

// Reads on into head until the end of the file or beyond the size of a request.
static bool read_head(struct send_input *in, struct err *err) {
  while (in->head.len <= LIMIT_BODY_BYTES && !feof(in->file)) {
    if (!buf_reserve(&in->head, READ_STEP)) return err_set(err, "out of memory");
    in->head.len += fread(in->head.at + in->head.len, 1, READ_STEP, in->file);
    if (ferror(in->file)) return err_set_errno(err, "cannot read");
  }
  return true;
}

// Whether head is values of JSON from its beginning to its end.
static bool head_is_json(struct send_input *in, struct err *err) {
  size_t at = 0, used;
  struct json_fault fault;
  if (in->head.len > LIMIT_BODY_BYTES)
    return err_set(err, "more than %d MB in one array: send it as NDJSON, one record a line",
                   LIMIT_BODY_BYTES >> 20);
  do {
    struct slice rest = slice_make(in->head.at + at, in->head.len - at);
    if (!json_tape_parse_first(&in->text.tape, rest, &used, &fault))
      return err_set(err, "byte %zu: %s", at + fault.at, fault.what);
    at += used;
  } while (without_blanks(slice_make(in->head.at + at, in->head.len - at)).len > 0);
  return true;
}

static bool find_form(struct send_input *in, struct slice line, struct err *err) {
  struct slice first = without_blanks(line);
  bool is_array = first.len > 0 && first.at[0] == '[';
  bool is_begun = first.len > 0 && first.at[0] == '{' && json_skip(first) == 0;
  if (!is_array && !is_begun) return true;
  if (!read_head(in, err)) return false;
  struct err why = {0};
  in->whole = head_is_json(in, &why);
  if (!in->whole) return !is_array || err_set(err, "%s", why.text); // an object: it was a broken line
  return records_text_set(&in->text, buf_slice(&in->head), NULL, err);
}

bool send_input_begin(struct send_input *in, FILE *file, struct err *err) {
  *in = (struct send_input){.file = file};
  buf_init(&in->head, 4 * (size_t)LIMIT_BODY_BYTES);
  records_text_init(&in->text, LIMIT_BODY_BYTES);
  for (ssize_t len; (len = getline(&in->line, &in->line_room, file)) > 0;) {
    struct slice line = slice_make(in->line, (size_t)len);
    if (in->head.len == 0 && !refuse_packed(line, err)) return false;
    if (!head_append(in, line.at, line.len, err)) return false;
    if (without_blanks(line).len > 0) return find_form(in, line, err);
  }
  return !ferror(file) || err_set_errno(err, "cannot read");
}

void send_input_end(struct send_input *in) {
  free(in->line);
  buf_fini(&in->head);
  records_text_fini(&in->text);
}

// A line from the file, behind what of it is in head already.
static bool read_line(struct send_input *in, struct slice *line, struct err *err) {
  ssize_t len = getline(&in->line, &in->line_room, in->file);
  if (len <= 0 && ferror(in->file)) return err_set_errno(err, "cannot read");
  size_t got = len > 0 ? (size_t)len : 0, held = in->head.len - in->head_at;
  *line = slice_make(in->line, got);
  if (held > 0) {
    if (!head_append(in, in->line, got, err)) return false;
    *line = slice_make(in->head.at + in->head_at, held + got);
    in->head_at = in->head.len;
  }
  return line->len > 0;
}

static bool next_line(struct send_input *in, struct slice *line, struct err *err) {
  const char *at = in->head.at + in->head_at;
  size_t held = in->head.len - in->head_at;
  const char *end = held > 0 ? memchr(at, '\n', held) : NULL;
  if (end) {
    *line = slice_make(at, (size_t)(end - at) + 1);
    in->head_at += line->len;
  } else if (!read_line(in, line, err)) {
    return false;
  }
  in->bytes += (int64_t)line->len;
  return true;
}

bool send_input_next(struct send_input *in, struct slice *record, struct err *err) {
  if (!(in->whole ? records_text_next(&in->text, record) : next_line(in, record, err))) return false;
  in->number++;
  return true;
}

const char *send_input_unit(const struct send_input *in) {
  return in->whole ? "record" : "line";
}
