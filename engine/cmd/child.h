// child.h - work in a process of its own, since a crash of LuaJIT must end nothing else.
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <sys/types.h>

struct child {
  pid_t pid;
  int from; // what it writes can be read here
};

// Starts a process that does the work, which ends with what it returns, and with its parent. It has nothing
// but the work: no core, no file longer than a golden case's output, no memory without end.
bool child_start(struct child *child, int (*work)(void *arg, int to), void *arg, struct err *err);
void child_write(int to, const void *at, size_t len); // all of it; ends the process when nobody reads
int child_end(struct child *child);                   // waits for its end: the status, as wait(2) has it
