// engine.h - all parts of the engine put together, started and stopped in order.
#pragma once
#include "base/err.h"
#include "script/config.h"

struct engine;

// Opens the data folder, starts workers and couriers, loads streams, listens. NULL with err.
struct engine *engine_start(const struct config *config, struct err *err);
int engine_port(const struct engine *engine);
void engine_run(struct engine *engine);      // on this thread, until engine_interrupt
void engine_reload(struct engine *engine);   // looks at the files of all scripts and sinks again; from its loop
// From a signal watch on its loop: no more requests, those under way are answered, then engine_run returns.
// drain_ms: for this and for the deliveries under way in engine_stop, together. Called again: at once.
void engine_interrupt(struct engine *engine, unsigned drain_ms);
// Lets requests to receivers end for what is left of drain_ms, saves positions, closes everything.
void engine_stop(struct engine *engine);
struct loop *engine_loop(struct engine *engine);
