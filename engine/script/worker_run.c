#include "script/worker_run.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void runner_init(struct runner *r) {
  *r = (struct runner){0};
  json_tape_init(&r->tape);
  json_tape_init(&r->output_tape);
  script_result_init(&r->script);
  script_result_init(&r->sink);
  script_result_init(&r->gathered);
  r->gathered.bytes.max = LIMIT_RECORD_BYTES;
}

void runner_fini(struct runner *r) {
  json_tape_fini(&r->tape);
  json_tape_fini(&r->output_tape);
  script_result_fini(&r->script);
  script_result_fini(&r->sink);
  script_result_fini(&r->gathered);
}

void runner_log(void *arg, const char *line, size_t len) {
  struct runner *r = arg;
  size_t before = r->log_len > 0;
  if (len > sizeof r->log - r->log_len || before > sizeof r->log - r->log_len - len) return;
  if (before) r->log[r->log_len++] = '\n';
  memcpy(r->log + r->log_len, line, len);
  r->log_len += len;
}

static void clear(struct script_result *result, enum script_outcome outcome) {
  result->outcome = outcome;
  result->line = 0;
  result->text[0] = 0;
  result->bytes.len = 0;
  result->output_count = 0;
  result->alert_count = 0;
  result->alert_failed = false;
}

__attribute__((format(printf, 3, 4))) static const struct script_result *
end_as(struct script_result *result, enum script_outcome outcome, const char *format, ...) {
  va_list args;
  va_start(args, format);
  clear(result, outcome);
  vsnprintf(result->text, sizeof result->text, format, args);
  va_end(args);
  return result;
}

static struct slice part(const struct script_result *from, uint32_t at, uint32_t len) {
  return slice_make(from->bytes.at + at, len);
}

static bool gather(struct script_result *to, struct slice key, struct slice body) {
  if (to->output_count >= SCRIPT_OUTPUTS || to->bytes.len + key.len + body.len > LIMIT_RECORD_BYTES)
    return false;
  if (to->output_count == to->output_cap) {
    uint32_t cap = to->output_cap ? to->output_cap * 2 : 8;
    struct script_output *grown = mem_grow(to->outputs, cap * sizeof *grown);
    if (!grown) return false;
    to->outputs = grown;
    to->output_cap = cap;
  }
  uint32_t at = (uint32_t)to->bytes.len;
  if (!buf_append(&to->bytes, body.at, body.len) || !buf_append(&to->bytes, key.at, key.len)) return false;
  to->outputs[to->output_count++] = (struct script_output){.body_at = at,
                                                           .body_len = (uint32_t)body.len,
                                                           .key_at = at + (uint32_t)body.len,
                                                           .key_len = (uint32_t)key.len};
  return true;
}

static bool gather_all(struct script_result *to, const struct script_result *from) {
  for (uint32_t i = 0; i < from->output_count; i++) {
    const struct script_output *o = &from->outputs[i];
    if (!gather(to, part(from, o->key_at, o->key_len), part(from, o->body_at, o->body_len))) return false;
  }
  return true;
}

static const struct script_result *run_sink(struct runner *r, struct shelf *shelf,
                                            struct shelf_program *program, const struct record_header *header,
                                            const struct json_tape *tape) {
  struct err err = {0};
  struct script *sink = shelf_open(shelf, program, &program->sink, &err);
  if (!sink) return end_as(&r->sink, SCRIPT_FAILED, "%.*s", (int)sizeof r->sink.text - 1, err.text);
  script_run(sink, program->id, header, tape, &r->sink);
  shelf_look(shelf, &program->sink);
  return &r->sink;
}

static const struct script_result *run_sink_on(struct runner *r, struct shelf *shelf,
                                               struct shelf_program *program,
                                               const struct record_header *header,
                                               const struct script_output *output) {
  struct json_fault fault = {0};
  if (!json_tape_parse(&r->output_tape, part(&r->script, output->body_at, output->body_len), &fault))
    return end_as(&r->sink, SCRIPT_FAILED, "the script's result can't be read: %s",
                  fault.what ? fault.what : "too large");
  return run_sink(r, shelf, program, header, &r->output_tape);
}

// All of a record's outputs or none: the first one that fails decides. One that the sink filters is left out.
static const struct script_result *run_sink_on_each(struct runner *r, struct shelf *shelf,
                                                    struct shelf_program *program,
                                                    const struct record_header *header) {
  if (r->script.output_count == 1) return run_sink_on(r, shelf, program, header, &r->script.outputs[0]);
  clear(&r->gathered, SCRIPT_KEPT);
  for (uint32_t i = 0; i < r->script.output_count; i++) {
    const struct script_result *mapped = run_sink_on(r, shelf, program, header, &r->script.outputs[i]);
    if (mapped->outcome == SCRIPT_FILTERED) continue;
    if (mapped->outcome != SCRIPT_KEPT) return mapped;
    if (!gather_all(&r->gathered, mapped))
      return end_as(&r->gathered, SCRIPT_FAILED,
                    "one record's results are more than %d, or longer than %d bytes together", SCRIPT_OUTPUTS,
                    LIMIT_RECORD_BYTES);
  }
  return r->gathered.output_count ? &r->gathered : &r->sink;
}

static const struct script_result *run_script(struct runner *r, struct shelf *shelf,
                                              struct shelf_program *program,
                                              const struct record_header *header) {
  struct err err = {0};
  struct script *script = shelf_open(shelf, program, &program->script, &err);
  if (!script) return end_as(&r->script, SCRIPT_FAILED, "%.*s", (int)sizeof r->script.text - 1, err.text);
  script_run(script, program->id, header, &r->tape, &r->script);
  shelf_look(shelf, &program->script);
  bool on = r->script.outcome == SCRIPT_KEPT && r->script.output_count && program->sink.script;
  return on ? run_sink_on_each(r, shelf, program, header) : &r->script;
}

static const struct script_result *pass(struct script_result *to, struct slice bytes) {
  clear(to, SCRIPT_KEPT);
  return gather(to, slice_make(NULL, 0), bytes) ? to : end_as(to, SCRIPT_FAILED, "the record is too long");
}

const struct script_result *runner_put_off(struct runner *r) {
  r->log_len = 0;
  clear(&r->script, SCRIPT_PUT_OFF);
  return &r->script;
}

const struct script_result *runner_run(struct runner *r, struct shelf *shelf, struct shelf_program *program,
                                       const struct record_header *header, struct slice bytes) {
  r->log_len = 0;
  clear(&r->script, SCRIPT_KEPT);
  if (!program->script.script && !program->sink.script) return pass(&r->gathered, bytes);
  struct json_fault fault = {0};
  if (!json_tape_parse(&r->tape, bytes, &fault))
    return end_as(&r->script, SCRIPT_FAILED, "the record can't be read: %s",
                  fault.what ? fault.what : "too large");
  if (program->script.script) return run_script(r, shelf, program, header);
  return run_sink(r, shelf, program, header, &r->tape);
}
