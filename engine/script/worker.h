// worker.h - the worker process: takes jobs from its clients' rings, runs each record through its program,
// sends results.
#pragma once

// `sluice worker [check]`, as the engine starts it with its descriptors; of no use by hand. Returns the exit
// status.
int worker_main(int argc, char **argv);
