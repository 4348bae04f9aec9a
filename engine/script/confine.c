#include "script/confine.h"
#include "base/limits.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool die_with(pid_t engine, struct err *err) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return err_set_errno(err, "prctl");
  return getppid() == engine || err_set(err, "its engine is gone");
}

static bool set_limits(struct err *err) {
  static const struct {
    int what;
    rlim_t value;
    bool sanitized; // also under a sanitizer
  } limits[] = {
      {RLIMIT_CORE, 0, true},
      {RLIMIT_FSIZE, 0, true},
      {RLIMIT_NOFILE, 0, false},
      {RLIMIT_STACK, 8 << 20, true},
      {RLIMIT_NPROC, 0, false},
      {RLIMIT_MEMLOCK, 0, true},
      {RLIMIT_DATA, LIMIT_WORKER_DATA_BYTES, false},
  };
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    if (CONFINE_SANITIZED && !limits[i].sanitized) continue;
    struct rlimit limit = {limits[i].value, limits[i].value};
    if (setrlimit((__rlimit_resource_t)limits[i].what, &limit) != 0)
      return err_set_errno(err, "setrlimit %d", limits[i].what);
  }
  return true;
}

// Memory may be asked for, but never to be run.
static int allow_memory(scmp_filter_ctx filter) {
  struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);
  return failed ? failed : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
}

static int allow_calls(scmp_filter_ctx filter) {
  static const int calls[] = {
      SCMP_SYS(write),        SCMP_SYS(futex),           SCMP_SYS(munmap),
      SCMP_SYS(mremap),       SCMP_SYS(madvise),         SCMP_SYS(brk),
      SCMP_SYS(exit),         SCMP_SYS(exit_group),      SCMP_SYS(close),
      SCMP_SYS(getrandom),    SCMP_SYS(rt_sigreturn),    SCMP_SYS(clock_gettime),
      SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall),
  };
  int failed = allow_memory(filter);
  for (size_t i = 0; !failed && i < sizeof calls / sizeof calls[0]; i++)
    failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
  return failed;
}

// A crash is a crash: a sanitizer's own handler would turn it into an exit, after a second of looking up
// names.
static void crash_plainly(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    signal(signals[i], SIG_DFL);
}

static bool filter_calls(struct err *err) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (!filter) return err_set(err, "seccomp: out of memory");
  int failed = allow_calls(filter);
  if (!failed) failed = seccomp_load(filter);
  seccomp_release(filter);
  errno = -failed;
  return !failed || err_set_errno(err, "seccomp");
}

bool confine(pid_t engine, unsigned first_closed, struct err *err) {
  if (!die_with(engine, err)) return false;
  if (syscall(SYS_close_range, first_closed, ~0U, 0) != 0) return err_set_errno(err, "close_range");
  if (!set_limits(err)) return false;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return err_set_errno(err, "prctl");
  crash_plainly();
  return CONFINE_SANITIZED || filter_calls(err);
}
