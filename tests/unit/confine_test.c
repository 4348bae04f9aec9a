// confine_test.c - what a confined process can't do: each thing is tried by a child that was confined.
#include "base/clock.h"
#include "base/limits.h"
#include "script/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REFUSED_TO_CONFINE = 77, FIRST_CLOSED = 100 };

static void confine_or_leave(uid_t user) {
  struct err err = {0};
  if (!confine(&(struct confine){getppid(), user, FIRST_CLOSED}, &err)) {
    fprintf(stderr, "%s\n", err.text);
    _exit(REFUSED_TO_CONFINE);
  }
}

static int status_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// How a confined child ends that does this.
static int end_of(void (*act)(long), long arg) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    confine_or_leave(0);
    act(arg);
    _exit(0);
  }
  return status_of(child);
}

// ---- system calls ----

static const struct forbidden {
  const char *name;
  long call, args[4];
} forbidden[] = {
    {"open a file", SYS_openat, {AT_FDCWD, (long)"/etc/passwd", O_RDONLY}},
    {"read", SYS_read, {0, 0, 0}},
    {"write to a standard descriptor", SYS_write, {2, (long)"x", 1}},
    {"write to its memory file", SYS_write, {3, (long)"x", 1}},
    {"make a socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"pass a descriptor", SYS_sendmsg, {0, 0, 0}},
    {"fork", SYS_fork, {0}},
    {"clone", SYS_clone, {SIGCHLD, 0, 0}},
    {"exec", SYS_execve, {(long)"/bin/true", 0, 0}},
    {"signal its parent", SYS_kill, {1, 0}},
    {"signal a thread", SYS_tgkill, {1, 1, 0}},
    {"trace", SYS_ptrace, {PTRACE_ATTACH, 1, 0, 0}},
    {"read another's memory", SYS_process_vm_readv, {1, 0, 0, 0}},
    {"make memory that is run", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}},
    {"have memory run", SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
    {"change protection at all", SYS_mprotect, {0, 4096, PROT_READ}},
    {"make a memory file", SYS_memfd_create, {(long)"x", 0}},
    {"attach shared memory", SYS_shmget, {0, 4096, 0600}},
    {"change its user", SYS_setuid, {0}},
    {"change its limits", SYS_prlimit64, {0, 7, 0, 0}},
    {"change its priority", SYS_setpriority, {0, 0, -10}},
    {"load a filter", SYS_seccomp, {0, 0, 0}},
    {"use io_uring", SYS_io_uring_setup, {1, 0}},
    {"load a program into the kernel", SYS_bpf, {0, 0, 0}},
    {"count performance", SYS_perf_event_open, {0, 0, 0, 0}},
    {"make a name space", SYS_unshare, {0x10000000}},
    {"take a page fault", SYS_userfaultfd, {0}},
    {"requeue a futex", SYS_futex, {0, FUTEX_CMP_REQUEUE_PI, 1, 0}},
    {"sleep", SYS_nanosleep, {0, 0}},
    {"handle a signal", SYS_rt_sigaction, {SIGSYS, 0, 0, 8}},
    {"ask who it is", SYS_getpid, {0}},
};

static void try_call(long i) {
  const struct forbidden *f = &forbidden[i];
  syscall(f->call, f->args[0], f->args[1], f->args[2], f->args[3]);
}

static void a_call_that_is_not_needed_ends_the_process(void **state) {
  // By the kernel, with SIGSYS, each of them.
  (void)state;
  if (CONFINE_SANITIZED) skip();
  for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
    int status = end_of(try_call, (long)i);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
      fail_msg("it may %s: status %x", forbidden[i].name, (unsigned)status);
  }
}

// ---- limits ----

static void expect_refused(const void *at) {
  if (at != MAP_FAILED || errno != ENOMEM) _exit(1);
}

static void take_much(long flags) {
  const size_t data = LIMIT_WORKER_DATA_BYTES, all = data + LIMIT_WORKER_SHARED_BYTES;
  size_t bytes = flags & MAP_SHARED ? all : data;
  expect_refused(mmap(NULL, bytes, PROT_READ | PROT_WRITE, (int)flags | MAP_ANONYMOUS, -1, 0));
  void *some = mmap(NULL, bytes / 4, PROT_READ | PROT_WRITE, (int)flags | MAP_ANONYMOUS, -1, 0);
  if (some == MAP_FAILED) _exit(2);
}

static void memory_ends_where_it_should(void **state) {
  // Neither private nor shared memory past the limits is to be had; a good part of it is.
  (void)state;
  if (CONFINE_SANITIZED) skip();
  assert_int_equal(end_of(take_much, MAP_PRIVATE), 0);
  assert_int_equal(end_of(take_much, MAP_SHARED), 0);
}

// What a worker does all day.
static void work(long bell) {
  for (size_t bytes = 16; bytes < 64 << 20; bytes *= 4) {
    char *at = malloc(bytes);
    if (!at) _exit(1);
    memset(at, 1, bytes);
    char *grown = realloc(at, bytes * 2);
    if (!grown) _exit(2);
    free(grown);
  }
  char iso[CLOCK_ISO_BYTES];
  if (strcmp(clock_iso(1763625600123, iso), "2025-11-20T08:00:00.123Z") != 0) _exit(4);
  if (clock_thread_ns() == 0 || clock_ms() == 0) _exit(5);
  if (write((int)bell, &(uint64_t){1}, 8) < 0 && errno != EBADF) _exit(3);
}

static void what_a_worker_needs_is_there(void **state) {
  // Memory of all sizes, clocks and dates, and the bell.
  (void)state;
  assert_int_equal(end_of(work, 50), 0);
}

// ---- seen from outside ----

static pid_t start_sleeper(uid_t user) {
  static _Atomic uint32_t *ready;
  ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    confine_or_leave(user);
    *ready = 1;
    for (;;)
      syscall(SYS_futex, ready, FUTEX_WAIT, 1, NULL, NULL, 0);
  }
  while (!*ready && waitpid(child, NULL, WNOHANG) == 0)
    sched_yield();
  assert_int_equal(*ready, 1);
  munmap((void *)ready, 4096);
  return child;
}

static void end_sleeper(pid_t child) {
  kill(child, SIGKILL);
  status_of(child);
}

static void read_proc(pid_t child, const char *name, char *text, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)child, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  ssize_t len = read(fd, text, room - 1);
  assert_true(len > 0);
  text[len] = 0;
  close(fd);
}

// The rest of the line behind `name`, its blanks made one.
static void expect_line(const char *text, const char *name, const char *expected) {
  char found[200] = "";
  const char *at = strstr(text, name);
  assert_non_null(at);
  size_t len = 0;
  for (at += strlen(name); *at && *at != '\n' && len + 1 < sizeof found; at++) {
    bool blank = *at == ' ' || *at == '\t';
    if (!blank)
      found[len++] = *at;
    else if (len && found[len - 1] != ' ')
      found[len++] = ' ';
  }
  while (len && found[len - 1] == ' ')
    len--;
  found[len] = 0;
  if (strcmp(found, expected) != 0) fail_msg("%s is '%s', not '%s'", name, found, expected);
}

static void limits_are_as_written(void **state) {
  // As the kernel shows them: no core, no file, no process, 8 MB of stack, and no new privileges.
  (void)state;
  if (CONFINE_SANITIZED) skip();
  char text[8192];
  pid_t child = start_sleeper(0);
  read_proc(child, "limits", text, sizeof text);
  expect_line(text, "Max core file size", "0 0 bytes");
  expect_line(text, "Max file size", "0 0 bytes");
  expect_line(text, "Max open files", "0 0 files");
  expect_line(text, "Max processes", "0 0 processes");
  expect_line(text, "Max stack size", "8388608 8388608 bytes");
  expect_line(text, "Max data size", "1073741824 1073741824 bytes");
  expect_line(text, "Max address space", "1879048192 1879048192 bytes");
  read_proc(child, "status", text, sizeof text);
  expect_line(text, "NoNewPrivs:", "1");
  expect_line(text, "Seccomp:", "2");
  read_proc(child, "oom_score_adj", text, sizeof text);
  expect_line(text, "", "1000");
  end_sleeper(child);
}

static void it_becomes_a_user_of_its_own(void **state) {
  // With no other group and no capability left.
  (void)state;
  if (!confine_may_become()) skip();
  char text[8192];
  pid_t child = start_sleeper(CONFINE_USERS + 5);
  read_proc(child, "status", text, sizeof text);
  expect_line(text, "Uid:", "64305 64305 64305 64305");
  expect_line(text, "Gid:", "64305 64305 64305 64305");
  expect_line(text, "Groups:", "");
  expect_line(text, "CapPrm:", "0000000000000000");
  expect_line(text, "CapEff:", "0000000000000000");
  end_sleeper(child);
}

// As a process that got past its filter.
static void meddle(pid_t other) {
  struct err err = {0};
  char byte, path[64];
  struct iovec here = {&byte, 1}, there = {&byte, 1};
  if (!confine_become(CONFINE_USERS + 1, &err)) _exit(REFUSED_TO_CONFINE);
  if (kill(other, 0) == 0 || errno != EPERM) _exit(1);
  if (kill(getppid(), 0) == 0 || errno != EPERM) _exit(2);
  if (ptrace(PTRACE_ATTACH, other, NULL, NULL) == 0) _exit(3);
  if (process_vm_readv(other, &here, 1, &there, 1, 0) >= 0 || errno != EPERM) _exit(4);
  snprintf(path, sizeof path, "/proc/%d/mem", (int)other);
  if (open(path, O_RDWR) >= 0) _exit(5);
  if (setuid(0) == 0 || setgid(0) == 0) _exit(6);
}

static void one_user_can_not_reach_another(void **state) {
  // Even without the filter of system calls: no signal, no trace, no memory, no way back to root.
  (void)state;
  if (!confine_may_become()) skip();
  pid_t other = start_sleeper(CONFINE_USERS + 2), child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    meddle(other);
    _exit(0);
  }
  assert_int_equal(status_of(child), 0);
  end_sleeper(other);
}

static void a_user_that_can_not_be_had_is_an_error(void **state) {
  // In words, and nothing is confined half.
  (void)state;
  if (!confine_may_become()) skip();
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct err err = {0};
    if (!confine_become(CONFINE_USERS, &err)) _exit(1);
    bool ok = confine(&(struct confine){getppid(), CONFINE_USERS + 1, FIRST_CLOSED}, &err);
    _exit(ok || !strstr(err.text, "can't become user 64301") ? 2 : 0);
  }
  assert_int_equal(status_of(child), 0);
}

static void it_ends_with_its_engine(void **state) {
  // Also when it has become another user, which undoes the order to do so.
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  uid_t user = confine_may_become() ? CONFINE_USERS + 3 : 0;
  pid_t engine = fork();
  assert_true(engine >= 0);
  if (engine == 0) {
    close(ends[0]);
    start_sleeper(user); // it holds the pipe's other end
    _exit(0);
  }
  close(ends[1]);
  assert_int_equal(status_of(engine), 0);
  struct pollfd gone = {.fd = ends[0], .events = POLLIN};
  assert_int_equal(poll(&gone, 1, 30000), 1);
  close(ends[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_that_is_not_needed_ends_the_process),
      cmocka_unit_test(memory_ends_where_it_should),
      cmocka_unit_test(what_a_worker_needs_is_there),
      cmocka_unit_test(limits_are_as_written),
      cmocka_unit_test(it_becomes_a_user_of_its_own),
      cmocka_unit_test(one_user_can_not_reach_another),
      cmocka_unit_test(a_user_that_can_not_be_had_is_an_error),
      cmocka_unit_test(it_ends_with_its_engine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
