// loop.h - one thread's event loop (libevent), and the way other threads hand it work.
//
// Everything a loop owns is touched by its thread alone. Other threads post a task; it runs on the loop's
// thread, in the order posted by each thread. Tasks are embedded by their owners: posting allocates nothing
// and never fails.
#pragma once
#include "base/err.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct loop;

struct loop_task {
  void (*run)(struct loop_task *task); // may free or post the task again
  struct loop_task *next;              // the loop's
  atomic_bool posted;                  // set while it waits to run: posting it again then does nothing
};

struct loop *loop_new(struct err *err);
void loop_free(struct loop *loop);                         // takes NULL; tasks still waiting are dropped
void loop_run(struct loop *loop);                          // until loop_stop
void loop_stop(struct loop *loop);                         // any thread
void loop_post(struct loop *loop, struct loop_task *task); // any thread
bool loop_is_current(const struct loop *loop);             // whether this thread runs it

// Runs once after all events of this turn have been handled, before the loop sleeps; setting it again in one
// turn does nothing.
void loop_set_turn_end(struct loop *loop, void (*run)(void *arg),
                       void *arg); // one per loop, called at the end of every turn

struct loop_timer {
  void *event; // zeroed: not made yet
  void (*run)(struct loop_timer *timer);
  struct loop *loop;
};
bool loop_timer_start(struct loop *loop, struct loop_timer *timer,
                      uint64_t delay_us); // again: moves it. `run` set by the caller
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_fini(struct loop_timer *timer); // takes zeroed

struct loop_watch {
  void *event;
  void (*run)(struct loop_watch *watch, int fd);
};
bool loop_watch_start(struct loop *loop, struct loop_watch *watch,
                      int fd);                  // while readable (level-triggered)
void loop_watch_fini(struct loop_watch *watch); // takes zeroed

struct event_base *loop_base(struct loop *loop); // for net/ alone
