// worker_shelf.h - the scripts and programs a worker knows: sources and contexts kept, Lua states loaded when
// needed.
//
// States share one memory budget; the least recently used ones go first and are loaded again from their
// sources. The same holds for the contexts set in one state. Nothing here reports that memory is out: the
// worker ends, and the engine starts another.
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "script/message.h"
#include "script/patience.h"
#include "script/script.h"

struct shelf_script {
  uint32_t id;
  enum script_role role;
  char *name;
  struct slice source;
  struct script *state; // NULL: not loaded
  size_t memory;        // of the state, as counted in the shelf
  uint32_t programs;    // that use it; without one it goes
  struct list used;     // in shelf.used while loaded
  struct list contexts; // set in the state: struct shelf_use, least recently used first
  uint32_t context_count;
};

struct shelf_use {             // of a script by a program
  struct shelf_script *script; // NULL: none
  struct slice context;
  struct list set; // in script.contexts while the context is set in its state
};

struct shelf_program {
  uint32_t id;
  uint64_t clients; // mask of those that told of it
  struct shelf_use script, sink;
  struct patience patience; // with its script
  bool put_off;             // it was lost: its records are not run
};

struct shelf {
  struct script_limits limits;
  size_t budget; // bytes of all states together
  script_log_fn log; // for every script; may be NULL
  void *log_arg;
  struct map scripts, programs;
  struct list used; // loaded scripts, least recently used first
  size_t memory;
};

void shelf_init(struct shelf *shelf, const struct script_limits *limits, size_t budget);
void shelf_fini(struct shelf *shelf);
void shelf_add_script(struct shelf *shelf, const struct message_script *message);
void shelf_add_program(struct shelf *shelf, const struct message_program *message, unsigned client);
void shelf_forget(struct shelf *shelf, uint32_t program, unsigned client);
struct shelf_program *shelf_program(const struct shelf *shelf, uint32_t id); // NULL: not there

// The script's state with this program's context in it, loaded when need be. NULL with err when it can't be
// loaded.
struct script *shelf_open(struct shelf *shelf, struct shelf_program *program, struct shelf_use *use,
                          struct err *err);
// After a run: a state that is worn goes.
void shelf_look(struct shelf *shelf, struct shelf_use *use);
// After a job: counts anew what the state holds, and drops others until the budget is kept.
void shelf_settle(struct shelf *shelf, struct shelf_use *use);
