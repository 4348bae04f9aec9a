// segment_maker.h - one thread that makes the next segment before it is needed and tidies up those that are
// full.
//
// The next segment lies ready as FOLDER/next.seg: allocated, so that a full disk is known before anything is
// promised, and filled with zeros, since a sync of blocks never written before costs seven times that of
// rewritten ones.
#pragma once
#include "journal/segment.h"

enum maker_state { MAKER_NONE, MAKER_READY, MAKER_FAILED };

struct segment_maker {
  const char *folder;
  size_t bytes;            // of a segment; halved while the disk has no room
  void (*made)(void *arg); // with the lock: one of `least` bytes or more is there
  void *arg;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake, done;
  enum maker_state state;
  bool wanted, stop, running;
  atomic_bool urgent;   // somebody waits: no pauses
  atomic_bool stopping; // `stop`, for a look without the lock: leave the zeros
  off_t least; // what the writer needs room for; 0: any will do
  uint64_t attempts;
  int fd;
  off_t size;
  int error;              // errno of a failed attempt
  bool complained;        // the last finish failed, and it was said
  struct segment *untidy; // a reference each, linked by `next_untidy`
};

bool segment_maker_start(struct segment_maker *maker,
                         struct err *err);            // folder, bytes, made and arg set by the caller
void segment_maker_stop(struct segment_maker *maker); // finishes what is to be tidied; takes zeroed
// One ahead, of `least` bytes at least: a smaller one that lies ready goes. When one is there `made` runs at once.
void segment_maker_want(struct segment_maker *maker, off_t least);
void segment_maker_tidy(struct segment_maker *maker,
                        struct segment *segment); // to be finished: it is not the newest any more

// The next segment's file, at least that long, moved to `path`; waits while it is made. False with errno: no
// room, say.
bool segment_maker_take(struct segment_maker *maker, off_t least, const char *path, int *fd, off_t *size);
