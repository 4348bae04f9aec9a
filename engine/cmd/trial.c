#include "cmd/trial.h"
#include "script/sink.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SECONDS = 10 }; // a chunk's own run ends long before, by script_time

static bool compile(const char *file, struct slice source, enum script_role role, struct err *err) {
  if (role == SCRIPT_SINK) {
    struct sink *sink = sink_load(file, source, err);
    sink_unref(sink);
    return sink != NULL;
  }
  struct script_limits limits = {0};
  struct script *script = script_load(file, source, role, &limits, err);
  script_free(script);
  return script != NULL;
}

static _Noreturn void run_child(int to, const char *file, struct slice source, enum script_role role) {
  struct err err = {0};
  alarm(MOST_SECONDS);
  bool ok = compile(file, source, role, &err);
  ssize_t ignored = write(to, err.text, strlen(err.text)); // shorter than a pipe's buffer
  (void)ignored;
  _exit(ok ? 0 : 1);
}

static size_t read_all(int from, char *text, size_t room) {
  size_t len = 0;
  for (ssize_t n = 1; n != 0 && len < room;) {
    n = read(from, text + len, room - len);
    if (n > 0) len += (size_t)n;
    else if (n < 0 && errno != EINTR) break;
  }
  return len;
}

static bool judge(int status, const char *file, const char *words, struct err *err) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFEXITED(status)) return err_set(err, "%s", words);
  if (WTERMSIG(status) == SIGALRM) return err_set(err, "%s: it took longer than %d s to compile", file, MOST_SECONDS);
  return err_set(err, "%s: it crashed the compiler (signal %d)", file, WTERMSIG(status));
}

bool trial_compile(const char *file, struct slice source, enum script_role role, struct err *err) {
  int ends[2], status = 0;
  char words[sizeof err->text] = "";
  if (pipe(ends) != 0) return err_set_errno(err, "can't make a pipe");
  pid_t child = fork();
  if (child == 0) run_child(ends[1], file, source, role);
  int why = errno;
  close(ends[1]);
  if (child > 0) read_all(ends[0], words, sizeof words - 1);
  close(ends[0]);
  errno = why;
  if (child < 0) return err_set_errno(err, "can't start a process");
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return judge(status, file, words, err);
}
