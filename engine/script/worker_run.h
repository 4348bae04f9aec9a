// worker_run.h - one record through one program: the script, then the sink's map on each of its outputs.
#pragma once
#include "script/worker_shelf.h"

struct runner { // what is kept from record to record
  struct json_tape tape, output_tape;
  struct script_result script, sink, gathered;
  char log[LIMIT_SCRIPT_LOG_BYTES]; // what the record's hooks have logged: lines, without a break behind the last
  size_t log_len;
};

void runner_init(struct runner *runner);
void runner_fini(struct runner *runner);
void runner_log(void *runner, const char *line, size_t len); // a script_log_fn; what is too much is left out

const struct script_result *runner_put_off(struct runner *runner); // a record that is not run here
// The result is the runner's, until the next run.
const struct script_result *runner_run(struct runner *runner, struct shelf *shelf,
                                       struct shelf_program *program, const struct record_header *header,
                                       struct slice bytes);
