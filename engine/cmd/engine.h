// engine.h - all parts of the engine put together, started and stopped in order.
#pragma once
#include "base/err.h"
#include "script/config.h"

struct engine;

// Opens the data folder, starts workers and couriers, loads streams, listens. NULL with err.
struct engine *engine_start(const struct config *config, struct err *err);
int engine_port(const struct engine *engine);
void engine_run(struct engine *engine);      // on this thread, until engine_interrupt
void engine_interrupt(struct engine *engine); // from a signal watch on its loop
// Takes no more requests, lets those to receivers end for at most drain_ms, saves positions, closes everything.
void engine_stop(struct engine *engine, unsigned drain_ms);
struct loop *engine_loop(struct engine *engine);
