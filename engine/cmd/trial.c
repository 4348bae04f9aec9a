#include "cmd/trial.h"
#include "cmd/child.h"
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

struct job {
  const char *file;
  struct slice source;
  enum script_role role;
};

static int run_job(void *arg, int to) {
  const struct job *job = arg;
  struct err err = {0};
  alarm(MOST_SECONDS);
  bool ok = compile(job->file, job->source, job->role, &err);
  child_write(to, err.text, strlen(err.text));
  return ok ? 0 : 1;
}

static void read_all(int from, char *text, size_t room) {
  size_t len = 0;
  for (ssize_t n = 1; n != 0 && len < room;) {
    n = read(from, text + len, room - len);
    if (n > 0) len += (size_t)n;
    else if (n < 0 && errno != EINTR) break;
  }
}

static bool judge(int status, const char *file, const char *words, struct err *err) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFEXITED(status)) return err_set(err, "%s", words);
  if (WTERMSIG(status) == SIGALRM) return err_set(err, "%s: it took longer than %d s to compile", file, MOST_SECONDS);
  return err_set(err, "%s: it crashed the compiler (signal %d)", file, WTERMSIG(status));
}

bool trial_compile(const char *file, struct slice source, enum script_role role, struct err *err) {
  struct job job = {file, source, role};
  struct child child;
  char words[sizeof err->text] = "";
  if (!child_start(&child, run_job, &job, err)) return false;
  read_all(child.from, words, sizeof words - 1);
  return judge(child_end(&child), file, words, err);
}
