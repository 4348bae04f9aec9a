#include "net/watch.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENT_BYTES = 16 << 10 };

static const uint32_t OF_FILES = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
static const uint32_t OF_FOLDER = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

struct watch {
  struct loop *loop;
  char *folder;
  watch_changed changed;
  void *arg;
  int fd, folder_watch; // folder_watch -1: the folder is not there
  dev_t device;         // of the folder that is watched
  ino_t inode;
  struct loop_watch events;
  struct loop_timer look, rest;
  struct map names; // by hash; the changed ones
  bool all;         // all may have changed
  bool warned;      // that the folder can't be watched
  uint64_t since_ms; // the first change that has not been told; 0: none
};

static void note(struct watch *w) {
  uint64_t now = clock_mono_ms();
  if (!w->since_ms) w->since_ms = now;
  uint64_t gone_us = (now - w->since_ms) * 1000;
  uint64_t left_us = gone_us < WATCH_PATIENCE_US ? WATCH_PATIENCE_US - gone_us : 0;
  loop_timer_start(w->loop, &w->rest, left_us < WATCH_REST_US ? left_us : WATCH_REST_US);
}

static void forget_names(struct watch *w) {
  char *name;
  for (size_t i = 0; (name = map_each(&w->names, &i));) mem_free(name);
  map_fini(&w->names);
  w->names = (struct map){0};
}

static void note_all(struct watch *w) {
  w->all = true;
  note(w);
}

static void note_name(struct watch *w, const char *name) {
  uint64_t key = hash_bytes(name, strlen(name), 0);
  char *copy = NULL;
  if (w->all || map_get(&w->names, key)) {
    note(w);
  } else if (w->names.count < WATCH_NAMES && (copy = mem_copy(name, strlen(name))) && map_put(&w->names, key, copy)) {
    note(w);
  } else {
    mem_free(copy);
    note_all(w);
  }
}

static void tell(struct loop_timer *timer) {
  struct watch *w = (struct watch *)((char *)timer - offsetof(struct watch, rest));
  struct map names = w->names;
  bool all = w->all;
  char *name;
  w->names = (struct map){0};
  w->all = false;
  w->since_ms = 0;
  if (all) w->changed(w->arg, NULL);
  for (size_t i = 0; (name = map_each(&names, &i));) {
    if (!all) w->changed(w->arg, name);
    mem_free(name);
  }
  map_fini(&names);
}

// ---- the folder itself ----

static void leave(struct watch *w) {
  if (w->folder_watch >= 0) inotify_rm_watch(w->fd, w->folder_watch); // fails when the folder is gone, and its watch with it
  w->folder_watch = -1;
}

static void warn_once(struct watch *w) {
  struct err why = {0};
  err_set_errno(&why, "inotify");
  if (!w->warned) log_warn("watch doing=poll%s%s", log_field("folder", w->folder), log_field("reason", why.text));
  w->warned = true;
}

// Watches what the path leads to now. First the watch, then the look: a folder that is swapped in between is found the next time.
static void follow(struct watch *w) {
  struct stat now;
  bool there = stat(w->folder, &now) == 0;
  if (w->folder_watch >= 0 && there && now.st_dev == w->device && now.st_ino == w->inode) return;
  bool was_there = w->folder_watch >= 0;
  leave(w);
  if (there) w->folder_watch = inotify_add_watch(w->fd, w->folder, OF_FILES | OF_FOLDER);
  if (there && w->folder_watch < 0) warn_once(w);
  w->device = there ? now.st_dev : 0;
  w->inode = there ? now.st_ino : 0;
  if (was_there || there) note_all(w); // each time when it can't be watched
}

static void look(struct loop_timer *timer) {
  struct watch *w = (struct watch *)((char *)timer - offsetof(struct watch, look));
  follow(w);
  loop_timer_start(w->loop, timer, WATCH_LOOK_US);
}

// ---- events ----

// A file that was made to be written is told when it is closed; one that was linked is there at once.
static bool is_whole(const struct watch *w, const char *name) {
  char path[PATH_MAX];
  struct stat s;
  snprintf(path, sizeof path, "%s/%s", w->folder, name);
  return lstat(path, &s) != 0 || !S_ISREG(s.st_mode) || s.st_nlink > 1;
}

static void take(struct watch *w, const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) {
    note_all(w);
    return;
  }
  if (event->wd != w->folder_watch) return; // of a folder that was left
  if (event->mask & IN_IGNORED) w->folder_watch = -1;
  if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) {
    note_all(w);
    loop_timer_start(w->loop, &w->look, 0);
  } else if (event->len && event->name[0] == '.' && event->name[1] == '.') {
    note_all(w); // files that are links lead through it
  } else if (event->len && (!(event->mask & IN_CREATE) || is_whole(w, event->name))) {
    note_name(w, event->name);
  }
}

static void readable(struct loop_watch *watch, int fd) {
  struct watch *w = (struct watch *)((char *)watch - offsetof(struct watch, events));
  _Alignas(struct inotify_event) char bytes[EVENT_BYTES];
  ssize_t len = read(fd, bytes, sizeof bytes);
  for (ssize_t at = 0; at < len;) {
    const struct inotify_event *event = (const struct inotify_event *)(const void *)(bytes + at);
    take(w, event);
    at += (ssize_t)(sizeof *event + event->len);
  }
}

// ---- life ----

struct watch *watch_new(struct loop *loop, const char *folder, watch_changed changed, void *arg, struct err *err) {
  struct watch *w = mem_zero(1, sizeof *w);
  if (!w) return err_set(err, "out of memory"), NULL;
  *w = (struct watch){.loop = loop, .changed = changed, .arg = arg, .fd = -1, .folder_watch = -1, .events.run = readable,
                      .look.run = look, .rest.run = tell};
  w->folder = mem_copy(folder, strlen(folder));
  w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC); // without it the folder is looked at again and again
  if (w->folder && (w->fd < 0 || loop_watch_start(loop, &w->events, w->fd)) && loop_timer_start(loop, &w->look, WATCH_LOOK_US)) {
    follow(w);
    note_all(w);
    return w;
  }
  err_set(err, "out of memory");
  watch_free(w);
  return NULL;
}

void watch_free(struct watch *w) {
  if (!w) return;
  loop_watch_fini(&w->events);
  loop_timer_fini(&w->look);
  loop_timer_fini(&w->rest);
  if (w->fd >= 0) close(w->fd);
  forget_names(w);
  mem_free(w->folder);
  mem_free(w);
}
