// worker_run.h - one record through one program: the script, then the sink's map on each of its outputs.
#pragma once
#include "script/worker_shelf.h"

struct runner { // what is kept from record to record
  struct json_tape tape, output_tape;
  struct script_result script, sink, gathered;
};

void runner_init(struct runner *runner);
void runner_fini(struct runner *runner);

// The result is the runner's, until the next run.
const struct script_result *runner_run(struct runner *runner, struct shelf *shelf,
                                       struct shelf_program *program, const struct record_header *header,
                                       struct slice bytes);
