// work_desk.h - one thread for what would hold up a loop: files read and synced, answers put together.
//
// Pieces of work are done one after the other, in the order they came.
#pragma once
#include "base/err.h"
#include "net/loop.h"

struct work_desk;

struct work { // embedded by its owner, who keeps it until `done`
  struct loop *loop;
  void (*run)(struct work *work);  // on the desk's thread
  void (*done)(struct work *work); // on the loop, after it
  struct loop_task task;           // the desk's
  struct work *next;               // the desk's
};

struct work_desk *work_desk_new(struct err *err);
void work_desk_free(
    struct work_desk *desk); // what waits is still run, though its `done` may not be; takes NULL
void work_desk_do(struct work_desk *desk, struct work *work); // any thread
