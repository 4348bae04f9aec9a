#include "cmd/child.h"
#include "base/limits.h"
#include "script/confine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

bool child_start(struct child *child, int (*work)(void *arg, int to), void *arg, struct err *err) {
  int ends[2];
  if (pipe(ends) != 0) return err_set_errno(err, "can't make a pipe");
  fflush(NULL); // or the child would have what is still to be written, too
  child->from = ends[0];
  child->pid = fork();
  if (child->pid == 0) {
    close(ends[0]);
    limit_process();
    _exit(work(arg, ends[1]));
  }
  if (child->pid < 0) {
    err_set_errno(err, "can't start a process");
    close(ends[0]);
  }
  close(ends[1]);
  return child->pid > 0;
}

void child_write(int to, const void *at, size_t len) {
  for (const char *next = at; len;) {
    ssize_t n = write(to, next, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(3);
    next += n;
    len -= (size_t)n;
  }
}

int child_end(struct child *child) {
  int status = 0;
  close(child->from);
  while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}
