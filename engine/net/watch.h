// watch.h - a folder's files: tells which of them may have changed (inotify), on a loop.
//
// The folder may come later, be removed and made again, and any part of its path may be a symbolic link that is turned to another
// folder: what the path leads to is looked at twice a second. Whatever can't be told by name (a folder that is new, a queue that
// overflowed, links like the ..data of a mounted ConfigMap) is told as a change of all. Where inotify has no room the folder can't be
// watched, and each look tells that all may have changed.
#pragma once
#include "base/err.h"
#include "net/loop.h"

struct watch;

enum {
  WATCH_REST_US = 50000,     // changes are told once there has been none for so long: editors write a file in several steps
  WATCH_PATIENCE_US = 200000, // or once the first of them is so old
  WATCH_LOOK_US = 500000,    // how often the path is looked at
  WATCH_NAMES = 4096,        // changed names that are kept; past it all may have changed
};

// `name`: of a file in the folder, without the folder; NULL: any of them, and what is there at all. Not called from inside watch_new.
// It may be there or not; a file that is being written is told once it is closed.
typedef void (*watch_changed)(void *arg, const char *name);

// The first report is one of all, so that nothing is missed between a first look and this. NULL: out of memory.
struct watch *watch_new(struct loop *loop, const char *folder, watch_changed changed, void *arg, struct err *err);
void watch_free(struct watch *watch); // takes NULL
