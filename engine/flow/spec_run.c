#include "flow/spec_run.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 64 << 10 };

struct spec_run {
  spec_run_done done;
  void *arg;
  pid_t pid;
  int pidfd, output;
  struct loop_watch ended, said;
  struct loop_timer late;
  struct buf words; // the beginning of what it said
};

bool spec_run_wanted(const char *file) {
  char path[PATH_MAX];
  int stem = (int)strlen(file) - 4; // without .lua
  if (snprintf(path, sizeof path, "%.*s_spec.lua", stem, file) >= PATH_MAX) return false;
  if (access(path, F_OK) == 0) return true;
  return snprintf(path, sizeof path, "%.*s.input.ndjson", stem, file) < PATH_MAX && access(path, F_OK) == 0;
}

// ---- the process ----

static int set_files(posix_spawn_file_actions_t *files, int output) {
  int failed = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
  if (!failed) failed = posix_spawn_file_actions_adddup2(files, output, 1);
  return failed ? failed : posix_spawn_file_actions_adddup2(files, output, 2);
}

// A process group of its own: the process has children, and all of them end with it.
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
  return failed ? failed : posix_spawnattr_setsigdefault(attributes, &all);
}

// Without our environment: it may hold the operator's token.
static int spawn(const char *executable, const char *file, int output, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  if (posix_spawn_file_actions_init(&files) != 0) return ENOMEM;
  if (posix_spawnattr_init(&attributes) != 0) {
    posix_spawn_file_actions_destroy(&files);
    return ENOMEM;
  }
  if (!executable) executable = "/proc/self/exe";
  char *arguments[] = {(char *)executable, "test", "--format", "tap", "--", (char *)file, NULL};
  char *environment[] = {NULL};
  int failed = set_files(&files, output);
  if (!failed) failed = set_attributes(&attributes);
  if (!failed) failed = posix_spawn(pid, executable, &files, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

static bool start(struct spec_run *run, const char *executable, const char *file, struct err *err) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return err_set_errno(err, "a pipe for the specs");
  run->output = ends[0];
  fcntl(ends[1], F_SETFL, 0); // the child waits for room
  errno = spawn(executable, file, ends[1], &run->pid);
  int failed = errno;
  close(ends[1]);
  errno = failed;
  if (failed) return err_set_errno(err, "can't run the specs");
  run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
  return run->pidfd >= 0 || err_set_errno(err, "pidfd_open");
}

// ---- what it says ----

static bool hear(struct spec_run *run) { // false: there is no more
  char bytes[4096];
  ssize_t n = read(run->output, bytes, sizeof bytes);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  size_t room = run->words.max - run->words.len;
  buf_append(&run->words, bytes, (size_t)n < room ? (size_t)n : room); // out of memory: the exit code still tells
  return n > 0;
}

static void said(struct loop_watch *watch, int fd) {
  (void)fd;
  struct spec_run *run = (struct spec_run *)((char *)watch - offsetof(struct spec_run, said));
  if (!hear(run)) loop_watch_fini(&run->said);
}

static void hear_rest(struct spec_run *run) {
  size_t before;
  do
    before = run->words.len;
  while (hear(run) && run->words.len > before);
}

// The JSON text behind `label` at the beginning of a line.
static bool find_text(const char *from, const char *label, char *out, size_t room) {
  const char *at = strstr(from, label), *end = at ? strchr(at + strlen(label), '\n') : NULL;
  if (!end) return false;
  at += strlen(label);
  json_t *text = json_loadb(at, (size_t)(end - at), JSON_DECODE_ANY, NULL);
  if (json_is_string(text)) snprintf(out, room, "%s", json_string_value(text));
  bool ok = json_is_string(text);
  json_decref(text);
  return ok;
}

// "a_spec.lua:3: keeps the large ones: expected ...", from TAP.
static void read_failure(const char *words, char why[ERR_TEXT]) {
  static const char failed[] = "not ok ";
  const char *at = strncmp(words, failed, strlen(failed)) == 0 ? words : strstr(words, "\nnot ok ");
  char message[300] = "", file[300] = "";
  if (!at) {
    snprintf(why, ERR_TEXT, "its specs can't be run: %.400s", words);
    return;
  }
  at += *at == '\n';
  find_text(at, "  message: ", message, sizeof message);
  find_text(at, "  file: ", file, sizeof file);
  const char *name = strstr(at, ".lua: "), *line = strstr(at, "\n  line: "), *stop = strchr(at, '\n');
  if (!name || (stop && name > stop)) name = at;
  else name += strlen(".lua: ");
  const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
  snprintf(why, ERR_TEXT, "%s:%.*s: %.*s: %s", base, line ? (int)strspn(line + 9, "0123456789") : 0, line ? line + 9 : "",
           stop ? (int)(stop - name) : 0, name, message);
}

// ---- its end ----

static void end(struct spec_run *run) { // with all of its group, before its number is anyone else's
  if (run->pid <= 0) return;
  kill(-run->pid, SIGKILL);
  kill(run->pid, SIGKILL);
  while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR) {
  }
  run->pid = 0;
}

static void over(struct loop_watch *watch, int fd) {
  struct spec_run *run = (struct spec_run *)((char *)watch - offsetof(struct spec_run, ended));
  siginfo_t info = {0};
  char why[ERR_TEXT] = "";
  waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT);
  bool ok = info.si_code == CLD_EXITED && info.si_status == 0;
  hear_rest(run);
  if (!ok) read_failure(buf_text(&run->words) ? run->words.at : "", why);
  end(run);
  loop_watch_fini(&run->ended);
  loop_timer_stop(&run->late);
  run->done(run->arg, ok, why);
}

static void too_late(struct loop_timer *timer) {
  struct spec_run *run = (struct spec_run *)((char *)timer - offsetof(struct spec_run, late));
  char why[ERR_TEXT];
  snprintf(why, sizeof why, "its specs took longer than %d s", LIMIT_RELOAD_SPEC_MS / 1000);
  loop_watch_fini(&run->ended);
  end(run);
  run->done(run->arg, false, why);
}

struct spec_run *spec_run_start(struct loop *loop, const char *executable, const char *file, spec_run_done done, void *arg, struct err *err) {
  struct spec_run *run = mem_zero(1, sizeof *run);
  if (!run) return err_set(err, "out of memory"), NULL;
  *run = (struct spec_run){.done = done, .arg = arg, .pidfd = -1, .output = -1, .ended.run = over, .said.run = said, .late.run = too_late};
  buf_init(&run->words, OUTPUT_BYTES);
  if (start(run, executable, file, err)) {
    if (loop_watch_start(loop, &run->ended, run->pidfd) && loop_watch_start(loop, &run->said, run->output) &&
        loop_timer_start(loop, &run->late, LIMIT_RELOAD_SPEC_MS * 1000))
      return run;
    err_set(err, "out of memory");
  }
  spec_run_free(run);
  return NULL;
}

void spec_run_free(struct spec_run *run) {
  if (!run) return;
  loop_watch_fini(&run->ended);
  loop_watch_fini(&run->said);
  loop_timer_fini(&run->late);
  end(run);
  if (run->pidfd >= 0) close(run->pidfd);
  if (run->output >= 0) close(run->output);
  buf_fini(&run->words);
  mem_free(run);
}
