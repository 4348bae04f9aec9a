#include "cmd/test_child.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/child.h"
#include "cmd/test_sinks.h"
#include "script/spec.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

// What the child tells its parent: a head, and the bytes of three texts behind it.
enum note_kind { NOTE_BEGUN, NOTE_LOADING, NOTE_CASE, NOTE_COVERAGE, NOTE_FAILED, NOTE_DONE };
enum { NAME, MESSAGE, DETAILS, TEXTS };
enum { NOTE_BYTES = 4 << 20, READ_BYTES = 64 << 10 }; // a text at most; what is read at a time

struct note {
  uint32_t kind, line, failed_line, ok;
  uint64_t took_us;
  uint32_t lens[TEXTS];
};

// ---- the child ----

static void tell(const int *to, struct note note, struct slice name, struct slice message,
                 struct slice details) {
  const struct slice texts[TEXTS] = {name, message, details};
  for (int i = 0; i < TEXTS; i++)
    note.lens[i] = (uint32_t)texts[i].len;
  child_write(*to, &note, sizeof note);
  for (int i = 0; i < TEXTS; i++)
    child_write(*to, texts[i].at, texts[i].len);
}

static const struct slice nothing = {"", 0};

static void on_begun(void *arg, const char *name, uint32_t line) {
  tell(arg, (struct note){.kind = NOTE_BEGUN, .line = line}, slice_of(name), nothing, nothing);
}

static void on_loading(void *arg, const char *file) {
  tell(arg, (struct note){.kind = NOTE_LOADING}, slice_of(file), nothing, nothing);
}

static void on_ended(void *arg, const struct spec_case *c) {
  struct note note = {
      .kind = NOTE_CASE, .line = c->line, .failed_line = c->failed_line, .ok = c->ok, .took_us = c->took_us};
  tell(arg, note, slice_of(c->name), slice_of(c->message), c->details);
}

static void tell_coverage(const int *to, const struct spec_coverage *coverage) {
  for (uint32_t i = 0; i < spec_coverage_count(coverage); i++) {
    struct spec_covered covered = spec_coverage_at(coverage, i);
    tell(to, (struct note){.kind = NOTE_COVERAGE}, slice_of(covered.file),
         slice_make(covered.lines, covered.count), nothing);
  }
}

struct job {
  const char *file;
  const struct test_child_options *options;
};

static bool run(const char *file, const struct spec_options *options, const struct spec_report *report,
                struct err *err) {
  static const char input[] = ".input.ndjson";
  if (!slice_ends(slice_of(file), input)) return spec_run(file, options, report, err);
  char *name = mem_must(mem_copy(file, strlen(file) - strlen(input)));
  bool ok = spec_golden_run(name, options, report, err);
  mem_free(name);
  return ok;
}

static int run_job(void *arg, int to) {
  const struct job *job = arg;
  struct err err = {{0}};
  const struct spec_report report = {on_begun, on_loading, on_ended, &to};
  struct spec_coverage *coverage = job->options->coverage ? mem_must(spec_coverage_new()) : NULL;
  const struct spec_options spec = {job->options->only, job->options->update, coverage, &test_sinks};
  if (!run(job->file, &spec, &report, &err))
    tell(&to, (struct note){.kind = NOTE_FAILED}, nothing, slice_of(err.text), nothing);
  if (coverage) tell_coverage(&to, coverage);
  spec_coverage_free(coverage);
  tell(&to, (struct note){.kind = NOTE_DONE}, nothing, nothing, nothing);
  return 0;
}

// ---- the parent ----

struct listener {
  struct test_results *results;
  struct test_file *into;
  struct buf bytes;
  char *running; // the case that has begun; NULL: none
  uint32_t line; // where it stands
  char *loaded;  // the last script under test; NULL: none yet
  bool done, broken;
};

static void add_failure(struct listener *l, const char *message) {
  struct slice name = slice_of(l->running ? l->running : "the file");
  char details[PATH_MAX + 64] = "";
  if (l->loaded) snprintf(details, sizeof details, "the last script loaded was %s\n", l->loaded);
  struct test_case *c =
      test_results_case(l->results, l->into, false, name, slice_of(message), slice_of(details));
  c->line = c->failed_line = l->line;
}

static void set_running(struct listener *l, struct slice name, uint32_t line) {
  mem_free(l->running);
  l->running = name.len ? mem_must(mem_copy(name.at, name.len)) : NULL;
  l->line = line;
}

static void take_case(struct listener *l, const struct note *note, const struct slice texts[TEXTS]) {
  struct test_case *c =
      test_results_case(l->results, l->into, note->ok, texts[NAME], texts[MESSAGE], texts[DETAILS]);
  c->line = note->line;
  c->failed_line = note->failed_line;
  c->seconds = (double)note->took_us / 1e6;
  l->into->seconds += c->seconds;
  set_running(l, nothing, 0);
}

static void take(struct listener *l, const struct note *note, const struct slice texts[TEXTS]) {
  switch ((enum note_kind)note->kind) {
  case NOTE_LOADING:
    mem_free(l->loaded);
    l->loaded = mem_must(mem_copy(texts[NAME].at, texts[NAME].len));
    break;
  case NOTE_BEGUN:
    set_running(l, texts[NAME], note->line);
    break;
  case NOTE_CASE:
    take_case(l, note, texts);
    break;
  case NOTE_COVERAGE:
    test_results_cover(l->results, texts[NAME], texts[MESSAGE]);
    break;
  case NOTE_FAILED:
    test_results_case(l->results, l->into, false, slice_of("the file"), texts[MESSAGE], nothing);
    break;
  case NOTE_DONE:
    l->done = true;
    break;
  }
}

// Takes one whole note off the front of the bytes. False: there is none.
static bool take_note(struct listener *l, size_t *from) {
  struct note note;
  struct slice texts[TEXTS];
  size_t at = *from + sizeof note;
  if (l->bytes.len < at) return false;
  memcpy(&note, l->bytes.at + *from, sizeof note);
  for (int i = 0; i < TEXTS; i++) {
    l->broken |= note.lens[i] > NOTE_BYTES;
    if (l->broken || l->bytes.len - at < note.lens[i]) return false;
    texts[i] = slice_make(l->bytes.at + at, note.lens[i]);
    at += note.lens[i];
  }
  take(l, &note, texts);
  *from = at;
  return true;
}

static bool read_notes(struct listener *l, int fd) {
  size_t from = 0;
  if (!buf_reserve(&l->bytes, READ_BYTES)) {
    l->broken = true;
    return false;
  }
  ssize_t n = read(fd, l->bytes.at + l->bytes.len, READ_BYTES);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  l->bytes.len += (size_t)n;
  while (take_note(l, &from)) {
  }
  memmove(l->bytes.at, l->bytes.at + from, l->bytes.len - from);
  l->bytes.len -= from;
  return !l->broken;
}

// Listens until the child closes its end. False: it has been silent for too long.
static bool listen_to(struct listener *l, int fd) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  for (;;) {
    int ready = poll(&waiting, 1, LIMIT_SPEC_SILENT_MS);
    if (ready == 0) return false;
    if (ready > 0 && !read_notes(l, fd)) return true;
  }
}

static void judge_end(struct listener *l, bool heard, int status) {
  char text[128];
  if (!heard)
    snprintf(text, sizeof text, "was stopped: nothing happened for %d s", LIMIT_SPEC_SILENT_MS / 1000);
  else if (WIFSIGNALED(status))
    snprintf(text, sizeof text, "crashed (signal %d)", WTERMSIG(status));
  else if (!l->done)
    snprintf(text, sizeof text, "ended early (exit code %d)", WEXITSTATUS(status));
  else
    return;
  add_failure(l, text);
}

void test_child_run(const char *file, const struct test_child_options *options, struct test_results *results,
                    struct test_file *into) {
  struct listener l = {.results = results, .into = into};
  struct job job = {file, options};
  struct child child;
  struct err err = {{0}};
  if (!child_start(&child, run_job, &job, &err)) {
    fprintf(stderr, "%s: %s\n", file, err.text);
    exit(2);
  }
  buf_init(&l.bytes, (size_t)TEXTS * NOTE_BYTES + (1 << 20));
  bool heard = listen_to(&l, child.from);
  if (!heard || l.broken) kill(child.pid, SIGKILL);
  judge_end(&l, heard, child_end(&child));
  buf_fini(&l.bytes);
  mem_free(l.running);
  mem_free(l.loaded);
}
