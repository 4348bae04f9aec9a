#include "script/confine.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_WRITTEN = 4 }; // a worker's bells; below are its memory, and standard ones that lead nowhere

// By the system's own calls, so that a forked child of many threads may use it, too.
bool confine_become(uid_t user, struct err *err) {
  if (syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, user, user, user) == 0 &&
      syscall(SYS_setresuid, user, user, user) == 0)
    return true;
  return err_set_errno(err, "can't become user %u", (unsigned)user);
}

// Tried by a child, for what root may do depends on capabilities, name spaces and what guards them.
bool confine_may_become(void) {
  struct err err = {0};
  int status = -1;
  if (geteuid() != 0) return false;
  pid_t child = fork();
  if (child == 0) _exit(confine_become(CONFINE_USERS, &err) ? 0 : 1);
  if (child < 0) return false;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Should the machine's memory run out, a worker goes before the engine does.
static void offer_to_oom_killer(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t ignored = write(fd, "1000", 4);
  (void)ignored;
  close(fd);
}

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
      {RLIMIT_MSGQUEUE, 0, true},
      {RLIMIT_DATA, LIMIT_WORKER_DATA_BYTES, false},
      {RLIMIT_AS, (rlim_t)LIMIT_WORKER_DATA_BYTES + LIMIT_WORKER_SHARED_BYTES, false},
  };
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    if (CONFINE_SANITIZED && !limits[i].sanitized) continue;
    struct rlimit limit = {limits[i].value, limits[i].value};
    if (setrlimit((__rlimit_resource_t)limits[i].what, &limit) != 0)
      return err_set_errno(err, "setrlimit %d", limits[i].what);
  }
  return true;
}

// Calls that are allowed with one argument as it should be: memory that is not to be run, a wait for the
// bell, the wake-up of nobody that ends a pthread_once, a bell.
static int allow_some(scmp_filter_ctx filter) {
  const struct {
    int call;
    struct scmp_arg_cmp with;
  } some[] = {
      {SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
      {SCMP_SYS(futex), {1, SCMP_CMP_EQ, FUTEX_WAIT, 0}},
      {SCMP_SYS(futex), {1, SCMP_CMP_EQ, FUTEX_WAKE_PRIVATE, 0}},
      {SCMP_SYS(write), {0, SCMP_CMP_GE, FIRST_WRITTEN, 0}},
  };
  int failed = 0;
  for (size_t i = 0; !failed && i < sizeof some / sizeof some[0]; i++)
    failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, some[i].call, 1, &some[i].with);
  return failed;
}

static int allow_calls(scmp_filter_ctx filter) {
  static const int calls[] = {SCMP_SYS(munmap),        SCMP_SYS(mremap),    SCMP_SYS(brk),
                              SCMP_SYS(clock_gettime), SCMP_SYS(getrandom), SCMP_SYS(exit_group)};
  int failed = allow_some(filter);
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

// The user comes first: a change of it would undo the order to die with the engine.
bool confine(const struct confine *as, struct err *err) {
  offer_to_oom_killer();
  if (as->user && !confine_become(as->user, err)) return false;
  if (!die_with(as->engine, err)) return false;
  if (syscall(SYS_close_range, as->first_closed, ~0U, 0) != 0) return err_set_errno(err, "close_range");
  if (!set_limits(err)) return false;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return err_set_errno(err, "prctl");
  crash_plainly();
  return CONFINE_SANITIZED || filter_calls(err);
}
