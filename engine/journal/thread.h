// thread.h - what the journal's threads say of themselves to the kernel.
#pragma once
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void thread_name(const char *name) { // at most 15 characters, as top -H shows it
  pthread_setname_np(pthread_self(), name);
}

// Yields to the threads somebody waits for. On Linux a nice value belongs to the thread.
static inline void thread_low_priority(void) {
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
}
