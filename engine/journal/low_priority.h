// low_priority.h - makes this thread yield to the ones somebody waits for.
#pragma once
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// On Linux a nice value belongs to the thread.
static inline void low_priority(void) {
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
}
