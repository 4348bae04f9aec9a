#include "script/worker_process.h"
#include "base/disk.h"
#include "base/mem.h"
#include "script/confine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int set_files(posix_spawn_file_actions_t *files, const struct worker_start *start) {
  int failed = 0;
  for (int fd = 0; !failed && fd < (CONFINE_SANITIZED ? 2 : 3); fd++) // a sanitizer's report must be seen
    failed = posix_spawn_file_actions_addopen(files, fd, "/dev/null", O_RDWR, 0);
  for (unsigned i = 0; !failed && i < start->fd_count; i++) {
    assert(start->fds[i] >= WORKER_FDS);
    failed = posix_spawn_file_actions_adddup2(files, start->fds[i], WORKER_FD_MEMORY + (int)i);
  }
  return failed;
}

// A process group of its own: an interrupt from the terminal is for the engine, which ends its workers when
// it has drained.
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                        POSIX_SPAWN_SETPGROUP);
  if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
  return failed ? failed : posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(const struct worker_start *start, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  if (posix_spawn_file_actions_init(&files) != 0) return ENOMEM;
  if (posix_spawnattr_init(&attributes) != 0) {
    posix_spawn_file_actions_destroy(&files);
    return ENOMEM;
  }
  const char *executable = start->executable ? start->executable : "/proc/self/exe";
  char *arguments[] = {(char *)executable, "worker", (char *)start->mode, NULL};
  char *environment[] = {NULL};
  int failed = set_files(&files, start);
  if (!failed) failed = set_attributes(&attributes);
  if (!failed) failed = posix_spawn(pid, executable, &files, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

pid_t worker_start(const struct worker_start *start, int *pidfd, struct err *err) {
  pid_t pid = -1;
  errno = spawn(start, &pid);
  if (errno) {
    err_set_errno(err, "can't start a worker (%s)", start->executable ? start->executable : "/proc/self/exe");
    return -1;
  }
  *pidfd = (int)syscall(SYS_pidfd_open, pid, 0); // closed on exec by itself
  if (*pidfd >= 0) return pid;
  err_set_errno(err, "pidfd_open");
  kill(pid, SIGKILL); // not reaped yet, so the number is still its own
  waitpid(pid, NULL, 0);
  return -1;
}

uint64_t worker_cpu_ns(pid_t pid) {
  clockid_t clock;
  struct timespec t;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// So many processes the kernel has killed for want of memory since the machine started; 0: it does not say.
static uint64_t oom_kills(void) {
  static const char name[] = "\noom_kill ";
  enum { VMSTAT_BYTES = 64 << 10 };
  struct err err = {0};
  size_t len;
  char *text = disk_read_file("/proc/vmstat", VMSTAT_BYTES, &len, &err);
  const char *at = text ? strstr(text, name) : NULL;
  uint64_t count = at ? strtoull(at + strlen(name), NULL, 10) : 0;
  mem_free(text);
  return count;
}

static bool start_process(struct worker_process *p, const struct worker_wish *wish, struct err *err) {
  int fds[1 + LIMIT_POOL_CLIENTS] = {p->memory_fd};
  for (int i = 0; i < LIMIT_POOL_CLIENTS; i++)
    fds[1 + i] = wish->bells[i];
  struct worker_start start = {
      .executable = wish->executable, .fds = fds, .fd_count = 1 + LIMIT_POOL_CLIENTS};
  p->oom_kills = oom_kills();
  p->pid = worker_start(&start, &p->pidfd, err);
  if (p->pid > 0 && wish->slow) worker_process_slow(p);
  return p->pid > 0;
}

// The worker reads its part when it has been started.
static void write_words(struct segment_words *words, const struct worker_wish *wish) {
  words->limits.processor_time = wish->slow;
  words->user = wish->user;
  words->patient = wish->patient;
}

struct worker_process *worker_process_new(const struct worker_wish *wish, struct err *err) {
  struct worker_process *p = mem_zero(1, sizeof *p);
  if (!p) {
    err_set(err, "out of memory");
    return NULL;
  }
  atomic_init(&p->refs, 1);
  p->pidfd = -1;
  p->memory_fd = segment_create(&wish->limits, err);
  if (p->memory_fd >= 0) p->words = segment_map(p->memory_fd, err);
  if (p->words) write_words(p->words, wish);
  if (p->words && start_process(p, wish, err)) return p;
  worker_process_unref(p);
  return NULL;
}

void worker_process_ref(struct worker_process *p) {
  atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void worker_process_unref(struct worker_process *p) {
  if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1) return;
  segment_unmap(p->words);
  if (p->memory_fd >= 0) close(p->memory_fd);
  if (p->pidfd >= 0) close(p->pidfd);
  mem_free(p);
}

void worker_process_slow(struct worker_process *p) {
  enum { LOWEST_PRIORITY = 19 };
  setpriority(PRIO_PROCESS, (id_t)p->pid, LOWEST_PRIORITY); // it may always be lowered
}

void worker_process_kill(struct worker_process *p) {
  syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0); // fails only when it has ended
}

// Signals that a script can't cause come from outside: the record that happened to run is not to blame.
static bool from_outside(int number) {
  return number == SIGKILL || number == SIGTERM || number == SIGINT || number == SIGHUP;
}

void worker_process_reap(struct worker_process *p) {
  int status = 0;
  while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {
  }
  p->blames = true;
  if (p->stuck) {
    snprintf(p->why, sizeof p->why, "timed out");
  } else if (p->resting) {
    p->blames = false;
    snprintf(p->why, sizeof p->why, "was idle");
  } else if (atomic_load(&p->nonsense)) {
    p->blames = false;
    snprintf(p->why, sizeof p->why, "sent nonsense");
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && oom_kills() > p->oom_kills) {
    snprintf(p->why, sizeof p->why, "killed for want of memory");
  } else if (WIFSIGNALED(status) && from_outside(WTERMSIG(status))) {
    p->blames = false;
    snprintf(p->why, sizeof p->why, "killed (signal %d)", WTERMSIG(status));
  } else if (WIFSIGNALED(status)) {
    snprintf(p->why, sizeof p->why, "crashed (signal %d)", WTERMSIG(status));
  } else {
    snprintf(p->why, sizeof p->why, "ended (status %d)", WEXITSTATUS(status));
  }
}
