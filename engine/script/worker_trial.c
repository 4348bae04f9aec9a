#include "script/worker_trial.h"
#include "base/mem.h"
#include "script/confine.h"
#include "script/shared_file.h"
#include "script/windows.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t MAGIC = 0x316c616972546573; // changes with the layout

enum { CONTEXT = 1 };

struct hook { // the script, or the sink's map
  const struct trial_sheet *sheet;
  enum script_role role;
  struct trial_text name, source, context;
  struct script *state;
  struct script_result result;
};

struct trial {
  struct trial_sheet *sheet;
  struct hook script, sink;
  struct json_tape tape, output_tape;
  struct trial_note *note; // of the record being tried
  struct buf bytes;        // of its outputs
  struct script_output outputs[2 * SCRIPT_OUTPUTS];
  uint32_t output_count; // of the script's and the mapped ones
  uint64_t used;         // of the sheet's output
};

// ---- the sheet ----

static struct trial_sheet *map(int fd, struct err *err) {
  void *at = mmap(NULL, sizeof(struct trial_sheet), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) return at;
  err_set_errno(err, "shared memory for a trial");
  return NULL;
}

struct trial_sheet *trial_sheet_new(int *fd, struct err *err) {
  *fd = shared_file("sluice-trial", sizeof(struct trial_sheet), err);
  if (*fd < 0) return NULL;
  struct trial_sheet *sheet = map(*fd, err);
  if (!sheet) return NULL;
  sheet->magic = MAGIC;
  sheet->engine = getpid();
  return sheet;
}

void trial_sheet_free(struct trial_sheet *sheet, int fd) {
  if (sheet) munmap(sheet, sizeof *sheet);
  if (fd >= 0) close(fd);
}

static struct slice text_of(const struct trial_sheet *sheet, struct trial_text text) {
  return slice_make(sheet->input + text.at, text.len);
}

// ---- scripts ----

static void take_log(void *arg, const char *line, size_t len) {
  struct trial_note *note = ((struct trial *)arg)->note;
  size_t before = note && note->log_bytes > 0;
  if (!note || len + before > sizeof note->log - note->log_bytes) return;
  if (before) note->log[note->log_bytes++] = '\n';
  memcpy(note->log + note->log_bytes, line, len);
  note->log_bytes += (uint32_t)len;
}

// A worn state is thrown away, as in any worker; its windows outlive it.
static bool load(struct trial *t, struct hook *h, struct err *err) {
  if (!h->source.len || (h->state && !script_worn(h->state))) return true;
  char name[256];
  struct slice label = text_of(h->sheet, h->name);
  snprintf(name, sizeof name, "%.*s", (int)label.len, label.at);
  struct windows *windows = h->state ? script_take_windows(h->state, CONTEXT) : NULL;
  script_free(h->state);
  h->state = script_load(name, text_of(h->sheet, h->source), h->role, &h->sheet->limits, err);
  if (!h->state || (windows && !script_give_windows(h->state, CONTEXT, windows))) {
    windows_free(windows);
    return err_set(err, "out of memory");
  }
  script_set_log(h->state, take_log, t);
  return script_set_context(h->state, CONTEXT, text_of(h->sheet, h->context), err);
}

// ---- outputs ----

// With a reason or a message. A record that failed raises no alert.
static void drop(struct trial *t, const char *text, uint32_t line, enum script_outcome outcome) {
  t->note->outcome = outcome;
  if (outcome != SCRIPT_FILTERED) t->note->alert_count = 0;
  t->note->line = line;
  t->note->output_count = t->note->mapped_count = 0;
  t->output_count = 0;
  t->bytes.len = 0;
  snprintf(t->note->text, sizeof t->note->text, "%.*s", (int)sizeof t->note->text - 1, text);
}

static bool fail(struct trial *t, const char *text) {
  drop(t, text, 0, SCRIPT_FAILED);
  return false;
}

static bool add_output(struct trial *t, struct slice body, struct slice key) {
  uint32_t at = (uint32_t)t->bytes.len;
  if (t->output_count == 2 * SCRIPT_OUTPUTS || !buf_append(&t->bytes, body.at, body.len) ||
      !buf_append(&t->bytes, key.at, key.len))
    return fail(t, "what is made of one record is too long");
  t->outputs[t->output_count++] = (struct script_output){.body_at = at,
                                                         .body_len = (uint32_t)body.len,
                                                         .key_at = at + (uint32_t)body.len,
                                                         .key_len = (uint32_t)key.len};
  return true;
}

static bool add_outputs(struct trial *t, const struct script_result *from, uint32_t *count) {
  for (uint32_t i = 0; i < from->output_count; i++) {
    const struct script_output *o = &from->outputs[i];
    if (!add_output(t, slice_make(from->bytes.at + o->body_at, o->body_len),
                    slice_make(from->bytes.at + o->key_at, o->key_len)))
      return false;
    ++*count;
  }
  return true;
}

// ---- one record ----

static bool drop_as(struct trial *t, const struct script_result *result) {
  drop(t, result->text, result->line, result->outcome);
  return false;
}

// False: it failed. One that the sink's map drops is left out.
static bool map_output(struct trial *t, uint32_t i, const struct record_header *header) {
  struct err err = {0};
  struct json_fault fault;
  struct script_result *result = &t->sink.result;
  struct slice body = slice_make(t->bytes.at + t->outputs[i].body_at, t->outputs[i].body_len);
  char *copy = mem_copy(body.at, body.len); // what is added moves the bytes
  bool ok = (copy && json_tape_parse(&t->output_tape, slice_make(copy, body.len), &fault)) ||
            fail(t, copy ? "the script's result can't be read" : "out of memory");
  ok = ok && (load(t, &t->sink, &err) || fail(t, err.text));
  if (ok) {
    script_run(t->sink.state, CONTEXT, header, &t->output_tape, result);
    if (result->outcome == SCRIPT_KEPT)
      ok = add_outputs(t, result, &t->note->mapped_count);
    else if (result->outcome != SCRIPT_FILTERED)
      ok = drop_as(t, result);
  }
  mem_free(copy);
  return ok;
}

// All of a record's outputs or none, as in any worker.
static void map_outputs(struct trial *t, const struct record_header *header) {
  for (uint32_t i = 0; i < t->note->output_count; i++)
    if (!map_output(t, i, header)) return;
  if (!t->note->mapped_count) drop_as(t, &t->sink.result);
}

static void copy_alerts(struct trial_note *note, const struct script_result *result) {
  note->alert_count = result->alert_count;
  memcpy(note->alerts, result->alerts, sizeof note->alerts);
  note->alert_failed = result->alert_failed;
  note->alert_line = result->alert_line;
  memcpy(note->alert_text, result->alert_text, sizeof note->alert_text);
}

static void run_script(struct trial *t, const struct record_header *header) {
  struct err err = {0};
  const struct script_result *result = &t->script.result;
  if (!load(t, &t->script, &err)) {
    fail(t, err.text);
    return;
  }
  script_run(t->script.state, CONTEXT, header, &t->tape, &t->script.result);
  copy_alerts(t->note, result);
  if (result->outcome == SCRIPT_KEPT)
    add_outputs(t, result, &t->note->output_count);
  else
    drop_as(t, result);
}

static void run_record(struct trial *t, const struct record_header *header) {
  struct json_fault fault;
  struct slice bytes = slice_make(t->sheet->input + header->offset, header->length);
  t->output_count = 0;
  t->bytes.len = 0;
  t->note->outcome = SCRIPT_KEPT;
  if (!json_tape_parse(&t->tape, bytes, &fault))
    fail(t, "the record can't be read");
  else if (t->script.source.len)
    run_script(t, header);
  else if (add_output(t, bytes, slice_of("")))
    t->note->output_count = 1;
  if (t->note->outcome == SCRIPT_KEPT && t->sink.source.len) map_outputs(t, header);
}

// Behind the outputs of the record before.
static void write_outputs(struct trial *t) {
  size_t table = t->output_count * sizeof *t->outputs, len = table + t->bytes.len;
  if (len > sizeof t->sheet->output - t->used) {
    fail(t, "what the script makes of all records is too long for a trial: try fewer");
    table = len = 0;
  }
  t->note->at = t->used;
  t->note->byte_count = (uint32_t)(len - table);
  memcpy(t->sheet->output + t->used, t->outputs, table);
  if (len > table) memcpy(t->sheet->output + t->used + table, t->bytes.at, len - table);
  t->used += (len + 7) & ~(size_t)7;
}

static void run_all(struct trial *t) {
  for (uint32_t i = 0; i < t->sheet->count; i++) {
    t->note = &t->sheet->notes[i];
    run_record(t, &t->sheet->records[i]);
    write_outputs(t);
    atomic_store(&t->sheet->done, i + 1);
  }
}

// ---- the process ----

static void begin(struct trial *t, struct trial_sheet *sheet) {
  t->sheet = sheet;
  t->script =
      (struct hook){sheet, SCRIPT_STREAM, sheet->script_name, sheet->script, sheet->context, .state = NULL};
  t->sink =
      (struct hook){sheet, SCRIPT_SINK, sheet->sink_name, sheet->sink, sheet->sink_context, .state = NULL};
  script_result_init(&t->script.result);
  script_result_init(&t->sink.result);
  json_tape_init(&t->tape);
  json_tape_init(&t->output_tape);
  buf_init(&t->bytes, LIMIT_TRIAL_RESULT_BYTES);
}

static void refuse(struct trial_sheet *sheet, const struct err *err) {
  sheet->err = *err;
  atomic_store(&sheet->loaded, TRIAL_REFUSED);
}

int worker_trial_main(int fd, unsigned first_closed) {
  static struct trial trial;
  struct err err = {0};
  struct stat status;
  struct trial_sheet *sheet = NULL;
  if (fstat(fd, &status) == 0 && status.st_size == sizeof *sheet) sheet = map(fd, &err);
  if (!sheet || sheet->magic != MAGIC) {
    fprintf(stderr, "sluice worker: started by the engine only\n");
    return 2;
  }
  begin(&trial, sheet);
  if (confine(&(struct confine){sheet->engine, sheet->user, first_closed}, &err) &&
      load(&trial, &trial.script, &err) && load(&trial, &trial.sink, &err)) {
    atomic_store(&sheet->loaded, TRIAL_ACCEPTED);
    run_all(&trial);
  } else {
    refuse(sheet, &err);
  }
  _exit(0); // without the clean-up, which a script may have broken
}
