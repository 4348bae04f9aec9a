// confine.h - a worker process gives up all it does not need, before any script is loaded.
//
// Left to it: its memory, none of which it can run, the descriptors below `first_closed` (none of which can
// be read from), a clock and an end. Where the engine is root a worker becomes a user of its own, who owns
// nothing. Under a sanitizer system calls and memory are not limited, for its runtime needs both.
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

// The first of the users that workers become, one each: past those that Debian gives to its packages.
enum { CONFINE_USERS = 64300 };

struct confine {
  pid_t engine;          // the parent, with which it ends
  uid_t user;            // to become, with the group of the same number; 0: it stays who it is
  unsigned first_closed; // this descriptor and all above are closed
};
// False with err when something could not be given up.
bool confine(const struct confine *as, struct err *err);

bool confine_may_become(
    void); // whether a process of ours could become another user: asked once, by the engine
bool confine_become(uid_t user,
                    struct err *err); // confine's part: with the group of the same number and no other
