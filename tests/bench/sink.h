// sink.h - a receiver as cheap as one can be, in its own process: reads bodies, answers 200, tells the tally
// which records came.
#pragma once
#include "base/err.h"
#include "tally.h"
#include <sys/types.h>

struct sink_process {
  pid_t pid;
  int port;
};

bool sink_process_start(struct sink_process *sink, struct tally *tally, struct err *err);
void sink_process_stop(struct sink_process *sink); // takes zeroed
