#include "cmd/test_child.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cmd/test_sinks.h"
#include "script/confine.h"
#include "script/spec.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

struct teller {
  int fd;
};

static void write_all(int fd, const char *at, size_t len) {
  while (len) {
    ssize_t n = write(fd, at, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(3); // nobody listens
    at += n;
    len -= (size_t)n;
  }
}

static void tell(const struct teller *t, struct note note, struct slice name, struct slice message,
                 struct slice details) {
  const struct slice texts[TEXTS] = {name, message, details};
  for (int i = 0; i < TEXTS; i++)
    note.lens[i] = (uint32_t)texts[i].len;
  write_all(t->fd, (const char *)&note, sizeof note);
  for (int i = 0; i < TEXTS; i++)
    write_all(t->fd, texts[i].at, texts[i].len);
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

static void tell_coverage(const struct teller *t, const struct spec_coverage *coverage) {
  for (uint32_t i = 0; i < spec_coverage_count(coverage); i++) {
    struct spec_covered covered = spec_coverage_at(coverage, i);
    tell(t, (struct note){.kind = NOTE_COVERAGE}, slice_of(covered.file),
         slice_make(covered.lines, covered.count), nothing);
  }
}

// The process has nothing but this file to work on: no core, no file larger than a golden case's output, no
// memory without end.
static void limit_process(void) {
  const struct rlimit core = {0, 0}, file = {LIMIT_SPEC_FILE_BYTES, LIMIT_SPEC_FILE_BYTES},
                      data = {LIMIT_WORKER_DATA_BYTES, LIMIT_WORKER_DATA_BYTES};
  setrlimit(RLIMIT_CORE, &core);
  setrlimit(RLIMIT_FSIZE, &file);
  if (!CONFINE_SANITIZED) setrlimit(RLIMIT_DATA, &data);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE,
                                SIGABRT}; // a sanitizer would make an exit of them
  for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
    signal(crashes[i], SIG_DFL);
}

static bool run(const char *file, const struct spec_options *options, const struct spec_report *report,
                struct err *err) {
  static const char input[] = ".input.ndjson";
  if (!slice_ends(slice_of(file), input)) return spec_run(file, options, report, err);
  char *name = mem_must(mem_copy(file, strlen(file) - strlen(input)));
  bool ok = spec_golden_run(name, options, report, err);
  mem_free(name);
  return ok;
}

static _Noreturn void child(const char *file, const struct test_child_options *options, int fd) {
  struct teller teller = {fd};
  struct err err = {{0}};
  const struct spec_report report = {on_begun, on_loading, on_ended, &teller};
  limit_process();
  struct spec_coverage *coverage = options->coverage ? mem_must(spec_coverage_new()) : NULL;
  const struct spec_options spec = {options->only, options->update, coverage, &test_sinks};
  if (!run(file, &spec, &report, &err))
    tell(&teller, (struct note){.kind = NOTE_FAILED}, nothing, slice_of(err.text), nothing);
  if (coverage) tell_coverage(&teller, coverage);
  spec_coverage_free(coverage);
  tell(&teller, (struct note){.kind = NOTE_DONE}, nothing, nothing, nothing);
  close(fd);
  _exit(0);
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
  int ends[2], status = 0;
  buf_init(&l.bytes, (size_t)TEXTS * NOTE_BYTES + (1 << 20));
  fflush(NULL); // or the child would have what is still to be written, too
  pid_t pid = pipe(ends) == 0 ? fork() : -1;
  if (pid < 0) {
    perror("sluice: a process for the tests");
    exit(2);
  }
  if (pid == 0) {
    close(ends[0]);
    child(file, options, ends[1]);
  }
  close(ends[1]);
  bool heard = listen_to(&l, ends[0]);
  close(ends[0]);
  if (!heard || l.broken) kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  judge_end(&l, heard, status);
  buf_fini(&l.bytes);
  mem_free(l.running);
  mem_free(l.loaded);
}
