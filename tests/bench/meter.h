// meter.h - CPU time and memory of a process and all its children, whoever comes and goes among them.
#pragma once
#include <stdint.h>
#include <sys/types.h>

struct meter;

// Memory is sampled from now on, by a thread of its own. NULL when it can't be.
struct meter *meter_start(pid_t pid);
void meter_stop(struct meter *meter); // takes NULL
// User and system time of all of them so far, those that have ended included, in microseconds.
uint64_t meter_cpu_us(const struct meter *meter);
// The most they held at once: anonymous and shared memory, what is shared counted once; file pages left out.
// Bytes.
uint64_t meter_peak_bytes(const struct meter *meter);
