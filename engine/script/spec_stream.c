#include "script/spec_stream.h"
#include "base/disk.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/spec_record.h"

#include <stdio.h>

enum { CONTEXT = 1 };

struct spec_stream {
  char *file, *source, *context;
  size_t source_len;
  struct script *script;
  struct spec_coverage *coverage;
  struct json_tape tape;
  struct script_result result;
};

static char *make_context(struct slice parameters) {
  static const char front[] =
      "{\"stream\":{\"id\":\"st_spec\",\"name\":\"spec\",\"organisation_id\":null},\"parameters\":";
  struct buf text;
  buf_init(&text, sizeof front + parameters.len + 16);
  if (!parameters.len) parameters = slice_of("{}");
  if (buf_append_text(&text, front) && buf_append(&text, parameters.at, parameters.len) &&
      buf_append(&text, "}", 2))
    return buf_take(&text, &(size_t){0});
  buf_fini(&text);
  return NULL;
}

static bool load(struct spec_stream *s, struct err *err) {
  struct slice source = slice_make(s->source, s->source_len);
  s->script = script_load(s->file, source, SCRIPT_STREAM, NULL, err);
  if (!s->script || !script_set_context(s->script, CONTEXT, slice_of(s->context), err)) return false;
  return !s->coverage || spec_coverage_watch(s->coverage, s->file, source, script_state(s->script), err);
}

struct spec_stream *spec_stream_open(const char *file, struct slice parameters,
                                     struct spec_coverage *coverage, struct err *err) {
  struct spec_stream *s = mem_zero(1, sizeof *s);
  if (!s) {
    err_set(err, "out of memory");
    return NULL;
  }
  s->coverage = coverage;
  json_tape_init(&s->tape);
  script_result_init(&s->result);
  s->source = disk_read_file(file, LIMIT_SCRIPT_SOURCE_BYTES, &s->source_len, err);
  s->file = s->source ? mem_copy(file, strlen(file)) : NULL;
  s->context = s->file ? make_context(parameters) : NULL;
  if (s->context && load(s, err)) return s;
  err_set(err, "out of memory");
  spec_stream_close(s);
  return NULL;
}

void spec_stream_close(struct spec_stream *s) {
  if (!s) return;
  script_free(s->script);
  script_result_fini(&s->result);
  json_tape_fini(&s->tape);
  mem_free(s->file);
  mem_free(s->source);
  mem_free(s->context);
  mem_free(s);
}

// A worn state is thrown away, as a worker does.
static bool renew(struct spec_stream *s, struct err *err) {
  if (s->script && !script_worn(s->script)) return true;
  script_free(s->script);
  s->script = NULL;
  return load(s, err);
}

bool spec_stream_run(struct spec_stream *s, struct slice record, struct err *err) {
  struct record_header header;
  s->result.outcome = SCRIPT_FILTERED;
  if (!renew(s, err) || !spec_record_read(&s->tape, record, &header, err)) return false;
  script_run(s->script, CONTEXT, &header, &s->tape, &s->result);
  return true;
}

const struct script_result *spec_stream_result(const struct spec_stream *s) {
  return &s->result;
}

bool spec_stream_failed(const struct spec_stream *s, char *text, size_t room) {
  const struct script_result *result = &s->result;
  if (result->outcome == SCRIPT_KEPT || result->outcome == SCRIPT_FILTERED) return false;
  if (result->line)
    snprintf(text, room, "%s:%u: %s", s->file, result->line, result->text);
  else
    snprintf(text, room, "%s: %s", s->file, result->text);
  return true;
}
