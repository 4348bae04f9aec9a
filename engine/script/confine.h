// confine.h - a worker process gives up all it does not need, before any script is loaded.
//
// Left to it: its memory, the descriptors below `first_closed` (none of which can be read from), a clock and
// an end. Under a sanitizer system calls and memory are not limited, for its runtime needs both.
#pragma once
#include "base/err.h"
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#ifndef CONFINE_SANITIZED
#define CONFINE_SANITIZED 0
#endif

// Dies with its parent, whose pid is `engine`; false with err when something could not be given up.
bool confine(pid_t engine, unsigned first_closed, struct err *err);
